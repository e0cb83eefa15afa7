//! Writes MindSpore's `.ckpt`: a protobuf `Checkpoint` of repeated `Value { tag = 1; tensor = 2 { dims = 1 (unpacked);
//! tensor_type = 2; tensor_content = 3 } }`.

use super::{Named, fault};
use crate::error::Result;
use crate::file::protobuf::Message;
use crate::tensor::{DType, Tensor};
use std::collections::HashSet;
use std::io::{self, Write};
use std::path::Path;

/// MindSpore cuts what is larger into several values of one tag, because a protobuf message stays below 2 GiB.
pub(super) const SLICE_BYTES: usize = 512 << 20;

/// `tensors` under MindSpore's names.
///
/// Only a module that has `running_mean` is a batch normalisation, so the weights of all others keep their names.
pub(super) fn rename<'a>(path: &Path, tensors: &'a [Named]) -> Result<Vec<(String, &'a Tensor)>> {
    let modules = tensors.iter().map(|(name, _)| module(name));
    let normalisations: HashSet<&str> =
        modules.filter(|(_, last)| *last == "running_mean").map(|(module, _)| module).collect();
    let mut taken = HashSet::new();
    let mut renamed = Vec::new();
    for (name, tensor) in tensors {
        let mut new = (*name).to_owned();
        let (module, last) = module(name);
        if normalisations.contains(module) {
            if last == "num_batches_tracked" {
                continue;
            }
            let last = normalisation_name(last).unwrap_or(last);
            new = if module.is_empty() { last.to_owned() } else { format!("{module}.{last}") };
        }
        if !taken.insert(new.clone()) {
            return Err(fault(path, name, format!("MindSpore's name for it, `{new}`, is there already; rename one")));
        }
        renamed.push((new, tensor));
    }
    Ok(renamed)
}

/// MindSpore's name for a parameter of batch normalisation that PyTorch calls `last`.
pub(crate) fn normalisation_name(last: &str) -> Option<&'static str> {
    Some(match last {
        "weight" => "gamma",
        "bias" => "beta",
        "running_mean" => "moving_mean",
        "running_var" => "moving_variance",
        _ => return None,
    })
}

/// A name's module, empty for the network itself, and its last part.
fn module(name: &str) -> (&str, &str) {
    name.rsplit_once('.').unwrap_or(("", name))
}

/// Writes `tensors` to `out`, cut to values of at most `slice` bytes.
pub(super) fn write(out: &mut impl Write, tensors: &[(String, &Tensor)], slice: usize) -> io::Result<()> {
    for (name, tensor) in tensors {
        let whole = slice / tensor.dtype().size() * tensor.dtype().size();
        let mut rest = &tensor.bytes()[..];
        // A tensor without elements has a value all the same.
        loop {
            let (content, more) = rest.split_at(rest.len().min(whole));
            value(name, tensor, content).write(out)?;
            rest = more;
            if rest.is_empty() {
                break;
            }
        }
    }
    Ok(())
}

/// The field of a checkpoint that is one `Value`.
fn value<'a>(name: &str, tensor: &Tensor, content: &'a [u8]) -> Message<'a> {
    let dims = tensor.shape().iter().fold(Message::new(), |dims, &dim| dims.size(1, dim));
    let tensor = dims.text(2, tensor_type(tensor.dtype())).slice(3, content);
    Message::new().message(1, Message::new().text(1, name).message(2, tensor))
}

fn tensor_type(dtype: DType) -> &'static str {
    match dtype {
        DType::F64 => "Float64",
        DType::F32 => "Float32",
        DType::F16 => "Float16",
        DType::BF16 => "BFloat16",
        DType::I64 => "Int64",
        DType::I32 => "Int32",
        DType::I16 => "Int16",
        DType::I8 => "Int8",
        DType::U64 => "UInt64",
        DType::U32 => "UInt32",
        DType::U16 => "UInt16",
        DType::U8 => "UInt8",
        DType::Bool => "Bool",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_large_is_cut_between_elements() {
        let tensor = Tensor::from_f32(&[5], &[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        let mut out = Vec::new();
        // Ten bytes hold two elements.
        write(&mut out, &[("w".into(), &tensor)], 10).unwrap();
        let mut expected = Vec::new();
        for values in [&[1f32, 2.0][..], &[3.0, 4.0], &[5.0]] {
            let content: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            let n = content.len() as u8;
            expected.extend([0x0a, 18 + n, 0x0a, 1, b'w', 0x12, 13 + n, 0x08, 5, 0x12, 7]);
            expected.extend(b"Float32\x1a");
            expected.push(n);
            expected.extend(content);
        }
        assert_eq!(out, expected);
    }

    #[test]
    fn only_batch_normalisation_is_renamed() {
        let one = Tensor::from_f32(&[1], &[1.0]).unwrap();
        let names = ["a.weight", "a.bias", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"];
        let rest = ["bn.num_batches_tracked", "weight", "running_mean"];
        let tensors: Vec<Named> = names.iter().chain(&rest).map(|name| (*name, one.clone())).collect();
        let renamed = rename(Path::new("x"), &tensors).unwrap();
        let renamed: Vec<&str> = renamed.iter().map(|(name, _)| name.as_str()).collect();
        let bn = ["bn.gamma", "bn.beta", "bn.moving_mean", "bn.moving_variance"];
        assert_eq!(renamed, [&["a.weight", "a.bias"], &bn[..], &["gamma", "moving_mean"]].concat());
        let twice = [("bn.running_mean", one.clone()), ("bn.weight", one.clone()), ("bn.gamma", one)];
        let error = rename(Path::new("x.ckpt"), &twice).unwrap_err().to_string();
        assert!(error.contains("x.ckpt") && error.contains("bn.gamma"), "{error}");
    }
}
