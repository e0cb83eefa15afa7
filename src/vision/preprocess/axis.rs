//! One direction of a resize and crop.

use super::Filter;

/// One direction of a resize and crop, in pixels.
#[derive(Clone, Copy)]
pub(super) struct Axis {
    /// Pixels of the image.
    pub source: u32,
    /// Pixels that the whole image would have after the resize.
    pub resized: u32,
    /// The first of them that the crop takes, and how many.
    pub start: u32,
    pub take: u32,
    /// Black pixels before those.
    pub pad: u32,
    /// Pixels of the input.
    pub output: u32,
}

impl Axis {
    /// The offsets of torchvision's `center_crop`, which pads first where the image is smaller than the crop.
    pub fn new(source: u32, resized: u32, output: u32) -> Self {
        if output > resized {
            return Self { source, resized, start: 0, take: resized, pad: (output - resized) / 2, output };
        }
        // Python's round() takes a half to the even number.
        let (half, odd) = ((resized - output) / 2, (resized - output) % 2);
        let start = if odd == 1 && half % 2 == 1 { half + 1 } else { half };
        Self { source, resized, start, take: output, pad: 0, output }
    }

    /// Pixels of the image for each resized pixel.
    pub fn scale(self) -> f64 {
        f64::from(self.source) / f64::from(self.resized)
    }

    /// What the crop takes, in pixels of the image: the left edge and the width.
    pub fn span(self) -> (f64, f64) {
        if self.take == self.resized {
            return (0.0, self.source.into());
        }
        let left = f64::from(self.start) * self.scale();
        (left, (f64::from(self.take) * self.scale()).min(f64::from(self.source) - left))
    }

    /// The image's pixels from which the taken ones are made: the first, and the one after the last.
    pub fn read(self, filter: Filter) -> (u32, u32) {
        if self.source == self.resized {
            return (self.start, self.start + self.take);
        }
        let radius = match filter {
            Filter::Nearest | Filter::Box => 0.5,
            Filter::Bilinear => 1.0,
            Filter::Bicubic => 2.0,
            Filter::Lanczos3 => 3.0,
        };
        let (top, height) = self.span();
        // One more on each side for rounding; `as` cuts off what is below 0.
        let reach = radius * self.scale().max(1.0) + 1.0;
        ((top - reach) as u32, ((top + height + reach).ceil() as u32).min(self.source))
    }
}
