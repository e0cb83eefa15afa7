//! The elements of a tensor one by one, without the rounding to `f32`, and what can be said of them all.

use half::{bf16, f16};
use pretrained::{DType, Tensor};
use serde::Serialize;

/// An element. Integers stay integers, because `f64` does not hold all of 64 bits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    Float(f64),
    Int(i128),
}

impl Number {
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Float(x) => x,
            Self::Int(n) => n as f64,
        }
    }
}

/// Whether elements of `dtype` are floats.
pub fn is_float(dtype: DType) -> bool {
    matches!(dtype, DType::F64 | DType::F32 | DType::F16 | DType::BF16)
}

/// The elements of `tensor`, row-major.
pub fn numbers(tensor: &Tensor) -> Box<dyn Iterator<Item = Number> + '_> {
    use Number::{Float, Int};
    let bytes = &tensor.bytes()[..];
    match tensor.dtype() {
        DType::F64 => each(bytes, |b| Float(f64::from_le_bytes(b))),
        DType::F32 => each(bytes, |b| Float(f32::from_le_bytes(b).into())),
        DType::F16 => each(bytes, |b| Float(f16::from_le_bytes(b).to_f64())),
        DType::BF16 => each(bytes, |b| Float(bf16::from_le_bytes(b).to_f64())),
        DType::I64 => each(bytes, |b| Int(i64::from_le_bytes(b).into())),
        DType::I32 => each(bytes, |b| Int(i32::from_le_bytes(b).into())),
        DType::I16 => each(bytes, |b| Int(i16::from_le_bytes(b).into())),
        DType::I8 => each(bytes, |b| Int(i8::from_le_bytes(b).into())),
        DType::U64 => each(bytes, |b| Int(u64::from_le_bytes(b).into())),
        DType::U32 => each(bytes, |b| Int(u32::from_le_bytes(b).into())),
        DType::U16 => each(bytes, |b| Int(u16::from_le_bytes(b).into())),
        DType::U8 | DType::Bool => each(bytes, |[b]| Int(b.into())),
    }
}

fn each<'a, const N: usize>(
    bytes: &'a [u8],
    number: impl Fn([u8; N]) -> Number + 'a,
) -> Box<dyn Iterator<Item = Number> + 'a> {
    Box::new(bytes.as_chunks::<N>().0.iter().map(move |chunk| number(*chunk)))
}

/// What there is to say of a float tensor. The first four are of its finite elements, and absent where it has none.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Statistics {
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub mean: Option<f64>,
    /// The standard deviation of the population.
    pub std: Option<f64>,
    pub nan: usize,
    pub inf: usize,
}

/// The statistics of a float tensor; `None` for any other.
pub fn statistics(tensor: &Tensor) -> Option<Statistics> {
    if !is_float(tensor.dtype()) {
        return None;
    }
    let mut found = Statistics::default();
    let (mut min, mut max, mut sum, mut count) = (f64::INFINITY, f64::NEG_INFINITY, 0.0, 0usize);
    for x in numbers(tensor).map(Number::as_f64) {
        if x.is_nan() {
            found.nan += 1;
        } else if x.is_infinite() {
            found.inf += 1;
        } else {
            (min, max, sum, count) = (min.min(x), max.max(x), sum + x, count + 1);
        }
    }
    if count > 0 {
        let mean = sum / count as f64;
        // A second pass: the difference of squares of one pass loses all digits where the mean is large.
        let finite = numbers(tensor).map(Number::as_f64).filter(|x| x.is_finite());
        let square = finite.map(|x| (x - mean) * (x - mean)).sum::<f64>() / count as f64;
        (found.min, found.max, found.mean, found.std) = (Some(min), Some(max), Some(mean), Some(square.sqrt()));
    }
    Some(found)
}
