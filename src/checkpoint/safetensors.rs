//! Reads safetensors files: eight bytes of length, a JSON header, and data of which every tensor is a slice.

use super::source::{Source, short};
use super::{Format, StateDict};
use crate::error::{Error, Result};
use crate::tensor::{DType, Tensor};
use safetensors::tensor::{Dtype, TensorInfo};
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
        let Some(dtype) = dtype(info.dtype) else {
            return Err(source.fault(format!(
                "tensor `{}`: its elements are {}, which are not read; convert them to F32, F16 or BF16",
                short(&name),
                info.dtype
            )));
        };
        let values = bytes.slice(data_start + start..data_start + end);
        let tensor = Tensor::new(dtype, &info.shape, values).map_err(|error| invalid(error.to_string()))?;
        if dict.contains(&name) {
            return Err(invalid("it is there twice".into()));
        }
        dict.insert(name, tensor);
    }
    if at < data_len {
        return Err(not_all("the file is damaged"));
    }
    for (key, value) in metadata {
        dict.describe(key, value);
    }
    Ok(dict)
}

fn invalid(source: &Source, reason: impl fmt::Display) -> Error {
    source.fault(format!("its safetensors header is not valid: {reason}"))
}

/// What the JSON says. The crate's own reader makes hash maps of it, twice, and adds offsets of the file's choosing
/// without looking for overflow.
struct Header {
    metadata: BTreeMap<String, String>,
    tensors: Vec<(String, TensorInfo)>,
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(json: D) -> std::result::Result<Self, D::Error> {
        json.deserialize_map(HeaderVisitor)
    }
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

fn dtype(dtype: Dtype) -> Option<DType> {
    Some(match dtype {
        Dtype::F64 => DType::F64,
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        Dtype::I64 => DType::I64,
        Dtype::I32 => DType::I32,
        Dtype::I16 => DType::I16,
        Dtype::I8 => DType::I8,
        Dtype::U64 => DType::U64,
        Dtype::U32 => DType::U32,
        Dtype::U16 => DType::U16,
        Dtype::U8 => DType::U8,
        Dtype::BOOL => DType::Bool,
        _ => return None,
    })
}
