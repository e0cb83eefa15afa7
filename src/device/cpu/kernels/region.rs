//! Rows of an image laid out with their padding in a thread's own memory, so that the loops over them know no borders.

use crate::device::cpu::simd::Vector;
use crate::graph::Window;

/// The size of an image, and of the band of rows that is laid out at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Region {
    pub height: usize,
    pub width: usize,
    /// Rows of padding above the image, and columns to its left.
    pub top: usize,
    pub left: usize,
    /// Numbers from one pixel to the next, in the image and in the band.
    pub lanes: usize,
    /// Rows and columns of the band. What of them lies outside of the image is padding.
    pub rows: usize,
    pub columns: usize,
}

impl Region {
    /// What `window` sees of an image, for `rows` rows of `columns` outputs.
    pub fn new(image: [usize; 2], window: &Window, lanes: usize, rows: usize, columns: usize) -> Self {
        let [[height, width], [down, across]] = [image, window.extent()];
        let (top, left) = (window.padding.top, window.padding.left);
        let side = |outputs: usize, stride: usize, extent: usize| {
            outputs.saturating_sub(1).saturating_mul(stride).saturating_add(extent)
        };
        let (rows, columns) = (side(rows, window.stride[0], down), side(columns, window.stride[1], across));
        Self { height, width, top, left, lanes, rows, columns }
    }

    /// Numbers in a row of the band. A band that is packed fits memory, so there it is exact.
    pub fn row(&self) -> usize {
        self.columns.saturating_mul(self.lanes)
    }

    /// Numbers in the band, likewise.
    pub fn band(&self) -> usize {
        self.rows.saturating_mul(self.row())
    }

    /// Copies the band that begins `first` rows below the top of the padded image, all lanes of it.
    ///
    /// # Safety
    /// `x` points to an image of this size and `to` to [`Region::band`] numbers.
    #[inline(always)]
    pub(super) unsafe fn copy<V: Vector>(&self, x: *const f32, to: *mut f32, first: usize, outside: f32) {
        debug_assert_eq!(self.band(), self.rows * self.columns * self.lanes, "a band fits memory");
        let before = self.left.min(self.columns);
        let inner = self.width.min(self.columns - before);
        let (edge, inner) = (before * self.lanes, inner * self.lanes);
        for row in 0..self.rows {
            // SAFETY: 1 and 4; rows and their edges lie within the band, and `source` tells rows within the image.
            unsafe {
                let to = to.add(row * self.row());
                match self.source(first + row) {
                    Some(source) => {
                        fill(to, edge, outside);
                        copy::<V>(x.add(source * self.width * self.lanes), to.add(edge), inner);
                        fill(to.add(edge + inner), self.row() - edge - inner, outside);
                    }
                    None => fill(to, self.row(), outside),
                }
            }
        }
    }

    /// As [`Region::copy`], but one lane of it, to lane 0 of `to`.
    ///
    /// # Safety
    /// As [`Region::copy`].
    #[inline(always)]
    pub(super) unsafe fn copy_lane(&self, x: *const f32, to: *mut f32, first: usize, outside: f32) {
        for row in 0..self.rows {
            // SAFETY: 1, as in `copy`; pixels are taken from within the row.
            unsafe {
                let to = to.add(row * self.row());
                let source = self.source(first + row);
                for column in 0..self.columns {
                    let pixel = column.checked_sub(self.left).filter(|&pixel| pixel < self.width);
                    let value = match (source, pixel) {
                        (Some(row), Some(pixel)) => *x.add((row * self.width + pixel) * self.lanes),
                        _ => outside,
                    };
                    *to.add(column * self.lanes) = value;
                }
            }
        }
    }

    /// The image's row that is so many rows below the top of the padded image.
    #[inline(always)]
    fn source(&self, padded: usize) -> Option<usize> {
        padded.checked_sub(self.top).filter(|&row| row < self.height)
    }
}

/// # Safety
/// `to` points to `n` numbers.
#[inline(always)]
unsafe fn fill(to: *mut f32, n: usize, value: f32) {
    for i in 0..n {
        // SAFETY: 1, by the caller's promise.
        unsafe { *to.add(i) = value };
    }
}

/// Not `copy_nonoverlapping`, which is a call into the C library: rows are short.
///
/// # Safety
/// `x` and `to` point to `n` numbers, which do not overlap.
#[inline(always)]
unsafe fn copy<V: Vector>(x: *const f32, to: *mut f32, n: usize) {
    let whole = n - n % V::LANES;
    // SAFETY: 1, by the caller's promise; 4.
    unsafe {
        for i in (0..whole).step_by(V::LANES) {
            V::load(x.add(i)).store(to.add(i));
        }
        for i in whole..n {
            *to.add(i) = *x.add(i);
        }
    }
}
