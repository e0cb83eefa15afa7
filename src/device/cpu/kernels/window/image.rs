//! An image as windows see it, and which of their taps fall on it.

use std::ops::Range;

/// An image of one vector a pixel, as windows see it.
#[derive(Clone, Copy)]
pub(in crate::device::cpu::kernels) struct Image {
    pub x: *const f32,
    pub height: usize,
    pub width: usize,
    /// Rows above it and columns to its left, which are not in memory.
    pub top: usize,
    pub left: usize,
    /// The row of outputs that its first row belongs to.
    pub first: usize,
}

/// The taps, of `kernel` from `start` on, that fall on a side of `side` pixels after `before` of padding.
#[inline(always)]
pub(in crate::device::cpu::kernels) fn within(
    start: usize,
    kernel: usize,
    dilation: usize,
    before: usize,
    side: usize,
) -> Range<usize> {
    let first = before.saturating_sub(start).div_ceil(dilation);
    first..kernel.min((side + before).saturating_sub(start).div_ceil(dilation)).max(first)
}
