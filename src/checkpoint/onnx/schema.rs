//! The numbers of the fields by which a tensor is described, which differ between ONNX and MindIR.

use crate::checkpoint::Format;

/// The numbers of a tensor's fields that are read, in one of the two formats.
pub(in crate::checkpoint) struct Schema {
    pub format: Format,
    /// Dimensions are 1 and the element type is 2 in both.
    pub name: u32,
    pub raw: u32,
    pub floats: u32,
    pub ints: u32,
    pub longs: u32,
    pub doubles: u32,
    pub unsigned: u32,
    pub external: u32,
    /// Fields that say, where they are there and not 0, that the data is not simply that; and in which words.
    pub special: [(u32, &'static str); 2],
}

/// `TensorProto` of onnx.proto3.
pub(super) const ONNX: Schema = Schema {
    format: Format::Onnx,
    name: 8,
    raw: 9,
    floats: 4,
    ints: 5,
    longs: 7,
    doubles: 10,
    unsigned: 11,
    external: 13,
    special: [(3, "it is one segment of several"), (14, EXTERNAL)],
};

/// Why data in another file is not read, where the file does not lead to it.
pub(super) const EXTERNAL: &str = "its data lies in another file, and it does not say in which, or is of a format that has none; \
                        export the model into one file (onnx.save(onnx.load(path), other_path) gathers it)";
