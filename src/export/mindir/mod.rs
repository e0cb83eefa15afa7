//! Writes the steps of a network as a MindIR graph, as MindSpore 2.10 does.
//!
//! Messages and their tags are those of mind_ir.proto. A node names its operator as `REF::NAME`, and the model holds a
//! primitive of that name. Most take everything as operands; convolutions, paddings and max pools have attributes.

mod messages;
mod nodes;

use super::lower::Dialect;
use super::lowered::{Edge, Kind, Lowered};
use crate::checkpoint::save::mindspore;
use crate::file::protobuf::Message;
use crate::graph::Activation;
use indexmap::{IndexMap, IndexSet};
use messages::{FUNCTION, Value, batch_of, primitive, tensor};
use nodes::Graph;

/// The release whose layout this is; MindSpore reads no file without one.
const MODEL_VERSION: &str = "2.10.0";
const MIND_IR_VERSION: i64 = 3;

pub(super) const DIALECT: Dialect = Dialect { padded_pools: false, operator: Activation::mindir };

/// The whole model, a `ModelProto`.
pub(super) fn model<'m>(network: &str, mut lowered: Lowered<'m>, metadata: &IndexMap<String, String>) -> Message<'m> {
    let name = network.replace(':', "_");
    rename_normalisation(&mut lowered);
    let constants = std::mem::take(&mut lowered.constants);
    let parameters = std::mem::take(&mut lowered.parameters);
    let steps = std::mem::take(&mut lowered.steps);
    let mut graph =
        Graph { name: &name, lowered, nodes: Message::new(), primitives: IndexSet::new(), attributed: Vec::new() };
    for constant in constants {
        let dims = graph.lowered.dims(constant.edge).to_vec();
        let edge = graph.name(constant.edge);
        graph.constant_node(&edge, Value::Tensor(dims, constant.values));
    }
    steps.iter().for_each(|step| graph.step(step));
    let parameters = parameters.into_iter().map(|p| {
        tensor(graph.lowered.dims(p.edge))
            .text(7, &graph.name(p.edge))
            .floats(9, p.values)
            .text(13, graph.lowered.name(p.edge))
    });
    let parameters: Vec<Message> = parameters.collect();
    let [input, output] = [graph.lowered.input, graph.lowered.output]
        .map(|edge| Message::new().text(1, &graph.name(edge)).message(2, batch_of(graph.lowered.dims(edge))));
    let Graph { nodes, primitives, attributed, .. } = graph;
    let graph = nodes.text(2, &name).messages(3, parameters).message(5, input).message(6, output);
    let function = |operator: &&str| primitive(operator, operator, FUNCTION);
    let entry = |(key, value): (&String, &String)| Message::new().text(1, key).text(2, value);
    Message::new()
        .text(1, "1.1")
        // By which the format is told.
        .text(2, "MindSpore")
        .text(3, concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")))
        .text(5, MODEL_VERSION)
        .message(7, graph)
        .number(10, 1)
        .messages(12, primitives.iter().map(function))
        .messages(12, attributed)
        .number(13, MIND_IR_VERSION)
        .messages(14, metadata.iter().map(entry))
}

/// Gives the parameters of batch normalisation MindSpore's names, where these are free.
fn rename_normalisation(lowered: &mut Lowered) {
    let norms = lowered.steps.iter().filter(|step| matches!(step.kind, Kind::BatchNorm { .. }));
    let parameters: Vec<Edge> = norms.flat_map(|step| step.inputs[1..].to_vec()).collect();
    for edge in parameters {
        let name = lowered.name(edge);
        let (module, last) = name.rsplit_once('.').unwrap_or(("", name));
        if let Some(new) = mindspore::normalisation_name(last) {
            let new = if module.is_empty() { new.to_owned() } else { format!("{module}.{new}") };
            lowered.rename(edge, &new);
        }
    }
}
