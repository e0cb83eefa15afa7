//! What the modules say of a network: operators in the place of others, and what no graph has.

use super::classes::{harmless, is_library};
use super::operators::{in_place_of, is_layer, is_plain, of_class, plain, settings_of};
use super::places::Call;
use super::surroundings::Surroundings;
use super::words::told;
use crate::checkpoint::Module;
use crate::graph::{Builder, Node, Op, Value};
use crate::printable::cut;
use crate::zoo::sequential::altered;
use std::collections::HashMap;

/// What the modules say of a network.
#[derive(Default)]
pub(super) struct Settled {
    /// By a node's name, what is there in its place; none where nothing is.
    pub operators: HashMap<String, Option<Op>>,
    /// What is another setting.
    pub changes: Vec<String>,
    /// What no graph has.
    pub differences: Vec<String>,
}

impl Settled {
    pub fn differ(&mut self, module: &Module, reason: impl AsRef<str>) {
        let (path, class) = (module.called(), &module.class);
        self.differences.push(format!("`{}` ({}): {}", cut(&path, 60), cut(class, 60), reason.as_ref()));
    }

    /// Holds one module against the `nodes` of its path. Whether that was done with all that is in it.
    pub fn module(&mut self, module: &Module, path: &str, nodes: &[&Node], around: &Surroundings, call: &Call) -> bool {
        if altered(module) {
            self.differ(module, "functions are hooked into it or put in its place, which are not run");
            return false;
        }
        let is_leaf = !path.is_empty() && !around.above.contains(path);
        let Some(node) = nodes.iter().find(|node| is_layer(node) || is_leaf && is_plain(node)) else {
            self.without_node(module, around, call);
            return false;
        };
        match in_place_of(module, around.tree, node) {
            Err(reason) => self.differ(module, reason),
            Ok(operator) => {
                let changed = operator.as_ref().map(settings_of) != Some(settings_of(&node.op));
                if changed {
                    let (is, was) = (operator.as_ref().map_or("nothing".into(), told), told(&node.op));
                    self.changes.push(format!("`{}` is {is}, not {was}", cut(path, 60)));
                    self.operators.insert(path.to_owned(), operator);
                }
            }
        }
        !is_layer(node)
    }

    /// A module of whose name the graph has no operator.
    pub fn without_node(&mut self, module: &Module, around: &Surroundings, call: &Call) {
        if !module.children.is_empty() {
            // The model's own class is told in a note.
            if !call.is_model && !is_library(&module.class) {
                self.differ(module, "its forward is code, which is not run");
            }
            return;
        }
        if !module.parameters.is_empty() || harmless(module) {
            return;
        }
        let Some(class) = module.torch_class() else {
            return self.differ(module, "what it does is code, which is not run");
        };
        let mut candidates = around.unnamed(call.caller, call.chained);
        let reason = match plain(module) {
            _ if matches!(class, "Flatten" | "Sequential" | "ModuleList" | "ModuleDict") => return,
            _ if matches!(class, "Softmax" | "LogSoftmax") && (call.last || !call.chained) => return,
            Ok(None) => return,
            Ok(Some(operator)) if candidates.any(|node| node.op == operator) => return,
            Ok(Some(_)) => "the network calls no such layer".to_owned(),
            Err(_) if around.tree.scripted() && candidates.any(|node| of_class(module, node).is_ok()) => return,
            Err(reason) => reason,
        };
        self.differ(module, reason);
    }

    /// What is made of a node in the new graph.
    pub fn stands_for(&self, g: &mut Builder, node: &Node, inputs: &[Value]) -> Option<Value> {
        let (operator, &[x]) = (self.operators.get(&node.name)?, inputs) else { return None };
        if !is_layer(node) && !is_plain(node) {
            return None;
        }
        Some(match operator {
            None => x,
            Some(Op::Conv2d { conv, .. }) => g.conv2d(&node.name, x, *conv),
            Some(Op::BatchNorm2d { norm, .. }) => g.batch_norm2d(&node.name, x, *norm),
            Some(Op::Linear { linear, .. }) => g.linear(&node.name, x, *linear),
            Some(op) => g.scope(&node.name, |g| match *op {
                Op::Activation(activation) => g.activation(x, activation),
                Op::MaxPool2d(pool) => g.max_pool2d(x, pool),
                Op::AvgPool2d(pool) => g.avg_pool2d(x, pool),
                _ => g.mean(x),
            }),
        })
    }
}
