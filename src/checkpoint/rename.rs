//! Other names for the tensors of a state dict, by regular expressions of the caller's.
//!
//! [`remap`](super::remap) knows the names of other frameworks; this is for those that people chose.

use super::StateDict;
use crate::error::{Error, Result};
use indexmap::IndexMap;
use regex::Regex;
use std::fmt;
use std::str::FromStr;

/// A regular expression, and what every match of it in a name is replaced by.
///
/// Both are the crate [`regex`]'s: `$1` or `${1}` in the replacement stands for the first group. As text it is
/// `REGEX=REPLACEMENT`, split at the first `=`; one that is part of the expression is written `\x3D`.
///
/// ```
/// use pretrained::{Rename, StateDict, Tensor};
///
/// let state: StateDict = [("backbone.fc.weight", Tensor::from_f32(&[1], &[0.5])?)].into_iter().collect();
/// let renaming = state.rename(&[r"^backbone\.=".parse()?])?;
/// assert!(renaming.state.contains("fc.weight") && renaming.unmatched.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Rename {
    regex: Regex,
    replacement: String,
}

impl Rename {
    /// Reads the regular expression.
    ///
    /// # Errors
    /// [`Error::Usage`] where it is none.
    pub fn new(regex: &str, replacement: impl Into<String>) -> Result<Self> {
        match Regex::new(regex) {
            Ok(regex) => Ok(Self { regex, replacement: replacement.into() }),
            Err(error) => {
                // Above its last line, the message draws an arrow at the place.
                let message = error.to_string();
                let reason = message.lines().last().unwrap_or_default().trim_start_matches("error: ");
                Err(Error::Usage(format!("`{regex}` is no regular expression: {reason}")))
            }
        }
    }
}

impl FromStr for Rename {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once('=') {
            Some((regex, replacement)) if !regex.is_empty() => Self::new(regex, replacement),
            _ => Err(Error::Usage(format!(r"{text:?} renames nothing; give REGEX=REPLACEMENT, such as '^model\.='"))),
        }
    }
}

impl fmt::Display for Rename {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.regex, self.replacement)
    }
}

/// What [`StateDict::rename`] made.
#[derive(Debug, Clone)]
pub struct Renaming {
    /// The same tensors under their new names, in the same order.
    pub state: StateDict,
    /// The rules that matched no name, which is worth a warning.
    pub unmatched: Vec<Rename>,
}

impl StateDict {
    /// The same tensors under other names: each name goes through all `rules`, in order. What the optimizer kept has
    /// names of its own, which stay.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::Error::Usage) that names both where two tensors would share a name, or where one would be
    /// without.
    pub fn rename(&self, rules: &[Rename]) -> Result<Renaming> {
        rename(self, rules)
    }
}

/// What [`StateDict::rename`] does.
fn rename(state: &StateDict, rules: &[Rename]) -> Result<Renaming> {
    let mut matched = vec![false; rules.len()];
    let mut new_name = |name: &str| {
        rules.iter().zip(&mut matched).fold(name.to_owned(), |name, (rule, matched)| {
            *matched |= rule.regex.is_match(&name);
            rule.regex.replace_all(&name, &rule.replacement).into_owned()
        })
    };
    let names: Vec<String> = state.names().map(&mut new_name).collect();
    let left_out: Vec<String> = state.left_out().keys().map(|name| new_name(name)).collect();
    let modules = state.modules().map(|tree| tree.renamed(&mut new_name));
    let usage = |reason| Err(Error::Usage(format!("{}: {reason}", state.origin().display())));
    let mut owners: IndexMap<&str, &str> = IndexMap::new();
    for (new, old) in names.iter().zip(state.names()) {
        // A name that is empty in the file is its own affair.
        if new.is_empty() && !old.is_empty() {
            return usage(format!("renaming would leave `{old}` without a name"));
        }
        if let Some(other) = owners.insert(new, old) {
            return usage(format!("renaming would give `{other}` and `{old}` the same name, `{new}`"));
        }
    }
    let unmatched = rules.iter().zip(matched).filter(|(_, matched)| !matched).map(|(rule, _)| rule.clone()).collect();
    let mut new = names.iter().chain(&left_out);
    // There are as many, in this order.
    let mut state = state.renamed(|old| new.next().map_or(old, String::as_str).to_owned());
    if let Some(modules) = modules {
        state.keep_modules(modules);
    }
    Ok(Renaming { state, unmatched })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Tensor;

    fn rename(names: &[&str], rules: &[&str]) -> Result<(Vec<String>, Vec<String>)> {
        let state: StateDict =
            names.iter().zip(0u8..).map(|(&name, n)| (name, Tensor::from_f32(&[], &[n.into()]).unwrap())).collect();
        let rules: Vec<Rename> = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        let found = state.rename(&rules)?;
        let values: Vec<f32> = found.state.iter().map(|(_, tensor)| tensor.to_f32_vec()[0]).collect();
        assert_eq!(values, (0..names.len()).map(|n| n as f32).collect::<Vec<_>>(), "the order is another");
        let names = found.state.names().map(str::to_owned).collect();
        Ok((names, found.unmatched.iter().map(Rename::to_string).collect()))
    }

    #[test]
    fn rules_apply_one_after_the_other_to_every_match() {
        let (names, unmatched) = rename(&["a.0.w", "b.0.w"], &[r"(\w)\.0=${1}_$1", "_=.", "w$="]).unwrap();
        assert_eq!(names, ["a.a.", "b.b."]);
        assert!(unmatched.is_empty());
        // Names may change places, by way of another.
        assert_eq!(rename(&["a", "b"], &["^a$=x", "^b$=a", "^x$=b"]).unwrap().0, ["b", "a"]);
    }

    #[test]
    fn what_was_left_out_is_renamed_too() {
        let mut state: StateDict = [("model.a", Tensor::from_f32(&[], &[0.0]).unwrap())].into_iter().collect();
        state.leave_out("model.b", "it is sparse");
        let state = state.rename(&["^model.=".parse().unwrap()]).unwrap().state;
        assert_eq!(state.left_out().get("b").map(String::as_str), Some("it is sparse"));
    }

    #[test]
    fn what_matches_nothing_is_told() {
        assert_eq!(rename(&["a"], &["b=c", "a=a"]).unwrap(), (vec!["a".to_owned()], vec!["b=c".to_owned()]));
    }

    #[test]
    fn two_parameters_never_share_a_name() {
        let error = rename(&["a.w", "b.w"], &["^.="]).unwrap_err().to_string();
        assert!(error.contains("`a.w` and `b.w` the same name, `.w`"), "{error}");
        // Nor with one that no rule touches.
        let error = rename(&["a", "b"], &["b=a"]).unwrap_err().to_string();
        assert!(error.contains("`a` and `b` the same name, `a`"), "{error}");
        let error = rename(&["a"], &["a="]).unwrap_err().to_string();
        assert!(error.contains("`a` without a name"), "{error}");
        assert_eq!(rename(&["", "a"], &["a=b"]).unwrap().0, ["", "b"]);
    }

    #[test]
    fn text_that_is_no_rule_is_refused() {
        for text in ["", "a", "=b", "(=b", "a{1000000000}=b"] {
            assert!(matches!(text.parse::<Rename>(), Err(Error::Usage(_))), "{text}");
        }
        assert_eq!(r"a\x3Db=c=d".parse::<Rename>().unwrap().to_string(), r"a\x3Db=c=d");
    }
}
