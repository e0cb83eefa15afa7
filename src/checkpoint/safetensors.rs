//! Reads safetensors files: eight bytes of length, a JSON header, and data of which every tensor is a slice.

use super::source::{Source, short};
use super::{Format, StateDict};
use crate::error::Result;
use crate::tensor::{DType, Tensor};
use safetensors::tensor::{Dtype, Metadata};

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
    // Not `SafeTensors::deserialize`, which adds offsets of the file's choosing without looking for overflow.
    let header: Metadata = serde_json::from_slice(header)
        .map_err(|error| source.fault(format!("its safetensors header is not valid: {error}")))?;
    let data = bytes.len() - data_start;
    if header.data_len() != data {
        return Err(source.fault(format!(
            "its header describes {} bytes of data and {data} follow; {}",
            header.data_len(),
            if header.data_len() > data { "was the download cut short?" } else { "the file is damaged" }
        )));
    }

    let mut dict = StateDict::of(Format::Safetensors, source.path);
    let infos = header.tensors();
    let mut infos: Vec<_> = infos.iter().collect();
    // Names last, so that empty tensors, which may share an offset, keep one order.
    infos.sort_by_key(|(name, info)| (info.data_offsets, *name));
    for (name, info) in infos {
        let fault = |reason: String| source.fault(format!("tensor `{}`: {reason}", short(name)));
        let dtype = dtype(info.dtype).ok_or_else(|| {
            fault(format!("its elements are {}, which are not read; convert them to F32, F16 or BF16", info.dtype))
        })?;
        // Validated by `Metadata`, and `data_len` is its largest offset.
        let (start, end) = info.data_offsets;
        let tensor = Tensor::new(dtype, &info.shape, bytes.slice(data_start + start..data_start + end));
        dict.insert(name, tensor.map_err(|error| fault(error.to_string()))?);
    }
    let mut metadata: Vec<_> = header.metadata().iter().flatten().collect();
    metadata.sort();
    for (key, value) in metadata {
        dict.describe(key, value);
    }
    Ok(dict)
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
