//! Rounds float tensors to the element type that is asked for.

use super::{SaveOptions, fault};
use crate::error::{Error, Result};
use crate::tensor::{DType, Tensor};
use half::{bf16, f16};
use std::path::Path;

/// Names that end so are the statistics of a batch normalisation, PyTorch's and MindSpore's.
const STATISTICS: [&str; 4] = ["running_mean", "running_var", "moving_mean", "moving_variance"];

/// `tensor` as it is to be written to `path` under `name`.
pub(super) fn convert(path: &Path, name: &str, tensor: &Tensor, options: &SaveOptions) -> Result<Tensor> {
    let Some(wanted) = options.dtype else { return Ok(tensor.clone()) };
    if !matches!(wanted, DType::F32 | DType::F16 | DType::BF16) {
        return Err(Error::Usage(format!("tensors are converted to f32, f16 or bf16, not to {wanted}")));
    }
    let statistic = name.rsplit('.').next().is_some_and(|last| STATISTICS.contains(&last));
    let wanted = if statistic && !options.force_dtype { DType::F32 } else { wanted };
    if tensor.dtype() == wanted || !is_float(tensor.dtype()) {
        return Ok(tensor.clone());
    }
    let overflow = |value: f64| {
        fault(
            path,
            name,
            format!("its value {value} is beyond what {wanted} holds; write it as bf16 or f32, or as it is"),
        )
    };
    let mut bytes = Vec::with_capacity(tensor.element_count().saturating_mul(wanted.size()));
    // Through f64, which holds each of the others exactly.
    for value in floats(tensor) {
        let single = if wanted == DType::F32 { value as f32 } else { to_odd(value) };
        let finite = match wanted {
            DType::F16 => push(&mut bytes, f16::from_f32(single).to_le_bytes(), f16::from_f32(single).is_finite()),
            DType::BF16 => push(&mut bytes, bf16::from_f32(single).to_le_bytes(), bf16::from_f32(single).is_finite()),
            _ => push(&mut bytes, single.to_le_bytes(), single.is_finite()),
        };
        if value.is_finite() && !finite {
            return Err(overflow(value));
        }
    }
    Tensor::new(wanted, tensor.shape(), bytes).map_err(|error| fault(path, name, error))
}

fn push<const N: usize>(bytes: &mut Vec<u8>, element: [u8; N], finite: bool) -> bool {
    bytes.extend_from_slice(&element);
    finite
}

/// `value` as an `f32` whose last bit is 1 where it is not exact, so that rounding once more comes out as if it were
/// done once. `half`'s own `from_f64` rounds twice to f16 on processors that convert in hardware, and drops low bits
/// for bf16.
fn to_odd(value: f64) -> f32 {
    let nearest = value as f32;
    if !nearest.is_finite() || f64::from(nearest) == value {
        return nearest;
    }
    let beyond = f64::from(nearest).abs() > value.abs();
    f32::from_bits((nearest.to_bits() - u32::from(beyond)) | 1)
}

fn is_float(dtype: DType) -> bool {
    matches!(dtype, DType::F64 | DType::F32 | DType::F16 | DType::BF16)
}

/// The elements of a float tensor; of any other, none.
fn floats(tensor: &Tensor) -> Box<dyn Iterator<Item = f64> + '_> {
    let bytes = &tensor.bytes()[..];
    match tensor.dtype() {
        DType::F64 => Box::new(bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b))),
        DType::F32 => Box::new(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b).into())),
        DType::F16 => Box::new(bytes.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f64())),
        DType::BF16 => Box::new(bytes.as_chunks().0.iter().map(|b| bf16::from_le_bytes(*b).to_f64())),
        _ => Box::new(std::iter::empty()),
    }
}
