//! What reads what: the nodes that the output needs, and how often values and parameters are read.

use super::lowered::Edge;
use crate::graph::{Graph, Node, Op, ParameterId, Value};
use std::collections::{HashMap, HashSet};

/// Who reads the values and parameters of a graph.
pub(super) struct Reads {
    /// The values that the output is made of, directly or not.
    pub needed: HashSet<Value>,
    /// For each value, how many of the needed nodes read it, and what the first of them makes.
    pub readers: Vec<(usize, Value)>,
    /// How often nodes read each parameter.
    pub uses: HashMap<Edge, usize>,
}

impl Reads {
    /// Of `graph`, whose parameters have the edges `parameters`.
    pub fn of(graph: &Graph, parameters: &[Edge]) -> Self {
        let needed = needed(graph);
        Self { readers: readers(graph, &needed), uses: uses(graph, parameters), needed }
    }
}

/// The values that the output is made of, directly or not.
fn needed(graph: &Graph) -> HashSet<Value> {
    let mut needed = HashSet::from([graph.output()]);
    let steps: Vec<(Value, &Node)> = graph.steps().collect();
    for (value, node) in steps.into_iter().rev() {
        if needed.contains(&value) {
            needed.extend(&node.inputs);
        }
    }
    needed
}

/// The parameters that an operator reads.
pub(super) fn parameters_of(op: &Op) -> Vec<ParameterId> {
    match op {
        Op::Conv2d { weight, bias, .. } | Op::Linear { weight, bias, .. } => {
            [*weight].into_iter().chain(*bias).collect()
        }
        Op::BatchNorm2d { weight, bias, running_mean, running_var, .. } => {
            vec![*weight, *bias, *running_mean, *running_var]
        }
        _ => Vec::new(),
    }
}

/// For each value, how many of the needed nodes read it, and what the first of them makes. One that reads it twice is one.
fn readers(graph: &Graph, needed: &HashSet<Value>) -> Vec<(usize, Value)> {
    let mut readers = vec![(0, Value::INPUT); graph.nodes().len() + 1];
    for (by, node) in graph.steps().filter(|(by, _)| needed.contains(by)) {
        let distinct: HashSet<Value> = node.inputs.iter().copied().collect();
        for input in distinct {
            let (count, first) = &mut readers[input.0];
            *first = if *count == 0 { by } else { *first };
            *count += 1;
        }
    }
    readers
}

/// How often nodes read each parameter.
fn uses(graph: &Graph, parameters: &[Edge]) -> HashMap<Edge, usize> {
    let mut uses = HashMap::new();
    for id in graph.nodes().iter().flat_map(|node| parameters_of(&node.op)) {
        *uses.entry(parameters[id.0]).or_insert(0) += 1;
    }
    uses
}
