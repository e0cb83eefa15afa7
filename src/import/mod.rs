//! Makes a network of the graph that an ONNX file holds beside its tensors.
//!
//! `image` finds out what the graph takes, `order` puts its nodes in order, and `trace` follows them: `operators` says
//! what each becomes, `constant` computes what is known beforehand, and `layout` where an image lies in the tensors that
//! nodes only move about. What is left are `steps`; `patterns` makes one of several where exporters write one operator
//! in parts, `flat` refuses what no device computes of a flattened image, and `lower` writes the graph.

mod call;
mod constant;
mod flat;
mod image;
mod layout;
mod lower;
mod memory;
mod operators;
mod options;
mod order;
mod patterns;
mod prepared;
mod steps;
mod text;
mod trace;
mod traced;

pub use options::ImportOptions;

use crate::checkpoint::{OnnxGraph, OnnxInput, StateDict, ValueId};
use crate::error::{Error, Result};
use crate::zoo::Network;
use image::{Image, image};
use layout::Layout;
use order::Order;
use prepared::Range;
use std::path::Path;
use steps::Steps;
use text::short;
use traced::{Trace, View};

/// The oldest operators that are read; before, shapes were told otherwise.
const OLDEST_OPSET: u64 = 7;

/// Whether `state` comes with a graph of its own, which [`network`] makes a network of.
pub fn has_graph(state: &StateDict) -> bool {
    state.graph().is_some()
}

/// The names of all outputs of the graph in `state`; none where there is no graph.
pub fn outputs(state: &StateDict) -> Vec<&str> {
    let graph = state.graph();
    graph.map_or_else(Vec::new, |graph| graph.outputs.iter().map(|&output| graph.name(output)).collect())
}

/// Whether the graph in `state` leaves the height and the width of its images free.
pub fn leaves_size_free(state: &StateDict) -> bool {
    let free = |input: &OnnxInput| match input.shape.as_deref() {
        None | Some([]) => true,
        // Whichever axis is that of the channels.
        Some([_, sizes @ ..]) => sizes.len() == 3 && sizes.iter().filter(|size| size.is_none()).count() >= 2,
    };
    state
        .graph()
        .is_some_and(|graph| graph.inputs.iter().any(|input| !graph.tensors.contains_key(&input.value) && free(input)))
}

/// The network that the graph in `state` describes, and its parameters: as [`network_with`], with the sizes that are in
/// the file and its only output.
///
/// # Errors
/// As [`network_with`].
pub fn network(state: &StateDict) -> Result<(Network, StateDict)> {
    network_with(state, &ImportOptions::default())
}

/// The network that the graph in `state` describes, and its parameters: under the file's names, in the shapes that the
/// network wants.
///
/// A softmax or log-softmax at the end is left out of the graph, so that it gives logits as all others do; the network's
/// [head](Network::head) says so. The network takes images of one size alone ([`Graph::only_input`](crate::graph::Graph::only_input)), because paddings, pools and shapes in a graph
/// may follow from it; where the file leaves the size free, import it again for another.
///
/// # Errors
/// [`Error::Checkpoint`] that lists all nodes which cannot be imported, or says what the graph lacks, or that its file
/// fixes another size than the one that is asked for; [`Error::Usage`] where there is no graph.
pub fn network_with(state: &StateDict, options: &ImportOptions) -> Result<(Network, StateDict)> {
    let Some(graph) = state.graph() else {
        return Err(Error::Usage(format!("{}: it holds no graph to import", state.origin().display())));
    };
    import(graph, state, options).map_err(|reason| Error::unknown_network(state.origin(), reason))
}

fn import(graph: &OnnxGraph, state: &StateDict, options: &ImportOptions) -> Result<(Network, StateDict), String> {
    check_opset(graph)?;
    let output = output(graph, options)?;
    let order = order::order(graph, output)?;
    let input = input(graph, &order)?;
    let mut reasons = Vec::new();
    for reading in image::readings(graph, state, &order.nodes, input) {
        match image(graph, input, reading, options).and_then(|image| read(graph, state, &order, input, image, output)) {
            Ok(found) => return Ok(found),
            Err(reason) => reasons.push(reason),
        }
    }
    // The likeliest reading has the reason that helps.
    Err(reasons.into_iter().next().unwrap_or_default())
}

/// The network that the nodes make of `image`, which is how the input is read.
fn read(
    graph: &OnnxGraph,
    state: &StateDict,
    order: &Order,
    input: &OnnxInput,
    image: Image,
    output: ValueId,
) -> Result<(Network, StateDict), String> {
    let Image { shape, batch, sides, integers, note } = image;
    let bytes = state.iter().map(|(_, tensor)| tensor.bytes().len() as u64).sum();
    let memory = memory::Memory::beside(bytes);
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
    let seen = trace::Input { value: input.value, view: View { source: 0, layout }, integers };
    let output = trace::trace(graph, state, &mut trace, order, seen, output);
    let free = |reason: String| match &note {
        Some(note) => format!("{reason}\n  ({note})"),
        None => reason,
    };
    let output = output.and_then(|output| trace.straight(&output, &"the output".into())).map_err(free)?;
    if trace.shape(&output).pixels() != 1 {
        return Err(free(format!("its output of {} is not a list of classes", trace.shape(&output))));
    }
    let Trace { mut steps, mut memory, .. } = trace;
    let range = if integers { Some(Range::Levels) } else { prepared::range(&steps) };
    let (output, head) = patterns::simplify(&mut steps, output.source, &mut memory);
    flat::check(&steps, output)?;
    let (graph_of_network, mut parameters) = lower::lower(&steps, output, &mut memory)?;
    unused(graph, state, &mut parameters);
    let name = state.path().and_then(Path::file_stem).map_or("onnx".into(), |stem| stem.to_string_lossy());
    let mut network = Network::new(short(&name), graph_of_network, shape);
    network.head = head.unwrap_or(network.head);
    network.notes.extend(note);
    if let Some(range) = range {
        network.preset = Some(range.preset());
        let numbers = if range == Range::Levels { "levels of 0 to 255" } else { "numbers of 0 to 1" };
        let why = match integers {
            true => "the graph in the file takes integers",
            false => "the graph in the file begins with a normalisation of its own",
        };
        network.notes.push(format!("{why}, so it is given {numbers} that are not normalised before"));
    }
    Ok((network, parameters.at_origin_of(state)))
}

/// Refuses operators that are too old, or not ONNX's own.
fn check_opset(graph: &OnnxGraph) -> Result<(), String> {
    match (graph.opset, graph.domains.as_slice()) {
        (OLDEST_OPSET.., _) => Ok(()),
        (0, []) => Err("it does not say of which operator set it is; is it damaged?".into()),
        (0, [domain, ..]) => Err(format!(
            "its operators are those of {}, not of ONNX itself, which alone are read: it is not a network of layers",
            short(domain)
        )),
        (found, _) => Err(format!("it is of opset {found}, and those from {OLDEST_OPSET} on are read; export it anew")),
    }
}

/// The output that is asked for, or else the only one.
fn output(graph: &OnnxGraph, options: &ImportOptions) -> Result<ValueId, String> {
    let names = || listed(graph, graph.outputs.iter().copied());
    match (&options.output, graph.outputs.as_slice()) {
        (_, []) => Err("its graph has no output".into()),
        (Some(wanted), outputs) => {
            let found = outputs.iter().find(|&&output| graph.name(output) == wanted);
            found.copied().ok_or_else(|| format!("its graph has no output `{}`; it has {}", short(wanted), names()))
        }
        (None, &[output]) => Ok(output),
        (None, outputs) => {
            Err(format!("its graph has {} outputs, of which one is to be chosen: {}", outputs.len(), names()))
        }
    }
}

/// The only input that is not a tensor of the file and that the nodes read.
fn input<'g>(graph: &'g OnnxGraph, order: &Order) -> Result<&'g OnnxInput, String> {
    let all: Vec<&OnnxInput> = graph.inputs.iter().filter(|input| !graph.tensors.contains_key(&input.value)).collect();
    let read: Vec<&OnnxInput> = all.iter().copied().filter(|input| order.read[input.value]).collect();
    // Where none is read, the nodes tell why.
    match if read.is_empty() { all } else { read }.as_slice() {
        [input] => Ok(input),
        [] => Err("it has no input, which would be the image".into()),
        several => {
            let names = listed(graph, several.iter().map(|input| input.value));
            Err(format!("expected exactly one input, the image, and found {}: {names}", several.len()))
        }
    }
}

/// Names in a row, as many as a reader reads.
fn listed(graph: &OnnxGraph, values: impl ExactSizeIterator<Item = ValueId>) -> String {
    const MOST: usize = 50;
    let more = values.len().saturating_sub(MOST);
    let names: Vec<String> = values.take(MOST).map(|value| format!("`{}`", short(graph.name(value)))).collect();
    if more > 0 { format!("{} and {more} more", names.join(", ")) } else { names.join(", ") }
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
