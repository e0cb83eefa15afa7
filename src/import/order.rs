//! Which nodes an output depends on, and in which order they run.

use super::text::short;
use crate::checkpoint::{OnnxGraph, OnnxNode, ValueId};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The nodes that an output depends on.
pub struct Order<'g> {
    /// Each after those that make what it reads; otherwise in the file's order.
    pub nodes: Vec<&'g OnnxNode>,
    /// For each value, whether a node reads it or it is the output.
    pub read: Vec<bool>,
}

/// Puts the nodes that `output` depends on in order, whatever their order in the file is.
///
/// # Errors
/// Names a value that two nodes make, or that one makes and the file has numbers for, and a node that depends on itself.
pub fn order(graph: &OnnxGraph, output: ValueId) -> Result<Order<'_>, String> {
    let makers = Makers::of(graph);
    let mut read = vec![false; graph.value_count()];
    let mut needed = vec![false; graph.nodes.len()];
    let mut open = vec![output];
    read[output] = true;
    while let Some(value) = open.pop() {
        let Some(node) = makers.of_value(graph, value)? else { continue };
        if std::mem::replace(&mut needed[node], true) {
            continue;
        }
        for &input in graph.nodes[node].inputs.iter().flatten() {
            if !std::mem::replace(&mut read[input], true) {
                open.push(input);
            }
        }
    }
    let nodes = sorted(graph, &makers, &needed)?;
    Ok(Order { nodes, read })
}

/// Which node makes each value.
struct Makers {
    first: Vec<Option<usize>>,
    /// Values that several nodes make.
    twice: Vec<bool>,
    /// Values that the file has numbers for, and the graph's inputs.
    given: Vec<bool>,
}

impl Makers {
    fn of(graph: &OnnxGraph) -> Self {
        let count = graph.value_count();
        let mut makers = Self { first: vec![None; count], twice: vec![false; count], given: vec![false; count] };
        let inputs = graph.inputs.iter().map(|input| &input.value);
        inputs.chain(graph.tensors.keys()).for_each(|&value| makers.given[value] = true);
        for (node, made) in graph.nodes.iter().enumerate() {
            for &value in made.outputs.iter().flatten() {
                makers.twice[value] |= makers.first[value].is_some();
                makers.first[value].get_or_insert(node);
            }
        }
        makers
    }

    fn of_value(&self, graph: &OnnxGraph, value: ValueId) -> Result<Option<usize>, String> {
        let name = || short(graph.name(value));
        let Some(node) = self.first[value] else { return Ok(None) };
        if self.twice[value] {
            return Err(format!("two nodes of its graph make `{}`", name()));
        }
        if self.given[value] {
            return Err(format!("a node of its graph makes `{}`, which is an input or a tensor of the file", name()));
        }
        Ok(Some(node))
    }
}

/// The needed nodes, of which always the first in the file that can run is the next.
fn sorted<'g>(graph: &'g OnnxGraph, makers: &Makers, needed: &[bool]) -> Result<Vec<&'g OnnxNode>, String> {
    let made_by = |node: usize| graph.nodes[node].inputs.iter().flatten().filter_map(|&value| makers.first[value]);
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); graph.nodes.len()];
    let mut waits_for = vec![0usize; graph.nodes.len()];
    let mut ready = BinaryHeap::new();
    for node in (0..graph.nodes.len()).filter(|&node| needed[node]) {
        for maker in made_by(node) {
            readers[maker].push(node);
            waits_for[node] += 1;
        }
        if waits_for[node] == 0 {
            ready.push(Reverse(node));
        }
    }
    let mut nodes = Vec::new();
    while let Some(Reverse(node)) = ready.pop() {
        nodes.push(&graph.nodes[node]);
        for &reader in &readers[node] {
            waits_for[reader] -= 1;
            if waits_for[reader] == 0 {
                ready.push(Reverse(reader));
            }
        }
    }
    // Going back from one that waits for another that does ends in the circle.
    let Some(mut waiting) = (0..graph.nodes.len()).find(|&node| waits_for[node] > 0) else { return Ok(nodes) };
    for _ in 0..graph.nodes.len() {
        waiting = made_by(waiting).find(|&maker| waits_for[maker] > 0).unwrap_or(waiting);
    }
    let (op, name) = (short(&graph.nodes[waiting].op), graph.node_name(&graph.nodes[waiting]));
    Err(format!("{op}, node `{}` of its graph, depends on what it makes itself", short(name)))
}
