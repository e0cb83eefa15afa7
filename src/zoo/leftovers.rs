//! What a checkpoint has beside a network's parameters, and whether it makes it another network.
//!
//! A layer of its own within a network's blocks is part of what they compute, whatever else fits; so is a convolution, a
//! normalisation or an attention beside them. Second heads, moving averages, optimizers and criteria are not.

use super::Network;
use crate::checkpoint::prefix::{self, unwrapped};
use crate::checkpoint::{StateDict, remap};
use crate::graph::Op;
use crate::printable::cut;
use crate::tensor::{DType, Tensor};
use indexmap::IndexMap;
use std::collections::HashSet;

/// Endings of what is kept within blocks and changes nothing: counters, those of profilers too.
const COUNTERS: [&str; 3] = [".num_batches_tracked", ".total_ops", ".total_params"];

/// Parts of names of what quantisation watches during training.
const OBSERVERS: [&str; 2] = ["activation_post_process", "fake_quant"];

/// Words for what stands beside a network and is not called when it classifies.
const BESIDE: [&str; 29] = [
    "aux",
    "auxiliary",
    "ema",
    "swa",
    "averaged",
    "shadow",
    "teacher",
    "student",
    "momentum",
    "criterion",
    "criterions",
    "loss",
    "losses",
    "metric",
    "metrics",
    "acc",
    "accuracy",
    "optim",
    "optimizer",
    "optimizers",
    "scheduler",
    "queue",
    "discriminator",
    "generator",
    "lpips",
    "perceptual",
    "memory",
    "prototypes",
    "moments",
];

/// Words for layers that go on from the features for another purpose, unless they give back as many numbers.
const BRANCHES: [&str; 5] = ["projector", "projection", "predictor", "head", "heads"];

/// Words for what a loss, an optimizer or statistics keep of the features: vectors of their width that compute nothing.
const KEPT: [&str; 16] = [
    "center",
    "centers",
    "centre",
    "centroid",
    "centroids",
    "prototype",
    "exp",
    "avg",
    "state",
    "class",
    "classes",
    "mean",
    "std",
    "var",
    "buffer",
    "running",
];

/// Words for layers that have no parameters in any network that is known.
const BARE: [&str; 21] = [
    "relu",
    "prelu",
    "act",
    "activation",
    "nonlinearity",
    "gelu",
    "silu",
    "swish",
    "pool",
    "pooling",
    "avgpool",
    "maxpool",
    "gap",
    "gem",
    "rmac",
    "dropout",
    "drop",
    "flatten",
    "blurpool",
    "blur",
    "glu",
];

/// Words that the names of an input's mean and standard deviation are made of.
const STATISTICS: [&str; 18] = [
    "mean",
    "std",
    "var",
    "mu",
    "sigma",
    "pixel",
    "image",
    "img",
    "input",
    "x",
    "data",
    "dataset",
    "rgb",
    "norm",
    "normalize",
    "channel",
    "imagenet",
    "buffer",
];

/// Words for attention.
const ATTENTION: [&str; 6] = ["attn", "attention", "qkv", "in_proj_weight", "q_proj", "relative_position_bias_table"];

/// One module's leftovers.
#[derive(Default)]
struct Leftover<'s> {
    /// The file's names and what follows the module's.
    parameters: Vec<(&'s str, &'s str, &'s [usize])>,
    /// Whether it lies where the network's own names are.
    within: bool,
    /// Whether it lies outside of the part of the model that the network is.
    outside: bool,
}

/// Holds all names behind `prefix` and beside it against the network's.
///
/// # Errors
/// The layers that make it another network.
pub(super) fn check(network: &Network, state: &StateDict, prefix: &str) -> Result<Vec<String>, String> {
    let known: HashSet<&str> = network.graph.parameters().iter().map(|p| p.name.as_str()).collect();
    let named = remap::within(state, prefix, |name| known.contains(name));
    let of_layers: HashSet<&str> = scopes(known.iter().copied());
    let scopes: HashSet<&str> =
        scopes(network.graph.nodes().iter().map(|node| node.name.as_str())).union(&of_layers).copied().collect();
    let copies = copies(&named.state, &known);
    let mut modules: IndexMap<&str, Leftover> = IndexMap::new();
    let mut statistics = Vec::new();
    for (name, tensor) in named.state.iter().filter(|(name, _)| !known.contains(name)) {
        if COUNTERS.iter().any(|ending| name.ends_with(ending)) || OBSERVERS.iter().any(|part| name.contains(part)) {
            continue;
        }
        if !matches!(tensor.dtype(), DType::F16 | DType::BF16 | DType::F32 | DType::F64) {
            continue;
        }
        let original = named.original(name);
        let outside = !prefix.is_empty() && !unwrapped(original).starts_with(prefix);
        let (module, last) = name.rsplit_once('.').unwrap_or(("", name));
        let first = name.split('.').next().unwrap_or_default();
        let within = !outside && scopes.contains(first);
        if !of_layers.contains(first) && is_statistic(name, tensor, network.input.channels) {
            statistics.push(format!("`{}` ({})", cut(original, 60), numbers(tensor)));
            continue;
        }
        if !within && copies.iter().any(|copy| name.starts_with(copy.as_str())) {
            continue;
        }
        let leftover = modules.entry(module).or_default();
        leftover.parameters.push((original, last, tensor.shape()));
        leftover.within |= within;
        leftover.outside |= outside;
    }
    let widths = Widths::of(network);
    let returning = returning(&modules, widths.features);
    let mut faults = Vec::new();
    for (module, leftover) in &modules {
        if let Some(kind) = leftover.fault(module, &widths, returning.contains(root(module)), state.shapes_known()) {
            let name = if module.is_empty() { leftover.parameters[0].0 } else { *module };
            faults.push(format!("{} ({kind})", cut(name, 60)));
        }
    }
    if !faults.is_empty() {
        return Err(another(network, &faults));
    }
    Ok(if statistics.is_empty() { Vec::new() } else { vec![normalises(&statistics)] })
}

/// That a network has more to it than the one that its names fit.
fn another(network: &Network, faults: &[String]) -> String {
    const SHOWN: usize = 6;
    let mut shown = faults[..faults.len().min(SHOWN)].join(", ");
    if faults.len() > SHOWN {
        shown += &format!(" and {} more", faults.len() - SHOWN);
    }
    format!(
        "its parameters are {}'s, but it has layers that {} does not have: {shown}; so it is another network, which runs \
         from an ONNX file as torch.onnx.export writes it",
        network.name, network.name
    )
}

/// The modules that names begin with.
fn scopes<'n>(names: impl Iterator<Item = &'n str>) -> HashSet<&'n str> {
    names.filter_map(|name| name.split('.').next()).filter(|first| !first.is_empty()).collect()
}

/// Whether any word of a name is among `words`.
fn says(name: &str, words: &[&str]) -> bool {
    prefix::words(name).any(|word| words.contains(&&*word))
}

/// Whether it is the mean or the standard deviation of an input with so many channels, by its name and shape.
fn is_statistic(name: &str, tensor: &Tensor, channels: usize) -> bool {
    let (module, last) = name.rsplit_once('.').unwrap_or(("", name));
    let named = says(last, &STATISTICS[..5]) && prefix::words(last).all(|word| STATISTICS.contains(&&*word));
    named
        && !says(module, &BESIDE)
        && tensor.element_count() == channels
        && tensor.shape().iter().all(|&d| d == 1 || d == channels)
}

/// The numbers of a small tensor, as a list.
fn numbers(tensor: &Tensor) -> String {
    let numbers: Vec<String> = tensor.to_f32_vec().iter().take(8).map(f32::to_string).collect();
    numbers.join(", ")
}

/// That the preprocessing has to do what the model does to its input before the network.
fn normalises(statistics: &[String]) -> String {
    format!(
        "the model that this was saved from normalises its input itself, by {}, and the network that is run does not: \
         the preprocessing has to, by this mean and std alone, where the model was given pixels from 0 to 1 (those of \
         the preset `unit`)",
        statistics.join(" and ")
    )
}

/// The prefixes behind which the network is once more, or half of it.
fn copies(named: &StateDict, known: &HashSet<&str>) -> Vec<String> {
    let found = prefix::found(named.names(), known);
    let copies = found.into_iter().filter(|(prefix, count)| !prefix.is_empty() && 2 * count >= known.len());
    copies.map(|(prefix, _)| prefix).collect()
}

/// The sizes by which layers show what they are connected to; 0 where there is no such layer.
struct Widths {
    /// What the first convolution gives.
    stem: usize,
    /// What the last fully connected layer takes.
    features: usize,
    /// What it gives.
    classes: usize,
}

impl Widths {
    fn of(network: &Network) -> Self {
        let nodes = network.graph.nodes();
        let stem = nodes.iter().find_map(|node| match node.op {
            Op::Conv2d { conv, .. } => Some(conv.out_channels),
            _ => None,
        });
        let last = nodes.iter().rev().find_map(|node| match node.op {
            Op::Linear { linear, .. } => Some((linear.in_features, linear.out_features)),
            _ => None,
        });
        let (features, classes) = last.unwrap_or((0, 0));
        Self { stem: stem.unwrap_or(0), features, classes }
    }
}

/// The first part of a module's name.
fn root(module: &str) -> &str {
    module.split('.').next().unwrap_or_default()
}

/// The first parts of the names of layers that lead from the features back to as many: that take them, give them, and
/// give nothing that none of them takes.
fn returning<'s>(modules: &IndexMap<&'s str, Leftover>, features: usize) -> HashSet<&'s str> {
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

    /// The kind of layer that it is, where it makes another network of what it is beside. `returns` says that it is among
    /// layers that lead from the features back to them.
    fn fault(&self, module: &str, widths: &Widths, returns: bool, shapes_known: bool) -> Option<&'static str> {
        let has = |wanted: &str| self.shape(wanted).is_some();
        let weight = self.shape("weight").filter(|_| shapes_known);
        let attends = ATTENTION.iter().any(|word| {
            self.parameters.iter().any(|(name, ..)| name.split('.').any(|part| part.eq_ignore_ascii_case(word)))
        });
        let kind = match weight {
            _ if has("running_mean") || has("running_var") => "a normalisation",
            _ if attends => "an attention",
            Some(&[_]) if has("bias") => "a normalisation",
            Some(&[_, _]) => "a fully connected layer",
            Some(&[_, _, _, ..]) => "a convolution",
            _ if has("weight_g") || has("weight_orig") => "a layer with a parametrised weight",
            _ => "parameters",
        };
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
