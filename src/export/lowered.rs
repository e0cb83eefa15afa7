//! A graph as exchange formats have it: ranks and constants made explicit, every value named.

use crate::graph::{Activation, Operator, Padding, Window};
use std::borrow::Cow;
use std::collections::HashMap;

/// A graph for export.
#[derive(Default)]
pub(super) struct Lowered<'m> {
    edges: Vec<Named>,
    /// Names that something has, with the last number that was put behind each.
    taken: HashMap<String, usize>,
    /// What the graph learned, under its own names.
    pub parameters: Vec<Array<'m>>,
    /// Other numbers that operators need.
    pub constants: Vec<Array<'m>>,
    /// Each after those that it reads.
    pub steps: Vec<Step>,
    pub input: Edge,
    pub output: Edge,
}

/// What flows between steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Edge(usize);

struct Named {
    name: String,
    dims: Vec<usize>,
}

/// Numbers that are part of the model.
pub(super) struct Array<'m> {
    pub edge: Edge,
    pub values: Cow<'m, [f32]>,
}

pub(super) struct Step {
    pub name: String,
    pub kind: Kind,
    pub inputs: Vec<Edge>,
    /// One, or those of a `Split`.
    pub outputs: Vec<Edge>,
}

/// What a step does. Axes are counted with the batch's, which is 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// Of an image, a kernel, and maybe a bias.
    Conv {
        window: Window,
        groups: usize,
    },
    /// Of an image, its scale, offset, mean and variance.
    BatchNorm {
        eps: f32,
    },
    /// One that the format has an operator for.
    Activation(Activation, Operator),
    /// Surrounds an image by a number.
    Pad {
        padding: Padding,
        value: f32,
    },
    MaxPool(Window),
    /// Its window has no dilation. Sums are divided by the taps in the padded image where `count_include_pad`.
    AvgPool {
        window: Window,
        count_include_pad: bool,
    },
    /// With the second operand broadcast to the first.
    Add,
    Mul,
    /// Into equal parts along axis 1.
    Split,
    /// From `start` up to `end` along axis 1.
    Slice {
        start: usize,
        end: usize,
    },
    /// Along axis 1.
    Concat,
    /// To the dimensions of its output.
    Reshape,
    /// Exchanges axes 1 and 2.
    Swap,
    /// Over the pixels of an image, which becomes one of one pixel.
    Mean,
    /// Along axis 1.
    Softmax,
    LogSoftmax,
    /// Of an image to a vector.
    Flatten,
    /// Of a vector, a matrix `[out, in]`, and maybe a bias.
    Linear,
}

impl Kind {
    /// What steps of this kind are called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Conv { .. } => "Conv",
            Self::BatchNorm { .. } => "BatchNorm",
            Self::Activation(activation, _) => activation.row().name,
            Self::Pad { .. } => "Pad",
            Self::MaxPool(_) => "MaxPool",
            Self::AvgPool { .. } => "AvgPool",
            Self::Add => "Add",
            Self::Mul => "Mul",
            Self::Split => "Split",
            Self::Slice { .. } => "Slice",
            Self::Concat => "Concat",
            Self::Reshape => "Reshape",
            Self::Swap => "Swap",
            Self::Mean => "Mean",
            Self::Softmax => "Softmax",
            Self::LogSoftmax => "LogSoftmax",
            Self::Flatten => "Flatten",
            Self::Linear => "Linear",
        }
    }
}

impl Lowered<'_> {
    /// A new value, or a parameter or constant, called `name` or something like it. The batch is no dimension.
    pub fn edge(&mut self, name: &str, dims: &[usize]) -> Edge {
        let name = self.fresh(name);
        self.edges.push(Named { name, dims: dims.to_vec() });
        Edge(self.edges.len() - 1)
    }

    /// A name that nothing has: `name`, if it can be.
    pub fn fresh(&mut self, name: &str) -> String {
        let mut number = self.taken.get(name).copied().unwrap_or(0);
        let mut fresh = name.to_owned();
        // Goes on from the last number, so that many of a name cost no more each than one.
        while self.taken.contains_key(&fresh) {
            number += 1;
            fresh = format!("{name}_{}", number + 1);
        }
        self.taken.insert(name.to_owned(), number);
        self.taken.entry(fresh.clone()).or_insert(0);
        fresh
    }

    pub fn rename(&mut self, edge: Edge, name: &str) {
        self.edges[edge.0].name = self.fresh(name);
    }

    pub fn name(&self, edge: Edge) -> &str {
        &self.edges[edge.0].name
    }

    pub fn dims(&self, edge: Edge) -> &[usize] {
        &self.edges[edge.0].dims
    }
}
