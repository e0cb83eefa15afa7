//! Makes text that comes from a file fit to print: it can neither steer a terminal, nor pass for another line, nor fill
//! the screen.
//!
//! What is escaped, as Rust escapes it (`\u{1b}`, `\n`): control characters, C1 included; those that turn the direction of
//! writing; the line and paragraph separators; and what is invisible, such as zero-width spaces and tags. Letters of all
//! scripts, their marks and joiners stay. A backslash stays as it is too, so paths of Windows stay legible, and the way
//! back is not unique: JSON is the format for programs.

use std::borrow::Cow;
use std::path::Path;

/// `text` on one line.
///
/// ```
/// use pretrained::printable;
/// assert_eq!(printable::line("fc\u{1b}[2J.weight\nerror: none"), r"fc\u{1b}[2J.weight\nerror: none");
/// assert_eq!(printable::line("żółw 亀 👩\u{200d}🔬"), "żółw 亀 👩\u{200d}🔬");
/// ```
pub fn line(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_hidden(c) {
            true => safe.extend(c.escape_default()),
            false => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

/// `text` with its lists: a line feed that two spaces follow begins an item and stays, and every other is escaped. So
/// text that was put in without [`line()`] cannot pass for a message of its own.
///
/// ```
/// use pretrained::printable;
/// assert_eq!(printable::lines("2 nodes:\n  Loop\n  If\nwell"), "2 nodes:\n  Loop\n  If\\nwell");
/// ```
pub fn lines(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let items: Vec<Cow<str>> = text.split("\n  ").map(line).collect();
    Cow::Owned(items.join("\n  "))
}

/// At most so many characters of `text`, on one line; a text that is cut ends with its length.
///
/// ```
/// use pretrained::printable;
/// assert_eq!(printable::cut("conv1.weight", 40), "conv1.weight");
/// assert_eq!(printable::cut(&"ab".repeat(500), 5), "ababa... (1000 characters)");
/// ```
pub fn cut(text: &str, characters: usize) -> Cow<'_, str> {
    match text.char_indices().nth(characters) {
        None => line(text),
        Some((end, _)) => {
            let start = line(&text[..end]);
            Cow::Owned(format!("{start}... ({} characters)", text.chars().count()))
        }
    }
}

/// A tensor's shape, `[64, 3, 7, 7]`; of more dimensions than a network's tensor has, the first ones and their number.
///
/// ```
/// use pretrained::printable;
/// assert_eq!(printable::shape(&[64, 3, 7, 7]), "[64, 3, 7, 7]");
/// assert_eq!(printable::shape(&[1; 30_000]), "[1, 1, 1, 1, 1, 1, 1, 1, ... 30000 dimensions]");
/// ```
pub fn shape(dimensions: &[usize]) -> String {
    match dimensions.split_at_checked(8) {
        Some((first, [_, ..])) => {
            let first: Vec<String> = first.iter().map(usize::to_string).collect();
            format!("[{}, ... {} dimensions]", first.join(", "), dimensions.len())
        }
        _ => format!("{dimensions:?}"),
    }
}

/// `path` on one line; bytes that are not Unicode are escaped (`\xe9`).
pub fn path(path: &Path) -> String {
    let chunks = path.as_os_str().as_encoded_bytes().utf8_chunks();
    chunks.map(|chunk| line(chunk.valid()).into_owned() + &chunk.invalid().escape_ascii().to_string()).collect()
}

/// Whether a character is escaped: it does something to those around it, or cannot be seen.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_steers_a_terminal_is_escaped() {
        for (text, safe) in [
            ("\x1b]0;title\x07", r"\u{1b}]0;title\u{7}"),
            ("\u{9b}31m", r"\u{9b}31m"),
            ("a\rb\tc\0\x7f", r"a\rb\tc\u{0}\u{7f}"),
            ("gpj\u{202e}.exe\u{2066}", r"gpj\u{202e}.exe\u{2066}"),
            ("a\u{2028}b\u{feff}\u{200b}\u{e0041}", r"a\u{2028}b\u{feff}\u{200b}\u{e0041}"),
        ] {
            assert_eq!(line(text), safe);
            assert_eq!(lines(text), safe);
        }
    }

    #[test]
    fn what_is_escaped_stays_as_it_is() {
        let once = line("\x1b[31m\\u{1b}\n").into_owned();
        assert_eq!(line(&once), once);
        assert_eq!(lines(&once), once);
    }

    #[test]
    fn letters_of_any_script_stay() {
        for text in ["C:\\new\\table.png", "e\u{301}", "क\u{94d}\u{200d}ष", "\"quoted\" it's", "日本語", ""] {
            assert!(matches!(line(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn bytes_of_a_path_that_are_not_unicode_are_escaped() {
        use std::os::unix::ffi::OsStrExt;
        let name = std::ffi::OsStr::from_bytes(b"caf\xe9/\x1b\xc3\xa9.png");
        assert_eq!(path(Path::new(name)), r"caf\xe9/\u{1b}é.png");
    }

    #[test]
    fn a_cut_counts_characters_and_not_bytes() {
        assert_eq!(cut("ééé", 3), "ééé");
        assert_eq!(cut("éééé", 3), "ééé... (4 characters)");
        assert_eq!(cut("\n\n", 1), "\\n... (2 characters)");
    }
}
