//! Turns a graph with its weights into a plan for one input size: fused steps, and a place for every channel.
//!
//! The stages, in order: `fuse` folds batch normalisation into convolutions, and additions, activations and, for a
//! device that asks for it, max pools into what comes before them; `channels` replaces chunk, concat and shuffle by
//! tables that say where each channel lies, so that nothing is copied, and `whole_groups` spares depthwise convolutions from
//! picking channels one by one; `memory` lets values whose lives do not overlap share a buffer. None of them knows a
//! device.

mod budget;
mod channels;
mod fuse;
mod memory;
mod placed;
mod plan;
mod whole_groups;

pub(crate) use budget::Budget;
pub(crate) use fuse::fold;
#[cfg_attr(not(feature = "gpu"), allow(unused_imports, reason = "the CPU computes one at a time"))]
pub(crate) use plan::Touched;
pub use plan::{Kernel, Plan, Pool, Source, Step, Target};

use crate::checkpoint::Limits;
use crate::error::Result;
use crate::graph::{Graph, Shape};
use crate::load::Weights;

/// How a device wants its plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Channels that lie side by side.
    pub lanes: usize,
    /// Weights of the largest dense convolution that takes in the max pool behind it; 0 where none does. More weights than
    /// stay in a cache are better read once than for every row of the pool.
    pub pooled_weights: usize,
    /// Up to how many times the channels that are asked for a depthwise convolution may compute, to run over whole groups
    /// of lanes as they lie; 0 where it always picks channels one by one.
    pub widening: usize,
    /// The channels of the input from which on a dense convolution reads a copy of it in groups of lanes; with fewer,
    /// going by planes costs less than the copy.
    pub grouped_channels: usize,
    /// Whether what a depthwise convolution reads stays until the 1x1 convolution after it is done, so that both can be
    /// computed as one.
    pub chained: bool,
}

impl Layout {
    /// That of a device with so many lanes that takes no pools in, and chains nothing.
    pub const fn of_lanes(lanes: usize) -> Self {
        Self { lanes, pooled_weights: 0, widening: 2, grouped_channels: lanes, chained: false }
    }
}

/// Compiles `graph` for images of shape `input`, as a device wants it, within the default [`Limits`].
///
/// # Errors
/// [`Error::Usage`](crate::Error::Usage) where the shape does not fit the graph; [`Error::Limit`](crate::Error::Limit)
/// where the plan would take too much memory, or its runs too much work.
pub fn compile(graph: &Graph, weights: &Weights, input: Shape, layout: Layout) -> Result<Plan> {
    let limits = Limits::default();
    compile_within(graph, weights, &graph.shapes(input)?, layout, &limits, &Budget::new(&limits, weights))
}

/// As [`compile`], for the `shapes` that the graph's values have, and with memory out of `budget`.
pub(crate) fn compile_within(
    graph: &Graph,
    weights: &Weights,
    shapes: &[Shape],
    layout: Layout,
    limits: &Limits,
    budget: &Budget,
) -> Result<Plan> {
    let lanes = layout.lanes;
    budget::check_operations(graph, shapes, lanes, limits)?;
    budget::check_planes(graph, shapes, budget)?;
    let operations = fuse::fuse(graph, weights, shapes, layout.pooled_weights, budget)?;
    let placed = channels::place(operations, shapes, graph.output(), layout, budget)?;
    Ok(memory::assign(placed, layout))
}
