//! Turns a graph with its weights into a plan for one input size: fused steps, and a place for every channel.
//!
//! The stages, in order: `fuse` folds batch normalisation into convolutions, additions and activations into what comes before them;
//! `channels` replaces chunk, concat and shuffle by tables that say where each channel lies, so that nothing is
//! copied, and `widen` spares depthwise convolutions from picking channels one by one; `memory` lets values whose lives
//! do not overlap share a buffer. None of them knows a device.

mod channels;
mod fuse;
mod memory;
mod plan;
mod widen;

pub(crate) use fuse::fold;
pub use plan::{Kernel, Plan, Pool, Source, Step, Target};

use crate::bind::Weights;
use crate::error::Result;
use crate::graph::{Graph, Shape};

/// How a device wants its plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Channels that lie side by side.
    pub lanes: usize,
    /// Whether a max pool is part of the step of the dense convolution before it.
    pub pooled: bool,
}

/// Compiles `graph` for images of shape `input`, as a device wants it.
///
/// # Errors
/// [`Error::Usage`](crate::Error::Usage) where the shape does not fit the graph.
pub fn compile(graph: &Graph, weights: &Weights, input: Shape, layout: Layout) -> Result<Plan> {
    let Layout { lanes, pooled } = layout;
    let shapes = graph.shapes(input)?;
    let operations = fuse::fuse(graph, weights, &shapes, pooled);
    let placed = channels::place(operations, &shapes, graph.output(), lanes)?;
    Ok(memory::assign(placed, lanes))
}
