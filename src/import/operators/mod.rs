//! What each of ONNX's operators becomes: <https://onnx.ai/onnx/operators/>, as opset 7 and later have them.

mod arithmetic;
mod known;
mod layers;
mod moves;
mod pieces;
mod windows;

use super::call::Call;
pub use arithmetic::within;

use super::traced::{Made, Trace};
use crate::checkpoint::{OnnxAttribute, OnnxNode};

type Operator = fn(&mut Trace, &Call) -> Made;

/// Every operator that is supported, but for those that the table of activations has.
const OPERATORS: [(&str, Operator); 43] = [
    ("Add", arithmetic::add),
    ("AveragePool", windows::average_pool),
    ("BatchNormalization", layers::batch_normalization),
    ("Cast", moves::cast),
    ("Ceil", known::ceil),
    ("Clip", arithmetic::clip),
    ("Concat", pieces::concat),
    ("Constant", known::constant),
    ("ConstantOfShape", known::constant_of_shape),
    ("Conv", windows::conv),
    ("Div", arithmetic::div),
    ("Dropout", moves::dropout),
    ("Equal", known::equal),
    ("Expand", known::expand),
    ("Flatten", moves::flatten),
    ("Floor", known::floor),
    ("Gather", pieces::gather),
    ("Gemm", layers::gemm),
    ("GlobalAveragePool", windows::global_average_pool),
    ("GlobalMaxPool", windows::global_max_pool),
    ("Identity", moves::identity),
    ("Log", layers::log),
    ("LogSoftmax", layers::log_softmax),
    ("MatMul", layers::mat_mul),
    ("Max", arithmetic::max),
    ("MaxPool", windows::max_pool),
    ("Min", arithmetic::min),
    ("Mul", arithmetic::mul),
    ("Neg", arithmetic::neg),
    ("Pad", windows::pad),
    ("ReduceMax", windows::reduce_max),
    ("ReduceMean", windows::reduce_mean),
    ("Reshape", moves::reshape),
    ("Shape", known::shape),
    ("Size", known::size),
    ("Slice", pieces::slice),
    ("Softmax", layers::softmax),
    ("Split", pieces::split),
    ("Squeeze", moves::squeeze),
    ("Sub", arithmetic::sub),
    ("Transpose", moves::transpose),
    ("Unsqueeze", moves::unsqueeze),
    ("Where", known::where_),
];

fn find(node: &OnnxNode) -> Option<Operator> {
    if !matches!(node.domain.as_str(), "" | "ai.onnx") {
        return None;
    }
    let listed = OPERATORS.iter().find(|(name, _)| *name == node.op).map(|(_, operator)| *operator);
    listed.or_else(|| arithmetic::is_activation(&node.op).then_some(arithmetic::activation))
}

/// Whether the node's operator is supported at all.
pub fn known(node: &OnnxNode) -> bool {
    find(node).is_some()
}

/// Whether the node only moves numbers about, so that it does the same to integers as to floats; or casts them.
pub fn moves(node: &OnnxNode) -> bool {
    const MOVES: [&str; 13] = [
        "Cast",
        "Concat",
        "Flatten",
        "Gather",
        "Identity",
        "Reshape",
        "Shape",
        "Size",
        "Slice",
        "Split",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
    ];
    MOVES.contains(&node.op.as_str())
}

/// Whether the node, a Cast, makes floats.
pub fn makes_floats(node: &OnnxNode) -> bool {
    node.attributes
        .iter()
        .any(|(name, value)| name == "to" && matches!(value, OnnxAttribute::Int(to) if moves::is_float(*to)))
}

/// Traces one node.
pub fn apply(trace: &mut Trace, call: &Call) -> Made {
    match find(call.node) {
        Some(operator) => operator(trace, call),
        None => Err("this operator is not supported".into()),
    }
}
