//! Rebuilds a network from the modules of a model that PyTorch saved whole, where they are a chain.
//!
//! A chain is an `nn.Sequential`, whose order says what it computes, also of further ones; or a module of one's own around
//! it that holds no other parameters, as the `NeuralNetwork` of PyTorch's tutorial. The `forward` of such a module is
//! code, which is not run: it is taken to flatten what it is given and to call the Sequential, for there is little else
//! that it could do. What has parameters in two places, or may do something between them, is not guessed at.

mod chain;
mod image_size;
mod meaning;

use super::{Network, settings};
use crate::checkpoint::{Module, ModuleTree};
use crate::graph::Head;
pub(super) use chain::Chain;
use std::fmt;

/// No honest chain has more layers, and finding the size of its image passes over all of them dozens of times.
const MOST_LAYERS: usize = 10_000;

/// Why no network was made of a tree of modules.
#[derive(Debug)]
pub(super) enum NotRebuilt {
    /// What it computes is written in code.
    Unclear(String),
    /// What it computes is clear, and no graph does.
    Impossible(Faults),
}

/// What is wrong with modules, one after the other.
#[derive(Debug)]
pub(super) struct Faults(Vec<String>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 32;
        let shown = &self.0[..self.0.len().min(SHOWN)];
        f.write_str(&shown.join("; "))?;
        if self.0.len() > SHOWN { write!(f, "; and {} more", self.0.len() - SHOWN) } else { Ok(()) }
    }
}

/// The network that the modules of `tree` are.
pub(super) fn rebuild(tree: &ModuleTree) -> Result<Network, NotRebuilt> {
    if tree.scripted() {
        return Err(NotRebuilt::Unclear("TorchScript keeps their settings in code".into()));
    }
    let layers = layers(tree, sequential(tree)?)?;
    if layers.len() > MOST_LAYERS {
        let reason = format!("it has {} layers, and more than {MOST_LAYERS} are not believed", layers.len());
        return Err(NotRebuilt::Impossible(Faults(vec![reason])));
    }
    let end = layers.iter().rposition(|layer| !passes(layer));
    let mut chain = Chain::default();
    let mut head = None;
    let mut faults = Vec::new();
    for (at, layer) in layers.iter().enumerate() {
        // It takes the same number from all classes, which changes neither their order nor their probabilities.
        if layer.torch_class() == Some("LogSoftmax") && Some(at) == end {
            head = Some(Head::LogSoftmax);
            continue;
        }
        if let Err(reason) = chain.add(layer) {
            let class = layer.torch_class().unwrap_or_default();
            faults.push(format!("`{}` ({class}): {reason}", layer.called()));
        }
    }
    if faults.is_empty() {
        match chain.finish() {
            Ok(network) => return Ok(Network { head: head.unwrap_or(network.head), ..network }),
            Err(reason) => faults.push(reason),
        }
    }
    Err(NotRebuilt::Impossible(Faults(faults)))
}

/// The Sequential that the model is, or is around.
fn sequential(tree: &ModuleTree) -> Result<&Module, NotRebuilt> {
    let modules = tree.modules();
    // Each stands behind those around it, so going backwards meets it first.
    let mut holds = vec![false; modules.len()];
    for (place, module) in modules.iter().enumerate().rev() {
        holds[place] = !module.parameters.is_empty() || module.children.iter().any(|child| holds[*child]);
    }
    let mut place = 0;
    loop {
        let module = &modules[place];
        let unclear = |reason| Err(NotRebuilt::Unclear(format!("{} is a {}, {reason}", module.called(), module.class)));
        if module.torch_class() == Some("Sequential") {
            return Ok(module);
        }
        if module.torch_class().is_some() {
            return unclear("and no Sequential".into());
        }
        if !module.parameters.is_empty() || altered(module) {
            return unclear("which has more to it than the modules within".into());
        }
        let (with, without): (Vec<usize>, Vec<usize>) = module.children.iter().partition(|child| holds[**child]);
        let &[only] = &with[..] else {
            let count = with.len();
            return unclear(format!("of which {count} parts have parameters, and how one follows on another is code"));
        };
        if let Some(other) = without.into_iter().map(|child| &modules[child]).find(|other| !passes(other)) {
            return unclear(format!("and where it calls its {}, a {}, is code", other.called(), other.class));
        }
        place = only;
    }
}

/// The layers of a Sequential in their order, those of Sequentials within it among them.
pub(super) fn layers<'t>(tree: &'t ModuleTree, sequential: &'t Module) -> Result<Vec<&'t Module>, NotRebuilt> {
    let mut layers = Vec::new();
    let mut left = vec![sequential];
    while let Some(module) = left.pop() {
        match module.torch_class() {
            Some("Sequential") if !altered(module) && module.parameters.is_empty() => {
                left.extend(module.children.iter().rev().map(|child| &tree.modules()[*child]));
            }
            Some(class) if class != "Sequential" && !altered(module) => layers.push(module),
            _ => {
                let reason = format!("what {}, a {}, computes is code", module.called(), module.class);
                return Err(NotRebuilt::Unclear(reason));
            }
        }
    }
    Ok(layers)
}

/// Takes the function that makes probabilities of logits off the end of `layers`, if one is there, and says what its inputs
/// are.
pub(super) fn last(layers: &mut Vec<Module>) -> Option<Head> {
    let end = layers.iter().rposition(|layer| !passes(layer))?;
    let head = match layers[end].torch_class()? {
        "Softmax" if settings::is_over_channels(&layers[end], true).is_ok() => Head::Logits,
        "LogSoftmax" => Head::Logits,
        "Sigmoid" => Head::IndependentLogits,
        _ => return None,
    };
    layers.truncate(end);
    Some(head)
}

/// Whether something was added to the module that is no part of its class.
pub(super) fn altered(module: &Module) -> bool {
    module.hooked || module.attribute("forward").is_some()
}

/// Whether a module does nothing to a vector outside of training, so that it does not matter where it is called.
fn passes(module: &Module) -> bool {
    let passes = match module.torch_class() {
        Some("Flatten") => settings::flattens(module).is_ok(),
        Some(class) => settings::is_identity(class),
        None => false,
    };
    passes && !altered(module)
}
