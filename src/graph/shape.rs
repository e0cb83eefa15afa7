//! The shape of an image or a feature map, and how large one may be.

use std::fmt;

/// The shape of one image or feature map. A vector of `n` features is `n` channels of one pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Channels.
    pub channels: usize,
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
}

impl Shape {
    /// An image's shape.
    pub const fn new(channels: usize, height: usize, width: usize) -> Self {
        Self { channels, height, width }
    }

    /// A vector's shape.
    pub const fn vector(features: usize) -> Self {
        Self::new(features, 1, 1)
    }

    /// Height and width.
    pub(crate) const fn sides(&self) -> [usize; 2] {
        [self.height, self.width]
    }

    /// Pixels of one channel; `usize::MAX` where there are more than that counts.
    pub const fn pixels(&self) -> usize {
        self.height.saturating_mul(self.width)
    }

    /// Numbers in all, likewise.
    pub const fn elements(&self) -> usize {
        self.channels.saturating_mul(self.pixels())
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.channels, self.height, self.width)
    }
}

/// No side of an image may have more pixels: products of three such numbers still fit 64 bits, and saturate 32.
pub(super) const MAX_SIDE: usize = 1 << 20;

/// No value may have more elements, so that sums of many sizes still fit.
pub(super) const MAX_ELEMENTS: usize = if usize::BITS > 32 { 1 << (usize::BITS - 22) } else { 1 << 27 };
