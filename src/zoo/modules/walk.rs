//! The walk over all modules: each is held against the nodes of its path.

use super::operators::is_plain;
use super::places::{Call, Places};
use super::settled::Settled;
use super::surroundings::Surroundings;
use super::words::told;
use crate::checkpoint::Module;
use crate::graph::{Graph, Node};
use crate::printable::cut;
use crate::zoo::sequential::altered;
use std::collections::HashMap;

/// What all modules say of `graph`.
pub(super) fn walk(graph: &Graph, places: &Places) -> Settled {
    let nodes = by_name(graph);
    let around = Surroundings::new(graph, places.all_inside().collect(), places.tree);
    let mut found = Settled::default();
    // What is below a module that stands for one layer was seen with it.
    let mut seen: Option<String> = None;
    for (at, module) in places.tree.modules().iter().enumerate() {
        let (own, call) = (places.path(at), places.call(at));
        let beside = || (!own.is_empty() && nodes.contains_key(own)).then_some(own);
        let Some(path) = places.inside(at).or_else(beside) else {
            outside(&mut found, at, module, places, &around, &call);
            continue;
        };
        if seen.as_ref().is_some_and(|seen| path.starts_with(seen)) {
            continue;
        }
        let nodes = nodes.get(path).map_or(&[][..], Vec::as_slice);
        if found.module(module, path, nodes, &around, &call) {
            seen = Some(format!("{path}."));
        }
    }
    missing(&mut found, graph, places, &around);
    found
}

/// The nodes by their names, which are paths of modules.
fn by_name(graph: &Graph) -> HashMap<&str, Vec<&Node>> {
    let mut nodes: HashMap<&str, Vec<&Node>> = HashMap::new();
    for node in graph.nodes() {
        nodes.entry(&node.name).or_default().push(node);
    }
    nodes
}

/// A module around the network, or beside it, which is called or not: its layers are leftovers.
fn outside(found: &mut Settled, at: usize, module: &Module, places: &Places, around: &Surroundings, call: &Call) {
    if places.surrounds(at) {
        if altered(module) {
            found.differ(module, "functions are hooked into it, which are not run");
        }
    } else if call.chained
        && places.caller(at).is_some_and(|caller| places.surrounds(caller))
        && module.children.is_empty()
    {
        found.without_node(module, around, call);
    }
}

/// Nodes without parameters that a chain of modules would have, and has not.
fn missing(found: &mut Settled, graph: &Graph, places: &Places, around: &Surroundings) {
    for node in graph.nodes() {
        let name = node.name.as_str();
        let Some((parent, _)) = name.rsplit_once('.').filter(|_| is_plain(node) && !around.above.contains(name)) else {
            continue;
        };
        if let Some(chain) = places.chain(parent).filter(|_| !around.known.contains(name)) {
            let reason = format!("it has no `{}`, where the network has {}", cut(name, 60), told(&node.op));
            found.differ(chain, reason);
        }
    }
}
