//! Writes safetensors: eight bytes of length, a JSON header, and the data. Byte for byte what the safetensors crate
//! writes, except that metadata is in the state dict's order, where the crate's order changes from run to run.

use super::{Named, fault};
use crate::error::{Error, Result};
use crate::tensor::{DType, Tensor};
use indexmap::IndexMap;
use safetensors::Dtype;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;

/// A header and the tensors in the order that it lists them.
pub(super) struct Layout<'a> {
    header: String,
    tensors: Vec<&'a Tensor>,
}

/// What the file at `path` will hold.
pub(super) fn layout<'a>(path: &Path, tensors: &'a [Named], metadata: &IndexMap<String, String>) -> Result<Layout<'a>> {
    let json = |text: &str| {
        serde_json::to_string(text).map_err(|error| Error::unwritable(path, format!("its names are no JSON: {error}")))
    };
    let mut sorted: Vec<&Named> = tensors.iter().collect();
    // The widest first, so that every tensor is aligned to its elements.
    sorted.sort_by(|(a_name, a), (b_name, b)| dtype(b.dtype()).cmp(&dtype(a.dtype())).then(a_name.cmp(b_name)));
    let mut items = Vec::new();
    if !metadata.is_empty() {
        let pairs: Vec<String> = metadata
            .iter()
            .map(|(key, value)| Ok(format!("{}:{}", json(key)?, json(value)?)))
            .collect::<Result<_>>()?;
        items.push(format!("\"__metadata__\":{{{}}}", pairs.join(",")));
    }
    let mut start = 0;
    for (name, tensor) in &sorted {
        if *name == "__metadata__" {
            return Err(fault(path, name, "safetensors keeps that name for itself; rename it"));
        }
        let end = start + tensor.bytes().len();
        let shape: Vec<String> = tensor.shape().iter().map(usize::to_string).collect();
        items.push(format!(
            "{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{start},{end}]}}",
            json(name)?,
            dtype(tensor.dtype()),
            shape.join(",")
        ));
        start = end;
    }
    let mut header = format!("{{{}}}", items.join(","));
    // The data then begins at a multiple of eight bytes.
    let padding = header.len().next_multiple_of(8) - header.len();
    let _ = write!(header, "{:padding$}", "");
    Ok(Layout { header, tensors: sorted.into_iter().map(|(_, tensor)| tensor).collect() })
}

impl Layout<'_> {
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(&(self.header.len() as u64).to_le_bytes())?;
        out.write_all(self.header.as_bytes())?;
        self.tensors.iter().try_for_each(|tensor| out.write_all(tensor.bytes()))
    }
}

fn dtype(dtype: DType) -> Dtype {
    match dtype {
        DType::F64 => Dtype::F64,
        DType::F32 => Dtype::F32,
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        DType::I64 => Dtype::I64,
        DType::I32 => Dtype::I32,
        DType::I16 => Dtype::I16,
        DType::I8 => Dtype::I8,
        DType::U64 => Dtype::U64,
        DType::U32 => Dtype::U32,
        DType::U16 => Dtype::U16,
        DType::U8 => Dtype::U8,
        DType::Bool => Dtype::BOOL,
    }
}
