//! TensorFlow's label maps: protobuf as text, `item { id: 1 name: "tench" }` or `entry { target_class: 1 ... }`.

use super::{in_order, shown};

/// Whether `text` begins as a label map does.
pub fn is_label_map(text: &str) -> bool {
    let text = text.trim_start();
    let opens = |word| text.strip_prefix(word).is_some_and(|rest: &str| rest.trim_start().starts_with('{'));
    opens("item") || opens("entry")
}

/// The labels in the order of their numbers: what is displayed, or else the name.
pub fn names(text: &str) -> Result<Vec<String>, String> {
    let mut numbered = Vec::new();
    let mut item = None;
    for (at, line) in text.lines().enumerate() {
        let fault = |reason: &str| format!("line {}: {reason}", at + 1);
        let mut rest = line.trim();
        while !rest.is_empty() && !rest.starts_with('#') {
            match (&mut item, rest.chars().next()) {
                (None, _) => {
                    let word = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_').trim_start();
                    rest = word.strip_prefix('{').ok_or_else(|| fault("expected an item, such as item { id: 1 }"))?;
                    item = Some(Item::default());
                }
                (Some(done), Some('}')) => {
                    numbered.push(std::mem::take(done).finish().map_err(|reason| fault(&reason))?);
                    item = None;
                    rest = &rest[1..];
                }
                (Some(item), _) => rest = item.field(rest).map_err(|reason| fault(&reason))?,
            }
            rest = rest.trim_start_matches([' ', '\t', ',', ';']);
        }
    }
    if item.is_some() {
        return Err("its last item does not end".to_owned());
    }
    in_order(numbered, true)
}

/// What is known of one class.
#[derive(Default)]
struct Item {
    number: Option<usize>,
    name: Option<String>,
    displayed: Option<String>,
}

impl Item {
    /// Takes a field off `text`, and returns what follows.
    fn field<'t>(&mut self, text: &'t str) -> Result<&'t str, String> {
        let expected = || format!("expected a field, such as id: 1 or name: \"tench\", found \"{}\"", shown(text));
        let (key, rest) = text.split_once(':').ok_or_else(expected)?;
        let rest = rest.trim_start();
        let (value, rest) = match rest.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let end = closing(&rest[1..], quote).ok_or_else(expected)?;
                (rest[1..1 + end].replace(&format!("\\{quote}"), &quote.to_string()), &rest[end + 2..])
            }
            _ => {
                let end = rest.find([' ', '\t', ',', ';', '}']).unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        match key.trim() {
            "id" | "target_class" => self.number = Some(value.parse().map_err(|_| expected())?),
            "name" | "target_class_string" => self.name = Some(value),
            "display_name" => self.displayed = Some(value),
            // Such as the frequency of a class.
            _ => {}
        }
        Ok(rest)
    }

    fn finish(self) -> Result<(usize, String), String> {
        let name = self.displayed.or(self.name).ok_or("the item has no name")?;
        Ok((self.number.ok_or("the item has no id")?, name))
    }
}

/// Where the text ends that `quote` closes.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if c == quote && !escaped {
            return Some(at);
        }
        escaped = c == '\\' && !escaped;
    }
    None
}
