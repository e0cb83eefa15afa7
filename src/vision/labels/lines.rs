//! Labels as lines of text, perhaps numbered or after WordNet ids.

use std::collections::HashSet;

use super::{Parsed, in_order, shown};

/// What stands between a number and a label.
const SEPARATORS: [char; 6] = [':', ',', ';', '=', '\t', '|'];

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
    // A list as YAML writes it.
    strip(&mut lines, &mut notes, |line| line.strip_prefix("- ").map(|rest| ((), rest.trim_start())));
    without_commas(&mut lines);
    let without_ids = strip(&mut lines, &mut notes, |line| synset(line).map(|rest| ((), rest)));
    let numbers = numbers(&mut lines, &mut notes, false).or_else(|| numbers(&mut lines, &mut notes, true));
    let headers = lines_left_out(text, lines.len());
    if without_ids.is_none() {
        strip(&mut lines, &mut notes, |line| synset(line).map(|rest| ((), rest)));
    }
    let names = lines.iter().map(|line| unquoted(line).to_owned());
    let Some(numbers) = numbers else {
        return Ok(Parsed { names: names.collect(), one_a_line: notes.is_empty(), notes });
    };
    let odd = first_odd(&numbers);
    let names = in_order(numbers.into_iter().zip(names).collect(), true).map_err(|fault| {
        let line = headers + odd;
        let place = text.lines().nth(line).map_or("", str::trim);
        format!("its lines look numbered, but {fault}; see line {}, \"{}\"", line + 1, shown(place))
    })?;
    Ok(Parsed { names, one_a_line: false, notes })
}

/// How many lines at the beginning were headers.
fn lines_left_out(text: &str, left: usize) -> usize {
    text.lines().count().saturating_sub(left)
}

/// Takes the numbers off the lines that begin with them, or end with them where they are `last`, unless they may be part
/// of the labels.
fn numbers(lines: &mut Vec<&str>, notes: &mut Vec<String>, last: bool) -> Option<Vec<usize>> {
    let (all, told) = (lines.clone(), notes.len());
    let (numbers, set_off): (Vec<usize>, Vec<bool>) =
        strip(lines, notes, if last { numbered_last } else { numbered })?.into_iter().unzip();
    if set_off.iter().all(|set_off| *set_off) {
        return Some(numbers);
    }
    // What a blank sets off, or a point before a digit, may belong to the label, as in `30 km/h`, and does where little else tells the labels
    // apart, as in `class 1`.
    let in_line_order = numbers.is_sorted();
    let distinct = lines.iter().collect::<HashSet<_>>().len();
    let counts_classes = in_order(numbers.iter().map(|number| (*number, String::new())).collect(), true).is_ok();
    let alike = lines.len() > 1 && distinct * 2 <= lines.len();
    if !counts_classes || alike || (last && in_line_order) {
        *lines = all;
        notes.truncate(told);
        return None;
    }
    if last {
        notes.push("the labels are taken in the order of the numbers that its lines end with".to_owned());
    }
    Some(numbers)
}

/// The place of the first number that is no class's, or that was there before; 0 where there is none.
fn first_odd(numbers: &[usize]) -> usize {
    let first = usize::from(numbers.iter().all(|number| *number > 0));
    let mut seen = HashSet::new();
    let is_odd = |number: &usize| *number >= numbers.len() + first || !seen.insert(*number);
    numbers.iter().position(is_odd).unwrap_or(0)
}

/// Takes the comma off quoted lines, which the last line may lack.
fn without_commas(lines: &mut [&str]) {
    let within = |line: &str| line.len() > 2 && line.starts_with(['"', '\'']) && unquoted(line).len() < line.len();
    let Some((last, others)) = lines.split_last() else { return };
    let listed = |line: &&str| line.strip_suffix(',').is_some_and(within);
    if others.iter().all(listed) && (listed(last) || (!others.is_empty() && within(last))) {
        for line in lines {
            *line = line.strip_suffix(',').unwrap_or(line);
        }
    }
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
    let open = line.chars().next().filter(|c| ['"', '\'', '(', '['].contains(c));
    let digits = &line[open.map_or(0, char::len_utf8)..];
    let (number, rest) = digits.split_at(digits.find(|c: char| !c.is_ascii_digit())?);
    let brackets = match open {
        Some('(') => Some(rest.strip_prefix(')')?),
        Some('[') => Some(rest.strip_prefix(']')?),
        _ => rest.strip_prefix(')'),
    };
    let (set_off, label) = if let Some(quote @ ('"' | '\'')) = open {
        (true, rest.strip_prefix(quote)?.trim_start_matches(' ').strip_prefix(SEPARATORS)?)
    } else if let Some(label) = brackets {
        (true, label)
    } else if let Some(label) = rest.strip_prefix('.') {
        // It may be a fraction, as in `3.5 inch`.
        (!label.starts_with(|c: char| c.is_ascii_digit()), label)
    } else if let Some(label) = rest.trim_start_matches(' ').strip_prefix(SEPARATORS) {
        (true, label)
    } else {
        let label = rest.strip_prefix(' ')?.trim_start();
        (false, label.strip_prefix("- ").unwrap_or(label))
    };
    let label = label.trim_start();
    (!label.is_empty()).then_some(((number.parse().ok()?, set_off), label))
}

/// The number that a line ends with, whether more than a blank sets it off, and what stands before.
fn numbered_last(line: &str) -> Option<((usize, bool), &str)> {
    let quote = line.chars().last().filter(|c| ['"', '\''].contains(c));
    let line = quote.map_or(line, |quote| line.strip_suffix(quote).unwrap_or(line));
    let (before, number) = line.split_at(line.trim_end_matches(|c: char| c.is_ascii_digit()).len());
    let before = quote.map_or(Some(before), |quote| before.strip_suffix(quote))?;
    let label = before.trim_end_matches(' ');
    let blank = label.len() < before.len();
    let (set_off, label) = match label.strip_suffix(SEPARATORS) {
        // A year may follow a comma and a blank.
        Some(before) => (!(blank && label.ends_with(',')), before),
        None => (false, Some(label).filter(|_| blank && quote.is_none())?),
    };
    let label = label.trim_end();
    (!label.is_empty()).then_some(((number.parse().ok()?, set_off), label))
}

/// A label without the quotes around it.
fn unquoted(label: &str) -> &str {
    let within = |quote| label.strip_prefix(quote)?.strip_suffix(quote).filter(|within| !within.contains(quote));
    within('"').or_else(|| within('\'')).unwrap_or(label)
}
