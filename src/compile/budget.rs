//! What a plan may take of work and of memory, counted before it is spent.

use super::placed::{READ, VIEW};
use crate::checkpoint::Limits;
use crate::error::{Error, Result};
use crate::graph::{Graph, Op, Shape};
use crate::load::Weights;
use std::cell::Cell;
use std::path::PathBuf;

/// What is left of [`Limits::plan_bytes`] while a plan is made and packed.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: u64,
    taken: Cell<u64>,
}

impl Budget {
    /// All that `limits` allow for a network with these weights.
    pub fn new(limits: &Limits, weights: &Weights) -> Self {
        let weights = (weights.count() as u64).saturating_mul(size_of::<f32>() as u64);
        Self { limit: limits.plan_bytes.saturating_add(weights), taken: Cell::new(0) }
    }

    /// Takes memory for `count` items of `size` bytes, which stays taken.
    ///
    /// # Errors
    /// [`Error::Limit`] where there is not so much left.
    pub fn take(&self, count: usize, size: usize) -> Result<()> {
        let bytes = (count as u64).saturating_mul(size as u64);
        self.taken.set(self.taken.get().saturating_add(bytes));
        self.check(self.taken.get())
    }

    fn check(&self, bytes: u64) -> Result<()> {
        let what = "the plan's tables and padded weights in bytes (`Limits::plan_bytes`)";
        within(what.into(), bytes, self.limit)
    }
}

/// Refuses a graph whose moves and convolutions alone would be over the budget, before weights are copied for any step.
/// Neither is ever part of another step, and neither stands for fewer planes than there are.
pub(super) fn check_planes(graph: &Graph, shapes: &[Shape], budget: &Budget) -> Result<()> {
    let mut flattened = false;
    let mut bytes = 0usize;
    for (value, node) in graph.steps() {
        bytes = bytes.saturating_add(match &node.op {
            Op::Conv2d { conv, .. } => conv.in_channels.saturating_mul(READ),
            // Behind a flatten one plane stands for several channels.
            Op::Concat if !flattened => shapes[value.0].channels.saturating_mul(VIEW),
            _ => 0,
        });
        flattened |= node.op == Op::Flatten;
    }
    budget.check(budget.taken.get().saturating_add(bytes as u64))
}

/// Refuses a graph that would compute for too long; see [`Limits::operations`].
pub(super) fn check_operations(graph: &Graph, shapes: &[Shape], lanes: usize, limits: &Limits) -> Result<()> {
    let operations = |(value, node): (crate::graph::Value, &crate::graph::Node)| {
        let input = node.inputs.first().map_or(shapes[value.0], |input| shapes[input.0]);
        operations(&node.op, input, shapes[value.0], lanes)
    };
    let all = graph.steps().map(operations).fold(0u64, u64::saturating_add);
    let what = format!("the count of multiplications for an image of {} (`Limits::operations`)", shapes[0]);
    within(what, all, limits.operations)
}

/// What one operator computes, vectors of `lanes` channels at a time.
fn operations(op: &Op, input: Shape, output: Shape, lanes: usize) -> u64 {
    let padded = |shape: Shape| {
        let vectors = shape.channels.div_ceil(lanes).saturating_mul(lanes);
        product([vectors, shape.height, shape.width])
    };
    let each = match op {
        Op::Conv2d { conv, .. } => {
            let [height, width] = conv.window.kernel;
            product([height, width, conv.in_channels / conv.groups.max(1)])
        }
        Op::MaxPool2d(crate::graph::MaxPool2d { window, .. })
        | Op::AvgPool2d(crate::graph::AvgPool2d { window, .. }) => product(window.kernel),
        Op::Linear { linear, .. } => linear.in_features as u64,
        Op::Mean => return padded(input),
        Op::BatchNorm2d { .. } | Op::Activation(_) | Op::Add | Op::Mul | Op::Softmax => 1,
        Op::Chunk { .. } | Op::Narrow { .. } | Op::Concat | Op::ChannelShuffle { .. } | Op::Flatten => 0,
    };
    padded(output).saturating_mul(each)
}

fn product<const N: usize>(factors: [usize; N]) -> u64 {
    factors.into_iter().fold(1, |product, factor| product.saturating_mul(factor as u64))
}

fn within(what: String, found: u64, limit: u64) -> Result<()> {
    if found <= limit { Ok(()) } else { Err(Error::Limit { path: PathBuf::from("the network"), what, found, limit }) }
}
