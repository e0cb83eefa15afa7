//! The messages of mind_ir.proto that nodes and values are made of.

use crate::file::protobuf::Message;
use std::borrow::Cow;

/// Of `TensorProto.DataType`.
const FLOAT: i64 = 1;

/// A size that is not known before the network runs: that of the batch.
pub(super) const FREE: i64 = -1;

/// A constant or an attribute.
pub(super) enum Value<'m> {
    Int(i64),
    Bool(bool),
    Float(f32),
    Text(&'static str),
    Ints(Vec<i64>),
    /// Of these dimensions.
    Tensor(Vec<usize>, Cow<'m, [f32]>),
}

impl<'m> Value<'m> {
    pub fn sizes(sizes: &[usize]) -> Self {
        Self::Ints(sizes.iter().map(|&size| size as i64).collect())
    }

    /// An `AttributeProto` without a name: the value, and the number of its type.
    pub fn attribute(self) -> Message<'m> {
        let message = Message::new();
        match self {
            Self::Int(value) => message.number(3, value).number(16, 7),
            Self::Bool(value) => message.number(3, value.into()).number(16, 9),
            Self::Float(value) => message.float(2, value).number(16, 1),
            Self::Text(value) => message.text(5, value).number(16, 8),
            Self::Ints(values) => {
                let element = |value: i64| Message::new().number(10, value).number(16, 7);
                message.number(16, 20).messages(17, values.into_iter().map(element))
            }
            Self::Tensor(dims, values) => {
                // It is taken for no tensor without a name.
                message.message(12, tensor(&dims).text(7, "value").floats(9, values)).number(16, 19)
            }
        }
    }
}

/// Of `PrimitiveProto.PrimType`.
pub(super) const WITH_ATTRIBUTES: i64 = 1;
pub(super) const FUNCTION: i64 = 2;

/// A `PrimitiveProto` without attributes.
pub(super) fn primitive<'m>(name: &str, operator: &str, kind: i64) -> Message<'m> {
    Message::new().text(1, name).text(2, operator).text(4, "").number(5, kind)
}

/// A `TensorProto` of floats without its numbers.
pub(super) fn tensor<'m>(dims: &[usize]) -> Message<'m> {
    dims.iter().fold(Message::new(), |tensor, &dim| tensor.size(1, dim)).number(2, FLOAT)
}

/// The same of values with so many dimensions beside the batch's.
pub(super) fn batch_of<'m>(dims: &[usize]) -> Message<'m> {
    dims.iter().fold(Message::new().number(1, FREE), |tensor, &dim| tensor.size(1, dim)).number(2, FLOAT)
}
