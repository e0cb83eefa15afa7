//! Makes a network of the graph that an ONNX file holds beside its tensors.
//!
//! `trace` follows the nodes: `operators` says what each becomes, `constant` computes what is known beforehand, and
//! `layout` where an image lies in the tensors that nodes only move about. What is left are `steps`; `patterns` makes
//! one of several where exporters write one operator in parts, and `lower` writes the graph.

mod call;
mod constant;
mod layout;
mod lower;
mod operators;
mod patterns;
mod steps;
mod trace;

use crate::checkpoint::{OnnxGraph, OnnxInput, StateDict};
use crate::error::{Error, Result};
use crate::graph::Shape;
use crate::zoo::{Network, image_of};
use layout::{Layout, Side};
use std::path::Path;
use steps::Steps;
use trace::{Trace, View, short};

/// The oldest operators that are read; before, shapes were told otherwise.
const OLDEST_OPSET: u64 = 7;

/// The side of an image whose size the file leaves free.
const USUAL_SIDE: usize = 224;

/// Whether `state` comes with a graph of its own, which [`network`] makes a network of.
pub fn has_graph(state: &StateDict) -> bool {
    state.graph().is_some()
}

/// The network that the graph in `state` describes, and its parameters: under the file's names, in the shapes that the
/// network wants.
///
/// A softmax at the end is left out, so that the network gives logits as all others do. Sizes that follow from the
/// image's, as paddings of `auto_pad` do, are those for the size in the file.
///
/// # Errors
/// [`Error::Checkpoint`] that lists all nodes which cannot be imported, or says what the graph lacks;
/// [`Error::Usage`] where there is no graph.
pub fn network(state: &StateDict) -> Result<(Network, StateDict)> {
    let Some(graph) = state.graph() else {
        return Err(Error::Usage(format!("{}: it holds no graph to import", state.origin().display())));
    };
    import(graph, state).map_err(|reason| Error::checkpoint(state.origin(), reason))
}

fn import(graph: &OnnxGraph, state: &StateDict) -> Result<(Network, StateDict), String> {
    if graph.opset < OLDEST_OPSET {
        let found = graph.opset;
        return Err(format!("it is of opset {found}, and those from {OLDEST_OPSET} on are read; export it anew"));
    }
    let mut inputs = graph.inputs.iter().filter(|input| !graph.tensors.contains_key(&input.value));
    let (Some(input), None) = (inputs.next(), inputs.next()) else {
        return Err("its graph has not one input, which would be the image".into());
    };
    let &[output] = graph.outputs.as_slice() else {
        return Err(format!("its graph has {} outputs, and a classifier has one", graph.outputs.len()));
    };
    let Image { shape, batch, sides } = image(input)?;
    let bytes = state.iter().map(|(_, tensor)| tensor.bytes().len() as u64).sum();
    let memory = constant::Memory::beside(bytes);
    let mut trace = Trace { steps: Steps::new(shape), batch, memory };
    let layout = Layout::new(&sides, batch, shape);
    // Numbers in a row are those of an image in its order.
    let layout =
        if sides.len() == 2 { Layout::image(batch, shape).reshape(&[batch, shape.elements()]) } else { Some(layout) };
    let layout = layout.ok_or("its input cannot be taken for an image")?;
    // The same checks that every step's output passes.
    steps::Kind::activation(crate::graph::Activation::Relu)
        .output_shape(&[shape])
        .map_err(|reason| format!("an input of {shape} is too large: {reason}"))?;
    let output = trace::trace(graph, state, &mut trace, (input.value, View { source: 0, layout }), output)?;
    let output = trace.straight(&output, &"the output".into())?;
    if trace.shape(&output).pixels() != 1 {
        return Err(format!("its output of {} is no list of classes", trace.shape(&output)));
    }
    let Trace { mut steps, mut memory, .. } = trace;
    let output = patterns::simplify(&mut steps, output.source);
    let (graph_of_network, mut parameters) = lower::lower(&steps, output, &mut memory)?;
    unused(graph, state, &mut parameters);
    let name = state.path().and_then(Path::file_stem).map_or("onnx".into(), |stem| stem.to_string_lossy());
    let name = short(&name);
    Ok((Network::new(name, graph_of_network, shape), parameters.at_origin_of(state)))
}

/// Hands on the tensors that no node reads, so that loading reports them.
fn unused(graph: &OnnxGraph, state: &StateDict, parameters: &mut StateDict) {
    let read: std::collections::HashSet<usize> =
        graph.nodes.iter().flat_map(|node| node.inputs.iter().flatten().copied()).collect();
    for (value, name) in &graph.tensors {
        if let (false, false, Some(tensor)) = (read.contains(value), parameters.contains(name), state.get(name)) {
            parameters.insert(name.clone(), tensor.clone());
        }
    }
}

/// What the graph takes.
struct Image {
    shape: Shape,
    batch: usize,
    /// What each axis of the tensor is.
    sides: Vec<Side>,
}

/// Tells channels first from channels last, and a free batch from a fixed one.
fn image(input: &OnnxInput) -> Result<Image, String> {
    let colours = |size: Option<usize>| matches!(size, Some(1 | 3));
    let shape = input.shape.as_deref().unwrap_or_default();
    let pixels = |size: Option<usize>| size.unwrap_or(USUAL_SIDE);
    let batch = shape.first().copied().flatten().unwrap_or(1);
    let (shape, sides) = match *shape {
        [_, rows, columns, Some(channels)] if !colours(shape[1]) && colours(Some(channels)) => {
            let sides = vec![Side::Batch, Side::Rows, Side::Columns, Side::Channels];
            (Shape::new(channels, pixels(rows), pixels(columns)), sides)
        }
        [_, Some(channels), rows, columns] => {
            let sides = vec![Side::Batch, Side::Channels, Side::Rows, Side::Columns];
            (Shape::new(channels, pixels(rows), pixels(columns)), sides)
        }
        [_, Some(rows), Some(columns)] => (Shape::new(1, rows, columns), vec![Side::Batch, Side::Rows, Side::Columns]),
        [_, Some(features)] => (image_of(features), vec![Side::Batch, Side::Channels]),
        _ => {
            let text: Vec<String> = shape.iter().map(|size| size.map_or("?".into(), |size| size.to_string())).collect();
            return Err(format!(
                "its input of shape [{}] is no batch of images whose channels are known",
                text.join(", ")
            ));
        }
    };
    if [shape.channels, shape.height, shape.width, batch].into_iter().any(|size| size > 1 << 20) {
        return Err(format!("its input of {shape} in a batch of {batch} is too large"));
    }
    Ok(Image { shape, batch, sides })
}
