//! Reads ONNX models: the initializers, the metadata and the operators.
//!
//! Format: onnx.proto3 of onnx/onnx.

mod graph;
pub(super) mod model;
mod numbers;
mod operators;
pub(super) mod schema;
pub(super) mod tensor;

pub(crate) use graph::{OnnxAttribute, OnnxGraph, OnnxInput, OnnxNode, ValueId};

use super::source::{Source, short};
use super::{Format, StateDict};
use crate::error::Result;
use crate::file::protobuf::Fields;
use model::{unsound, walk};
use tensor::Tensors;

/// Reads the model that `source` is.
pub(super) fn open(source: &Source) -> Result<StateDict> {
    const OPERATOR_SET: u32 = 8;
    const INITIALIZER: u32 = 5;
    let mut graph = OnnxGraph::default();
    let mut dict = StateDict::of(Format::Onnx, source.path);
    let message = walk(source, Format::Onnx, &mut dict, |tag, message| match tag {
        OPERATOR_SET => graph.read_operator_set(source, message),
        _ => Ok(()),
    })?;
    let mut tensors = Tensors::new(source, &schema::ONNX);
    for field in Fields::of(&message) {
        match field.map_err(|what| unsound(source, Format::Onnx, what))? {
            (INITIALIZER, field) => tensors.add(&mut dict, &field, "")?,
            (tag, field) => graph.read(source, tag, &field)?,
        }
    }
    // A graph of operators may need no tensors.
    if dict.is_empty() && graph.nodes.is_empty() {
        return Err(tensors.none());
    }
    note_renamed(&mut dict);
    if !graph.nodes.is_empty() {
        let names: Vec<String> = dict.names().map(str::to_owned).collect();
        names.iter().try_for_each(|name| graph.link(source, name))?;
        dict.set_graph(graph);
    }
    Ok(dict)
}

/// Says so where the exporter gave tensors names of its own.
fn note_renamed(dict: &mut StateDict) {
    let made_up: Vec<&str> = dict.names().filter(|name| name.starts_with("onnx::")).collect();
    let (count, first) = (made_up.len(), made_up.first().map(|name| short(name)));
    let all = dict.len();
    if let Some(first) = first {
        dict.note(format!(
            "the exporter renamed {count} of {all} tensors (`{first}`): it had folded batch normalisation into \
             convolutions or transposed weights, so they fit the graph in the file and no network by name"
        ));
    }
}
