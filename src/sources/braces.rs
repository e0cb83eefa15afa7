//! Names in braces, as shells and WebDataset expand them: `shard-{0000..0099}.tar`, `{train,val}.tar`.

/// The most names that one pattern may stand for.
const MOST: usize = 1_000_000;

/// The names that a pattern stands for, in order; itself where it has no braces that do, or stands for more than a million.
pub fn expand(pattern: &str) -> Vec<String> {
    let mut names = vec![String::new()];
    let mut rest = pattern;
    while let Some((before, choices, after)) = next(rest) {
        if names.len().saturating_mul(choices.len()) > MOST {
            return vec![pattern.to_owned()];
        }
        names =
            names.iter().flat_map(|name| choices.iter().map(move |choice| format!("{name}{before}{choice}"))).collect();
        rest = after;
    }
    names.iter_mut().for_each(|name| name.push_str(rest));
    names
}

/// What comes before the first braces that stand for several names, those names, and what comes after.
fn next(text: &str) -> Option<(&str, Vec<String>, &str)> {
    let mut from = 0;
    loop {
        let open = from + text.get(from..)?.find('{')?;
        let close = open + text[open..].find('}')?;
        let inside = &text[open + 1..close];
        if let Some(choices) = range(inside).or_else(|| list(inside)) {
            return Some((&text[..open], choices, &text[close + 1..]));
        }
        from = open + 1;
    }
}

/// `0..9`, or `000..099` with as many digits everywhere.
fn range(inside: &str) -> Option<Vec<String>> {
    let (first, last) = inside.split_once("..")?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(first) || !digits(last) {
        return None;
    }
    let (from, to): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
    let padded = [first, last].iter().any(|text| text.len() > 1 && text.starts_with('0'));
    let width = if padded { first.len().max(last.len()) } else { 0 };
    let name = |number: usize| format!("{number:0width$}");
    if from.abs_diff(to) >= MOST {
        return None;
    }
    Some(if from <= to { (from..=to).map(name).collect() } else { (to..=from).rev().map(name).collect() })
}

fn list(inside: &str) -> Option<Vec<String>> {
    inside.contains(',').then(|| inside.split(',').map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::expand;

    #[test]
    fn braces_expand_as_in_a_shell() {
        assert_eq!(expand("a-{08..11}.tar"), ["a-08.tar", "a-09.tar", "a-10.tar", "a-11.tar"]);
        assert_eq!(expand("{2..0}"), ["2", "1", "0"]);
        assert_eq!(expand("{a,b}-{1..2}"), ["a-1", "a-2", "b-1", "b-2"]);
        for same in ["plain", "a{b}c", "{", "}{", "{1..}", "{1..999999999}", "{x..y}", ""] {
            assert_eq!(expand(same), [same]);
        }
        assert_eq!(expand("{a}{1..2}"), ["{a}1", "{a}2"]);
    }
}
