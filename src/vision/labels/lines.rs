//! Labels as lines of text, perhaps numbered or after WordNet ids.

use super::{Parsed, in_order, shown};

/// The labels, one a line.
pub fn names(text: &str) -> Result<Parsed, String> {
    let text = text.trim_end();
    if text.is_empty() {
        return Err("there is no label in it".to_owned());
    }
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() {
            return Err(format!("line {} is blank; class {index} needs a label", index + 1));
        }
        lines.push(line);
    }
    let mut notes = Vec::new();
    let without_ids = strip(&mut lines, &mut notes, |line| synset(line).map(|rest| ((), rest)));
    let (all, told) = (lines.clone(), notes.len());
    let mut numbers = strip(&mut lines, &mut notes, numbered);
    // Numbers before a blank may belong to the labels, as in `30 km/h`.
    if let Some(found) = &numbers
        && found.iter().any(|(_, set_off)| !set_off)
        && in_order(found.iter().map(|(number, _)| (*number, String::new())).collect(), true).is_err()
    {
        (lines, numbers) = (all, None);
        notes.truncate(told);
    }
    if without_ids.is_none() {
        strip(&mut lines, &mut notes, |line| synset(line).map(|rest| ((), rest)));
    }
    let names = lines.iter().map(|line| unquoted(line).to_owned());
    let Some(numbers) = numbers else {
        return Ok(Parsed { names: names.collect(), one_a_line: notes.is_empty(), notes });
    };
    let names = in_order(numbers.into_iter().map(|(number, _)| number).zip(names).collect(), true);
    let names = names.map_err(|fault| format!("its lines look numbered, but {fault}"))?;
    Ok(Parsed { names, one_a_line: false, notes })
}

/// Takes what `front` finds off all lines, or off all but the first, which then is a header and no label. Lines stay as
/// they are, and there is none, where other lines lack it.
fn strip<'t, T>(
    lines: &mut Vec<&'t str>,
    notes: &mut Vec<String>,
    front: impl Fn(&'t str) -> Option<(T, &'t str)>,
) -> Option<Vec<T>> {
    let found: Vec<Option<(T, &str)>> = lines.iter().map(|line| front(line)).collect();
    let lacking = found.iter().filter(|one| one.is_none()).count();
    let has_header = lines.len() > 2 && lacking == 1 && found[0].is_none();
    if lacking > usize::from(has_header) {
        return None;
    }
    if has_header {
        notes.push(format!("line 1, \"{}\", is taken for a header and left out", shown(lines[0])));
    }
    let (taken, rest): (Vec<T>, Vec<&str>) = found.into_iter().flatten().unzip();
    *lines = rest;
    Some(taken)
}

/// What follows a WordNet id, such as `n01440764`.
fn synset(line: &str) -> Option<&str> {
    let digits = line.strip_prefix('n')?.get(..8).filter(|id| id.bytes().all(|byte| byte.is_ascii_digit()))?;
    let rest = &line[1 + digits.len()..];
    let label = rest.trim_start_matches([' ', '\t', ',', ':']);
    (label.len() < rest.len() && !label.is_empty()).then_some(label)
}

/// The number that a line begins with, whether more than a blank sets it off, and what follows.
fn numbered(line: &str) -> Option<((usize, bool), &str)> {
    let end = line.find(|c: char| !c.is_ascii_digit())?;
    let (number, rest) = line.split_at(end);
    let (set_off, label) = match rest.trim_start_matches(' ').strip_prefix([':', ',', ';', '=', '\t']) {
        Some(label) => (true, label),
        None => (false, rest.strip_prefix(' ')?),
    };
    let label = label.trim_start();
    (!label.is_empty()).then_some(((number.parse().ok()?, set_off), label))
}

/// A label without the quotes around it.
fn unquoted(label: &str) -> &str {
    let within = |quote| label.strip_prefix(quote)?.strip_suffix(quote).filter(|within| !within.contains(quote));
    within('"').or_else(|| within('\'')).unwrap_or(label)
}
