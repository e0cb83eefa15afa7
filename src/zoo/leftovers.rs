//! What a checkpoint has beside a network's parameters, and whether it makes it another network.
//!
//! A layer of its own within a network's blocks is part of what they compute, whatever else fits; so is a convolution, a
//! normalisation or an attention beside them. Second heads, moving averages, optimizers and criteria are not.

use super::Network;
use crate::checkpoint::prefix::{self, unwrapped};
use crate::checkpoint::{StateDict, remap};
use crate::graph::Op;
use crate::printable::cut;
use crate::tensor::DType;
use indexmap::IndexMap;
use std::collections::HashSet;

/// Endings of what is kept within blocks and changes nothing: counters, those of profilers too.
const COUNTERS: [&str; 3] = [".num_batches_tracked", ".total_ops", ".total_params"];

/// Parts of names of what quantisation watches during training.
const OBSERVERS: [&str; 2] = ["activation_post_process", "fake_quant"];

/// Words for what stands beside a network and is not called when it classifies.
const BESIDE: [&str; 34] = [
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
    "projector",
    "projection",
    "predictor",
    "discriminator",
    "generator",
    "lpips",
    "perceptual",
    "memory",
    "prototypes",
    "head",
    "heads",
    "moments",
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
    let scopes = scopes(network);
    let copies = copies(&named.state, &known);
    let mut modules: IndexMap<&str, Leftover> = IndexMap::new();
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
        if !within && copies.iter().any(|copy| name.starts_with(copy.as_str())) {
            continue;
        }
        let leftover = modules.entry(module).or_default();
        leftover.parameters.push((original, last, tensor.shape()));
        leftover.within |= within;
        leftover.outside |= outside;
    }
    let outputs = outputs(network);
    let mut faults = Vec::new();
    for (module, leftover) in &modules {
        if let Some(kind) = leftover.fault(module, outputs, state.shapes_known()) {
            let name = if module.is_empty() { leftover.parameters[0].0 } else { *module };
            faults.push(format!("{} ({kind})", cut(name, 60)));
        }
    }
    if faults.is_empty() { Ok(Vec::new()) } else { Err(another(network, &faults)) }
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

/// The modules that the network's names begin with.
fn scopes(network: &Network) -> HashSet<&str> {
    let names = network.graph.parameters().iter().map(|parameter| parameter.name.as_str());
    names.filter_map(|name| name.split_once('.')).map(|(first, _)| first).collect()
}

/// The prefixes behind which the network is once more, or half of it.
fn copies(named: &StateDict, known: &HashSet<&str>) -> Vec<String> {
    let found = prefix::found(named.names(), known);
    let copies = found.into_iter().filter(|(prefix, count)| !prefix.is_empty() && 2 * count >= known.len());
    copies.map(|(prefix, _)| prefix).collect()
}

/// How many numbers the network's last layer takes and gives; 0 where that is no fully connected layer.
fn outputs(network: &Network) -> (usize, usize) {
    let last = network.graph.nodes().iter().rev().find_map(|node| match node.op {
        Op::Linear { linear, .. } => Some((linear.in_features, linear.out_features)),
        _ => None,
    });
    last.unwrap_or((0, 0))
}

impl Leftover<'_> {
    /// The kind of layer that it is, where it makes another network of what it is beside.
    fn fault(&self, module: &str, (features, classes): (usize, usize), shapes_known: bool) -> Option<&'static str> {
        let shape =
            |wanted: &str| self.parameters.iter().find(|(_, last, _)| *last == wanted).map(|(.., shape)| *shape);
        let has = |wanted: &str| shape(wanted).is_some();
        let weight = shape("weight").filter(|_| shapes_known);
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
        if prefix::words(module).any(|word| BESIDE.contains(&&*word)) && !self.outside {
            return None;
        }
        match (kind, weight) {
            // One that goes on from the classes, or lies between the features and the last layer.
            ("a fully connected layer", Some(&[gives, takes])) => {
                let follows = takes == classes && gives != classes;
                let between = takes == features && gives == features && features > 0;
                (follows || between).then_some(kind)
            }
            ("parameters" | "a fully connected layer", _) => None,
            _ if prefix::words(module).any(|word| BESIDE.contains(&&*word)) => None,
            _ => Some(kind),
        }
    }
}
