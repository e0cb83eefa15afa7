//! A picture's levels: the whole of it, or the part that an input is made of.

use image::{Rgb, RgbImage};
use std::borrow::Cow;

/// A part of a picture, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Area {
    pub left: usize,
    pub top: usize,
    pub width: usize,
    pub height: usize,
}

impl Area {
    /// The whole of a picture.
    pub fn whole((width, height): (u32, u32)) -> Self {
        Self { left: 0, top: 0, width: width as usize, height: height as usize }
    }
}

/// A picture of which at least a part is there.
pub(super) struct Picture<'a> {
    /// Pixels of the whole picture as the file has it, across and down.
    pub original: (u32, u32),
    /// Pixels of the whole picture as it was decoded.
    pub size: (u32, u32),
    /// The part of that which is there.
    pub area: Area,
    pub samples: Samples<'a>,
}

/// The levels of a part, row by row.
pub(super) enum Samples<'a> {
    /// Red, green and blue side by side.
    Rgb(Cow<'a, [u8]>),
    /// Red, green and blue are the same.
    Grey(Vec<u8>),
}

impl<'a> From<&'a RgbImage> for Picture<'a> {
    fn from(image: &'a RgbImage) -> Self {
        let size = image.dimensions();
        Self { original: size, size, area: Area::whole(size), samples: Samples::Rgb(Cow::Borrowed(image.as_raw())) }
    }
}

impl From<RgbImage> for Picture<'_> {
    fn from(image: RgbImage) -> Self {
        let size = image.dimensions();
        Self { original: size, size, area: Area::whole(size), samples: Samples::Rgb(Cow::Owned(image.into_raw())) }
    }
}

impl Picture<'_> {
    /// The part that is there, as an image.
    pub fn into_rgb(self) -> RgbImage {
        let (width, height) = (self.area.width as u32, self.area.height as u32);
        let levels = match self.samples {
            Samples::Rgb(levels) => levels.into_owned(),
            Samples::Grey(levels) => levels.iter().flat_map(|level| [*level; 3]).collect(),
        };
        RgbImage::from_raw(width, height, levels).unwrap_or_else(|| RgbImage::from_pixel(width, height, Rgb([0; 3])))
    }
}
