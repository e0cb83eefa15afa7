//! Tells the network that a checkpoint was saved from, and where in the checkpoint it is.

use super::families::{FAMILIES, Family};
use super::{Network, NotThis, by_name, last_layers, leftovers, modules, reparametrised, sequential};
use crate::checkpoint::prefix::unwrapped;
use crate::checkpoint::{StateDict, prefix, remap};
use crate::error::{Error, Result};
use crate::graph::Op;
use crate::printable::{cut, line};
use std::collections::HashSet;

/// How many parts of a model are looked at.
const MOST_PARTS: usize = 8;

/// The share of what a family looks for that must be there for it to be called the closest.
const CLOSE: f64 = 0.6;

/// The network that a checkpoint was saved from.
///
/// A model that was saved whole is rebuilt from its [modules](StateDict::modules) where these are a chain:
/// `nn.Sequential`, also within another, of layers that the [graph](crate::graph) has, or a module around one, as in
/// PyTorch's tutorial. Its input has the channels of the first convolution and is square, of 224 or 32 pixels (28 where
/// it has one channel) if that gives as many numbers as the first `nn.Linear` takes or if any size does, otherwise of
/// the side among those that do which halves most often. `input` of the [`Network`] is free to be changed. `nn.LogSoftmax`
/// at the end is left out, which changes all logits by the same number.
///
/// All others are told by the names and shapes of their parameters. Names that the rules of [`remap`] know are taken for
/// PyTorch's. A network may be a part of a model, behind one prefix such as `model.`; its last layers may be others than
/// it was published with, and its first convolution may take another number of channels. Layers within its own blocks that
/// it does not have make it another network. Where the checkpoint has the modules, their settings are the network's, as
/// far as a graph has them; where it has none, a note says that strides, pools and activations are assumed.
///
/// # Errors
/// [`Error::Checkpoint`] that says which family came closest and what spoke against it, or lists all modules that the
/// graph cannot express, or the layers that make it another network; [`Error::Ambiguous`] where two parts of the
/// checkpoint are networks.
pub fn detect(state: &StateDict) -> Result<Network> {
    let recognised = recognise(state).map_err(|fault| match fault {
        Fault::Unknown(error) | Fault::Certain(error) => error,
    });
    recognised.map(|mut network| {
        // Where there are modules, they were held against it; some families say more of what they assume; and a single
        // layer leaves nothing to assume.
        let is_told = state.modules().is_some() || network.notes.iter().any(|note| note.starts_with("assumed "));
        if !is_told && network.graph.nodes().iter().any(|node| !matches!(node.op, Op::Linear { .. } | Op::Flatten)) {
            let name = &network.name;
            let note = format!("assumed {name}: names and shapes fit, and do not tell strides, pools and activations");
            network.notes.push(note);
        }
        network
    })
}

/// The network that torchvision calls `name` with the last layers and the input that the checkpoint has; none where
/// torchvision has no such network.
///
/// # Errors
/// As [`detect`], where the checkpoint is of another network; what is merely absent shows when it is loaded.
pub(crate) fn called(name: &str, state: &StateDict) -> Option<Result<Network>> {
    let stock = by_name(name, 1000)?;
    Some(match recognise(state) {
        Ok(network) if network.name == stock.name => Ok(network),
        Ok(other) => {
            let reason = format!("its parameters are those of {}, not of {name}", other.name);
            Err(Error::unknown_network(state.origin(), reason))
        }
        Err(Fault::Certain(error)) => Err(error),
        Err(Fault::Unknown(_)) => fitted(name, stock, state),
    })
}

/// The network called `name` for a checkpoint that lacks some of it.
fn fitted(name: &str, stock: Network, state: &StateDict) -> Result<Network> {
    let expected: HashSet<&str> = stock.graph.parameters().iter().map(|p| p.name.as_str()).collect();
    let named = remap::to_network(state, &expected).map_err(|all| Error::ambiguous(state.origin(), all))?;
    let (named, prefix) = (&named.state, named.prefix());
    // The last weight is the classifier's, with a row a class.
    let last = stock.graph.parameters().iter().rev().find(|parameter| parameter.shape.len() > 1);
    let classes = last.and_then(|last| named.get(&last.name)?.shape().first().copied());
    let network = classes.and_then(|classes| by_name(name, classes)).unwrap_or_else(|| stock.clone());
    // Of a file that has little of it, the list of what is missing says more.
    let there = expected.iter().filter(|name| named.contains(name)).count();
    if 2 * there < expected.len() { Ok(network) } else { settled(network, state, prefix) }
}

/// Why no network was recognised.
enum Fault {
    /// It is none that is known.
    Unknown(Error),
    /// What it is is clear, and it cannot be run or chosen.
    Certain(Error),
}

fn recognise(state: &StateDict) -> Result<Network, Fault> {
    let certain = |reason: String| Fault::Certain(Error::unknown_network(state.origin(), reason));
    let unclear = match state.modules().map(sequential::rebuild) {
        None => None,
        Some(Ok(network)) => return Ok(network),
        Some(Err(sequential::NotRebuilt::Unclear(reason))) => Some(reason),
        Some(Err(sequential::NotRebuilt::Impossible(reasons))) => {
            return Err(certain(format!("its modules are a chain that cannot be rebuilt: {reasons}")));
        }
    };
    if let Some(reason) = reparametrised::reason(state) {
        return Err(certain(reason));
    }
    let named = remap::to_pytorch(state, |_| false).state;
    let mut found: Vec<(String, Network)> = Vec::new();
    let mut closest: Option<(&str, String, NotThis)> = None;
    for prefix in prefixes(&named) {
        match in_part(&named, &prefix, state) {
            Ok(network) => {
                let whole = prefix.is_empty();
                found.push((prefix, network));
                if whole {
                    break;
                }
            }
            Err(Some((family, not))) if closest.as_ref().is_none_or(|(.., c)| not.closeness > c.closeness) => {
                closest = Some((family, prefix, not));
            }
            Err(_) => {}
        }
    }
    if !found.is_empty() {
        let prefixes = found.iter().map(|(prefix, _)| prefix.clone()).collect();
        let prefix = prefix::one_of(prefixes).map_err(|all| Fault::Certain(Error::ambiguous(state.origin(), all)))?;
        let network = found.into_iter().find(|(found, _)| *found == prefix).map(|(_, network)| network);
        return network.map_or_else(
            || Err(certain("no part of it is a network".into())),
            |network| settled(network, state, &prefix).map_err(Fault::Certain),
        );
    }
    Err(Fault::Unknown(Error::unknown_network(state.origin(), unknown(state, closest, unclear))))
}

/// Why a checkpoint is of no network that is known, in the words of an error.
fn unknown(state: &StateDict, closest: Option<(&str, String, NotThis)>, unclear: Option<String>) -> String {
    let names: Vec<String> = state.names().take(4).map(|name| cut(name, 60).into_owned()).collect();
    let more = if state.len() > names.len() { "..." } else { "" };
    let reason = match closest {
        Some((family, prefix, not)) if not.closeness >= CLOSE => {
            let part = if prefix.is_empty() { String::new() } else { format!(" behind `{}`", cut(&prefix, 60)) };
            format!("{family} came closest{part}, but {}{}", not.reason, left_out(state, &prefix, &not.reason))
        }
        _ => {
            let families = FAMILIES.iter().map(|family| family.name).collect::<Vec<_>>().join(", ");
            format!("the families known by their names are {families}")
        }
    };
    let unclear = unclear.map_or_else(String::new, |reason| format!("; nor do its modules tell it, since {reason}"));
    format!(
        "no known network has its {} parameters ({}{more}): {reason}{unclear}; any other network runs from an ONNX file, \
         which torch.onnx.export writes",
        state.len(),
        names.join(", ")
    )
}

/// Why what a reason names as lacking behind `prefix` was left out, where the file has it.
fn left_out(state: &StateDict, prefix: &str, reason: &str) -> String {
    const SHOWN: usize = 4;
    let lacking: HashSet<&str> = reason.split([' ', ',']).collect();
    let needed = state.left_out().iter().filter(|(name, _)| {
        let name = unwrapped(name);
        name.strip_prefix(prefix).is_some_and(|name| lacking.contains(name))
    });
    let told = needed
        .take(SHOWN)
        .map(|(name, why)| format!("; `{}` is in the file and was left out: {}", cut(name, 60), line(why)));
    told.collect()
}

/// What may stand before a network's names: nothing, and what stands before the first name of any family.
fn prefixes(named: &StateDict) -> Vec<String> {
    let mut prefixes = vec![String::new()];
    let first: HashSet<&str> = FAMILIES.iter().filter_map(|family| family.first).collect();
    for name in named.names() {
        for (prefix, _) in prefix::splits(name).skip(1).filter(|(_, rest)| first.contains(rest)) {
            if prefixes.len() < MOST_PARTS && !prefixes.iter().any(|known| known == prefix) {
                prefixes.push(prefix.to_owned());
            }
        }
    }
    prefixes
}

/// The network whose names stand behind `prefix`; else the family that is closest, if any is.
fn in_part(named: &StateDict, prefix: &str, state: &StateDict) -> Result<Network, Option<(&'static str, NotThis)>> {
    let part = part(named, prefix);
    let mut closest: Option<(&str, NotThis)> = None;
    // Layers in a row have any names, so nothing tells which part of a model they are.
    for family in FAMILIES.iter().filter(|family| prefix.is_empty() || family.first.is_some()) {
        match of_family(family, &part, named, prefix, state) {
            Ok(network) => return Ok(network),
            Err(not) if closest.as_ref().is_none_or(|(_, c)| not.closeness > c.closeness) => {
                closest = Some((family.name, not));
            }
            Err(_) => {}
        }
    }
    Err(closest)
}

/// The tensors whose names begin with `prefix`, without it.
fn part(named: &StateDict, prefix: &str) -> StateDict {
    let tensors = named.iter().filter_map(|(name, tensor)| Some((name.strip_prefix(prefix)?, tensor.clone())));
    let tensors: StateDict = tensors.filter(|(name, _)| !name.is_empty()).collect();
    tensors.described_as(named)
}

/// The network of `family` that a part is, with the last layers and the input that it has.
fn of_family(
    family: &Family,
    part: &StateDict,
    named: &StateDict,
    prefix: &str,
    state: &StateDict,
) -> Result<Network, NotThis> {
    let Some(stock) = family.last else { return (family.recognise)(part).map(|network| with_channels(network, part)) };
    let layers = last_layers::find(&stock, part, named, prefix);
    let Some(layers) = layers else {
        return (family.recognise)(part).map(|network| with_channels(network, part));
    };
    // The family finds its own last layer, as large as the last one is.
    let mut usual = part.clone();
    for (name, tensor) in layers.last_as(stock.name) {
        usual.insert(name, tensor);
    }
    let network = (family.recognise)(&usual)?;
    layers.put_on(with_channels(network, part), &stock, state, prefix)
}

/// The same network for images of as many channels as its first convolution takes.
fn with_channels(mut network: Network, part: &StateDict) -> Network {
    let channels = network.graph.nodes().iter().find_map(|node| match &node.op {
        Op::Conv2d { conv, .. } if conv.groups == 1 && part.shapes_known() => {
            let &[_, channels, _, _] = part.get(&format!("{}.weight", node.name))?.shape() else { return None };
            (channels > 0 && channels != conv.in_channels && channels <= super::MOST)
                .then_some((node.name.clone(), channels))
        }
        _ => None,
    });
    let first = network.graph.nodes().first().map(|node| node.name.clone());
    if let Some((name, channels)) = channels.filter(|(name, _)| first.as_ref() == Some(name)) {
        network.graph = network.graph.rewritten(|g, node, inputs| match (&node.op, inputs) {
            (Op::Conv2d { conv, .. }, [x]) if node.name == name => {
                let mut conv = *conv;
                conv.in_channels = channels;
                Some(g.conv2d(&node.name, *x, conv))
            }
            _ => None,
        });
        network.input.channels = channels;
    }
    network
}

/// The network behind `prefix`, held against all else that the checkpoint says.
fn settled(network: Network, state: &StateDict, prefix: &str) -> Result<Network> {
    let fault = |reason: String| Error::unknown_network(state.origin(), reason);
    let mut network = modules::settle(network, state, prefix).map_err(fault)?;
    let notes = leftovers::check(&network, state, prefix).map_err(fault)?;
    if !prefix.is_empty() {
        network.notes.insert(0, format!("took `{}` off the names of its parameters", cut(prefix, 60)));
    }
    network.notes.extend(notes);
    Ok(network)
}
