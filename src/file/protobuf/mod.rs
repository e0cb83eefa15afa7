//! Protobuf messages: walked field by field, and built piece by piece.

mod reader;
mod writer;

pub(crate) use reader::{Field, Fields, varint};
pub(crate) use writer::Message;
