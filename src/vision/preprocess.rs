//! Resizes, crops and normalises an RGB image into the planes of numbers that a network was trained on.

use std::fmt;
use std::str::FromStr;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::RgbImage;

use crate::{Error, Result};

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
pub struct Preprocess {
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

/// How the whole image is resized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// What is cut out of the resized image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crop {
    /// Nothing: the resized image is the input.
    None,
    /// The middle, as `torchvision.transforms.CenterCrop` cuts it: an offset of a half goes to the even number, and
    /// what is smaller than the crop is padded with black.
    Centre {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
    },
}

/// The filter that resizes, by Pillow's names and with Pillow's meaning: the filter widens as the image shrinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// The pixel below the centre of the new one; where that is an edge between two, Pillow may take the other.
    Nearest,
    /// The mean of the pixels below the new one. One whose centre lies on the very edge may count otherwise than in
    /// Pillow: the last bit of an f64 decides.
    Box,
    /// A triangle.
    Bilinear,
    /// Catmull-Rom, a = -0.5.
    Bicubic,
    /// A sinc cut off by a sinc three times as wide.
    Lanczos3,
}

impl Filter {
    /// Every filter.
    pub const ALL: [Self; 5] = [Self::Nearest, Self::Box, Self::Bilinear, Self::Bicubic, Self::Lanczos3];

    /// The name that [`FromStr`] reads. It also reads `linear`, `cubic` and `lanczos`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nearest => "nearest",
            Self::Box => "box",
            Self::Bilinear => "bilinear",
            Self::Bicubic => "bicubic",
            Self::Lanczos3 => "lanczos3",
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Filter {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim().to_ascii_lowercase();
        let name = match text.as_str() {
            "linear" | "triangle" => "bilinear",
            "cubic" => "bicubic",
            "lanczos" | "antialias" => "lanczos3",
            other => other,
        };
        Self::ALL.into_iter().find(|filter| filter.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Error::Usage(format!("no filter is called {text:?}; there are {names}"))
        })
    }
}

impl fmt::Display for Preprocess {
    /// Such as `shorter side to 256 (bilinear), centre 224x224, mean 0.485,0.456,0.406, std 0.229,0.224,0.225`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.resize {
            Resize::None => write!(f, "not resized")?,
            Resize::Exact { width, height } => write!(f, "resized to {width}x{height} ({})", self.filter)?,
            Resize::ShorterSide(side) => write!(f, "shorter side to {side} ({})", self.filter)?,
        }
        if let Crop::Centre { width, height } = self.crop {
            write!(f, ", centre {width}x{height}")?;
        }
        for (is, what) in [(self.grayscale, "grey"), (self.bgr, "blue first"), (self.invert, "inverted")] {
            if is {
                write!(f, ", {what}")?;
            }
        }
        let list = |values: &[f32]| values.iter().map(f32::to_string).collect::<Vec<_>>().join(",");
        match (&self.mean[..], &self.std[..]) {
            (mean, std) if mean.iter().all(|v| *v == 0.0) && std.iter().all(|v| *v == 1.0) => {
                write!(f, ", values in 0..1")
            }
            (mean, std) if mean.iter().all(|v| *v == 0.0) && std.iter().all(|v| *v == LEVEL) => {
                write!(f, ", levels in 0..255")
            }
            (mean, std) => write!(f, ", mean {}, std {}", list(mean), list(std)),
        }
    }
}

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

    /// Makes the network's input of `image`.
    ///
    /// # Errors
    /// As [`output_size`](Self::output_size).
    pub fn apply(&self, image: &RgbImage) -> Result<Planes> {
        let (width, height) = self.output_size(image.width(), image.height())?;
        let (channels, height, width) = (self.channels(), height as usize, width as usize);
        let mut values = vec![0.0; channels * height * width];
        self.apply_into(image, &mut values)?;
        Ok(Planes { channels, height, width, values })
    }

    /// As [`apply`](Self::apply), into a buffer of the caller's: a place in a batch.
    ///
    /// # Errors
    /// As [`output_size`](Self::output_size), and [`Error::Usage`] if `out` is not of exactly
    /// `channels * height * width` values.
    pub fn apply_into(&self, image: &RgbImage, out: &mut [f32]) -> Result<()> {
        let (across, down) = self.plan(image.width(), image.height())?;
        let (width, height) = (across.output as usize, down.output as usize);
        let channels = self.channels();
        if out.len() != channels * height * width {
            return Err(Error::Usage(format!(
                "an input of {channels} x {height} x {width} needs {} values, and the buffer has {}",
                channels * height * width,
                out.len()
            )));
        }
        let levels = if self.grayscale {
            resample(&to_grey(image), PixelType::U8, self.filter, across, down)?
        } else {
            resample(image.as_raw(), PixelType::U8x3, self.filter, across, down)?
        };

        let (left, top, row) = (across.pad as usize, down.pad as usize, across.take as usize);
        for (channel, plane) in out.chunks_exact_mut(height * width).enumerate() {
            let (mean, std) = (self.mean[channel], self.std[channel]);
            let normalise = |level: u8| match std == LEVEL {
                // Levels stay whole numbers.
                true => f32::from(level) - 255.0 * mean,
                false => (f32::from(level) / 255.0 - mean) / std,
            };
            let table: [f32; 256] = std::array::from_fn(|level| {
                let level = level as u8;
                normalise(if self.invert { 255 - level } else { level })
            });
            if (across.take, down.take) != (across.output, down.output) {
                plane.fill(normalise(0));
            }
            let source = if self.bgr { channels - 1 - channel } else { channel };
            let rows = plane.chunks_exact_mut(width).skip(top);
            for (out_row, level_row) in rows.zip(levels.chunks_exact(row * channels)) {
                for (value, pixel) in out_row[left..].iter_mut().zip(level_row.chunks_exact(channels)) {
                    *value = table[usize::from(pixel[source])];
                }
            }
        }
        Ok(())
    }

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
        let (first, last) = down.rows_read(self.filter);
        for (w, h) in [(across.take, last - first), (across.take, down.take), (across.output, down.output)] {
            if u64::from(w) * u64::from(h) > MAX_PIXELS {
                return Err(too_large((w.into(), h.into())));
            }
        }
        Ok((across, down))
    }
}

/// One direction of a resize and crop, in pixels.
#[derive(Clone, Copy)]
struct Axis {
    /// Pixels of the image.
    source: u32,
    /// Pixels that the whole image would have after the resize.
    resized: u32,
    /// The first of them that the crop takes, and how many.
    start: u32,
    take: u32,
    /// Black pixels before those.
    pad: u32,
    /// Pixels of the input.
    output: u32,
}

impl Axis {
    /// The offsets of torchvision's `center_crop`, which pads first where the image is smaller than the crop.
    fn new(source: u32, resized: u32, output: u32) -> Self {
        if output > resized {
            return Self { source, resized, start: 0, take: resized, pad: (output - resized) / 2, output };
        }
        // Python's round() takes a half to the even number.
        let (half, odd) = ((resized - output) / 2, (resized - output) % 2);
        let start = if odd == 1 && half % 2 == 1 { half + 1 } else { half };
        Self { source, resized, start, take: output, pad: 0, output }
    }

    /// Pixels of the image for each resized pixel.
    fn scale(self) -> f64 {
        f64::from(self.source) / f64::from(self.resized)
    }

    /// What the crop takes, in pixels of the image: the left edge and the width.
    fn span(self) -> (f64, f64) {
        if self.take == self.resized {
            return (0.0, self.source.into());
        }
        let left = f64::from(self.start) * self.scale();
        (left, (f64::from(self.take) * self.scale()).min(f64::from(self.source) - left))
    }

    /// The image's rows from which the taken ones are made: the first, and the one after the last.
    fn rows_read(self, filter: Filter) -> (u32, u32) {
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

/// Resizes interleaved levels and returns what the crop takes, `down.take` rows of `across.take` pixels.
///
/// Only what the crop takes is computed. It works across first and rounds to 8 bits before it works down, as Pillow up
/// to 12 always did (13 works down first where that is faster); the other way round, pixels differ by several levels
/// where the bicubic filter overshoots.
fn resample(levels: &[u8], kind: PixelType, filter: Filter, across: Axis, down: Axis) -> Result<Vec<u8>> {
    let convolution = match filter {
        _ if (across.source, down.source) == (across.resized, down.resized) => {
            return Ok(nearest(levels, kind.size(), across, down));
        }
        Filter::Nearest => return Ok(nearest(levels, kind.size(), across, down)),
        Filter::Box => FilterType::Box,
        Filter::Bilinear => FilterType::Bilinear,
        Filter::Bicubic => FilterType::CatmullRom,
        Filter::Lanczos3 => FilterType::Lanczos3,
    };
    let failed = |error: &dyn fmt::Display| Error::Usage(format!("the image can't be resized: {error}"));
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(convolution));
    let mut resizer = Resizer::new();

    let image = ImageRef::new(across.source, down.source, levels, kind).map_err(|error| failed(&error))?;
    let (first, last) = down.rows_read(filter);
    let rows = last - first;
    let (left, width) = across.span();
    let mut narrowed = Image::new(across.take, rows, kind);
    resizer
        .resize(&image, &mut narrowed, &options.crop(left, first.into(), width, rows.into()))
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
fn nearest(levels: &[u8], pixel_bytes: usize, across: Axis, down: Axis) -> Vec<u8> {
    let below = |axis: Axis| {
        (axis.start..axis.start + axis.take)
            .map(move |at| ((2 * u64::from(at) + 1) * u64::from(axis.source) / (2 * u64::from(axis.resized))) as usize)
    };
    let columns: Vec<usize> = below(across).map(|x| x * pixel_bytes).collect();
    let mut taken = Vec::with_capacity(columns.len() * down.take as usize * pixel_bytes);
    let row_bytes = across.source as usize * pixel_bytes;
    for y in below(down) {
        let row = &levels[y * row_bytes..(y + 1) * row_bytes];
        columns.iter().for_each(|x| taken.extend_from_slice(&row[*x..*x + pixel_bytes]));
    }
    taken
}

/// Luma by ITU-R BT.601 in 16-bit fixed point, the formula of Pillow's `convert("L")`.
fn to_grey(image: &RgbImage) -> Vec<u8> {
    let luma = |pixel: &[u8]| {
        let [red, green, blue] = [pixel[0], pixel[1], pixel[2]].map(u32::from);
        ((red * 19_595 + green * 38_470 + blue * 7_471 + 0x8000) >> 16) as u8
    };
    image.as_raw().chunks_exact(3).map(luma).collect()
}
