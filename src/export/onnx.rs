//! Writes the steps of a network as an ONNX model of operator set 17.
//!
//! Messages and their tags are those of onnx.proto in onnx/onnx, operators those of its Operators.md.

use super::lower::Dialect;
use super::lowered::{Edge, Kind, Lowered, Step};
use crate::file::protobuf::Message;
use crate::graph::{Padding, Window};
use indexmap::IndexMap;
use std::borrow::Cow;

/// The version of the format that came with the operator set.
const IR_VERSION: i64 = 8;
const OPERATOR_SET: i64 = 17;

pub(super) const DIALECT: Dialect = Dialect { padded_pools: true, operator: |activation| activation.row().onnx };

/// What the free number of images is called.
const BATCH: &str = "batch";

/// Of `TensorProto.DataType`.
const FLOAT: i64 = 1;
const INT64: i64 = 7;

/// The whole model, a `ModelProto`.
pub(super) fn model<'m>(network: &str, mut lowered: Lowered<'m>, metadata: &IndexMap<String, String>) -> Message<'m> {
    let mut graph = Message::new();
    for constant in std::mem::take(&mut lowered.constants) {
        let name = lowered.name(constant.edge);
        graph = graph.message(1, constant_node(name, tensor(lowered.dims(constant.edge), constant.values)));
    }
    for step in std::mem::take(&mut lowered.steps) {
        graph = add(graph, step, &mut lowered);
    }
    let parameters = std::mem::take(&mut lowered.parameters);
    let initializers =
        parameters.into_iter().map(|p| tensor(lowered.dims(p.edge), p.values).text(8, lowered.name(p.edge)));
    let graph = graph
        .text(2, network)
        .messages(5, initializers)
        .message(11, value_info(&lowered, lowered.input))
        .message(12, value_info(&lowered, lowered.output));
    let entry = |(key, value): (&String, &String)| Message::new().text(1, key).text(2, value);
    Message::new()
        .number(1, IR_VERSION)
        .text(2, env!("CARGO_PKG_NAME"))
        .text(3, env!("CARGO_PKG_VERSION"))
        .message(7, graph)
        .message(8, Message::new().text(1, "").number(2, OPERATOR_SET))
        .messages(14, metadata.iter().map(entry))
}

/// `graph`, a `GraphProto` that so far has nodes alone, with those of `step`.
fn add<'m>(mut graph: Message<'m>, step: Step, lowered: &mut Lowered) -> Message<'m> {
    let Step { name, kind, inputs, outputs } = step;
    let mut inputs: Vec<String> = inputs.into_iter().map(|edge| lowered.name(edge).to_owned()).collect();
    let dims = outputs.first().map(|edge| lowered.dims(*edge).to_vec()).unwrap_or_default();
    // An operand that is no value, by a node of its own.
    let mut constant = |what: &str, tensor: Message<'m>| {
        let operand = lowered.fresh(&format!("{name}:{what}"));
        graph = std::mem::take(&mut graph).message(1, constant_node(&operand, tensor));
        inputs.push(operand);
    };
    let (operator, attributes) = match kind {
        Kind::Conv { window, groups } => (
            "Conv",
            [kernel(&window), vec![dilations(&window), int("group", groups as i64)]].into_iter().flatten().collect(),
        ),
        Kind::BatchNorm { eps } => ("BatchNormalization", vec![float("epsilon", eps)]),
        Kind::Activation(activation, operator) => {
            let settings = activation.settings();
            for (name, value) in operator.inputs.iter().zip(settings) {
                constant(name, tensor(&[], Cow::Owned(vec![value])));
            }
            let attributes = operator.attributes.iter().zip(settings);
            (operator.name, attributes.map(|((name, _), value)| float(name, value)).collect())
        }
        Kind::Pad { padding, value } => {
            let Padding { top, left, bottom, right } = padding;
            constant("pads", sizes(&[0, 0, top, left, 0, 0, bottom, right]));
            constant("value", tensor(&[], Cow::Owned(vec![value])));
            ("Pad", vec![])
        }
        Kind::MaxPool(window) => {
            ("MaxPool", [kernel(&window), vec![dilations(&window)]].into_iter().flatten().collect())
        }
        Kind::AvgPool { window, count_include_pad } => {
            let count = int("count_include_pad", count_include_pad.into());
            ("AveragePool", [kernel(&window), vec![count]].into_iter().flatten().collect())
        }
        Kind::Add => ("Add", vec![]),
        Kind::Mul => ("Mul", vec![]),
        Kind::Split => {
            // The sizes may be left out, and some converters do not expect that.
            constant("split", sizes(&vec![dims.first().copied().unwrap_or(1); outputs.len()]));
            ("Split", vec![int("axis", 1)])
        }
        Kind::Slice { start, end } => {
            constant("starts", sizes(&[start]));
            constant("ends", sizes(&[end]));
            constant("axes", sizes(&[1]));
            ("Slice", vec![])
        }
        Kind::Concat => ("Concat", vec![int("axis", 1)]),
        Kind::Reshape => {
            // Zero is the size that is there.
            constant("shape", sizes(&[&[0], &dims[..]].concat()));
            ("Reshape", vec![])
        }
        Kind::Swap => ("Transpose", vec![ints("perm", [0, 2, 1].into_iter().chain(3..dims.len() as i64 + 1))]),
        Kind::Mean => ("GlobalAveragePool", vec![]),
        Kind::Softmax => ("Softmax", vec![int("axis", 1)]),
        Kind::LogSoftmax => ("LogSoftmax", vec![int("axis", 1)]),
        Kind::Flatten => ("Flatten", vec![int("axis", 1)]),
        Kind::Linear => ("Gemm", vec![int("transB", 1)]),
    };
    let outputs: Vec<&str> = outputs.iter().map(|edge| lowered.name(*edge)).collect();
    graph.message(1, node(&name, operator, &inputs, &outputs, attributes))
}

/// A `NodeProto`.
fn node<'m>(
    name: &str,
    operator: &str,
    inputs: &[String],
    outputs: &[&str],
    attributes: Vec<Message<'m>>,
) -> Message<'m> {
    let node = inputs.iter().fold(Message::new(), |node, input| node.text(1, input));
    let node = outputs.iter().fold(node, |node, output| node.text(2, output));
    node.text(3, name).text(4, operator).messages(5, attributes)
}

fn constant_node<'m>(name: &str, tensor: Message<'m>) -> Message<'m> {
    let value = Message::new().text(1, "value").message(5, tensor).number(20, 4);
    node(name, "Constant", &[], &[name], vec![value])
}

/// A `TensorProto` of floats, without a name.
fn tensor<'m>(dims: &[usize], values: Cow<'m, [f32]>) -> Message<'m> {
    dims.iter().fold(Message::new(), |tensor, &dim| tensor.size(1, dim)).number(2, FLOAT).floats(9, values)
}

/// A `TensorProto` of integers in a row.
fn sizes<'m>(values: &[usize]) -> Message<'m> {
    let tensor = Message::new().size(1, values.len()).number(2, INT64);
    values.iter().fold(tensor, |tensor, &value| tensor.size(7, value))
}

/// A `ValueInfoProto`: name, element type and shape, of which the batch is free.
fn value_info<'m>(lowered: &Lowered, edge: Edge) -> Message<'m> {
    let batch = Message::new().text(2, BATCH);
    let dims = lowered.dims(edge).iter().map(|&dim| Message::new().size(1, dim));
    let shape = Message::new().messages(1, [batch].into_iter().chain(dims));
    let tensor = Message::new().number(1, FLOAT).message(2, shape);
    Message::new().text(1, lowered.name(edge)).message(2, Message::new().message(1, tensor))
}

/// The attributes that convolutions and pools share.
fn kernel<'m>(window: &Window) -> Vec<Message<'m>> {
    let Padding { top, left, bottom, right } = window.padding;
    vec![
        ints("kernel_shape", window.kernel.map(|n| n as i64)),
        ints("strides", window.stride.map(|n| n as i64)),
        ints("pads", [top, left, bottom, right].map(|n| n as i64)),
    ]
}

fn dilations<'m>(window: &Window) -> Message<'m> {
    ints("dilations", window.dilation.map(|n| n as i64))
}

/// `AttributeProto`s, each with its type.
fn int<'m>(name: &str, value: i64) -> Message<'m> {
    Message::new().text(1, name).number(3, value).number(20, 2)
}

fn float<'m>(name: &str, value: f32) -> Message<'m> {
    Message::new().text(1, name).float(2, value).number(20, 1)
}

fn ints<'m>(name: &str, values: impl IntoIterator<Item = i64>) -> Message<'m> {
    values.into_iter().fold(Message::new().text(1, name), |attribute, value| attribute.number(8, value)).number(20, 7)
}
