//! Exact rules that give parameters the names that PyTorch has for them, and back.
//!
//! [`StateDict::open`] keeps the names of the file. Rules are applied where names are matched, each to a whole last
//! part, and never where the new name is already taken. Parts of a name that wrappers such as `torch.compile` put there
//! (`_orig_mod`) come off before. All of it happens at once, and [`Renamed`] says which name became which.

use super::StateDict;
use super::prefix::{self, unwrapped};
use indexmap::IndexSet;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// One ending of a name and the ending that PyTorch has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// The ending in the file, with the sign before it.
    pub from: &'static str,
    /// PyTorch's.
    pub to: &'static str,
    /// Whose names these are.
    pub of: &'static str,
}

const fn rule(from: &'static str, to: &'static str, of: &'static str) -> Rule {
    Rule { from, to, of }
}

/// Every rule. No ending is the end of another, so their order says nothing.
pub const RULES: [Rule; 10] = [
    rule("-weight", ".weight", "OneFlow"),
    rule("-bias", ".bias", "OneFlow"),
    rule("-gamma", ".weight", "OneFlow"),
    rule("-beta", ".bias", "OneFlow"),
    rule("-moving_mean", ".running_mean", "OneFlow"),
    rule("-moving_variance", ".running_var", "OneFlow"),
    rule(".gamma", ".weight", "MindSpore"),
    rule(".beta", ".bias", "MindSpore"),
    rule(".moving_mean", ".running_mean", "MindSpore"),
    rule(".moving_variance", ".running_var", "MindSpore"),
];

impl Rule {
    /// `name` under PyTorch's ending; `None` where the rule does not fit or nothing would stand before the ending.
    pub fn apply(&self, name: &str) -> Option<String> {
        let module = name.strip_suffix(self.from).filter(|module| !module.is_empty())?;
        Some(format!("{module}{}", self.to))
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}'s `{}` is `{}`", self.of, self.from, self.to)
    }
}

/// A state dict under PyTorch's names, and what its file calls them.
#[derive(Debug, Clone, Default)]
pub struct Renamed {
    /// The tensors of the file, in its order, under the new names.
    pub state: StateDict,
    /// The rules that were used, in the order of [`RULES`].
    pub rules: Vec<Rule>,
    /// What came off all names that had it.
    prefix: String,
    originals: HashMap<String, String>,
}

impl Renamed {
    /// The file's name for the tensor that is called `name` now.
    pub fn original<'n>(&'n self, name: &'n str) -> &'n str {
        self.originals.get(name).map_or(name, String::as_str)
    }

    /// The names that changed, in the file's order: the file's, and what became of it.
    pub fn changes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.state.names().filter_map(|name| Some((self.originals.get(name)?.as_str(), name)))
    }

    /// What came off all names that had it; empty where nothing did.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// What was done to names, each once, in words for a report.
    pub(crate) fn words(&self) -> Vec<String> {
        let prefix = (!self.prefix.is_empty()).then(|| format!("`{}` comes off", self.prefix));
        self.rules.iter().map(Rule::to_string).chain(prefix).collect()
    }

    /// Whether the tensor that is called `name` now lies outside of the part whose prefix came off.
    pub(crate) fn is_outside(&self, name: &str) -> bool {
        !self.prefix.is_empty() && !unwrapped(self.original(name)).starts_with(&self.prefix)
    }
}

/// `state` under PyTorch's names. Names for which `keep` is true stay as they are.
pub fn to_pytorch(state: &StateDict, keep: impl Fn(&str) -> bool) -> Renamed {
    within(state, "", keep)
}

/// `state` under the names of a network whose parameters are called `expected`. Where these stand behind one prefix, it
/// comes off.
///
/// # Errors
/// The prefixes that would do equally well.
pub(crate) fn to_network(state: &StateDict, expected: &HashSet<&str>) -> Result<Renamed, Vec<String>> {
    let prefix = prefix::choose(state.names().flat_map(forms), expected)?;
    Ok(within(state, &prefix, |name| expected.contains(name)))
}

/// What a network may call what the file calls `name`, before a prefix: the name without wrappers, and PyTorch's.
fn forms(name: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let bare = unwrapped(name);
    let new = RULES.iter().find_map(|rule| rule.apply(&bare)).map(Cow::Owned);
    std::iter::once(bare).chain(new)
}

/// `state` under PyTorch's names, after `prefix` came off all names that have it. The others, which are not what is meant,
/// stay.
pub(crate) fn within(state: &StateDict, prefix: &str, keep: impl Fn(&str) -> bool) -> Renamed {
    let mut taken: IndexSet<String> = state.names().map(str::to_owned).collect();
    let mut used = [false; RULES.len()];
    let mut originals = HashMap::new();
    let state = state.renamed(|name| {
        let bare = unwrapped(name);
        let bare = bare.strip_prefix(prefix).filter(|rest| !rest.is_empty()).unwrap_or(&bare);
        let fits = RULES.iter().enumerate().find_map(|(i, rule)| Some((i, rule.apply(bare)?)));
        let new = match fits {
            Some((i, new)) if !keep(bare) && !taken.contains(&new) => {
                used[i] = true;
                new
            }
            _ => bare.to_owned(),
        };
        if new == name || !taken.insert(new.clone()) {
            return name.to_owned();
        }
        originals.insert(new.clone(), name.to_owned());
        new
    });
    let rules = RULES.iter().zip(used).filter(|(_, used)| *used).map(|(rule, _)| *rule).collect();
    Renamed { state, rules, prefix: prefix.to_owned(), originals }
}

/// The names, in order, that MindSpore has for PyTorch's `names`: those of batch normalisation, which is told by its
/// `running_mean`, become gamma, beta, moving_mean and moving_variance.
///
/// MindSpore keeps no `num_batches_tracked`; its name stays, and whoever writes leaves it out.
pub fn to_mindspore<'n>(names: impl IntoIterator<Item = &'n str>) -> Vec<String> {
    let names: Vec<&str> = names.into_iter().collect();
    let norms: HashSet<&str> = names.iter().filter_map(|name| name.strip_suffix(".running_mean")).collect();
    let rename = |name: &&str| match name.rsplit_once('.') {
        Some((module, last)) if norms.contains(module) => {
            let dotted = |rule: &&Rule| rule.of == "MindSpore" && rule.to.strip_prefix('.') == Some(last);
            RULES.iter().find(dotted).map_or_else(|| (*name).to_owned(), |rule| format!("{module}{}", rule.from))
        }
        _ => (*name).to_owned(),
    };
    names.iter().map(rename).collect()
}

/// The name that OneFlow's oldest layout has for PyTorch's `name`: `dense1-weight` for `dense1.weight`.
pub fn to_oneflow_legacy(name: &str) -> String {
    match name.rsplit_once('.') {
        Some((module, last @ ("weight" | "bias"))) => format!("{module}-{last}"),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Tensor;

    fn named(names: &[&str]) -> StateDict {
        names.iter().map(|&name| (name, Tensor::from_f32(&[1], &[1.0]).unwrap())).collect()
    }

    fn renamed(names: &[&str]) -> Vec<String> {
        to_pytorch(&named(names), |_| false).state.names().map(str::to_owned).collect()
    }

    #[test]
    fn only_a_whole_last_part_is_renamed() {
        assert_eq!(renamed(&["dense1-weight", "dense1-bias"]), ["dense1.weight", "dense1.bias"]);
        assert_eq!(
            renamed(&["a.gamma", "a.beta", "a.moving_mean", "a.moving_variance"]),
            ["a.weight", "a.bias", "a.running_mean", "a.running_var"]
        );
        let others =
            ["gamma", "gamma.weight", "a.gamma_1", "a.mygamma", "-weight", ".beta", "dense-weight-m", "a.weight"];
        assert_eq!(renamed(&others), others);
    }

    #[test]
    fn no_name_is_taken_twice() {
        assert_eq!(renamed(&["a.gamma", "a.weight"]), ["a.gamma", "a.weight"]);
        assert_eq!(renamed(&["a.gamma", "a-weight"]), ["a.weight", "a-weight"]);
    }

    #[test]
    fn rules_and_the_names_of_the_file_are_remembered() {
        let found = to_pytorch(&named(&["a-weight", "b.gamma", "c-bias"]), |name| name == "c-bias");
        assert_eq!(found.state.names().collect::<Vec<_>>(), ["a.weight", "b.weight", "c-bias"]);
        assert_eq!((found.original("a.weight"), found.original("c-bias")), ("a-weight", "c-bias"));
        let rules: Vec<String> = found.rules.iter().map(Rule::to_string).collect();
        assert_eq!(rules, ["OneFlow's `-weight` is `.weight`", "MindSpore's `.gamma` is `.weight`"]);
        assert_eq!(found.changes().collect::<Vec<_>>(), [("a-weight", "a.weight"), ("b.gamma", "b.weight")]);
    }

    #[test]
    fn wrappers_endings_and_a_prefix_change_a_name_at_once() {
        let expected = HashSet::from(["conv.weight", "fc.weight", "fc.bias"]);
        let fitted = |names: &[&str]| to_network(&named(names), &expected).unwrap();
        let found = fitted(&["m._orig_mod.conv.gamma", "_orig_mod.m.fc-weight", "m.fc.bias", "other.w"]);
        let changes = [
            ("m._orig_mod.conv.gamma", "conv.weight"),
            ("_orig_mod.m.fc-weight", "fc.weight"),
            ("m.fc.bias", "fc.bias"),
        ];
        assert_eq!(found.changes().collect::<Vec<_>>(), changes);
        assert_eq!(found.words().last().map(String::as_str), Some("`m.` comes off"));
        assert!(found.is_outside("other.w") && !found.is_outside("fc.weight"));
        // As few as two of three names are enough to tell a prefix by.
        assert_eq!(fitted(&["m.conv.gamma", "m.fc-weight"]).prefix, "m.");
        let same = fitted(&["conv.weight", "fc.weight", "fc.bias"]);
        assert!(same.changes().next().is_none() && same.words().is_empty());
    }

    #[test]
    fn the_way_back() {
        let names =
            ["bn.weight", "bn.bias", "bn.running_mean", "bn.running_var", "bn.num_batches_tracked", "fc.weight"];
        let mindspore = to_mindspore(names);
        assert_eq!(
            mindspore,
            ["bn.gamma", "bn.beta", "bn.moving_mean", "bn.moving_variance", "bn.num_batches_tracked", "fc.weight"]
        );
        assert_eq!(renamed(&mindspore.iter().map(String::as_str).collect::<Vec<_>>()), names);
        assert_eq!(to_oneflow_legacy("stack.0.weight"), "stack.0-weight");
        assert_eq!(to_oneflow_legacy("weight"), "weight");
    }
}
