//! Reads safetensors files: eight bytes of length, a JSON header, and data of which every tensor is a slice.

use super::source::{Source, short};
use super::{Format, StateDict};
use crate::error::{Error, Result};
use crate::tensor::{DType, Tensor};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;

/// Bytes of the header's length.
const LENGTH: usize = 8;

/// Reads the file that `source` is. Tensors come in the order of their data.
pub(super) fn open(source: &Source) -> Result<StateDict> {
    let bytes = &source.bytes;
    let Some(header_len) = bytes.first_chunk::<LENGTH>().map(|length| u64::from_le_bytes(*length)) else {
        return Err(source.fault("is too short for a safetensors file; was the download cut short?"));
    };
    if header_len > source.limits.header_bytes {
        let what = "the length in bytes that its header claims (Limits::header_bytes)";
        return Err(source.over(what, header_len, source.limits.header_bytes));
    }
    let data_start = usize::try_from(header_len).ok().and_then(|len| len.checked_add(LENGTH));
    let Some((data_start, header)) = data_start.and_then(|end| Some((end, bytes.get(LENGTH..end)?))) else {
        return Err(source.fault(format!(
            "claims a header of {header_len} bytes and has {} bytes in all; was the download cut short?",
            bytes.len()
        )));
    };
    let Header { metadata, mut tensors } = serde_json::from_slice(header).map_err(|error| invalid(source, error))?;
    // Names last, so that empty tensors, which may share an offset, keep one order.
    tensors.sort_by(|(a_name, a), (b_name, b)| a.data_offsets.cmp(&b.data_offsets).then_with(|| a_name.cmp(b_name)));
    let data_len = bytes.len() - data_start;
    let described = tensors.iter().map(|(_, info)| info.data_offsets.1).max().unwrap_or(0);
    let not_all = |hint: &str| {
        source.fault(format!("its header describes {described} bytes of data and {data_len} follow; {hint}"))
    };

    let mut dict = StateDict::of(Format::Safetensors, source.path);
    let mut at = 0;
    for (name, info) in tensors {
        let invalid = |reason: String| invalid(source, format!("tensor `{}`: {reason}", short(&name)));
        let (start, end) = info.data_offsets;
        if start != at || end < start {
            return Err(invalid(format!("its data is at {start}..{end}, and what comes before ends at {at}")));
        }
        if end > data_len {
            return Err(not_all("was the download cut short?"));
        }
        at = end;
        if dict.contains(&name) || dict.left_out().contains_key(&name) {
            return Err(invalid("it is there twice".into()));
        }
        let Some(dtype) = dtype(&info.dtype) else {
            let reason =
                format!("its elements are {}, which are not read; save it as F32, F16 or BF16", short(&info.dtype));
            dict.leave_out(name, reason);
            continue;
        };
        let values = bytes.slice(data_start + start..data_start + end);
        let tensor = Tensor::new(dtype, &info.shape, values).map_err(|error| invalid(error.to_string()))?;
        dict.insert(name, tensor);
    }
    if at < data_len {
        return Err(not_all("the file is damaged"));
    }
    note_left_out(source, &mut dict)?;
    for (key, value) in metadata {
        // Numbers where the format has text: some writers do so.
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        follow_alias(&mut dict, &key, &value);
        dict.describe(key, value);
    }
    Ok(dict)
}

/// Says which tensors were left out and why.
fn note_left_out(source: &Source, dict: &mut StateDict) -> Result<()> {
    const SHOWN: usize = 8;
    let left: Vec<String> =
        dict.left_out().iter().take(SHOWN).map(|(name, reason)| format!("`{}` ({reason})", short(name))).collect();
    if left.is_empty() {
        return Ok(());
    }
    let more = dict.left_out().len() - left.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let left = format!("{}{more}", left.join(", "));
    if dict.is_empty() {
        return Err(source.unread(format!("holds no tensor that is read: {left}")));
    }
    dict.note(format!("left out what is not read: {left}"));
    Ok(())
}

/// Of parameters that are one tensor, `safetensors.torch.save_model` writes the first, and into the metadata which one each
/// of the others is.
fn follow_alias(dict: &mut StateDict, name: &str, of: &str) {
    // Only names of parameters: they have a module before them.
    if !name.contains('.') || dict.contains(name) {
        return;
    }
    if let Some(tensor) = dict.get(of).cloned() {
        dict.insert(name, tensor);
        dict.note(format!("`{}` is `{}`, as the metadata says", short(name), short(of)));
    }
}

fn invalid(source: &Source, reason: impl fmt::Display) -> Error {
    source.fault(format!("its safetensors header is not valid: {reason}"))
}

/// What the JSON says. The crate's own reader makes hash maps of it, twice, and adds offsets of the file's choosing
/// without looking for overflow.
struct Header {
    metadata: BTreeMap<String, serde_json::Value>,
    tensors: Vec<(String, TensorInfo)>,
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(json: D) -> std::result::Result<Self, D::Error> {
        json.deserialize_map(HeaderVisitor)
    }
}

/// One tensor, of an element type that may be unknown.
#[derive(serde::Deserialize)]
struct TensorInfo {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (usize, usize),
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object of tensors by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> std::result::Result<Header, A::Error> {
        let mut header = Header { metadata: BTreeMap::new(), tensors: Vec::new() };
        while let Some(name) = items.next_key::<String>()? {
            if name == "__metadata__" {
                header.metadata = items.next_value::<Option<_>>()?.unwrap_or_default();
            } else {
                header.tensors.push((name, items.next_value()?));
            }
        }
        Ok(header)
    }
}

fn dtype(name: &str) -> Option<DType> {
    Some(match name {
        "F64" => DType::F64,
        "F32" => DType::F32,
        "F16" => DType::F16,
        "BF16" => DType::BF16,
        "I64" => DType::I64,
        "I32" => DType::I32,
        "I16" => DType::I16,
        "I8" => DType::I8,
        "U64" => DType::U64,
        "U32" => DType::U32,
        "U16" => DType::U16,
        "U8" => DType::U8,
        "BOOL" => DType::Bool,
        _ => return None,
    })
}
