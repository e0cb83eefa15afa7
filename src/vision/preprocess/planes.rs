//! A network's input: the levels of a resized image, normalised channel by channel.

use super::resize::resample;
use super::{LEVEL, Preprocess};
use crate::vision::picture::{Picture, Samples};
use crate::{Error, Result};
use fast_image_resize::PixelType;
use image::RgbImage;

/// A network's input for one image: `values[(channel * height + y) * width + x]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Planes {
    /// 3 (red, green, blue, unless [`Preprocess::bgr`] turns them round), or 1 (grey).
    pub channels: usize,
    /// Rows of each channel.
    pub height: usize,
    /// Columns of each channel.
    pub width: usize,
    /// The normalised values, `channels * height * width` of them.
    pub values: Vec<f32>,
}

impl Preprocess {
    /// Makes the network's input of `image`.
    ///
    /// # Errors
    /// As [`output_size`](Self::output_size).
    pub fn apply(&self, image: &RgbImage) -> Result<Planes> {
        self.planes_of(&image.into())
    }

    /// As [`apply`](Self::apply), of a picture of which the part that counts is there.
    pub(in crate::vision) fn planes_of(&self, picture: &Picture) -> Result<Planes> {
        let (channels, height, width, values) =
            self.filled(picture, |channel, level| self.normalised(channel, level))?;
        Ok(Planes { channels, height, width, values })
    }

    /// As [`apply`](Self::apply), into a buffer of the caller's: a place in a batch.
    ///
    /// # Errors
    /// As [`output_size`](Self::output_size), and [`Error::Usage`] if `out` is not of exactly
    /// `channels * height * width` values.
    pub fn apply_into(&self, image: &RgbImage, out: &mut [f32]) -> Result<()> {
        self.fill(&image.into(), out, |channel, level| self.normalised(channel, level))
    }

    /// What becomes of a level of a channel, of settings that are [valid](Self::validate).
    pub(super) fn normalised(&self, channel: usize, level: u8) -> f32 {
        let (mean, std) = (self.mean[channel], self.std[channel]);
        match std == LEVEL {
            // Levels stay whole numbers.
            true => f32::from(level) - 255.0 * mean,
            false => (f32::from(level) / 255.0 - mean) / std,
        }
    }

    /// Channels, height and width of the input, and what `value` makes of the levels of each channel.
    pub(super) fn filled<T: Copy + Default>(
        &self,
        picture: &Picture,
        value: impl Fn(usize, u8) -> T,
    ) -> Result<(usize, usize, usize, Vec<T>)> {
        let (width, height) = self.output_size(picture.original.0, picture.original.1)?;
        let (channels, height, width) = (self.channels(), height as usize, width as usize);
        let mut out = vec![T::default(); channels * height * width];
        self.fill(picture, &mut out, value)?;
        Ok((channels, height, width, out))
    }

    /// Fills `out` with what `value` makes of the levels of each channel.
    fn fill<T: Copy>(&self, picture: &Picture, out: &mut [T], value: impl Fn(usize, u8) -> T) -> Result<()> {
        let (across, down) = self.plan_of(picture.original, picture.size)?;
        let (width, height) = (across.output as usize, down.output as usize);
        let channels = self.channels();
        if out.len() != channels * height * width {
            return Err(Error::Usage(format!(
                "an input of {channels} x {height} x {width} needs {} values, and the buffer has {}",
                channels * height * width,
                out.len()
            )));
        }
        let resample = |levels: &[u8], kind| resample(levels, kind, self.filter, (across, down), picture.area);
        // Levels of a pixel that lie side by side.
        let (levels, step) = match (&picture.samples, self.grayscale) {
            (Samples::Rgb(levels), false) => (resample(levels, PixelType::U8x3)?, 3),
            (Samples::Rgb(levels), true) => (resample(&to_grey(levels), PixelType::U8)?, 1),
            (Samples::Grey(levels), _) => (resample(levels, PixelType::U8)?, 1),
        };
        let (left, top, row) = (across.pad as usize, down.pad as usize, across.take as usize);
        for (channel, plane) in out.chunks_exact_mut(height * width).enumerate() {
            let table: [T; 256] = std::array::from_fn(|level| {
                let level = level as u8;
                value(channel, if self.invert { 255 - level } else { level })
            });
            if (across.take, down.take) != (across.output, down.output) {
                plane.fill(value(channel, 0));
            }
            // Grey is the same in all channels.
            let source = if self.bgr { channels - 1 - channel } else { channel }.min(step - 1);
            let rows = plane.chunks_exact_mut(width).skip(top);
            for (out_row, level_row) in rows.zip(levels.chunks_exact(row * step)) {
                for (value, pixel) in out_row[left..].iter_mut().zip(level_row.chunks_exact(step)) {
                    *value = table[usize::from(pixel[source])];
                }
            }
        }
        Ok(())
    }
}

/// Luma by ITU-R BT.601 in 16-bit fixed point, the formula of Pillow's `convert("L")`.
fn to_grey(levels: &[u8]) -> Vec<u8> {
    let luma = |pixel: &[u8; 3]| {
        let [red, green, blue] = pixel.map(u32::from);
        ((red * 19_595 + green * 38_470 + blue * 7_471 + 0x8000) >> 16) as u8
    };
    levels.as_chunks::<3>().0.iter().map(luma).collect()
}
