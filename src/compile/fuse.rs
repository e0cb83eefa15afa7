//! Folds batch normalisation into the convolution before it, and additions, activations and max pools into what comes
//! before them.

use super::Budget;
use super::plan::{Kernel, Pool};
use crate::error::Result;
use crate::graph::{Activation, BatchNorm2d, Conv2d, Graph, Node, Op, ParameterId, Shape, Value};
use crate::load::Weights;
use std::sync::Arc;

/// What is left of one or several operators.
pub(super) struct Operation {
    pub name: String,
    pub inputs: Vec<Value>,
    pub output: Value,
    pub kind: Kind,
    pub activation: Option<Activation>,
    pub pool: Option<Pool>,
    /// The second operand.
    pub other: Option<Value>,
}

pub(super) enum Kind {
    /// Arithmetic, which makes new planes.
    Compute(Kernel),
    /// Bookkeeping, which only says where planes lie.
    Move(Move),
}

pub(super) enum Move {
    Chunk { index: usize, count: usize },
    Narrow { start: usize, length: usize },
    Concat,
    Nothing,
    Shuffle { groups: usize },
}

/// The graph's operators with all that can be fused fused. `shapes` are those of all values; convolutions of up to
/// `pooled_weights` weights take a pool in.
pub(super) fn fuse(
    graph: &Graph,
    weights: &Weights,
    shapes: &[Shape],
    pooled_weights: usize,
    budget: &Budget,
) -> Result<Vec<Operation>> {
    let mut copied = vec![false; graph.parameters().len()];
    let mut readers = vec![Vec::new(); graph.nodes().len() + 1];
    for (value, node) in graph.steps() {
        node.inputs.iter().for_each(|input| readers[input.0].push(value));
    }
    let mut absorbed = vec![false; graph.nodes().len() + 1];
    let mut operations = Vec::new();
    for (value, node) in graph.steps() {
        if absorbed[value.0] {
            continue;
        }
        if let Op::Conv2d { weight, .. } | Op::Linear { weight, .. } = &node.op
            && std::mem::replace(&mut copied[weight.0], true)
        {
            // Each operator has a copy of its weights; where several share one, a file need not hold as many.
            budget.take(weights.get(*weight).len(), size_of::<f32>())?;
        }
        let mut operation = lower(value, node, weights);
        while let [reader] = readers[operation.output.0][..] {
            // A value that the graph returns must stay as it is.
            let done = operation.output == graph.output() || absorbed[reader.0];
            // What is computed later than this operation begins cannot be added to it, nor what is of another shape.
            let alike = |v: Value| shapes[v.0] == shapes[reader.0];
            let sum = alike(operation.output);
            let present = |other: Value| sum && other < value && alike(other);
            let next = &graph.nodes()[reader.0 - 1];
            let of = shapes[operation.output.0];
            if done || !(operation.absorb(next, weights, present) || operation.pool(next, of, pooled_weights)) {
                break;
            }
            absorbed[reader.0] = true;
            operation.output = reader;
        }
        operations.push(operation);
    }
    Ok(operations)
}

/// One operator by itself.
fn lower(value: Value, node: &Node, weights: &Weights) -> Operation {
    let zeros = |n| std::iter::repeat_n(0.0, n).collect();
    let bias_or_zeros = |bias: Option<ParameterId>, n| bias.map_or_else(|| zeros(n), |bias| weights.share(bias));
    let (mut activation, mut other) = (None, None);
    let kind = match &node.op {
        Op::Conv2d { conv, weight, bias } => Kind::Compute(Kernel::Conv2d {
            conv: *conv,
            weight: weights.share(*weight),
            bias: bias_or_zeros(*bias, conv.out_channels),
        }),
        Op::Linear { linear, weight, bias } => Kind::Compute(Kernel::Linear {
            linear: *linear,
            weight: weights.share(*weight),
            bias: bias_or_zeros(*bias, linear.out_features),
        }),
        // With no convolution before it, a normalisation is one itself: depthwise, of a single pixel.
        Op::BatchNorm2d { norm, .. } => {
            let conv = Conv2d::depthwise(norm.channels, 1);
            let (mut weight, mut bias) = (vec![1.0; norm.channels], vec![0.0; norm.channels]);
            fold(&mut weight, &mut bias, &node.op, weights);
            Kind::Compute(Kernel::Conv2d { conv, weight: weight.into(), bias: bias.into() })
        }
        Op::Activation(function) => {
            activation = Some(*function);
            Kind::Compute(Kernel::Copy)
        }
        Op::Add | Op::Mul => {
            other = node.inputs.get(1).copied();
            Kind::Compute(if node.op == Op::Add { Kernel::Add } else { Kernel::Mul })
        }
        Op::MaxPool2d(pool) => Kind::Compute(Kernel::MaxPool2d(*pool)),
        Op::AvgPool2d(pool) => Kind::Compute(Kernel::AvgPool2d(*pool)),
        Op::Mean => Kind::Compute(Kernel::Mean),
        Op::Softmax => Kind::Compute(Kernel::Softmax),
        Op::Chunk { index, count } => Kind::Move(Move::Chunk { index: *index, count: *count }),
        Op::Narrow { start, length } => Kind::Move(Move::Narrow { start: *start, length: *length }),
        Op::Concat => Kind::Move(Move::Concat),
        Op::ChannelShuffle { groups } => Kind::Move(Move::Shuffle { groups: *groups }),
        Op::Flatten => Kind::Move(Move::Nothing),
    };
    let mut inputs = node.inputs.clone();
    if other.is_some() {
        inputs.truncate(1);
    }
    Operation { name: node.name.clone(), inputs, output: value, kind, activation, pool: None, other }
}

impl Operation {
    /// Takes the operator `next` in, if one kernel can compute both; `present` tells what may be added.
    fn absorb(&mut self, next: &Node, weights: &Weights, present: impl Fn(Value) -> bool) -> bool {
        let Kind::Compute(kernel) = &mut self.kind else { return false };
        if self.activation.is_some() || self.pool.is_some() {
            return false;
        }
        match (kernel, &next.op) {
            (Kernel::Conv2d { weight, bias, .. }, Op::BatchNorm2d { .. }) if self.other.is_none() => {
                // The network's own stay as they are.
                fold(Arc::make_mut(weight), Arc::make_mut(bias), &next.op, weights);
                true
            }
            (Kernel::Conv2d { .. }, Op::Add) if self.other.is_none() => {
                self.other = next.inputs.iter().copied().find(|other| *other != self.output && present(*other));
                self.other.is_some()
            }
            (
                Kernel::Conv2d { .. } | Kernel::Linear { .. } | Kernel::Add | Kernel::Mul | Kernel::Copy,
                Op::Activation(function),
            ) => {
                self.activation = Some(*function);
                true
            }
            _ => false,
        }
    }

    /// Takes in a max pool that reads the results `of` a dense convolution of up to `most` weights. A row of results is seen
    /// by two rows of the pool at most: those that different threads compute, each computes anew.
    fn pool(&mut self, next: &Node, of: Shape, most: usize) -> bool {
        let Kind::Compute(Kernel::Conv2d { conv, weight, .. }) = &self.kind else { return false };
        let Op::MaxPool2d(pool) = next.op else { return false };
        let dense = self.pool.is_none() && self.other.is_none() && !conv.is_pointwise() && !conv.is_depthwise();
        let ([rows, _], [down, _]) = (pool.window.extent(), pool.window.stride);
        let fits = dense && weight.len() <= most && rows <= 2 * down;
        if fits {
            self.pool = Some(Pool { pool, of });
        }
        fits
    }
}

/// `(w x + b - mean) / sqrt(var + eps) * gamma + beta`, as another `w` and `b`.
pub(crate) fn fold(weight: &mut [f32], bias: &mut [f32], norm: &Op, weights: &Weights) {
    let Op::BatchNorm2d { norm: BatchNorm2d { eps, .. }, weight: gamma, bias: beta, running_mean, running_var } = norm
    else {
        return;
    };
    let [gamma, beta, mean, var] =
        [gamma, beta, running_mean, running_var].map(|id| weights.get(*id).iter().map(|&v| f64::from(v)));
    let per_channel = weight.len() / bias.len().max(1);
    let channels = weight.chunks_mut(per_channel.max(1)).zip(bias).zip(gamma).zip(beta).zip(mean).zip(var);
    for (((((kernel, bias), gamma), beta), mean), var) in channels {
        let scale = gamma / (var + f64::from(*eps)).sqrt();
        kernel.iter_mut().for_each(|w| *w = (f64::from(*w) * scale) as f32);
        *bias = ((f64::from(*bias) - mean) * scale + beta) as f32;
    }
}
