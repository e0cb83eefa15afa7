//! Turns the bytes of an image file into upright 8-bit RGB, within limits that are checked before memory is taken.
//!
//! BMP, CUR, DDS, EXR, farbfeld, GIF, HDR, ICO, JPEG, PNG, PNM, QOI, TGA, TIFF and WebP are read. The content tells which;
//! only TGA, which has no signature, may be told by its name. What comes out is what Pillow's
//! `ImageOps.exif_transpose(image).convert("RGB")` gives:
//! - alpha is dropped, not blended: the colour below it stays; in TIFF it may be multiplied in, and is divided out;
//! - CMYK and YCCK JPEGs are read as Adobe writes them (inverted), without a colour profile;
//! - colour profiles are ignored;
//! - of an animation the first frame is taken, of an icon the largest picture.
//!
//! Three things are deliberately not Pillow's: 16-bit grey keeps its upper 8 bits, as Pillow does for 16-bit colour
//! (Pillow cuts 16-bit grey off at 255, which makes most of it white); the floats of EXR and HDR are cut off at 0 and 1;
//! and a TIFF of floats or of integers that have a sign or 32 bits is refused where they are not levels from 0 to 255.

mod bmp;
mod channels;
mod gif;
mod icon;
mod jpeg;
mod kind;
mod limits;
mod orientation;
mod png;
mod refusal;
mod tiff;
mod webp;

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use image::error::UnsupportedErrorKind;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, RgbImage};

use super::picture::{Area, Picture};
use crate::vision::{Levels, Planes, Preprocess};
use crate::{Error, Result};
use kind::Kind;
pub use limits::Limits;
use limits::{Admission, Size, check};
use refusal::Refusal;

/// Reads the image file at `path` as upright 8-bit RGB.
///
/// # Errors
/// [`Error::Io`] if the file can't be read, and all of [`decode`]'s.
pub fn decode_file(path: impl AsRef<Path>, limits: &Limits) -> Result<RgbImage> {
    let path = path.as_ref();
    decode(path, &read(path, limits)?, limits)
}

/// Reads `bytes` as upright 8-bit RGB. `path` names the image in errors; it also tells a TGA by its extension.
///
/// # Errors
/// [`Error::Image`] if this is no image, one of a kind that is not read, or a damaged or truncated one;
/// [`Error::Limit`] if it is larger than `limits`.
pub fn decode(path: impl AsRef<Path>, bytes: &[u8], limits: &Limits) -> Result<RgbImage> {
    let path = path.as_ref();
    let picture = admitted(path, bytes, Wanted::Whole, &mut Admission::new(limits));
    picture.map(Picture::into_rgb).map_err(|refusal| refusal.into_error(path))
}

/// Reads the image file at `path` and prepares it. Unlike [`decode_file`] and [`Preprocess::apply`] one after the other,
/// this counts the picture in [`Limits::bytes_at_once`] until it is prepared.
///
/// # Errors
/// Those of [`decode_file`] and of [`Preprocess::apply`].
pub fn prepare_file(path: impl AsRef<Path>, limits: &Limits, preprocess: &Preprocess) -> Result<Planes> {
    let path = path.as_ref();
    prepare(path, &read(path, limits)?, limits, preprocess)
}

/// [`prepare_file`] of `bytes`, as [`decode`] takes them.
///
/// # Errors
/// Those of [`decode`] and of [`Preprocess::apply`].
pub fn prepare(path: impl AsRef<Path>, bytes: &[u8], limits: &Limits, preprocess: &Preprocess) -> Result<Planes> {
    prepared(path.as_ref(), bytes, limits, preprocess, |picture| preprocess.planes_of(picture))
}

/// As [`prepare_file`], but for normalising.
///
/// # Errors
/// As there.
pub fn prepare_levels_file(path: impl AsRef<Path>, limits: &Limits, preprocess: &Preprocess) -> Result<Levels> {
    let path = path.as_ref();
    prepare_levels(path, &read(path, limits)?, limits, preprocess)
}

/// As [`prepare`], but for normalising.
///
/// # Errors
/// As there.
pub fn prepare_levels(
    path: impl AsRef<Path>,
    bytes: &[u8],
    limits: &Limits,
    preprocess: &Preprocess,
) -> Result<Levels> {
    prepared(path.as_ref(), bytes, limits, preprocess, |picture| preprocess.levels_of(picture))
}

/// What `make` makes of a picture, which counts in [`Limits::bytes_at_once`] until it is done.
fn prepared<T>(
    path: &Path,
    bytes: &[u8],
    limits: &Limits,
    preprocess: &Preprocess,
    make: impl FnOnce(&Picture) -> Result<T>,
) -> Result<T> {
    let mut admission = Admission::new(limits);
    let picture = admitted(path, bytes, Wanted::For(preprocess), &mut admission);
    make(&picture.map_err(|refusal| refusal.into_error(path))?)
}

/// How much of a picture is wanted.
#[derive(Clone, Copy)]
enum Wanted<'p> {
    Whole,
    /// The part that an input is made of.
    For(&'p Preprocess),
}

impl Wanted<'_> {
    /// How many eighths of its size a picture of these pixels may have: 8, 4, 2 or 1.
    fn eighths(self, size: (u32, u32)) -> u32 {
        match self {
            Self::Whole => 8,
            Self::For(preprocess) => preprocess.eighths(size),
        }
    }

    /// The part of a picture that is decoded to `size` pixels.
    fn area(self, original: (u32, u32), size: (u32, u32)) -> Area {
        match self {
            Self::Whole => Area::whole(size),
            Self::For(preprocess) => preprocess.area(original, size),
        }
    }
}

fn read(path: &Path, limits: &Limits) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(|source| Error::io(path, source))?;
    let meta = file.metadata().map_err(|source| Error::io(path, source))?;
    let within = |length| check("the file in bytes", length, limits.file_bytes);
    within(meta.len()).map_err(|refusal| refusal.into_error(path))?;
    let mut bytes = Vec::with_capacity(meta.len() as usize);
    // A pipe has no length, and a file may grow: one byte over the limit is enough to refuse it.
    file.take(limits.file_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(|source| Error::io(path, source))?;
    Ok(bytes)
}

fn admitted(path: &Path, bytes: &[u8], wanted: Wanted, admission: &mut Admission) -> Result<Picture<'static>, Refusal> {
    check("the file in bytes", bytes.len() as u64, admission.limits().file_bytes)?;
    let image = match kind::of(path, bytes)? {
        Kind::Jpeg => return jpeg::decode(bytes, wanted, admission),
        Kind::Gif => gif::decode(bytes, admission),
        Kind::Tiff => tiff::decode(bytes, admission),
        Kind::Icon => icon::decode(bytes, admission),
        Kind::WebP => webp::decode(bytes, admission),
        Kind::Png => png::decode(bytes, admission),
        Kind::Bmp => bmp::decode(bytes, admission),
        Kind::Other(format) => {
            let name = name(format);
            let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
            reader.limits(memory(admission.limits()));
            let decoder = reader.into_decoder().map_err(|error| from_image_error(&name, error, admission.limits()))?;
            decode_with(decoder, &name, 0, admission)
        }
    };
    image.map(Picture::from)
}

/// Decodes with one of `image`'s decoders, once the size is known to be allowed and there is memory for it.
fn decode_with(
    mut decoder: impl ImageDecoder,
    name: &str,
    working_bytes: u64,
    admission: &mut Admission,
) -> Result<RgbImage, Refusal> {
    let (width, height) = decoder.dimensions();
    let decoded_bytes = decoder.total_bytes();
    admission.admit(&Size { width, height, decoded_bytes, working_bytes })?;
    let limits = admission.limits();
    decoder.set_limits(memory(limits)).map_err(|error| from_image_error(name, error, limits))?;
    let decoded = DynamicImage::from_decoder(decoder).map_err(|error| from_image_error(name, error, limits))?;
    Ok(channels::to_rgb(decoded))
}

fn turned(image: RgbImage, orientation: image::metadata::Orientation) -> RgbImage {
    let mut image = DynamicImage::ImageRgb8(image);
    image.apply_orientation(orientation);
    image.into_rgb8()
}

/// Bounds what a decoder takes beside the pixels, such as a profile. Sides are checked here, in words of ours.
fn memory(limits: &Limits) -> image::Limits {
    let mut memory = image::Limits::no_limits();
    memory.max_alloc = Some(limits.decoded_bytes);
    memory
}

fn name(format: ImageFormat) -> String {
    if format == ImageFormat::Pnm {
        // The first extension is that of one of its kinds.
        return "PNM".to_owned();
    }
    format.extensions_str().first().map_or_else(|| format!("{format:?}"), |name| name.to_uppercase())
}

fn from_image_error(name: &str, error: ImageError, limits: &Limits) -> Refusal {
    match error {
        ImageError::Limits(_) => Refusal::Limit {
            what: "the memory to decode it, in bytes and at least,".to_owned(),
            found: limits.decoded_bytes.saturating_add(1),
            limit: limits.decoded_bytes,
        },
        ImageError::Unsupported(_) if name == "DDS" => {
            Refusal::unread("a DDS image of a kind other than DXT1, DXT3 and DXT5")
        }
        ImageError::Unsupported(error) => {
            let what = match error.kind() {
                UnsupportedErrorKind::GenericFeature(what) => what,
                _ => error.to_string(),
            };
            Refusal::Image(format!("{name} of a kind that is not read ({what}); convert it to PNG or JPEG"))
        }
        ImageError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Refusal::truncated(name, error.to_string())
        }
        // These decoders read all kinds of their formats.
        error if matches!(name, "JPEG" | "PNG" | "WebP") => Refusal::damaged(name, error.to_string()),
        error => Refusal::Image(format!("the {name} is damaged, or of a kind that is not read: {error}")),
    }
}
