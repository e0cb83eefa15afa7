//! What stands before the names of a network's parameters: wrappers that mean nothing, and the part of a larger model that
//! the network is.

use indexmap::IndexMap;
use std::borrow::Cow;
use std::collections::HashSet;

/// Modules that do nothing but call the one within: of `torch.compile`, FSDP and activation checkpointing.
const WRAPPERS: [&str; 3] = ["_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"];

/// How many modules deep a network is looked for within a model.
const DEPTH: usize = 8;

/// `name` without the parts that [`WRAPPERS`] put there.
pub(crate) fn unwrapped(name: &str) -> Cow<'_, str> {
    if !WRAPPERS.iter().any(|wrapper| name.contains(wrapper)) {
        return Cow::Borrowed(name);
    }
    let parts: Vec<&str> = name.split('.').filter(|part| !WRAPPERS.contains(part)).collect();
    if parts.is_empty() { Cow::Borrowed(name) } else { Cow::Owned(parts.join(".")) }
}

/// `name` in two at each of its first dots: what stands before, with the dot, and the rest. The first is nothing and all.
pub(crate) fn splits(name: &str) -> impl Iterator<Item = (&str, &str)> {
    let dots = name.match_indices('.').map(|(at, _)| at + 1);
    std::iter::once(0).chain(dots).take(DEPTH).map(|at| name.split_at(at))
}

/// How many of the names `expected` there are behind each prefix, in the order of the names.
pub(crate) fn found(names: impl Iterator<Item = impl AsRef<str>>, expected: &HashSet<&str>) -> IndexMap<String, usize> {
    let mut found: IndexMap<String, usize> = IndexMap::new();
    for name in names {
        for (prefix, _) in splits(name.as_ref()).filter(|(_, rest)| expected.contains(rest)) {
            match found.get_mut(prefix) {
                Some(count) => *count += 1,
                None => drop(found.insert(prefix.to_owned(), 1)),
            }
        }
    }
    found
}

/// The prefix behind which a network's parameters, called `expected`, are meant to be: none where they are there as they
/// are, else the only one behind which all of them are, else the one behind which most of them are.
///
/// # Errors
/// The prefixes that would do equally well.
pub(crate) fn choose(
    names: impl Iterator<Item = impl AsRef<str>>,
    expected: &HashSet<&str>,
) -> Result<String, Vec<String>> {
    let found = found(names, expected);
    let most = found.values().copied().max().unwrap_or(0);
    if found.get("").copied().unwrap_or(0) == most || 2 * most < expected.len() {
        return Ok(String::new());
    }
    one_of(found.into_iter().filter(|(_, count)| *count == most).map(|(prefix, _)| prefix).collect())
}

/// The only one of `prefixes`, or the only one that is no moving average of the others.
///
/// # Errors
/// All of them.
pub(crate) fn one_of(prefixes: Vec<String>) -> Result<String, Vec<String>> {
    if let [only] = &prefixes[..] {
        return Ok(only.clone());
    }
    match prefixes.iter().filter(|prefix| !is_average(prefix)).collect::<Vec<_>>()[..] {
        [only] => Ok(only.clone()),
        _ => Err(prefixes),
    }
}

/// Whether a prefix is what moving averages of parameters are kept under.
fn is_average(prefix: &str) -> bool {
    words(prefix).any(|word| ["ema", "swa", "averaged", "shadow"].contains(&&*word))
}

/// The words of a name, in small letters: `model_ema.module.` is model, ema and module.
pub(crate) fn words(name: &str) -> impl Iterator<Item = String> {
    name.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(names: &[&str]) -> Result<String, Vec<String>> {
        choose(names.iter().copied(), &HashSet::from(["conv.weight", "fc.weight", "fc.bias"]))
    }

    #[test]
    fn wrappers_come_off_wherever_they_stand() {
        assert_eq!(unwrapped("_orig_mod.module.a._orig_mod.w"), "module.a.w");
        assert_eq!(unwrapped("a_orig_mod.w"), "a_orig_mod.w");
        assert_eq!(unwrapped("_orig_mod"), "_orig_mod");
    }

    #[test]
    fn a_prefix_is_taken_where_one_makes_the_names_fit() {
        assert_eq!(
            chosen(&["conv.weight", "fc.weight", "ema.conv.weight", "ema.fc.weight", "ema.fc.bias"]).unwrap(),
            "ema."
        );
        assert_eq!(chosen(&["conv.weight", "fc.weight", "fc.bias", "ema.fc.bias"]).unwrap(), "");
        assert_eq!(chosen(&["a.b.conv.weight", "a.b.fc.weight", "other"]).unwrap(), "a.b.");
        // One of three is nothing to go by.
        assert_eq!(chosen(&["a.fc.bias", "x"]).unwrap(), "");
    }

    #[test]
    fn of_two_that_fit_none_is_taken_unless_one_is_an_average() {
        let both = |a: &str, b: &str| {
            let names = ["conv.weight", "fc.weight", "fc.bias"];
            let names: Vec<String> = [a, b].iter().flat_map(|p| names.map(|n| format!("{p}{n}"))).collect();
            chosen(&names.iter().map(String::as_str).collect::<Vec<_>>())
        };
        assert_eq!(both("student.", "teacher.").unwrap_err(), ["student.", "teacher."]);
        assert_eq!(both("model_ema.module.", "model.").unwrap(), "model.");
        assert_eq!(both("schema.", "cinema.").unwrap_err().len(), 2);
        assert_eq!(both("ema.", "swa.").unwrap_err().len(), 2);
    }
}
