//! Views of a storage: their extent checked before anything is allocated, then sliced or gathered to row-major order.

use crate::tensor::DType;

/// Most dimensions that a tensor may have; PyTorch itself has no operator for more.
pub(super) const MAX_RANK: usize = 64;

/// A view: element `i, j, ...` lies at `offset + i * strides[0] + j * strides[1] + ...`, all counted in elements.
#[derive(Debug)]
pub(super) struct View {
    pub dtype: DType,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
    pub offset: usize,
}

/// What a view comes to, in bytes.
#[derive(Debug, PartialEq)]
pub(super) enum Layout {
    /// A row-major run of the storage.
    Run { start: usize, len: usize },
    /// Elements to be collected into `len` bytes.
    Scattered { len: usize },
}

impl View {
    /// Where the view lies in a storage of `available` bytes; an error where it reaches beyond.
    pub fn layout(&self, available: usize) -> Result<Layout, String> {
        let Self { dtype, shape, strides, offset } = self;
        let size = dtype.size();
        if shape.len() > MAX_RANK {
            return Err(format!("it has {} dimensions; {MAX_RANK} are possible", shape.len()));
        }
        if shape.len() != strides.len() {
            return Err(format!("its shape {shape:?} and its strides {strides:?} differ in length"));
        }
        let overflow = || format!("its shape {shape:?} with strides {strides:?} at offset {offset} overflows");
        if shape.contains(&0) {
            return Ok(Layout::Run { start: 0, len: 0 });
        }
        let len = shape.iter().try_fold(size, |n, &d| n.checked_mul(d)).ok_or_else(overflow)?;
        let reach = |last: usize, (&d, &stride): (&usize, &usize)| last.checked_add((d - 1).checked_mul(stride)?);
        let last = shape.iter().zip(strides).try_fold(*offset, reach).ok_or_else(overflow)?;
        let end = last.checked_add(1).and_then(|n| n.checked_mul(size)).ok_or_else(overflow)?;
        if end > available {
            return Err(format!(
                "it reaches to byte {end} of a storage of {available} bytes (shape {shape:?}, strides {strides:?}, \
                 offset {offset}, {dtype}); the file is damaged"
            ));
        }
        if self.is_contiguous() { Ok(Layout::Run { start: offset * size, len }) } else { Ok(Layout::Scattered { len }) }
    }

    fn is_contiguous(&self) -> bool {
        let mut expected = 1usize;
        self.shape.iter().zip(&self.strides).rev().all(|(&d, &stride)| {
            let fits = d == 1 || stride == expected;
            expected = expected.saturating_mul(d);
            fits
        })
    }

    /// Collects the view's elements from `storage`, row-major, into `out`, which has room for them. Only for a view
    /// that [`layout`](Self::layout) found to lie within `storage`.
    pub fn gather(&self, storage: &[u8], out: &mut Vec<u8>) {
        match self.dtype.size() {
            1 => self.gather_sized::<1>(storage, out),
            2 => self.gather_sized::<2>(storage, out),
            4 => self.gather_sized::<4>(storage, out),
            _ => self.gather_sized::<8>(storage, out),
        }
    }

    fn gather_sized<const SIZE: usize>(&self, storage: &[u8], out: &mut Vec<u8>) {
        let elements = storage.as_chunks::<SIZE>().0;
        // The stride of a dimension of 1 may be any number, and is never walked.
        let walked = self.shape.iter().copied().zip(self.strides.iter().copied()).filter(|(d, _)| *d != 1);
        let walked: Vec<(usize, usize)> = walked.collect();
        let Some((&(columns, step), outer)) = walked.split_last() else {
            out.extend(elements.get(self.offset).into_iter().flatten());
            return;
        };
        let mut index = vec![0usize; outer.len()];
        let mut row = self.offset;
        loop {
            if step == 0 {
                let element = elements.get(row).copied().unwrap_or([0; SIZE]);
                (0..columns).for_each(|_| out.extend_from_slice(&element));
            } else {
                let row = elements.get(row..).unwrap_or_default();
                row.iter().step_by(step).take(columns).for_each(|element| out.extend_from_slice(element));
            }
            // The next row: an odometer over the outer dimensions, the innermost fastest.
            let mut dimension = outer.len();
            loop {
                if dimension == 0 {
                    return;
                }
                dimension -= 1;
                let (length, stride) = outer[dimension];
                index[dimension] += 1;
                row += stride;
                if index[dimension] < length {
                    break;
                }
                row -= stride * length;
                index[dimension] = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(shape: &[usize], strides: &[usize], offset: usize) -> View {
        View { dtype: DType::U8, shape: shape.to_vec(), strides: strides.to_vec(), offset }
    }

    fn gathered(view: &View, storage: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        view.gather(storage, &mut out);
        out
    }

    #[test]
    fn a_row_major_view_is_a_run() {
        assert_eq!(view(&[2, 3], &[3, 1], 4).layout(10), Ok(Layout::Run { start: 4, len: 6 }));
        // The stride of a dimension of 1 says nothing.
        assert_eq!(view(&[1, 3], &[77, 1], 0).layout(3), Ok(Layout::Run { start: 0, len: 3 }));
        assert_eq!(view(&[], &[], 2).layout(3), Ok(Layout::Run { start: 2, len: 1 }));
        assert_eq!(view(&[0, 4], &[4, 1], 9).layout(0), Ok(Layout::Run { start: 0, len: 0 }));
    }

    #[test]
    fn other_views_are_gathered() {
        let storage: Vec<u8> = (0..12).collect();
        let transposed = view(&[4, 3], &[1, 4], 0);
        assert_eq!(transposed.layout(12), Ok(Layout::Scattered { len: 12 }));
        assert_eq!(gathered(&transposed, &storage), [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]);
        assert_eq!(gathered(&view(&[2, 2, 2], &[6, 1, 3], 1), &storage), [1, 4, 2, 5, 7, 10, 8, 11]);
        assert_eq!(gathered(&view(&[2, 3], &[4, 0], 5), &storage), [5, 5, 5, 9, 9, 9]);
        assert_eq!(gathered(&view(&[1, 2, 1], &[usize::MAX, 3, usize::MAX], 2), &storage), [2, 5]);
        let wide = View { dtype: DType::I16, ..view(&[3], &[2], 0) };
        assert_eq!(wide.layout(12), Ok(Layout::Scattered { len: 6 }));
        assert_eq!(gathered(&wide, &storage), [0, 1, 4, 5, 8, 9]);
    }

    #[test]
    fn a_view_beyond_its_storage_is_an_error() {
        assert!(view(&[2, 3], &[3, 1], 5).layout(10).unwrap_err().contains("byte 11 of a storage of 10 bytes"));
        assert!(view(&[usize::MAX, 2], &[0, 0], 0).layout(10).unwrap_err().contains("overflows"));
        assert!(view(&[3], &[usize::MAX], 0).layout(10).unwrap_err().contains("overflows"));
        assert!(view(&[1], &[1], usize::MAX).layout(10).unwrap_err().contains("overflows"));
        assert!(view(&[2], &[], 0).layout(10).unwrap_err().contains("differ in length"));
        assert!(view(&[1; 65], &[1; 65], 0).layout(10).unwrap_err().contains("65 dimensions"));
    }
}
