//! Holds a network that was recognised by its names against the modules of a model that was saved whole.
//!
//! A module's settings are the file's own word: strides, padding, eps, activations and pools are taken from it where a graph
//! has such an operator, and named where it has none. What a module of somebody's own class does is code, which is not run.

mod classes;
mod image_size;
mod operators;
mod places;
mod settled;
mod surroundings;
mod walk;
mod words;

use super::Network;
use crate::checkpoint::StateDict;
use crate::printable::cut;
use places::Places;
use settled::Settled;
use words::listed;

/// `network` with the settings of the modules that its nodes are named after, if the checkpoint has modules.
///
/// # Errors
/// Every module that is, or does, what no graph has.
pub(super) fn settle(network: Network, state: &StateDict, prefix: &str) -> Result<Network, String> {
    let Some(tree) = state.modules() else { return Ok(network) };
    let places = Places::new(tree, prefix);
    let found = walk::walk(&network.graph, &places);
    if !found.differences.is_empty() {
        let what = listed(&found.differences);
        let name = &network.name;
        return Err(format!("its parameters are {name}'s, but its modules do what {name} does not: {what}"));
    }
    let graph = network.graph.rewritten(|g, node, inputs| found.stands_for(g, node, inputs));
    let mut notes = network.notes.clone();
    notes.extend(notes_on(&network.name, &found, &places));
    let input = image_size::sized(&graph, network.input);
    Ok(Network { graph, notes, input, ..network })
}

/// What the modules changed of the network called `name`, and what they do not tell.
fn notes_on(name: &str, found: &Settled, places: &Places) -> Vec<String> {
    let mut notes = Vec::new();
    if !found.changes.is_empty() {
        notes.push(format!("other than in {name}, as the modules say: {}", listed(&found.changes)));
    }
    for class in places.code() {
        let class = cut(class, 60);
        notes.push(format!(
            "took the model, a {class}, for a {name}: its parameters have the names, but what its forward does is code, which \
             was not run"
        ));
    }
    if places.tree.scripted() {
        notes.push(format!(
            "took the eps, strides, paddings, dilations and pools of {name} for the model's: a traced model has none of them \
             as attributes of its modules"
        ));
    }
    notes
}
