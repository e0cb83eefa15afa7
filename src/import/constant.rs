//! Numbers that are known before any image is: weights, and what exporters compute from shapes.

use super::memory::Memory;
use crate::tensor::{DType, Tensor};
use std::sync::Arc;

/// What the file calls something: shared, since names may be long and much may be made of what bears one.
pub type Name = Arc<str>;

/// A tensor of the file, or one that was computed from such.
#[derive(Debug, Clone, PartialEq)]
pub struct Constant {
    /// The file's name for it or, where it was moved about only, for what it was made of.
    pub name: Name,
    pub tensor: Tensor,
}

/// The result of `a op b` on integers, or why there is none.
pub type OnInts = fn(i64, i64) -> Option<i64>;

impl Constant {
    pub fn new(name: &Name, tensor: Tensor) -> Self {
        Self { name: name.clone(), tensor }
    }

    /// Integers in a row.
    pub fn ints(name: &Name, shape: &[usize], values: &[i64]) -> Result<Self, String> {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Ok(Self::new(name, Tensor::new(DType::I64, shape, bytes).map_err(|error| error.to_string())?))
    }

    pub fn floats(name: &Name, shape: &[usize], values: &[f32]) -> Result<Self, String> {
        Ok(Self::new(name, Tensor::from_f32(shape, values).map_err(|error| error.to_string())?))
    }

    pub fn shape(&self) -> &[usize] {
        self.tensor.shape()
    }

    /// How many numbers there are.
    pub fn count(&self) -> usize {
        self.tensor.element_count()
    }

    fn is_integer(&self) -> bool {
        !matches!(self.tensor.dtype(), DType::F64 | DType::F32 | DType::F16 | DType::BF16)
    }

    /// Its integers, for a list of axes or sizes.
    pub fn to_ints(&self) -> Result<Vec<i64>, String> {
        const MOST: usize = 1 << 16;
        if self.tensor.element_count() > MOST {
            return Err(format!("`{}` is too long for a list of sizes", self.name));
        }
        let bytes = self.tensor.bytes();
        match self.tensor.dtype() {
            DType::I64 => Ok(bytes.as_chunks::<8>().0.iter().map(|chunk| i64::from_le_bytes(*chunk)).collect()),
            DType::I32 => Ok(bytes.as_chunks::<4>().0.iter().map(|chunk| i32::from_le_bytes(*chunk).into()).collect()),
            _ if self.is_integer() => Ok(self.tensor.to_f32_vec().into_iter().map(|value| value as i64).collect()),
            dtype => Err(format!("`{}` should hold integers, and holds {dtype}", self.name)),
        }
    }

    /// Its one number.
    pub fn to_scalar(&self) -> Option<f32> {
        (self.tensor.element_count() == 1).then(|| self.tensor.to_f32_vec().first().copied()).flatten()
    }

    /// The same bytes under another shape.
    pub fn reshaped(&self, shape: &[usize]) -> Result<Self, String> {
        let tensor = Tensor::new(self.tensor.dtype(), shape, self.tensor.bytes().clone());
        Ok(Self { name: self.name.clone(), tensor: tensor.map_err(|error| error.to_string())? })
    }

    /// The elements that lie `strides` apart from `offset` on, as a tensor of `shape`. All must be inside.
    pub fn picked(
        &self,
        shape: &[usize],
        strides: &[usize],
        offset: usize,
        memory: &mut Memory,
    ) -> Result<Self, String> {
        let size = self.tensor.dtype().size();
        let bytes = Tensor::byte_count(self.tensor.dtype(), shape).map_err(|error| error.to_string())?;
        memory.take(bytes)?;
        let (from, mut out) = (self.tensor.bytes(), Vec::with_capacity(bytes));
        let (inner, step) = (shape.last().copied().unwrap_or(1), strides.last().copied().unwrap_or(1));
        let mut index = vec![0; shape.len().saturating_sub(1)];
        while out.len() < bytes {
            let start: usize = offset + index.iter().zip(strides).map(|(i, stride)| i * stride).sum::<usize>();
            for i in 0..inner {
                let at = (start + i * step) * size;
                out.extend_from_slice(from.get(at..at + size).ok_or("it reaches outside of a constant")?);
            }
            // The next row, as an odometer counts.
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                if index[axis] < shape[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        let tensor = Tensor::new(self.tensor.dtype(), shape, out).map_err(|error| error.to_string())?;
        Ok(Self { name: self.name.clone(), tensor })
    }

    /// Its axes in another order.
    pub fn transposed(&self, order: &[usize], memory: &mut Memory) -> Result<Self, String> {
        let strides = strides(self.shape());
        let pick = |of: &[usize]| -> Vec<usize> { order.iter().map(|&axis| of[axis]).collect() };
        self.picked(&pick(self.shape()), &pick(&strides), 0, memory)
    }

    /// `length` of the numbers along `axis`, from `start` on.
    pub fn sliced(&self, axis: usize, [start, length]: [usize; 2], memory: &mut Memory) -> Result<Self, String> {
        let (mut shape, strides) = (self.shape().to_vec(), strides(self.shape()));
        let offset = start * strides[axis];
        shape[axis] = length;
        self.picked(&shape, &strides, offset, memory)
    }

    /// What lies at some indices along `axis`.
    pub fn taken(&self, axis: usize, places: &[usize], memory: &mut Memory) -> Result<Self, String> {
        // Each is a tensor for a moment.
        memory.take(places.len().saturating_mul(128))?;
        let parts: Vec<Self> =
            places.iter().map(|&place| self.sliced(axis, [place, 1], memory)).collect::<Result<_, _>>()?;
        Self::concatenated(&self.name, &parts.iter().collect::<Vec<_>>(), axis, memory)
    }

    /// Tensors one after the other along `axis`.
    pub fn concatenated(name: &Name, parts: &[&Self], axis: usize, memory: &mut Memory) -> Result<Self, String> {
        // Integers of several types are one to shapes' arithmetic.
        let one_type = parts.windows(2).all(|two| two[0].tensor.dtype() == two[1].tensor.dtype());
        if !one_type && parts.iter().all(|part| part.is_integer()) {
            let cast: Vec<Self> = parts.iter().map(|part| part.cast(7, memory)).collect::<Result<_, _>>()?;
            return Self::concatenated(name, &cast.iter().collect::<Vec<_>>(), axis, memory);
        }
        let first = *parts.first().ok_or("it reads nothing")?;
        let mut shape = first.shape().to_vec();
        if axis >= shape.len() {
            return Err(format!("it joins along axis {axis}, which {shape:?} lacks"));
        }
        let alike = |part: &&Self| {
            let same = |at: usize| at == axis || part.shape()[at] == shape[at];
            part.shape().len() == shape.len()
                && (0..shape.len()).all(same)
                && part.tensor.dtype() == first.tensor.dtype()
        };
        if !parts.iter().all(alike) {
            return Err("the constants that it joins differ in type or shape".into());
        }
        shape[axis] = parts.iter().map(|part| part.shape()[axis]).fold(0, usize::saturating_add);
        let dtype = first.tensor.dtype();
        let bytes = Tensor::byte_count(dtype, &shape).map_err(|error| error.to_string())?;
        memory.take(bytes)?;
        if bytes == 0 {
            return Ok(Self { name: name.clone(), ..first.reshaped(&shape)? });
        }
        let inner: usize = shape[axis + 1..].iter().product::<usize>() * dtype.size();
        let mut out = Vec::with_capacity(bytes);
        for row in 0..shape[..axis].iter().product() {
            for part in parts {
                let len = part.shape()[axis] * inner;
                out.extend_from_slice(part.tensor.bytes().get(row * len..(row + 1) * len).unwrap_or_default());
            }
        }
        Ok(Self::new(name, Tensor::new(dtype, &shape, out).map_err(|error| error.to_string())?))
    }

    /// A function of the numbers of `a` and `b`, which broadcast: of integers where both are, else of floats.
    pub fn combined(
        name: &Name,
        [a, b]: [&Self; 2],
        ints: OnInts,
        floats: fn(f64, f64) -> f64,
        memory: &mut Memory,
    ) -> Result<Self, String> {
        let shape = broadcast(a.shape(), b.shape())
            .ok_or_else(|| format!("{:?} and {:?} do not go together", a.shape(), b.shape()))?;
        let [a, b] = [a.spread(&shape, memory)?, b.spread(&shape, memory)?];
        memory.take(Tensor::byte_count(DType::I64, &shape).map_err(|error| error.to_string())?)?;
        if a.is_integer() && b.is_integer() {
            let both = a.to_ints()?.into_iter().zip(b.to_ints()?);
            let values: Option<Vec<i64>> = both.map(|(a, b)| ints(a, b)).collect();
            return Self::ints(name, &shape, &values.ok_or("its integers overflow, or it divides by zero")?);
        }
        let both = a.tensor.to_f32_vec().into_iter().zip(b.tensor.to_f32_vec());
        let values: Vec<f32> = both.map(|(a, b)| floats(f64::from(a), f64::from(b)) as f32).collect();
        Self::floats(name, &shape, &values)
    }

    /// Itself repeated along axes of size 1 and new ones on the left.
    pub fn spread(&self, shape: &[usize], memory: &mut Memory) -> Result<Self, String> {
        if self.shape() == shape {
            return Ok(self.clone());
        }
        let new = shape.len().checked_sub(self.shape().len()).ok_or("a constant has too many axes")?;
        let own = strides(self.shape());
        let stride = |axis: usize| match axis.checked_sub(new) {
            Some(axis) if self.shape()[axis] > 1 => own[axis],
            _ => 0,
        };
        let strides: Vec<usize> = (0..shape.len()).map(stride).collect();
        self.picked(shape, &strides, 0, memory)
    }

    /// A function of each number, as floats.
    pub fn each(&self, f: fn(f32) -> f32, memory: &mut Memory) -> Result<Self, String> {
        memory.take(self.tensor.element_count().saturating_mul(12))?;
        let values: Vec<f32> = self.tensor.to_f32_vec().into_iter().map(f).collect();
        Self::floats(&self.name, self.shape(), &values)
    }

    /// Its numbers as those of type `to` of `TensorProto.DataType`: floats as `f32`, and integers as `i64`, after they
    /// were cut off to the bits of that type.
    pub fn cast(&self, to: i64, memory: &mut Memory) -> Result<Self, String> {
        let cut: fn(i64) -> i64 = match to {
            1 | 10 | 11 | 16 if self.tensor.dtype() == DType::F32 => return Ok(self.clone()),
            7 if self.tensor.dtype() == DType::I64 => return Ok(self.clone()),
            1 | 10 | 11 | 16 => {
                memory.take(self.tensor.element_count().saturating_mul(12).saturating_add(128))?;
                return Self::floats(&self.name, self.shape(), &self.tensor.to_f32_vec());
            }
            2 => |v| i64::from(v as u8),
            3 => |v| i64::from(v as i8),
            4 => |v| i64::from(v as u16),
            5 => |v| i64::from(v as i16),
            6 => |v| i64::from(v as i32),
            7 | 13 => |v| v,
            9 => |v| i64::from(v != 0),
            12 => |v| i64::from(v as u32),
            other => return Err(format!("it makes numbers of type {other}")),
        };
        memory.take(self.tensor.element_count().saturating_mul(20).saturating_add(128))?;
        let values: Vec<i64> = match self.is_integer() {
            true => self.to_ints()?.into_iter().map(cut).collect(),
            // What is not 0 is true, even if it is less than 1.
            false if to == 9 => self.tensor.to_f32_vec().into_iter().map(|v| i64::from(v != 0.0)).collect(),
            false => self.tensor.to_f32_vec().into_iter().map(|v| cut(v as i64)).collect(),
        };
        Self::ints(&self.name, self.shape(), &values)
    }
}

/// Elements from one index to the next, an axis at a time.
fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis].saturating_mul(shape[axis]);
    }
    strides
}

/// The shape that two become, axes aligned on the right.
pub fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let (longer, shorter) = if a.len() >= b.len() { (a, b) } else { (b, a) };
    let new = longer.len() - shorter.len();
    let axis = |(at, &one): (usize, &usize)| match at.checked_sub(new).map_or(1, |at| shorter[at]) {
        other if one == other || other == 1 => Some(one),
        other if one == 1 => Some(other),
        _ => None,
    };
    longer.iter().enumerate().map(axis).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ints(shape: &[usize], values: &[i64]) -> Constant {
        Constant::ints(&"c".into(), shape, values).unwrap()
    }

    fn memory() -> Memory {
        Memory::beside(0)
    }

    #[test]
    fn moving_numbers() {
        let matrix = ints(&[2, 3], &[0, 1, 2, 3, 4, 5]);
        let values = |constant: Result<Constant, String>| {
            let constant = constant.unwrap();
            (constant.shape().to_vec(), constant.to_ints().unwrap())
        };
        assert_eq!(values(matrix.transposed(&[1, 0], &mut memory())), (vec![3, 2], vec![0, 3, 1, 4, 2, 5]));
        assert_eq!(values(matrix.sliced(1, [1, 2], &mut memory())), (vec![2, 2], vec![1, 2, 4, 5]));
        assert_eq!(values(matrix.taken(1, &[2, 0], &mut memory())), (vec![2, 2], vec![2, 0, 5, 3]));
        assert_eq!(values(ints(&[2, 1], &[7, 8]).spread(&[2, 2], &mut memory())), (vec![2, 2], vec![7, 7, 8, 8]));
        let joined = Constant::concatenated(&"j".into(), &[&matrix, &ints(&[2, 1], &[9, 9])], 1, &mut memory());
        assert_eq!(values(joined), (vec![2, 4], vec![0, 1, 2, 9, 3, 4, 5, 9]));
        let scalar = ints(&[], &[2]);
        assert_eq!(values(scalar.spread(&[3], &mut memory())), (vec![3], vec![2, 2, 2]));
        let sum = Constant::combined(&"s".into(), [&matrix, &scalar], i64::checked_add, |a, b| a + b, &mut memory());
        assert_eq!(values(sum), (vec![2, 3], vec![2, 3, 4, 5, 6, 7]));
    }

    #[test]
    fn no_more_memory_than_is_warranted() {
        let one = ints(&[1], &[0]);
        assert!(one.spread(&[1 << 30], &mut memory()).is_err());
        assert!(one.spread(&[usize::MAX, 2], &mut memory()).is_err());
        let huge = ints(&[], &[i64::MAX]);
        assert!(
            Constant::combined(&"s".into(), [&huge, &huge], i64::checked_mul, |a, b| a * b, &mut memory()).is_err()
        );
        let mut memory = memory();
        let mut doubled = ints(&[1], &[0]);
        let doublings = (0..64).take_while(|_| {
            let both = [&doubled; 2];
            Constant::concatenated(&"d".into(), &both, 0, &mut memory).is_ok_and(|d| {
                doubled = d;
                true
            })
        });
        assert!(doublings.count() < 22);
    }
}
