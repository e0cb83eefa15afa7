//! How a whole image is resized, and the pixels of what the crop takes.

use super::axis::Axis;
use super::filter::Filter;
use crate::vision::picture::Area;
use crate::{Error, Result};
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use std::fmt;

/// How the whole image is resized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Resize {
    /// Not at all: the network sees the image's own size.
    None,
    /// Straight to this size in pixels, whatever the aspect ratio.
    Exact {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
    },
    /// The shorter side becomes this many pixels, the longer keeps the aspect ratio and is rounded down, as
    /// `torchvision.transforms.Resize(n)` does.
    ShorterSide(u32),
}

/// Resizes levels and returns what the crop takes, row by row. `area` is the part of the image that is there, of which the
/// axes tell what is read.
///
/// Only what the crop takes is computed. It works across first and rounds to 8 bits before it works down, as Pillow up
/// to 12 always did (13 works down first where that is faster); the other way round, pixels differ by several levels
/// where the bicubic filter overshoots.
pub(super) fn resample(
    levels: &[u8],
    kind: PixelType,
    filter: Filter,
    (across, down): (Axis, Axis),
    area: Area,
) -> Result<Vec<u8>> {
    let convolution = match filter {
        _ if (across.source, down.source) == (across.resized, down.resized) => {
            return Ok(nearest(levels, kind.size(), across, down, area));
        }
        Filter::Nearest => return Ok(nearest(levels, kind.size(), across, down, area)),
        Filter::Box => FilterType::Box,
        Filter::Bilinear => FilterType::Bilinear,
        Filter::Bicubic => FilterType::CatmullRom,
        Filter::Lanczos3 => FilterType::Lanczos3,
    };
    let failed = |error: &dyn fmt::Display| Error::Usage(format!("the image can't be resized: {error}"));
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(convolution));
    let mut resizer = Resizer::new();

    let size = (area.width as u32, area.height as u32);
    let image = ImageRef::new(size.0, size.1, levels, kind).map_err(|error| failed(&error))?;
    let (first, last) = down.read(filter);
    let rows = last - first;
    let (left, width) = across.span();
    let from = (left - area.left as f64, f64::from(first) - area.top as f64);
    let mut narrowed = Image::new(across.take, rows, kind);
    resizer
        .resize(&image, &mut narrowed, &options.crop(from.0, from.1, width, rows.into()))
        .map_err(|error| failed(&error))?;

    let (top, height) = if down.source == down.resized { (0.0, rows.into()) } else { down.span() };
    let top = if down.source == down.resized { top } else { top - f64::from(first) };
    let mut resized = Image::new(across.take, down.take, kind);
    resizer
        .resize(&narrowed, &mut resized, &options.crop(0.0, top, across.take.into(), height))
        .map_err(|error| failed(&error))?;
    Ok(resized.into_vec())
}

/// Takes for each new pixel the one below its centre; without a change of size this is a plain crop.
fn nearest(levels: &[u8], pixel_bytes: usize, across: Axis, down: Axis, area: Area) -> Vec<u8> {
    let below = |axis: Axis| {
        (axis.start..axis.start + axis.take)
            .map(move |at| ((2 * u64::from(at) + 1) * u64::from(axis.source) / (2 * u64::from(axis.resized))) as usize)
    };
    let columns: Vec<usize> = below(across).map(|x| (x - area.left) * pixel_bytes).collect();
    let mut taken = Vec::with_capacity(columns.len() * down.take as usize * pixel_bytes);
    let row_bytes = area.width * pixel_bytes;
    for y in below(down) {
        let row = &levels[(y - area.top) * row_bytes..][..row_bytes];
        columns.iter().for_each(|x| taken.extend_from_slice(&row[*x..*x + pixel_bytes]));
    }
    taken
}
