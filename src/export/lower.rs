//! Takes a graph apart into steps that a format has operators for.
//!
//! In this crate a vector is an image of one pixel. Elsewhere it has two axes less, and some operators take only the one
//! or the other; so each value gets the rank that its operator gives it, and is reshaped where another is needed.

use super::lowered::{Array, Edge, Kind, Lowered, Step};
use super::reads::{Reads, parameters_of};
use crate::compile;
use crate::error::{Error, Result};
use crate::graph::{Activation, Conv2d, Graph, Head, Node, Op, Operator, ParameterId, Part, Shape, Value};
use crate::load::Weights;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// In what formats differ.
#[derive(Clone, Copy)]
pub(super) struct Dialect {
    /// Whether pools pad by themselves. Where they do not, padding is a step of its own.
    pub padded_pools: bool,
    /// The operator that an activation is, if there is one. Otherwise the activation is composed of others.
    pub operator: fn(Activation) -> Option<Operator>,
}

/// Takes `graph` apart, as far as its output needs it, for images of shape `input`. Where `folding`, batch normalisation
/// goes into the convolution that it alone reads. The softmax that `head` has instead of the graph comes last.
pub(super) fn lower<'m>(
    graph: &'m Graph,
    head: Head,
    weights: &'m Weights,
    input: Shape,
    Dialect { padded_pools, operator }: Dialect,
    folding: bool,
) -> Result<Lowered<'m>> {
    let shapes = graph.shapes(input)?;
    let mut lowered = Lowered::default();
    // Before all other names, so that none of them is taken.
    let parameters = parameters(graph, weights, &mut lowered)?;
    let dims = [input.channels, input.height, input.width];
    let as_vector = |node: &Node| matches!(node.op, Op::Linear { .. } | Op::Flatten) && node.inputs == [Value::INPUT];
    let vector = input.pixels() == 1 && graph.nodes().iter().any(as_vector);
    lowered.input = lowered.edge("input", &dims[..if vector { 1 } else { 3 }]);
    let values = HashMap::from([(Value::INPUT, lowered.input)]);
    let lowering = Lowering {
        graph,
        weights,
        shapes,
        padded_pools,
        operator,
        lowered,
        reads: Reads::of(graph, &parameters),
        parameters,
        values,
        folded: HashSet::new(),
        held: HashSet::new(),
        splits: HashMap::new(),
        constants: HashSet::new(),
    };
    lowering.run(head, folding)
}

/// An edge for each parameter. Those that share a name share numbers, and so an edge.
fn parameters(graph: &Graph, weights: &Weights, lowered: &mut Lowered) -> Result<Vec<Edge>> {
    let mut named: HashMap<&str, (ParameterId, Edge)> = HashMap::new();
    let mut edges = Vec::new();
    for (i, parameter) in graph.parameters().iter().enumerate() {
        let id = ParameterId(i);
        let (first, edge) =
            *named.entry(&parameter.name).or_insert_with(|| (id, lowered.edge(&parameter.name, &parameter.shape)));
        if lowered.dims(edge) != parameter.shape || weights.get(first) != weights.get(id) {
            let name = &parameter.name;
            return Err(Error::Usage(format!("two parameters are called `{name}` and differ; give one another name")));
        }
        edges.push(edge);
    }
    Ok(edges)
}

pub(super) struct Lowering<'m> {
    graph: &'m Graph,
    weights: &'m Weights,
    /// Of the graph's values.
    shapes: Vec<Shape>,
    pub padded_pools: bool,
    operator: fn(Activation) -> Option<Operator>,
    lowered: Lowered<'m>,
    /// The edge of each parameter.
    parameters: Vec<Edge>,
    reads: Reads,
    /// The edges of the values so far.
    values: HashMap<Value, Edge>,
    /// Normalisations that are folded into what they read.
    folded: HashSet<Value>,
    /// Parameters that a step reads.
    held: HashSet<Edge>,
    /// The parts of what was split, by the value and their count.
    splits: HashMap<(Value, usize), Vec<Edge>>,
    /// Edges that are constants.
    constants: HashSet<Edge>,
}

impl<'m> Lowering<'m> {
    fn run(mut self, head: Head, folding: bool) -> Result<Lowered<'m>> {
        for (value, node) in self.graph.steps() {
            if !self.reads.needed.contains(&value) {
                continue;
            }
            let edge =
                if self.folded.contains(&value) { self.input(node, 0) } else { self.node(value, node, folding)? };
            self.values.insert(value, edge);
        }
        let output = self.values[&self.graph.output()];
        let single = self.shapes[self.graph.output().0].pixels() == 1;
        let mut output = if single { self.vector(output) } else { output };
        let left_out = match head {
            Head::Softmax => Some(Kind::Softmax),
            Head::LogSoftmax | Head::LogProbabilities => Some(Kind::LogSoftmax),
            _ => None,
        };
        if let Some(kind) = left_out {
            let dims = self.lowered.dims(output).to_vec();
            output = self.step("", kind, vec![output], &dims);
        }
        if output == self.lowered.input {
            let dims = self.lowered.dims(output).to_vec();
            output = self.step("", Kind::Reshape, vec![output], &dims);
        }
        self.lowered.rename(output, "output");
        self.lowered.output = output;
        Ok(self.lowered)
    }

    /// Lowers a node, and returns what it makes.
    fn node(&mut self, value: Value, node: &Node, folding: bool) -> Result<Edge> {
        let name = node.name.as_str();
        let (from, to) = (self.shapes[node.inputs[0].0], self.shapes[value.0]);
        let x = self.input(node, 0);
        Ok(match &node.op {
            Op::Conv2d { conv, weight, bias } => {
                let x = self.image(x);
                let norm = if folding { self.norm_after(value, *weight, *bias) } else { None };
                let mut inputs = vec![x];
                match norm {
                    Some((reader, norm)) => {
                        self.folded.insert(reader);
                        inputs.extend(self.folded_convolution(conv, *weight, *bias, norm));
                    }
                    None => inputs.extend(parameters_of(&node.op).into_iter().map(|id| self.parameter(id))),
                }
                self.image_step(name, Kind::Conv { window: conv.window, groups: conv.groups }, inputs, to)
            }
            Op::BatchNorm2d { norm, .. } => {
                let mut inputs = vec![self.image(x)];
                inputs.extend(parameters_of(&node.op).into_iter().map(|id| self.parameter(id)));
                self.image_step(name, Kind::BatchNorm { eps: norm.eps }, inputs, to)
            }
            Op::Activation(activation) => self.activation(name, *activation, x),
            Op::MaxPool2d(pool) => self.max_pool(pool, x, from, to),
            Op::AvgPool2d(pool) => self.average_pool(pool, x, from, to)?,
            Op::Add => self.binary(Kind::Add, x, self.input(node, 1)),
            Op::Mul => self.binary(Kind::Mul, x, self.input(node, 1)),
            Op::Chunk { index, count } => self.chunk(node.inputs[0], *index, *count, to),
            Op::Narrow { start, length } => {
                let dims = self.with_channels(x, *length);
                self.step(name, Kind::Slice { start: *start, end: start + length }, vec![x], &dims)
            }
            Op::Concat => {
                let mut inputs: Vec<Edge> = node.inputs.iter().map(|input| self.values[input]).collect();
                if inputs.iter().any(|edge| self.is_image(*edge)) {
                    inputs = inputs.into_iter().map(|edge| self.image(edge)).collect();
                }
                let dims = self.with_channels(inputs[0], to.channels);
                self.step(name, Kind::Concat, inputs, &dims)
            }
            Op::ChannelShuffle { groups } => {
                let dims = self.lowered.dims(x).to_vec();
                let (group, pixels) = (to.channels / groups, &dims[1..]);
                let x = self.step(name, Kind::Reshape, vec![x], &[&[*groups, group], pixels].concat());
                let x = self.step(name, Kind::Swap, vec![x], &[&[group, *groups], pixels].concat());
                self.step(name, Kind::Reshape, vec![x], &dims)
            }
            Op::Mean if self.is_image(x) => self.image_step(name, Kind::Mean, vec![x], to),
            Op::Mean => x,
            Op::Softmax => self.alike(name, Kind::Softmax, x),
            Op::Flatten => self.vector(x),
            Op::Linear { linear, .. } => {
                let mut inputs = vec![self.vector(x)];
                inputs.extend(parameters_of(&node.op).into_iter().map(|id| self.parameter(id)));
                self.step(name, Kind::Linear, inputs, &[linear.out_features])
            }
        })
    }

    /// The batch normalisation that alone reads the convolution `value`, if there is one and the convolution's parameters
    /// are no other's.
    fn norm_after(&self, value: Value, weight: ParameterId, bias: Option<ParameterId>) -> Option<(Value, &'m Op)> {
        let (1, reader) = self.reads.readers[value.0] else { return None };
        let node = &self.graph.nodes()[reader.0 - 1];
        let mut mine: Vec<Edge> = [weight].into_iter().chain(bias).map(|id| self.parameters[id.0]).collect();
        let count = mine.len();
        mine.dedup();
        let own = mine.iter().map(|edge| self.reads.uses[edge]).sum::<usize>() == count;
        let normalises = matches!(node.op, Op::BatchNorm2d { .. });
        (normalises && own && self.graph.output() != value).then_some((reader, &node.op))
    }

    /// Kernel and bias of a convolution that does what `norm` does too.
    fn folded_convolution(
        &mut self,
        conv: &Conv2d,
        weight: ParameterId,
        bias: Option<ParameterId>,
        norm: &Op,
    ) -> [Edge; 2] {
        let mut kernel = self.weights.get(weight).to_vec();
        let mut offset = bias.map_or_else(|| vec![0.0; conv.out_channels], |bias| self.weights.get(bias).to_vec());
        compile::fold(&mut kernel, &mut offset, norm, self.weights);
        let weight = self.parameters[weight.0];
        let bias = match bias {
            Some(bias) => self.parameters[bias.0],
            None => {
                let module = self.lowered.name(weight).rsplit_once('.').map_or("", |(module, _)| module);
                let name = format!("{module}.bias");
                self.lowered.edge(&name, &[conv.out_channels])
            }
        };
        self.hold(weight, Cow::Owned(kernel));
        self.hold(bias, Cow::Owned(offset));
        [weight, bias]
    }

    fn activation(&mut self, name: &str, activation: Activation, x: Edge) -> Edge {
        if let Some(operator) = (self.operator)(activation) {
            return self.alike(name, Kind::Activation(activation, operator), x);
        }
        activation.parts().into_iter().fold(x, |made, part| match part {
            Part::Scale(slope) => {
                let slope = self.constant("slope", &[], vec![slope]);
                self.binary(Kind::Mul, made, slope)
            }
            Part::Shift(offset) => {
                let offset = self.constant("offset", &[], vec![offset]);
                self.binary(Kind::Add, made, offset)
            }
            Part::Apply(inner) => self.activation(name, inner, made),
            Part::TimesX => self.binary(Kind::Mul, x, made),
            Part::Plus(other) => {
                let other = self.activation(name, other, x);
                self.binary(Kind::Add, made, other)
            }
        })
    }

    pub fn binary(&mut self, kind: Kind, a: Edge, b: Edge) -> Edge {
        // A constant is broadcast as it is.
        let b = match (self.constants.contains(&b), self.is_image(a)) {
            (true, _) => b,
            (false, true) => self.image(b),
            (false, false) => self.vector(b),
        };
        let dims = self.lowered.dims(a).to_vec();
        self.step("", kind, vec![a, b], &dims)
    }

    /// All parts are made at once, by whichever is asked for first.
    fn chunk(&mut self, value: Value, index: usize, count: usize, to: Shape) -> Edge {
        if let Some(parts) = self.splits.get(&(value, count)) {
            return parts[index];
        }
        let x = self.values[&value];
        let dims = self.with_channels(x, to.channels);
        let name = self.lowered.fresh(Kind::Split.name());
        let outputs: Vec<Edge> = (0..count).map(|i| self.lowered.edge(&format!("{name}:{i}"), &dims)).collect();
        self.lowered.steps.push(Step { name, kind: Kind::Split, inputs: vec![x], outputs: outputs.clone() });
        let part = outputs[index];
        self.splits.insert((value, count), outputs);
        part
    }

    /// The edge of a node's input.
    fn input(&self, node: &Node, index: usize) -> Edge {
        self.values[&node.inputs[index]]
    }

    fn is_image(&self, edge: Edge) -> bool {
        self.lowered.dims(edge).len() == 3
    }

    /// `edge` with an axis each for channels, rows and columns.
    pub fn image(&mut self, edge: Edge) -> Edge {
        match *self.lowered.dims(edge) {
            [features] => self.step("", Kind::Reshape, vec![edge], &[features, 1, 1]),
            _ => edge,
        }
    }

    /// `edge` with one axis.
    fn vector(&mut self, edge: Edge) -> Edge {
        match self.lowered.dims(edge) {
            [_] => edge,
            dims => {
                let features = dims.iter().product();
                self.step("", Kind::Flatten, vec![edge], &[features])
            }
        }
    }

    /// The dimensions of `edge` with another count of channels.
    fn with_channels(&self, edge: Edge, channels: usize) -> Vec<usize> {
        [&[channels], &self.lowered.dims(edge)[1..]].concat()
    }

    fn alike(&mut self, name: &str, kind: Kind, x: Edge) -> Edge {
        let dims = self.lowered.dims(x).to_vec();
        self.step(name, kind, vec![x], &dims)
    }

    pub fn image_step(&mut self, name: &str, kind: Kind, inputs: Vec<Edge>, to: Shape) -> Edge {
        self.step(name, kind, inputs, &[to.channels, to.height, to.width])
    }

    fn step(&mut self, module: &str, kind: Kind, inputs: Vec<Edge>, dims: &[usize]) -> Edge {
        let name = if module.is_empty() { kind.name().to_owned() } else { format!("{module}/{}", kind.name()) };
        let output = self.lowered.edge(&name, dims);
        let name = self.lowered.name(output).to_owned();
        self.lowered.steps.push(Step { name, kind, inputs, outputs: vec![output] });
        output
    }

    fn parameter(&mut self, id: ParameterId) -> Edge {
        let edge = self.parameters[id.0];
        self.hold(edge, Cow::Borrowed(self.weights.get(id)));
        edge
    }

    fn hold(&mut self, edge: Edge, values: Cow<'m, [f32]>) {
        if self.held.insert(edge) {
            self.lowered.parameters.push(Array { edge, values });
        }
    }

    pub fn constant(&mut self, name: &str, dims: &[usize], values: Vec<f32>) -> Edge {
        let edge = self.lowered.edge(name, dims);
        self.lowered.constants.push(Array { edge, values: Cow::Owned(values) });
        self.constants.insert(edge);
        edge
    }
}
