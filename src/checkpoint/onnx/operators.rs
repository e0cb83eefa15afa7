//! Reads the operators of an ONNX file.
//!
//! Format: `GraphProto`, `NodeProto` and `AttributeProto` of onnx.proto3 of onnx/onnx.

use super::graph::{OnnxAttribute, OnnxGraph, OnnxInput, OnnxNode, ValueId};
use super::model::{keep, text, unsound};
use super::schema::ONNX;
use super::tensor::described;
use crate::checkpoint::Format;
use crate::checkpoint::source::Source;
use crate::error::{Error, Result};
use crate::file::protobuf::{Field, Fields, varint};
use bytes::Bytes;

impl OnnxGraph {
    /// Reads one field of `GraphProto`; those that say nothing of operators are passed over.
    pub(super) fn read(&mut self, source: &Source, tag: u32, field: &Field) -> Result<()> {
        const NODE: u32 = 1;
        const INPUT: u32 = 11;
        const OUTPUT: u32 = 12;
        let (NODE | INPUT | OUTPUT, Field::Bytes(message)) = (tag, field) else { return Ok(()) };
        match tag {
            NODE => {
                // With what it takes to follow it, several times over: a network has some thousands.
                keep(source, 4096)?;
                let node = self.node(source, message)?;
                self.nodes.push(node);
            }
            tag => {
                keep(source, 64)?;
                let ValueInfo { name, shape, elements } = value_info(source, message)?;
                let value = self.value(source, &name)?;
                match tag {
                    INPUT => self.inputs.push(OnnxInput { value, shape, elements }),
                    _ => self.outputs.push(value),
                }
            }
        }
        Ok(())
    }

    fn node(&mut self, source: &Source, message: &Bytes) -> Result<OnnxNode> {
        let mut node = OnnxNode::default();
        for field in Fields::of(message) {
            match field.map_err(|what| unsound(source, Format::Onnx, what))? {
                (1, name) => {
                    keep(source, 16)?;
                    node.inputs.push(self.optional(source, &name)?);
                }
                (2, name) => {
                    keep(source, 16)?;
                    node.outputs.push(self.optional(source, &name)?);
                }
                (3, name) => node.name = text(source, &name)?,
                (4, op) => node.op = text(source, &op)?,
                (5, Field::Bytes(attribute)) => {
                    keep(source, 128)?;
                    node.attributes.push(self::attribute(source, &attribute)?);
                }
                (7, domain) => node.domain = text(source, &domain)?,
                _ => {}
            }
        }
        Ok(node)
    }

    /// Takes over what `message`, an `OperatorSetIdProto`, says of the version of ONNX's operators or of others'.
    pub(super) fn read_operator_set(&mut self, source: &Source, message: &Bytes) -> Result<()> {
        let (mut domain, mut version) = (String::new(), 0);
        for field in Fields::of(message) {
            match field.map_err(|what| unsound(source, Format::Onnx, what))? {
                (1, field) => domain = text(source, &field)?,
                (2, Field::Number(number)) => version = number,
                _ => {}
            }
        }
        match domain.as_str() {
            "" | "ai.onnx" => self.opset = version,
            _ => {
                keep(source, 64)?;
                self.domains.push(domain);
            }
        }
        Ok(())
    }

    /// Links the value of a tensor's name to the tensor.
    pub(super) fn link(&mut self, source: &Source, name: &str) -> Result<()> {
        let value = self.value(source, name)?;
        self.tensors.insert(value, name.to_owned());
        Ok(())
    }

    /// The number of the value called `name`.
    fn value(&mut self, source: &Source, name: &str) -> Result<ValueId> {
        if let Some(value) = self.find(name) {
            return Ok(value);
        }
        keep(source, 128 + name.len())?;
        Ok(self.add(name))
    }

    /// The number of the value that a node names, where it names one.
    fn optional(&mut self, source: &Source, field: &Field) -> Result<Option<ValueId>> {
        match field.text().ok_or_else(|| unsound(source, Format::Onnx, "a value whose name is no text"))? {
            "" => Ok(None),
            name => self.value(source, name).map(Some),
        }
    }
}

/// What a `ValueInfoProto` says.
#[derive(Default)]
struct ValueInfo {
    name: String,
    shape: Option<Vec<Option<usize>>>,
    elements: u64,
}

/// Reads `message`, a `ValueInfoProto`.
fn value_info(source: &Source, message: &Bytes) -> Result<ValueInfo> {
    let mut info = ValueInfo::default();
    for field in Fields::of(message) {
        match field.map_err(|what| unsound(source, Format::Onnx, what))? {
            (1, field) => info.name = text(source, &field)?,
            (2, Field::Bytes(of_type)) => {
                // The type's tensor_type: the type of its elements, and its shape.
                let Some(tensor) = message_in(source, &of_type, 1)? else { continue };
                for field in Fields::of(&tensor) {
                    if let (1, Field::Number(elements)) = field.map_err(|what| unsound(source, Format::Onnx, what))? {
                        info.elements = elements;
                    }
                }
                let dimensions = message_in(source, &tensor, 2)?;
                info.shape = dimensions.map(|message| shape(source, &message)).transpose()?;
            }
            _ => {}
        }
    }
    Ok(info)
}

/// The last message under `tag` in `message`.
fn message_in(source: &Source, message: &Bytes, tag: u32) -> Result<Option<Bytes>> {
    let mut found = None;
    for field in Fields::of(message) {
        if let (t, Field::Bytes(bytes)) = field.map_err(|what| unsound(source, Format::Onnx, what))?
            && t == tag
        {
            found = Some(bytes);
        }
    }
    Ok(found)
}

/// The dimensions of `message`, a `TensorShapeProto`.
fn shape(source: &Source, message: &Bytes) -> Result<Vec<Option<usize>>> {
    let mut shape = Vec::new();
    for field in Fields::of(message) {
        if let (1, Field::Bytes(dimension)) = field.map_err(|what| unsound(source, Format::Onnx, what))? {
            keep(source, 16)?;
            let mut size = None;
            for field in Fields::of(&dimension) {
                if let (1, Field::Number(number)) = field.map_err(|what| unsound(source, Format::Onnx, what))? {
                    // Zero and less are ways to say that it is free.
                    size = usize::try_from(number.cast_signed()).ok().filter(|&size| size > 0);
                }
            }
            shape.push(size);
        }
    }
    Ok(shape)
}

fn attribute(source: &Source, message: &Bytes) -> Result<(String, OnnxAttribute)> {
    let mut name = String::new();
    let mut value = OnnxAttribute::Other;
    for field in Fields::of(message) {
        match field.map_err(|what| unsound(source, Format::Onnx, what))? {
            (1, field) => name = text(source, &field)?,
            (2, Field::Fixed32(bytes)) => value = OnnxAttribute::Float(f32::from_le_bytes(bytes)),
            (3, Field::Number(number)) => value = OnnxAttribute::Int(number.cast_signed()),
            (4, field) => {
                value =
                    field.text().map_or(Ok(OnnxAttribute::Other), |_| text(source, &field).map(OnnxAttribute::Text))?
            }
            (5, Field::Bytes(tensor)) => {
                value = match described(source, &ONNX, &tensor, None) {
                    Ok((_, tensor)) => OnnxAttribute::Tensor(tensor),
                    Err(Error::Checkpoint { .. }) => OnnxAttribute::Other,
                    Err(error) => return Err(error),
                }
            }
            (7, field) => floats(source, &field, &mut value)?,
            (8, field) => ints(source, &field, &mut value)?,
            _ => {}
        }
    }
    Ok((name, value))
}

/// Appends to a list of floats, which may come one by one or packed.
fn floats(source: &Source, field: &Field, value: &mut OnnxAttribute) -> Result<()> {
    if !matches!(value, OnnxAttribute::Floats(_)) {
        *value = OnnxAttribute::Floats(Vec::new());
    }
    let OnnxAttribute::Floats(list) = value else { return Ok(()) };
    match field {
        Field::Fixed32(bytes) => {
            keep(source, 8)?;
            list.push(f32::from_le_bytes(*bytes));
        }
        Field::Bytes(packed) => {
            keep(source, 2 * packed.len())?;
            list.extend(packed.as_chunks::<4>().0.iter().map(|chunk| f32::from_le_bytes(*chunk)));
        }
        _ => return Err(unsound(source, Format::Onnx, "a list of floats that holds something else")),
    }
    Ok(())
}

/// Likewise of integers.
fn ints(source: &Source, field: &Field, value: &mut OnnxAttribute) -> Result<()> {
    if !matches!(value, OnnxAttribute::Ints(_)) {
        *value = OnnxAttribute::Ints(Vec::new());
    }
    let OnnxAttribute::Ints(list) = value else { return Ok(()) };
    match field {
        Field::Number(number) => {
            keep(source, 16)?;
            list.push(number.cast_signed());
        }
        Field::Bytes(packed) => {
            keep(source, 16 * packed.len())?;
            let mut rest = &packed[..];
            while !rest.is_empty() {
                let (number, len) = varint(rest).map_err(|what| unsound(source, Format::Onnx, what))?;
                list.push(number.cast_signed());
                rest = rest.get(len..).unwrap_or_default();
            }
        }
        _ => return Err(unsound(source, Format::Onnx, "a list of integers that holds something else")),
    }
    Ok(())
}
