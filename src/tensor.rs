//! A tensor in host memory: element type, shape, and little-endian bytes.

use crate::error::{Error, named};
use bytes::Bytes;
use half::{bf16, f16};
use std::fmt;
use std::str::FromStr;

/// The type of a tensor's elements. It is exhaustive: a new type is news to whoever computes with elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DType {
    /// 64-bit float.
    F64,
    /// 32-bit float.
    F32,
    /// IEEE 754 half.
    F16,
    /// The upper half of an `F32`.
    BF16,
    /// Signed 64-bit integer.
    I64,
    /// Signed 32-bit integer.
    I32,
    /// Signed 16-bit integer.
    I16,
    /// Signed 8-bit integer.
    I8,
    /// Unsigned 64-bit integer.
    U64,
    /// Unsigned 32-bit integer.
    U32,
    /// Unsigned 16-bit integer.
    U16,
    /// Unsigned 8-bit integer.
    U8,
    /// One byte, 0 or 1.
    Bool,
}

impl DType {
    /// Every type.
    pub const ALL: &[Self] = &[
        Self::F64,
        Self::F32,
        Self::F16,
        Self::BF16,
        Self::I64,
        Self::I32,
        Self::I16,
        Self::I8,
        Self::U64,
        Self::U32,
        Self::U16,
        Self::U8,
        Self::Bool,
    ];

    /// The name that [`FromStr`] reads, such as `f32`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F64 => "f64",
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::BF16 => "bf16",
            Self::I64 => "i64",
            Self::I32 => "i32",
            Self::I16 => "i16",
            Self::I8 => "i8",
            Self::U64 => "u64",
            Self::U32 => "u32",
            Self::U16 => "u16",
            Self::U8 => "u8",
            Self::Bool => "bool",
        }
    }

    /// Bytes that one element takes.
    pub fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 | Self::U64 => 8,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F16 | Self::BF16 | Self::I16 | Self::U16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for DType {
    type Err = Error;

    /// Reads a [name](Self::name), in any case.
    ///
    /// # Errors
    /// [`Error::Usage`] that lists the names.
    fn from_str(text: &str) -> Result<Self, Error> {
        named(text, "a type of elements", Self::ALL, Self::name)
    }
}

/// Why a shape and some bytes do not make a tensor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TensorError {
    /// The shape's byte count does not fit this machine's `usize`.
    #[error("the shape {shape:?} overflows")]
    Overflow {
        /// The shape as given.
        shape: Vec<usize>,
    },
    /// The byte count is not what dtype and shape take.
    #[error("{dtype} of shape {shape:?} takes {expected} bytes, found {found}")]
    Length {
        /// The element type.
        dtype: DType,
        /// The shape.
        shape: Vec<usize>,
        /// Bytes that they take.
        expected: usize,
        /// Bytes that were given.
        found: usize,
    },
}

/// A tensor in host memory, row-major and contiguous. Cloning shares the bytes.
#[derive(Clone, PartialEq)]
pub struct Tensor {
    dtype: DType,
    shape: Vec<usize>,
    bytes: Bytes,
}

impl From<TensorError> for Error {
    fn from(error: TensorError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl Tensor {
    /// A tensor of `shape` (row-major) over little-endian `bytes`.
    pub fn new(dtype: DType, shape: &[usize], bytes: impl Into<Bytes>) -> Result<Self, TensorError> {
        let bytes = bytes.into();
        let expected = Self::byte_count(dtype, shape)?;
        if bytes.len() != expected {
            return Err(TensorError::Length { dtype, shape: shape.to_vec(), expected, found: bytes.len() });
        }
        Ok(Self { dtype, shape: shape.to_vec(), bytes })
    }

    /// An `f32` tensor of `shape` holding `values`.
    pub fn from_f32(shape: &[usize], values: &[f32]) -> Result<Self, TensorError> {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self::new(DType::F32, shape, bytes)
    }

    /// Bytes that a tensor of `dtype` and `shape` takes, or an error where that overflows.
    pub fn byte_count(dtype: DType, shape: &[usize]) -> Result<usize, TensorError> {
        shape
            .iter()
            .try_fold(dtype.size(), |n, &d| n.checked_mul(d))
            .ok_or_else(|| TensorError::Overflow { shape: shape.to_vec() })
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The shape, outermost dimension first; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// How many elements there are; 1 for a scalar.
    pub fn element_count(&self) -> usize {
        self.shape.iter().product()
    }

    /// The elements, row-major and little-endian.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The elements as `f32`, rounded to nearest where the dtype holds more.
    pub fn to_f32_vec(&self) -> Vec<f32> {
        self.to_f32()
    }

    /// The same in any collection, which is filled in one pass.
    pub(crate) fn to_f32<C: FromIterator<f32>>(&self) -> C {
        let b = &self.bytes[..];
        match self.dtype {
            DType::F64 => convert(b, |x| f64::from_le_bytes(x) as f32),
            DType::F32 => convert(b, f32::from_le_bytes),
            DType::F16 => convert(b, |x| f16::from_le_bytes(x).to_f32()),
            DType::BF16 => convert(b, |x| bf16::from_le_bytes(x).to_f32()),
            DType::I64 => convert(b, |x| i64::from_le_bytes(x) as f32),
            DType::I32 => convert(b, |x| i32::from_le_bytes(x) as f32),
            DType::I16 => convert(b, |x| i16::from_le_bytes(x).into()),
            DType::I8 => convert(b, |x| i8::from_le_bytes(x).into()),
            DType::U64 => convert(b, |x| u64::from_le_bytes(x) as f32),
            DType::U32 => convert(b, |x| u32::from_le_bytes(x) as f32),
            DType::U16 => convert(b, |x| u16::from_le_bytes(x).into()),
            DType::U8 | DType::Bool => convert(b, |[x]| x.into()),
        }
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor({} {:?})", self.dtype, self.shape)
    }
}

fn convert<const N: usize, C: FromIterator<f32>>(bytes: &[u8], element: impl Fn([u8; N]) -> f32) -> C {
    bytes.as_chunks::<N>().0.iter().map(|chunk| element(*chunk)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_that_overflows_is_an_error() {
        let shape = [usize::MAX, 2];
        assert_eq!(Tensor::new(DType::U8, &shape, vec![]), Err(TensorError::Overflow { shape: shape.to_vec() }));
    }

    #[test]
    fn too_few_bytes_are_an_error() {
        let error = Tensor::new(DType::F16, &[2, 3], vec![0; 10]).unwrap_err();
        assert_eq!(error.to_string(), "f16 of shape [2, 3] takes 12 bytes, found 10");
    }

    #[test]
    fn every_dtype_converts_to_f32() {
        let one = |dtype, bytes: &[u8]| Tensor::new(dtype, &[], bytes.to_vec()).unwrap().to_f32_vec();
        assert_eq!(one(DType::F64, &1.5f64.to_le_bytes()), [1.5]);
        assert_eq!(one(DType::F32, &1.5f32.to_le_bytes()), [1.5]);
        assert_eq!(one(DType::F16, &f16::from_f32(1.5).to_le_bytes()), [1.5]);
        assert_eq!(one(DType::BF16, &bf16::from_f32(1.5).to_le_bytes()), [1.5]);
        assert_eq!(one(DType::I64, &(-3i64).to_le_bytes()), [-3.0]);
        assert_eq!(one(DType::I32, &(-3i32).to_le_bytes()), [-3.0]);
        assert_eq!(one(DType::I16, &(-3i16).to_le_bytes()), [-3.0]);
        assert_eq!(one(DType::I8, &(-3i8).to_le_bytes()), [-3.0]);
        assert_eq!(one(DType::U64, &3u64.to_le_bytes()), [3.0]);
        assert_eq!(one(DType::U32, &3u32.to_le_bytes()), [3.0]);
        assert_eq!(one(DType::U16, &3u16.to_le_bytes()), [3.0]);
        assert_eq!(one(DType::U8, &[3]), [3.0]);
        assert_eq!(one(DType::Bool, &[1]), [1.0]);
    }
}
