//! What is around a module and its nodes: the graph, and the paths at which there is anything.

use crate::checkpoint::ModuleTree;
use crate::graph::{Graph, Node, Op};
use std::collections::HashSet;

/// What a module is held against.
pub(super) struct Surroundings<'g> {
    pub graph: &'g Graph,
    /// The names of all that nodes are within.
    pub above: HashSet<&'g str>,
    /// The paths at which there is a module.
    pub known: HashSet<&'g str>,
    pub tree: &'g ModuleTree,
}

impl<'g> Surroundings<'g> {
    pub(super) fn new(graph: &'g Graph, known: HashSet<&'g str>, tree: &'g ModuleTree) -> Self {
        let dots = |name: &'g str| name.match_indices('.').map(move |(at, _)| &name[..at]);
        Self { graph, above: graph.nodes().iter().flat_map(|node| dots(&node.name)).collect(), known, tree }
    }

    /// The nodes that are no module of their own, which the forward of `caller` may have one for. A chain has no forward,
    /// but last layers were read off it without names for what is between them.
    pub(super) fn unnamed(&self, caller: &str, chained: bool) -> impl Iterator<Item = &'g Node> {
        let below = format!("{caller}.");
        let mut nodes = self.graph.nodes().iter();
        let is_head =
            chained && nodes.any(|node| matches!(node.op, Op::Linear { .. }) && node.name.starts_with(&below));
        self.graph.nodes().iter().filter(move |node| {
            let name = node.name.as_str();
            let within = name.rsplit_once('.').map_or("", |(within, _)| within);
            let is_free = !self.above.contains(name) && !self.known.contains(name);
            match chained {
                true => is_head && (name.is_empty() || is_free),
                false => name == caller || within == caller && is_free,
            }
        })
    }
}
