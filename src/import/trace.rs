//! Follows the nodes in their order: what is known beforehand is computed at once, what only moves numbers about
//! becomes a layout, and what computes on images becomes a step.

use super::call::Call;
use super::constant::{Constant, Memory, Name};
use super::layout::{Layout, Side, Way};
use super::operators;
use super::order::Order;
use super::steps::{Kind, Source, Steps};
use crate::checkpoint::{OnnxGraph, OnnxNode, StateDict, ValueId};
use crate::graph::{Op, Shape};
use crate::printable;

/// What stands behind a value of the file.
#[derive(Debug, Clone)]
pub enum Traced {
    /// Numbers that are known beforehand.
    Constant(Constant),
    /// What is computed from the image.
    View(View),
    /// Nobody knows, since a node before it was refused.
    Unknown,
}

/// A step's output as an ONNX tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    pub source: Source,
    pub layout: Layout,
}

/// What the nodes are traced with.
pub struct Trace {
    pub steps: Steps,
    /// Images in the file's batch; 1 where it is free, since every image is computed by itself.
    pub batch: usize,
    pub memory: Memory,
}

impl Trace {
    /// The shape of what a view looks at.
    pub fn shape(&self, view: &View) -> Shape {
        self.steps.shapes[view.source]
    }

    /// A step whose output is an image with channels first.
    pub fn image(&mut self, kind: Kind, input: Source, name: &Name) -> Result<Traced, String> {
        let source = self.steps.push(kind, &[input], name)?;
        Ok(Traced::View(View { source, layout: Layout::image(self.batch, self.steps.shapes[source]) }))
    }

    /// A step whose output has the layout of its first input.
    pub fn alike(&mut self, kind: Kind, inputs: &[Source], layout: &Layout, name: &Name) -> Result<View, String> {
        Ok(View { source: self.steps.push(kind, inputs, name)?, layout: layout.clone() })
    }

    /// The same tensor with a whole side on every axis.
    pub fn straight(&mut self, view: &View, name: &Name) -> Result<View, String> {
        match view.layout.way(self.shape(view)) {
            Some(Way::Straight) => Ok(view.clone()),
            Some(Way::Shuffle(groups, layout)) => {
                let shuffled = self.alike(Kind::Plain(Op::ChannelShuffle { groups }), &[view.source], &layout, name)?;
                self.straight(&shuffled, name)
            }
            Some(Way::Flatten(layout)) => self.alike(Kind::Plain(Op::Flatten), &[view.source], &layout, name),
            None => Err(format!(
                "it reads a tensor of shape {:?}, in which the channels and pixels of an image are mixed",
                view.layout.dimensions()
            )),
        }
    }

    /// The same tensor as an image with channels first.
    pub fn channels_first(&mut self, view: &View, name: &Name) -> Result<View, String> {
        let view = self.straight(view, name)?;
        let sides = [Side::Batch, Side::Channels, Side::Rows, Side::Columns];
        let holds = |(axis, side): (&[_], Side)| axis.iter().all(|part: &super::layout::Part| part.side == side);
        if view.layout.rank() != 4 || !view.layout.axes().zip(sides).all(holds) {
            return Err(format!(
                "it should read images with channels first, and reads a tensor of shape {:?}, whose axes are others",
                view.layout.dimensions()
            ));
        }
        Ok(view)
    }
}

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

/// Text of the file as a message may quote it.
pub fn short(text: &str) -> String {
    printable::cut(text, 120).into_owned()
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
