//! Where a window is applied to an image: the geometry that convolutions and pools share.

use super::shape::MAX_SIDE;

/// Pixels that surround an image, a side at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Padding {
    /// Rows above.
    pub top: usize,
    /// Columns to the left.
    pub left: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns to the right.
    pub right: usize,
}

impl Padding {
    /// The same on all sides.
    pub const fn all(pixels: usize) -> Self {
        Self { top: pixels, left: pixels, bottom: pixels, right: pixels }
    }
}

/// A window that slides over an image. Pairs are a height and a width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// Taps down and across.
    pub kernel: [usize; 2],
    /// Pixels from one application to the next.
    pub stride: [usize; 2],
    /// Pixels around the image.
    pub padding: Padding,
    /// Pixels from one tap to the next.
    pub dilation: [usize; 2],
}

impl Window {
    /// A square window, applied at every pixel of the bare image.
    pub const fn square(kernel: usize) -> Self {
        Self { kernel: [kernel; 2], stride: [1; 2], padding: Padding::all(0), dilation: [1; 2] }
    }

    /// How many taps it has.
    pub const fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Whether it is one pixel, applied everywhere.
    pub fn is_pixel(&self) -> bool {
        *self == Self { dilation: self.dilation, ..Self::square(1) }
    }

    /// Pixels from its first tap to its last, both included; not of an empty window.
    pub const fn extent(&self) -> [usize; 2] {
        [(self.kernel[0] - 1) * self.dilation[0] + 1, (self.kernel[1] - 1) * self.dilation[1] + 1]
    }

    /// Rows and columns of applications to an image: `(side + padding - extent) / stride + 1`, rounded down. Where
    /// `ceil`, it is rounded up, unless the last would begin in the padding behind the image, as PyTorch has it.
    pub(super) fn applications(&self, image: [usize; 2], ceil: bool) -> Result<[usize; 2], String> {
        let Padding { top, left, bottom, right } = self.padding;
        let (before, after) = ([top, left], [bottom, right]);
        let usable = |n: usize| (1..=MAX_SIDE).contains(&n);
        if [self.kernel, self.stride, self.dilation].as_flattened().iter().any(|n| !usable(*n)) {
            return Err("a kernel, stride or dilation is zero, or too large".into());
        }
        if before.iter().chain(&after).any(|n| *n > MAX_SIDE) {
            return Err("a padding is too large".into());
        }
        let mut counts = [0; 2];
        for axis in 0..2 {
            let (side, extent, stride) = (image[axis], self.extent()[axis], self.stride[axis]);
            let Some(room) = (side + before[axis] + after[axis]).checked_sub(extent) else {
                let padding = before[axis] + after[axis];
                return Err(format!("{side} pixels and {padding} of padding are fewer than the kernel's {extent}"));
            };
            counts[axis] = room / stride + 1;
            if ceil && !room.is_multiple_of(stride) && counts[axis] * stride < side + before[axis] {
                counts[axis] += 1;
            }
        }
        Ok(counts)
    }

    /// The window with padding below and to the right for all of its `applications` to an image, also those that extend
    /// beyond it because their count was rounded up: `(applications - 1) * stride + extent` pixels along each side.
    pub(crate) fn covering(&self, image: [usize; 2], applications: [usize; 2]) -> Self {
        let Padding { top, left, bottom, right } = self.padding;
        let needed = |axis: usize, before: usize| {
            let end = (applications[axis] - 1) * self.stride[axis] + self.extent()[axis];
            end.saturating_sub(before + image[axis])
        };
        let padding = Padding { top, left, bottom: bottom.max(needed(0, top)), right: right.max(needed(1, left)) };
        Self { padding, ..*self }
    }

    /// Whether each of the `applications` has a tap on a pixel of `image`, and not all of them beside it or, far apart,
    /// around it.
    pub(crate) fn sees_pixels(&self, image: [usize; 2], applications: [usize; 2]) -> bool {
        let before = [self.padding.top, self.padding.left];
        let along = |axis: usize| {
            (0..applications[axis]).all(|at| {
                let start = at * self.stride[axis];
                // The first tap that is not before the image.
                let tap = before[axis].saturating_sub(start).div_ceil(self.dilation[axis]);
                tap < self.kernel[axis] && start + tap * self.dilation[axis] < before[axis] + image[axis]
            })
        };
        along(0) && along(1)
    }
}

/// Setters that mirror PyTorch's keyword arguments, for whatever holds a window.
macro_rules! windowed {
    ($name:ident) => {
        impl $name {
            /// Goes on by `stride` pixels, down and across.
            pub const fn stride(mut self, stride: usize) -> Self {
                self.window.stride = [stride; 2];
                self
            }

            /// Surrounds the image by `padding` pixels.
            pub const fn padding(mut self, padding: usize) -> Self {
                self.window.padding = Padding::all(padding);
                self
            }

            /// Any other geometry.
            pub const fn window(mut self, window: Window) -> Self {
                self.window = window;
                self
            }
        }
    };
}

pub(super) use windowed;
