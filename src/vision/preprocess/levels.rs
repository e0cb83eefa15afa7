//! A network's input before it is normalised: levels of 8 bits, for devices that normalise by themselves.

use super::Preprocess;
use crate::Result;
use crate::vision::picture::Picture;
use image::RgbImage;

/// A network's input for one image before it is normalised: `levels[(channel * height + y) * width + x]`. They take a quarter
/// of the memory of [`Planes`](super::Planes), and a [`Normalisation`](super::Normalisation) makes the same numbers of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Levels {
    /// 3 (red, green, blue, unless [`Preprocess::bgr`] turns them round), or 1 (grey).
    pub channels: usize,
    /// Rows of each channel.
    pub height: usize,
    /// Columns of each channel.
    pub width: usize,
    /// The levels, `channels * height * width` of them. Padding is 0.
    pub levels: Vec<u8>,
}

impl Preprocess {
    /// Makes the network's input of `image`, but for normalising it.
    ///
    /// # Errors
    /// As [`output_size`](Self::output_size).
    pub fn levels(&self, image: &RgbImage) -> Result<Levels> {
        self.levels_of(&image.into())
    }

    /// As [`levels`](Self::levels), of a picture of which the part that counts is there.
    pub(in crate::vision) fn levels_of(&self, picture: &Picture) -> Result<Levels> {
        let (channels, height, width, levels) = self.filled(picture, |_, level| level)?;
        Ok(Levels { channels, height, width, levels })
    }
}
