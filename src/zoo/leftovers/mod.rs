//! What a checkpoint has beside a network's parameters, and whether it makes it another network.
//!
//! A layer of its own within a network's blocks is part of what they compute, whatever else fits; so is a convolution, a
//! normalisation or an attention beside them. Second heads, moving averages, optimizers and criteria are not.

mod layer;
mod statistics;
mod widths;
mod words;

use super::Network;
use crate::checkpoint::remap::{self, Renamed};
use crate::checkpoint::{StateDict, prefix};
use crate::printable::cut;
use crate::tensor::DType;
use indexmap::IndexMap;
use layer::{Leftover, returning, root};
use statistics::{is_statistic, normalises, numbers};
use std::collections::HashSet;
use widths::Widths;
use words::is_bookkeeping;

/// Holds all names behind `prefix` and beside it against the network's.
///
/// # Errors
/// The layers that make it another network.
pub(super) fn check(network: &Network, state: &StateDict, prefix: &str) -> Result<Vec<String>, String> {
    let known: HashSet<&str> = network.graph.parameters().iter().map(|p| p.name.as_str()).collect();
    let named = remap::within(state, prefix, |name| known.contains(name));
    let left = Left::of(network, &named, &known);
    let faults = left.faults(network, state.shapes_known());
    if !faults.is_empty() {
        return Err(another(network, &faults));
    }
    Ok(if left.statistics.is_empty() { Vec::new() } else { vec![normalises(&left.statistics)] })
}

/// What the network does not use.
#[derive(Default)]
struct Left<'s> {
    /// By module.
    modules: IndexMap<&'s str, Leftover<'s>>,
    /// The mean and the standard deviation of an input, in words.
    statistics: Vec<String>,
}

impl<'s> Left<'s> {
    fn of(network: &Network, named: &'s Renamed, known: &HashSet<&str>) -> Self {
        let of_layers = scopes(known.iter().copied());
        let of_nodes = scopes(network.graph.nodes().iter().map(|node| node.name.as_str()));
        let copies = copies(&named.state, known);
        let mut left = Self::default();
        for (name, tensor) in named.state.iter().filter(|(name, _)| !known.contains(name)) {
            if is_bookkeeping(name) || !is_float(tensor.dtype()) {
                continue;
            }
            let original = named.original(name);
            let outside = named.is_outside(name);
            let (module, last) = name.rsplit_once('.').unwrap_or(("", name));
            let first = root(name);
            let within = !outside && (of_nodes.contains(first) || of_layers.contains(first));
            if !of_layers.contains(first) && is_statistic(name, tensor, network.input.channels) {
                left.statistics.push(format!("`{}` ({})", cut(original, 60), numbers(tensor)));
                continue;
            }
            if !within && copies.iter().any(|copy| name.starts_with(copy.as_str())) {
                continue;
            }
            let leftover = left.modules.entry(module).or_default();
            leftover.parameters.push((original, last, tensor.shape()));
            leftover.within |= within;
            leftover.outside |= outside;
        }
        left
    }

    /// The layers that make it another network.
    fn faults(&self, network: &Network, shapes_known: bool) -> Vec<String> {
        let widths = Widths::of(network);
        let returning = returning(&self.modules, widths.features);
        let faults = self.modules.iter().filter_map(|(module, leftover)| {
            let kind = leftover.fault(module, &widths, returning.contains(root(module)), shapes_known)?;
            let name = if module.is_empty() { leftover.parameters[0].0 } else { *module };
            Some(format!("{} ({kind})", cut(name, 60)))
        });
        faults.collect()
    }
}

fn is_float(dtype: DType) -> bool {
    matches!(dtype, DType::F16 | DType::BF16 | DType::F32 | DType::F64)
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

/// The prefixes behind which the network is once more, or half of it.
fn copies(named: &StateDict, known: &HashSet<&str>) -> Vec<String> {
    let found = prefix::found(named.names(), known);
    let copies = found.into_iter().filter(|(prefix, count)| !prefix.is_empty() && 2 * count >= known.len());
    copies.map(|(prefix, _)| prefix).collect()
}
