//! Follows the nodes in their order: what is known beforehand is computed at once, what only moves numbers about
//! becomes a layout, and what computes on images becomes a step.

use super::call::Call;
use super::constant::Constant;
use super::operators;
use super::order::Order;
use super::text::short;
use super::traced::{Trace, Traced, View};
use crate::checkpoint::{OnnxGraph, OnnxNode, StateDict, ValueId};

/// Nodes that cannot be imported; as many as a reader reads are kept.
#[derive(Debug, Default)]
pub struct Refusals {
    lines: Vec<String>,
    count: usize,
}

impl Refusals {
    const MOST: usize = 50;

    fn add(&mut self, node: &OnnxNode, name: &str, reason: &str) {
        self.count += 1;
        if self.lines.len() < Self::MOST {
            let domain = if node.domain.is_empty() { String::new() } else { format!("{}::", short(&node.domain)) };
            let op = if node.op.is_empty() { "a node without an operator" } else { &short(&node.op) };
            self.lines.push(format!("\n  {domain}{op}, node `{}`: {reason}", short(name)));
        }
    }

    /// All of them, or nothing where there is none.
    pub fn report(&self) -> Option<String> {
        let more = match self.count - self.lines.len() {
            0 => String::new(),
            more => format!("\n  and {more} more"),
        };
        (self.count > 0).then(|| {
            let nodes = if self.count == 1 { "1 node".into() } else { format!("{} nodes", self.count) };
            format!("{nodes} of its graph cannot be imported:{}{more}", self.lines.concat())
        })
    }
}

/// The input of the graph.
pub struct Input {
    pub value: ValueId,
    pub view: View,
    /// Whether its numbers are integers, which overflow and divide otherwise than floats.
    pub integers: bool,
}

/// Traces the nodes that `output` depends on, and returns what `output` is.
pub fn trace(
    graph: &OnnxGraph,
    state: &StateDict,
    trace: &mut Trace,
    order: &Order,
    input: Input,
    output: ValueId,
) -> Result<View, String> {
    let mut values: Vec<Option<Traced>> = vec![None; graph.value_count()];
    for (&value, name) in &graph.tensors {
        values[value] =
            state.get(name).map(|tensor| Traced::Constant(Constant::new(&name.as_str().into(), tensor.clone())));
    }
    values[input.value] = Some(Traced::View(input.view));
    // Images whose numbers are integers.
    let mut integers = vec![false; graph.value_count()];
    integers[input.value] = input.integers;
    let mut refusals = Refusals::default();
    for node in &order.nodes {
        let name = graph.node_name(node);
        let mut refuse = |reason: &str| refusals.add(node, name, reason);
        let inputs: Vec<Option<&Traced>> =
            node.inputs.iter().map(|input| input.and_then(|value| values[value].as_ref())).collect();
        let of_integers = node
            .inputs
            .iter()
            .flatten()
            .any(|&value| integers[value] && matches!(values[value], Some(Traced::View(_))));
        let mut outputs = Vec::new();
        if !operators::known(node) {
            refuse("this operator is not supported");
        } else if let Some(&absent) = node.inputs.iter().flatten().find(|&&value| values[value].is_none()) {
            let what = "which no node makes and the file has no values for";
            refuse(&format!("it reads `{}`, {what}", short(graph.name(absent))));
        } else if of_integers && !operators::moves(node) {
            refuse(
                "it computes with the image's integers, which overflow and are cut off; only after a Cast to floats",
            );
        } else if !inputs.iter().flatten().any(|input| matches!(input, Traced::Unknown)) {
            let first = node.outputs.iter().flatten().next().map_or("", |&value| graph.name(value));
            let call = Call { node, name: name.into(), made: first.into(), opset: graph.opset, of_integers, inputs };
            match operators::apply(trace, &call) {
                Ok(made) => outputs = made,
                Err(reason) => refuse(&reason),
            }
            let made = outputs.len();
            let more = node.outputs.iter().enumerate().skip(made.max(1));
            if let Some((at, Some(_))) =
                more.into_iter().find(|(_, value)| value.is_some_and(|value| order.read[value]))
                && made > 0
            {
                refuse(&format!("its output {at} is read, and only the first is supported"));
            }
        }
        let to_floats = node.op == "Cast" && operators::makes_floats(node);
        let mut outputs = outputs.into_iter();
        for made in &node.outputs {
            let traced = outputs.next().unwrap_or(Traced::Unknown);
            if let Some(value) = *made {
                values[value] = Some(traced);
                integers[value] = of_integers && !to_floats;
            }
        }
    }
    if let Some(report) = refusals.report() {
        return Err(report);
    }
    match &values[output] {
        Some(Traced::View(_)) if integers[output] => Err("its output is the image's integers".into()),
        Some(Traced::View(view)) => Ok(view.clone()),
        Some(Traced::Constant(_)) => Err("its output does not depend on the image".into()),
        Some(Traced::Unknown) | None => Err(format!("no node makes its output `{}`", short(graph.name(output)))),
    }
}
