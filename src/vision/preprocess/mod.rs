//! How an RGB image becomes the planes of numbers that a network was trained on: resized, cropped and normalised.

mod axis;
mod crop;
mod decoding;
mod display;
mod filter;
mod levels;
mod normalisation;
mod planes;
mod resize;

pub use crop::Crop;
pub use decoding::Decoding;
pub use filter::Filter;
pub use levels::Levels;
pub use normalisation::Normalisation;
pub use planes::Planes;
pub use resize::Resize;

use crate::vision::picture::Area;
use crate::{Error, Result};
use axis::Axis;

/// The most pixels that one step of a resize may write: a picture of 1 x 10,000 pixels whose shorter side becomes 256
/// would otherwise ask for gigabytes.
const MAX_PIXELS: u64 = 1 << 26;

/// One level of 255, in units of 0..1: the deviation of what stays in levels.
pub(super) const LEVEL: f32 = 1.0 / 255.0;

/// How an image becomes a network's input, in this order: grey, resize, crop, channel order, invert, normalise.
///
/// ```
/// use pretrained::vision::{Preset, Resize};
///
/// let mut preprocess = Preset::Torchvision.preprocess();
/// preprocess.resize = Resize::ShorterSide(232);
/// let input = preprocess.apply(&image::RgbImage::new(640, 480))?;
/// assert_eq!((input.channels, input.height, input.width), (3, 224, 224));
/// # Ok::<(), pretrained::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Preprocess {
    /// How the file is decoded.
    #[cfg_attr(feature = "serde", serde(default))]
    pub decoding: Decoding,
    /// How the whole image is resized.
    pub resize: Resize,
    /// The filter that resizes.
    pub filter: Filter,
    /// What is cut out of the resized image.
    pub crop: Crop,
    /// Whether colour becomes grey, and the input has one channel instead of three.
    pub grayscale: bool,
    /// Whether the channels are blue, green and red instead of red, green and blue. Grey stays as it is.
    pub bgr: bool,
    /// Whether a level v becomes 255 - v. Padding stays black.
    pub invert: bool,
    /// Subtracted from each channel, in units of 0..1 (that is 0..255 divided by 255); one value a channel.
    pub mean: Vec<f32>,
    /// Divides each channel after the mean is subtracted, in units of 0..1; one value a channel.
    pub std: Vec<f32>,
}

impl Preprocess {
    /// Width and height of the input in pixels, where they are the same for every image.
    pub fn fixed_size(&self) -> Option<(u32, u32)> {
        match (self.crop, self.resize) {
            (Crop::Centre { width, height }, _) | (Crop::None, Resize::Exact { width, height }) => {
                Some((width, height))
            }
            (Crop::None, Resize::None | Resize::ShorterSide(_)) => None,
        }
    }

    /// 3, or 1 where [`grayscale`](Self::grayscale) is set.
    pub fn channels(&self) -> usize {
        if self.grayscale { 1 } else { 3 }
    }

    /// The same for a grey input, or for one of colours: grey takes the mean of the colours' means and deviations, and
    /// every colour takes those of grey.
    pub(super) fn in_grey(mut self, grayscale: bool) -> Self {
        if grayscale != self.grayscale {
            for values in [&mut self.mean, &mut self.std] {
                let mean = values.iter().sum::<f32>() / values.len().max(1) as f32;
                *values = vec![mean; if grayscale { 1 } else { 3 }];
            }
            self.grayscale = grayscale;
        }
        self
    }

    /// Whether the settings make sense by themselves, whatever the image.
    ///
    /// # Errors
    /// [`Error::Usage`]: a size of 0, not one mean and one deviation a channel, a deviation that is not above 0.
    pub fn validate(&self) -> Result<()> {
        let channels = self.channels();
        let usage = |message: String| Err(Error::Usage(message));
        if matches!(
            self.resize,
            Resize::Exact { width: 0, .. } | Resize::Exact { height: 0, .. } | Resize::ShorterSide(0)
        ) {
            return usage(format!("images can't be resized to 0 pixels: {:?}", self.resize));
        }
        if matches!(self.crop, Crop::Centre { width: 0, .. } | Crop::Centre { height: 0, .. }) {
            return usage(format!("images can't be cropped to 0 pixels: {:?}", self.crop));
        }
        for (name, values) in [("mean", &self.mean), ("std", &self.std)] {
            if values.len() != channels {
                let (count, plural) = (values.len(), if channels == 1 { "" } else { "s" });
                return usage(format!("{name} has {count} values, and the input has {channels} channel{plural}"));
            }
            if values.iter().any(|value| !value.is_finite()) {
                return usage(format!("{name} must be finite, and is {values:?}"));
            }
        }
        if self.std.iter().any(|std| *std <= 0.0) {
            return usage(format!("std must be above 0, and is {:?}", self.std));
        }
        Ok(())
    }

    /// The (width, height) that an image of this width and height in pixels comes to.
    ///
    /// # Errors
    /// As [`validate`](Self::validate), and [`Error::Usage`] if the image is empty or would become too large.
    pub fn output_size(&self, width: u32, height: u32) -> Result<(u32, u32)> {
        let (across, down) = self.plan(width, height)?;
        Ok((across.output, down.output))
    }

    /// The part of an image decoded to `size` pixels that its input is made of; all of it where that is an error.
    pub(super) fn area(&self, original: (u32, u32), size: (u32, u32)) -> Area {
        let Ok((across, down)) = self.plan_of(original, size) else { return Area::whole(size) };
        let (top, bottom) = down.read(self.filter);
        // Whether a box holds a pixel at its very edge is for the last bit of a place to say, which must not change.
        let (left, right) = if self.filter == Filter::Box { (0, size.0) } else { across.read(self.filter) };
        let [left, right, top, bottom] = [left, right, top, bottom].map(|at| at as usize);
        Area { left, top, width: right - left, height: bottom - top }
    }

    /// How many eighths of its size an image may have when it is decoded: 8, 4, 2 or 1.
    pub(super) fn eighths(&self, (width, height): (u32, u32)) -> u32 {
        let Ok((across, down)) = self.plan(width, height) else { return 8 };
        let is_enough = |eighths: &u32| {
            [across, down].iter().all(|axis| (axis.source * eighths).div_ceil(8) >= axis.resized.saturating_mul(2))
        };
        match self.decoding {
            Decoding::Exact => 8,
            Decoding::Fast => [1, 2, 4].into_iter().find(is_enough).unwrap_or(8),
        }
    }

    /// The resize and crop of an image that was decoded to `size` pixels: they come to what those of the original do.
    fn plan_of(&self, original: (u32, u32), size: (u32, u32)) -> Result<(Axis, Axis)> {
        let (across, down) = self.plan(original.0, original.1)?;
        Ok((Axis { source: size.0, ..across }, Axis { source: size.1, ..down }))
    }

    /// The resize and crop of an image of this size, across and down.
    fn plan(&self, width: u32, height: u32) -> Result<(Axis, Axis)> {
        self.validate()?;
        if width == 0 || height == 0 {
            return Err(Error::Usage(format!("an image of {width} x {height} pixels has nothing to look at")));
        }
        let too_large = |(w, h): (u64, u64)| {
            Error::Usage(format!(
                "resizing an image of {width} x {height} pixels takes {w} x {h} pixels, over the limit of {MAX_PIXELS}; \
                 crop it, or resize it to an exact size"
            ))
        };
        let (to_width, to_height) = match self.resize {
            Resize::None => (width, height),
            Resize::Exact { width, height } => (width, height),
            Resize::ShorterSide(side) => {
                let long = u64::from(side) * u64::from(width.max(height)) / u64::from(width.min(height));
                let long = u32::try_from(long).map_err(|_| too_large((long, side.into())))?;
                if width <= height { (side, long) } else { (long, side) }
            }
        };
        let (crop_width, crop_height) = match self.crop {
            Crop::None => (to_width, to_height),
            Crop::Centre { width, height } => (width, height),
        };
        let across = Axis::new(width, to_width, crop_width);
        let down = Axis::new(height, to_height, crop_height);
        // What the first step of the resize writes, the second step, and the padded output.
        let (first, last) = down.read(self.filter);
        for (w, h) in [(across.take, last - first), (across.take, down.take), (across.output, down.output)] {
            if u64::from(w) * u64::from(h) > MAX_PIXELS {
                return Err(too_large((w.into(), h.into())));
            }
        }
        Ok((across, down))
    }
}
