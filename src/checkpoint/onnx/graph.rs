//! The operators of an ONNX file as inert data: what the file says, with nothing made of it.

use crate::tensor::Tensor;
use indexmap::{IndexMap, IndexSet};

/// The place of a value in [`OnnxGraph::names`].
pub(crate) type ValueId = usize;

/// A graph of operators. Values are numbered, because most of a file's text is their names.
#[derive(Debug, Clone, Default)]
pub(crate) struct OnnxGraph {
    /// The version of ONNX's own operators; 0 where the file does not say.
    pub opset: u64,
    /// Whose operators it uses besides ONNX's own.
    pub domains: Vec<String>,
    /// In the file's order.
    pub nodes: Vec<OnnxNode>,
    /// What the graph takes; older files list the initializers too.
    pub inputs: Vec<OnnxInput>,
    /// What the graph gives.
    pub outputs: Vec<ValueId>,
    /// The names of the initializers in the state dict, which follow when it is renamed.
    pub tensors: IndexMap<ValueId, String>,
    names: IndexSet<String>,
}

/// An input of the graph.
#[derive(Debug, Clone)]
pub(crate) struct OnnxInput {
    pub value: ValueId,
    /// `None` for a dimension that is free; no shape at all where the file gives none.
    pub shape: Option<Vec<Option<usize>>>,
    /// Of what its elements are, a number of `TensorProto.DataType`; 0 where the file does not say.
    pub elements: u64,
}

/// An operator applied to values.
#[derive(Debug, Clone, Default)]
pub(crate) struct OnnxNode {
    pub name: String,
    pub op: String,
    /// Whose operator it is; empty for ONNX's own.
    pub domain: String,
    /// `None` for an optional input that is left out.
    pub inputs: Vec<Option<ValueId>>,
    /// Likewise.
    pub outputs: Vec<Option<ValueId>>,
    pub attributes: Vec<(String, OnnxAttribute)>,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum OnnxAttribute {
    Int(i64),
    Float(f32),
    Text(String),
    Ints(Vec<i64>),
    Floats(Vec<f32>),
    Tensor(Tensor),
    /// A subgraph, or a tensor of a kind that is not read.
    Other,
}

impl OnnxGraph {
    /// What the file calls a value.
    pub fn name(&self, value: ValueId) -> &str {
        self.names.get_index(value).map_or("", String::as_str)
    }

    /// What to call a node: its own name, or else that of the first value that it makes.
    pub fn node_name<'g>(&'g self, node: &'g OnnxNode) -> &'g str {
        let first = || node.outputs.iter().flatten().next().map_or("", |&value| self.name(value));
        if node.name.is_empty() { first() } else { &node.name }
    }

    /// How many values there are.
    pub fn value_count(&self) -> usize {
        self.names.len()
    }

    /// Gives the initializers the names that they have after renaming.
    pub(in crate::checkpoint) fn rename(&mut self, mut rename: impl FnMut(&str) -> String) {
        self.tensors.values_mut().for_each(|name| *name = rename(name));
    }

    /// The number of the value called `name`, if there is one.
    pub(super) fn find(&self, name: &str) -> Option<ValueId> {
        self.names.get_index_of(name)
    }

    /// The number of the value called `name`, which there is from now on.
    pub(super) fn add(&mut self, name: &str) -> ValueId {
        self.names.insert_full(name.to_owned()).0
    }
}
