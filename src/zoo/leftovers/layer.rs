//! The layer that a module's leftovers are, and whether it makes another network of what it is beside.

use super::widths::Widths;
use super::words::{ATTENTION, BARE, BESIDE, BRANCHES, KEPT, says};
use indexmap::IndexMap;
use std::collections::HashSet;

/// One module's leftovers.
#[derive(Default)]
pub(super) struct Leftover<'s> {
    /// The file's names and what follows the module's.
    pub parameters: Vec<(&'s str, &'s str, &'s [usize])>,
    /// Whether it lies where the network's own names are.
    pub within: bool,
    /// Whether it lies outside of the part of the model that the network is.
    pub outside: bool,
}

impl Leftover<'_> {
    /// The shape of the parameter called `wanted`.
    fn shape(&self, wanted: &str) -> Option<&[usize]> {
        self.parameters.iter().find(|(_, last, _)| *last == wanted).map(|(.., shape)| *shape)
    }

    /// Whether one of its parameters is a vector as wide as the features or what the first convolution gives, and no
    /// number for each class.
    fn scales(&self, module: &str, widths: &Widths) -> bool {
        !says(module, &KEPT)
            && self.parameters.iter().any(|(_, last, shape)| {
                let count = shape.iter().copied().max().unwrap_or(0);
                let vector = count > 1 && shape.iter().filter(|&&d| d != 1).count() == 1;
                let wide = [widths.features, widths.stem].contains(&count) && count != widths.classes;
                vector && wide && !says(last, &KEPT) && !says(last, &BESIDE)
            })
    }

    /// What kind of layer it is, by its parameters' names and the shape of its weight, if that is known.
    fn kind(&self, weight: Option<&[usize]>) -> &'static str {
        let has = |wanted: &str| self.shape(wanted).is_some();
        let attends = ATTENTION.iter().any(|word| {
            self.parameters.iter().any(|(name, ..)| name.split('.').any(|part| part.eq_ignore_ascii_case(word)))
        });
        match weight {
            _ if has("running_mean") || has("running_var") => "a normalisation",
            _ if attends => "an attention",
            Some(&[_]) if has("bias") => "a normalisation",
            Some(&[_, _]) => "a fully connected layer",
            Some(&[_, _, _, ..]) => "a convolution",
            _ if has("weight_g") || has("weight_orig") => "a layer with a parametrised weight",
            _ => "parameters",
        }
    }

    /// The kind of layer that it is, where it makes another network of what it is beside. `returns` says that it is among
    /// layers that lead from the features back to them.
    pub fn fault(&self, module: &str, widths: &Widths, returns: bool, shapes_known: bool) -> Option<&'static str> {
        let weight = self.shape("weight").filter(|_| shapes_known);
        let kind = self.kind(weight);
        if self.within {
            return Some(kind);
        }
        let beside = says(module, &BESIDE);
        let branch = says(module, &BRANCHES);
        if !beside && (says(module, &BARE) || weight.is_some() && returns) {
            return Some(kind);
        }
        if (beside || branch) && !self.outside {
            return None;
        }
        match (kind, weight) {
            // One that goes on from the classes, or lies between the features and the last layer.
            ("a fully connected layer", Some(&[gives, takes])) => {
                let follows = takes == widths.classes && gives != widths.classes;
                let between = takes == widths.features && gives == widths.features && widths.features > 0;
                (follows || between && !branch).then_some(kind)
            }
            ("a fully connected layer", _) => None,
            _ if beside || branch => None,
            ("parameters", _) => (shapes_known && self.scales(module, widths)).then_some(kind),
            _ => Some(kind),
        }
    }
}

/// The first part of a module's name.
pub(super) fn root(module: &str) -> &str {
    module.split('.').next().unwrap_or_default()
}

/// The first parts of the names of layers that lead from the features back to as many: that take them, give them, and
/// give nothing that none of them takes.
pub(super) fn returning<'s>(modules: &IndexMap<&'s str, Leftover>, features: usize) -> HashSet<&'s str> {
    let mut sizes: IndexMap<&str, (HashSet<usize>, HashSet<usize>)> = IndexMap::new();
    for (module, leftover) in modules {
        if let Some(&[gives, takes, ..]) = leftover.shape("weight") {
            let (all_take, all_give) = sizes.entry(root(module)).or_default();
            all_take.insert(takes);
            all_give.insert(gives);
        }
    }
    let returns = |(takes, gives): &(HashSet<usize>, HashSet<usize>)| {
        takes.contains(&features) && gives.contains(&features) && gives.is_subset(takes)
    };
    sizes.into_iter().filter(|(_, sizes)| features > 0 && returns(sizes)).map(|(root, _)| root).collect()
}
