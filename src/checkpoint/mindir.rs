//! Reads the parameters of a graph that MindSpore exported.
//!
//! Format: mind_ir.proto of mindspore, whose `TensorProto` has the fields of ONNX's under other numbers.

use super::onnx::model::{unsound, walk};
use super::onnx::schema::Schema;
use super::onnx::tensor::Tensors;
use super::source::{Source, short};
use super::{Format, StateDict};
use crate::error::Result;
use crate::file::protobuf::Fields;

const MINDIR: Schema = Schema {
    format: Format::MindIr,
    name: 7,
    raw: 9,
    floats: 3,
    ints: 4,
    longs: 6,
    doubles: 10,
    unsigned: 11,
    external: 12,
    special: [(14, "its data is compressed"), (15, "its data is quantized")],
};

/// Reads the graph that `source` is. Names lose the graph's own before the colon.
pub(super) fn open(source: &Source) -> Result<StateDict> {
    const NAME: u32 = 2;
    const PARAMETER: u32 = 3;
    let mut dict = StateDict::of(Format::MindIr, source.path);
    let message = walk(source, Format::MindIr, &mut dict, |_, _| Ok(()))?;
    let mut prefix = String::new();
    let mut tensors = Tensors::new(source, &MINDIR);
    for field in Fields::of(&message) {
        match field.map_err(|what| unsound(source, Format::MindIr, what))? {
            (NAME, field) => prefix = field.text().map(|name| format!("{}:", short(name))).unwrap_or_default(),
            (PARAMETER, field) => tensors.add(&mut dict, &field, &prefix)?,
            _ => {}
        }
    }
    if dict.is_empty() { Err(tensors.none()) } else { Ok(dict) }
}
