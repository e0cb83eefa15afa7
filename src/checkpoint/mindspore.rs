//! Reads MindSpore's `.ckpt`: a protobuf list of named tensors, perhaps in slices, perhaps with a checksum at the end.
//!
//! `Checkpoint { repeated Value { tag = 1; tensor = 2 { dims = 1; tensor_type = 2; tensor_content = 3 } } }`, by
//! `mindspore/train/checkpoint.proto`; slices, scalars and the checksum by `save_checkpoint` and `load_checkpoint` of
//! MindSpore 1.0 to 2.x.

use super::source::{Source, short};
use super::{Format, StateDict, torch};
use crate::error::Result;
use crate::file::protobuf::{Field, Fields, varint};
use crate::tensor::{DType, Tensor};
use bytes::Bytes;

/// What stands before the checksum.
const CRC_MARK: &[u8] = b"crc_num";
/// Bytes of the checksum, a big-endian CRC-32.
const CRC_BYTES: usize = 10;

/// Most dimensions that a tensor may have.
const MAX_RANK: usize = 64;
/// Longest name and longest text among the metadata; nothing honest comes near.
const MAX_TEXT_BYTES: usize = 4096;

/// MindSpore's names of element types.
const TYPES: [(&str, DType); 13] = [
    ("Float64", DType::F64),
    ("Float32", DType::F32),
    ("Float16", DType::F16),
    ("BFloat16", DType::BF16),
    ("Int64", DType::I64),
    ("Int32", DType::I32),
    ("Int16", DType::I16),
    ("Int8", DType::I8),
    ("UInt64", DType::U64),
    ("UInt32", DType::U32),
    ("UInt16", DType::U16),
    ("UInt8", DType::U8),
    ("Bool", DType::Bool),
];

/// What optimizers put before a parameter's name for what they keep beside it.
const SLOTS: [&str; 4] = ["moments", "moment1", "moment2", "accum"];
/// The same, where the word could also be a layer's, so that it counts only before the name of a parameter.
const SLOTS_OF_PARAMETERS: [&str; 9] =
    ["stat", "vhat", "mean_square", "mean_grad", "linear", "lamb_m", "lamb_v", "accum_update", "inf_norm"];
/// Powers that Adam keeps once for all parameters.
const POWERS: [&str; 2] = ["beta1_power", "beta2_power"];
/// Numbers of the training, which some versions save with one dimension of 1.
const NUMBERS: [&str; 8] =
    ["epoch_num", "step_num", "loss", "learning_rate", "momentum", "global_step", "loss_scale", "scale_sense"];

/// One tensor of the file.
struct Parameter {
    tag: String,
    kind: String,
    dims: Vec<u64>,
    /// The values, in one piece or, over 512 MB, in several.
    pieces: Vec<Bytes>,
}

/// Whether a file that begins with `head` is one: its first value has a name, a shape and a type in text.
pub(super) fn is_one(head: &[u8]) -> bool {
    first_kind(head).is_some_and(|kind| kind == b"str" || TYPES.iter().any(|(name, _)| name.as_bytes() == kind))
}

/// The type of the first tensor. Its content may lie beyond the head, so lengths are not held against the end.
fn first_kind(mut head: &[u8]) -> Option<&[u8]> {
    fn number(head: &mut &[u8]) -> Option<usize> {
        let (number, len) = varint(head).ok()?;
        *head = head.get(len..)?;
        usize::try_from(number).ok()
    }
    fn length_of(head: &mut &[u8], key: u8) -> Option<usize> {
        *head = head.strip_prefix(&[key])?;
        number(head)
    }
    length_of(&mut head, 0x0a)?;
    let tag = length_of(&mut head, 0x0a)?;
    head = head.get(tag..)?;
    length_of(&mut head, 0x12)?;
    // The dimensions, one by one or packed.
    loop {
        match head.first()? {
            0x08 => {
                length_of(&mut head, 0x08)?;
            }
            0x0a => {
                let packed = length_of(&mut head, 0x0a)?;
                head = head.get(packed..)?;
            }
            _ => break,
        }
    }
    let kind = length_of(&mut head, 0x12)?;
    head.get(..kind)
}

/// Reads the checkpoint that `source` is.
pub(super) fn open(source: &Source) -> Result<StateDict> {
    let mut parameters: Vec<Parameter> = Vec::new();
    for field in Fields::of(&without_checksum(source)?) {
        let (number, value) =
            field.map_err(|reason| source.fault(format!("is no sound MindSpore checkpoint: it holds {reason}")))?;
        let (1, Field::Bytes(message)) = (number, value) else { continue };
        let next = parameter(source, &message)?;
        source.expand(|| format!("parameter `{}`", short(&next.tag)), 256 + next.tag.len() as u64)?;
        match parameters.last_mut() {
            Some(last) if last.tag == next.tag => join(source, last, next)?,
            _ => parameters.push(next),
        }
    }
    let mut dict = StateDict::of(Format::MindSpore, source.path);
    let names: std::collections::HashSet<String> = parameters.iter().map(|p| p.tag.clone()).collect();
    if names.len() < parameters.len() {
        let mut seen = std::collections::HashSet::new();
        let twice = parameters.iter().find(|p| !seen.insert(p.tag.as_str())).map_or("", |p| p.tag.as_str());
        return Err(source.fault(format!("holds the parameter `{}` twice, apart from each other", short(twice))));
    }
    for parameter in parameters {
        if parameter.kind == "str" {
            let text = text(&parameter).map_err(|reason| fault(source, &parameter.tag, reason))?;
            dict.describe(parameter.tag, text);
            continue;
        }
        let tensor = tensor(source, &parameter)?;
        let name = parameter.tag;
        if is_optimizer(&name, |name| names.contains(name)) {
            dict.insert_optimizer(name, tensor);
        } else if let Some(number) = training_number(&name, &tensor) {
            dict.describe(name, number);
        } else {
            dict.insert(name, tensor);
        }
    }
    Ok(dict)
}

fn fault(source: &Source, tag: &str, reason: impl std::fmt::Display) -> crate::error::Error {
    source.fault(format!("parameter `{}`: {reason}", short(tag)))
}

/// The file's bytes without the checksum, which must be right where there is one.
fn without_checksum(source: &Source) -> Result<Bytes> {
    let bytes = &source.bytes;
    let Some((rest, stored)) = bytes.split_last_chunk::<CRC_BYTES>() else { return Ok(bytes.clone()) };
    let Some(content) = rest.strip_suffix(CRC_MARK) else { return Ok(bytes.clone()) };
    let stored = stored.iter().fold(0u128, |n, &byte| (n << 8) | u128::from(byte));
    let found = crc32fast::hash(content);
    if stored != u128::from(found) {
        return Err(source.fault(format!(
            "its checksum is {stored:#010x} and its content has {found:#010x}; the file is damaged: copy it again"
        )));
    }
    Ok(bytes.slice(..content.len()))
}

/// Reads one `Value`.
fn parameter(source: &Source, message: &Bytes) -> Result<Parameter> {
    let unsound = |reason: &str| source.fault(format!("one of its parameters is damaged: it holds {reason}"));
    let mut tag = None;
    let mut proto = None;
    for field in Fields::of(message) {
        match field.map_err(unsound)? {
            (1, field) => {
                let text = field.text().ok_or_else(|| unsound("a name that is no UTF-8"))?;
                if text.len() > MAX_TEXT_BYTES {
                    return Err(source.over("the length of a name in bytes", text.len() as u64, MAX_TEXT_BYTES as u64));
                }
                tag = Some(text.to_owned());
            }
            (2, Field::Bytes(tensor)) => proto = Some(tensor),
            (3, _) => return Err(unsound("a map tensor (a hash table), which is not read")),
            _ => {}
        }
    }
    let tag = tag.ok_or_else(|| unsound("no name"))?;
    let proto = proto.ok_or_else(|| fault(source, &tag, "it has a name and no tensor"))?;
    let (mut kind, mut dims, mut content) = (String::new(), Vec::new(), Bytes::new());
    let unsound = |reason: &str| fault(source, &tag, format!("it holds {reason}"));
    for field in Fields::of(&proto) {
        match field.map_err(unsound)? {
            (1, Field::Number(dim)) => dims.push(dim),
            (1, Field::Bytes(packed)) => {
                let mut rest = &packed[..];
                while !rest.is_empty() && dims.len() <= MAX_RANK {
                    let (dim, len) = varint(rest).map_err(unsound)?;
                    dims.push(dim);
                    rest = rest.get(len..).unwrap_or_default();
                }
            }
            (2, field) => kind = short(field.text().ok_or_else(|| unsound("an element type that is no text"))?),
            (3, Field::Bytes(bytes)) => content = bytes,
            _ => {}
        }
        if dims.len() > MAX_RANK {
            return Err(fault(source, &tag, format!("it has more than {MAX_RANK} dimensions")));
        }
    }
    Ok(Parameter { tag, kind, dims, pieces: vec![content] })
}

/// Adds the slice `next` to the parameter of the same name before it.
fn join(source: &Source, last: &mut Parameter, next: Parameter) -> Result<()> {
    if last.kind != next.kind || last.dims != next.dims {
        return Err(fault(
            source,
            &last.tag,
            format!(
                "its slices disagree: {} {:?} and {} {:?}; the file is damaged",
                last.kind, last.dims, next.kind, next.dims
            ),
        ));
    }
    last.pieces.extend(next.pieces);
    Ok(())
}

fn tensor(source: &Source, parameter: &Parameter) -> Result<Tensor> {
    let Parameter { tag, kind, dims, pieces } = parameter;
    let fault = |reason: String| fault(source, tag, reason);
    let dtype = TYPES.iter().find(|(name, _)| name == kind).map(|(_, dtype)| *dtype);
    let dtype = dtype.ok_or_else(|| fault(format!("its elements are `{kind}`, which are not read")))?;
    let shape: Option<Vec<usize>> = dims.iter().map(|dim| usize::try_from(*dim).ok()).collect();
    // Protobuf holds a negative number as one beyond 2^63.
    let overflow = || fault(format!("its shape {:?} overflows", dims.iter().map(|d| *d as i64).collect::<Vec<_>>()));
    let mut shape = shape.ok_or_else(overflow)?;
    let found: usize = pieces.iter().map(Bytes::len).sum();
    // How versions before 2.0 spell a scalar.
    if shape == [0] && found == dtype.size() {
        shape.clear();
    }
    let expected = Tensor::byte_count(dtype, &shape).map_err(|_| overflow())?;
    if found != expected {
        return Err(fault(format!(
            "{dtype} of shape {shape:?} takes {expected} bytes, found {found}; the file is damaged"
        )));
    }
    let bytes = match &pieces[..] {
        [one] => one.clone(),
        several => {
            source.expand(|| format!("parameter `{}`, which is in slices,", short(tag)), found as u64)?;
            let mut joined = Vec::new();
            joined.try_reserve_exact(found).map_err(|_| fault(format!("its {found} bytes do not fit into memory")))?;
            several.iter().for_each(|piece| joined.extend_from_slice(piece));
            joined.into()
        }
    };
    Tensor::new(dtype, &shape, bytes).map_err(|error| fault(error.to_string()))
}

/// A text as NumPy keeps one: four little-endian bytes a character.
fn text(parameter: &Parameter) -> std::result::Result<String, String> {
    let bytes: &[Bytes] = &parameter.pieces;
    let ([bytes], true) = (bytes, bytes.iter().map(Bytes::len).sum::<usize>() <= MAX_TEXT_BYTES) else {
        return Err("its text is too long".into());
    };
    let characters = bytes.as_chunks::<4>().0.iter().map(|four| char::from_u32(u32::from_le_bytes(*four)));
    let text: Option<String> = characters.collect();
    Ok(text.ok_or("its text is no Unicode")?.trim_end_matches('\0').to_owned())
}

/// Whether the tensor `name` is the optimizer's; `is_there` tells whether a name is in the file.
fn is_optimizer(name: &str, is_there: impl Fn(&str) -> bool) -> bool {
    POWERS.contains(&name)
        || name.split_once('.').is_some_and(|(slot, parameter)| {
            SLOTS.contains(&slot) || (SLOTS_OF_PARAMETERS.contains(&slot) && is_there(parameter))
        })
}

/// The text of a number that is the training's and no layer's: a scalar whose name has no module before it.
fn training_number(name: &str, tensor: &Tensor) -> Option<String> {
    let scalar = tensor.shape().is_empty() && !name.contains('.');
    let known = tensor.element_count() == 1 && NUMBERS.contains(&name);
    if scalar || known { torch::number(tensor) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_optimizers_names() {
        let is_there = |name: &str| name == "fc.weight";
        for name in ["moments.fc.weight", "moment1.x", "beta1_power", "stat.fc.weight", "linear.fc.weight"] {
            assert!(is_optimizer(name, is_there), "{name}");
        }
        for name in ["fc.weight", "linear.weight", "moments", "stat.x", "moment3.fc.weight", "power"] {
            assert!(!is_optimizer(name, is_there), "{name}");
        }
    }

    #[test]
    fn it_is_told_from_its_first_value() {
        assert!(is_one(b"\x0a\xa2\xc0\x18\x0a\x09l1.weight\x12\x93\xc0\x18\x08\x80\x01\x08\x90\x06\x12\x07Float32"));
        assert!(is_one(b"\x0a\x0f\x0a\x04loss\x12\x07\x12\x05UInt8"));
        assert!(is_one(b"\x0a\x14\x0a\x01w\x12\x0b\x0a\x02\x02\x03\x12\x05Int16"));
        for other in [&b""[..], b"\x0a", b"\x0a\x05\x0a\x01w", b"\x0a\x0a\x0a\x01w\x12\x04\x12\x02hi", b"\n\n\n\n\n\n"]
        {
            assert!(!is_one(other), "{other:?}");
        }
    }
}
