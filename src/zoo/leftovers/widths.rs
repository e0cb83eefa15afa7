//! The sizes by which layers show what they are connected to.

use crate::graph::Op;
use crate::zoo::Network;

/// Numbers of channels and features; 0 where there is no such layer.
pub(super) struct Widths {
    /// What the first convolution gives.
    pub stem: usize,
    /// What the last fully connected layer takes.
    pub features: usize,
    /// What it gives.
    pub classes: usize,
}

impl Widths {
    pub fn of(network: &Network) -> Self {
        let nodes = network.graph.nodes();
        let stem = nodes.iter().find_map(|node| match node.op {
            Op::Conv2d { conv, .. } => Some(conv.out_channels),
            _ => None,
        });
        let last = nodes.iter().rev().find_map(|node| match node.op {
            Op::Linear { linear, .. } => Some((linear.in_features, linear.out_features)),
            _ => None,
        });
        let (features, classes) = last.unwrap_or((0, 0));
        Self { stem: stem.unwrap_or(0), features, classes }
    }
}
