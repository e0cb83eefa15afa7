//! Turns the bytes of an image file into upright 8-bit RGB, within limits that are checked before memory is taken.
//!
//! BMP, DDS, EXR, farbfeld, GIF, HDR, ICO, JPEG, PNG, PNM, QOI, TGA, TIFF and WebP are read. The content tells which;
//! only TGA, which has no signature, may be told by its name. What comes out is what Pillow's
//! `ImageOps.exif_transpose(image).convert("RGB")` gives:
//! - alpha is dropped, not blended: the colour below it stays;
//! - CMYK and YCCK JPEGs are read as Adobe writes them (inverted), without a colour profile;
//! - colour profiles are ignored;
//! - of an animation the first frame is taken.
//!
//! Two things are deliberately not Pillow's: 16-bit grey keeps its upper 8 bits, as Pillow does for 16-bit colour
//! (Pillow cuts 16-bit grey off at 255, which makes most of it white); and floats are cut off at 0 and 1.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, RgbImage};

use crate::{Error, Result};

/// How large an image may be. What is larger is an [`Error::Limit`], before any memory is taken for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the file. Default: 256 MiB.
    pub file_bytes: u64,
    /// Width in pixels. Default: 65,535, the most that a JPEG can be.
    pub width: u32,
    /// Height in pixels. Default: 65,535.
    pub height: u32,
    /// Width times height. Default: 100 million.
    pub pixels: u64,
    /// Bytes of the decoded pixels in the file's own depth, before they become 8-bit RGB. Default: 512 MiB.
    ///
    /// A decoder takes about this much again while it works: progressive JPEG keeps its coefficients.
    pub decoded_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { file_bytes: 256 << 20, width: 65_535, height: 65_535, pixels: 100_000_000, decoded_bytes: 512 << 20 }
    }
}

impl Limits {
    fn check(&self, path: &Path, what: &str, found: u64, limit: u64) -> Result<()> {
        if found <= limit {
            return Ok(());
        }
        Err(Error::Limit { path: path.to_owned(), what: what.to_owned(), found, limit })
    }

    fn check_image(&self, path: &Path, (width, height): (u32, u32), decoded_bytes: u64) -> Result<()> {
        self.check(path, "the image's width in pixels", width.into(), self.width.into())?;
        self.check(path, "the image's height in pixels", height.into(), self.height.into())?;
        self.check(path, "the image's number of pixels", u64::from(width) * u64::from(height), self.pixels)?;
        self.check(path, "the decoded image in bytes", decoded_bytes, self.decoded_bytes)
    }
}

/// Reads the image file at `path` as upright 8-bit RGB.
///
/// # Errors
/// [`Error::Io`] if the file can't be read, and all of [`decode`]'s.
pub fn decode_file(path: impl AsRef<Path>, limits: &Limits) -> Result<RgbImage> {
    let path = path.as_ref();
    let file = File::open(path).map_err(|source| Error::io(path, source))?;
    let meta = file.metadata().map_err(|source| Error::io(path, source))?;
    limits.check(path, "the file in bytes", meta.len(), limits.file_bytes)?;
    let mut bytes = Vec::with_capacity(meta.len() as usize);
    // A pipe has no length, and a file may grow: one byte over the limit is enough to refuse it.
    file.take(limits.file_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(|source| Error::io(path, source))?;
    decode(path, &bytes, limits)
}

/// Reads `bytes` as upright 8-bit RGB. `path` names the image in errors; it also tells a TGA by its extension.
///
/// # Errors
/// [`Error::Image`] if this is no image, one of a kind that is not read, or a damaged or truncated one;
/// [`Error::Limit`] if it is larger than `limits`.
pub fn decode(path: impl AsRef<Path>, bytes: &[u8], limits: &Limits) -> Result<RgbImage> {
    let path = path.as_ref();
    limits.check(path, "the file in bytes", bytes.len() as u64, limits.file_bytes)?;
    let format = format_of(path, bytes)?;
    let refuse = |error| from_image_error(path, format, error, limits);
    match format {
        // The decoder would fill what is missing with grey.
        ImageFormat::Jpeg if !jpeg_has_end(bytes) => {
            return Err(Error::image(path, "the JPEG is truncated: it has no end-of-image marker"));
        }
        // The Exif block stands at the end, and the picture would lose its orientation.
        ImageFormat::WebP if !webp_has_end(bytes) => {
            return Err(Error::image(path, "the WEBP is truncated: it is shorter than it says"));
        }
        _ => {}
    }

    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut memory = image::Limits::no_limits();
    memory.max_alloc = Some(limits.decoded_bytes);
    reader.limits(memory);
    let mut decoder = reader.into_decoder().map_err(refuse)?;
    limits.check_image(path, decoder.dimensions(), decoder.total_bytes())?;
    // A damaged Exif block says nothing about the pixels.
    let orientation = decoder.orientation().unwrap_or(image::metadata::Orientation::NoTransforms);
    let decoded = DynamicImage::from_decoder(decoder).map_err(refuse)?;
    let mut upright = DynamicImage::ImageRgb8(to_rgb(decoded));
    upright.apply_orientation(orientation);
    Ok(upright.into_rgb8())
}

fn format_of(path: &Path, bytes: &[u8]) -> Result<ImageFormat> {
    if let Ok(format) = image::guess_format(bytes)
        && format != ImageFormat::Avif
    {
        return Ok(format);
    }
    let named_tga = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("tga"));
    if bytes.ends_with(b"TRUEVISION-XFILE.\0") || (named_tga && !bytes.is_empty() && !looks_like_text(bytes)) {
        return Ok(ImageFormat::Tga);
    }
    Err(Error::image(path, not_an_image(bytes)))
}

/// Says what a file that is no image seems to be.
fn not_an_image(bytes: &[u8]) -> String {
    const KNOWN: [(usize, &[u8], &str); 13] = [
        (4, b"ftypavif", "an AVIF image"),
        (4, b"ftypavis", "an AVIF image"),
        (4, b"ftyphe", "a HEIC image"),
        (4, b"ftypmif1", "a HEIC image"),
        (4, b"ftyp", "a video (MP4 or its like)"),
        (0, b"\xff\x0a", "a JPEG XL image"),
        (4, b"JXL ", "a JPEG XL image"),
        (4, b"jP  ", "a JPEG 2000 image"),
        (0, b"8BPS", "a Photoshop image"),
        (0, b"%PDF", "a PDF"),
        (0, b"PK\x03\x04", "a zip archive"),
        (0, b"\x1f\x8b", "a gzip file"),
        (0, b"version https://git-lfs", "a Git LFS pointer; fetch the real file with `git lfs pull`"),
    ];
    if bytes.is_empty() {
        return "the file is empty (0 bytes)".to_owned();
    }
    if let Some((_, _, what)) =
        KNOWN.iter().find(|(at, magic, _)| bytes.get(*at..).is_some_and(|b| b.starts_with(magic)))
    {
        return format!("this is {what}, which is not read; convert it to PNG or JPEG");
    }
    if looks_like_text(bytes) {
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]);
        let text = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
        let lower = text.to_ascii_lowercase();
        let kind = if lower.starts_with("<!doctype html") || lower.starts_with("<html") {
            "an HTML page (perhaps what a failed download left)"
        } else if lower.starts_with("<svg") || (lower.starts_with("<?xml") && lower.contains("<svg")) {
            "an SVG drawing, which is not read"
        } else {
            "text"
        };
        let line: String = text.lines().next().unwrap_or_default().chars().take(40).collect();
        return format!("not an image but {kind}; it begins with {line:?}");
    }
    let start: Vec<String> = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("not an image of a known format; its first bytes are {}", start.join(" "))
}

fn looks_like_text(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(64)];
    // The cut may fall inside a character, which is no fault of the text.
    let valid = match std::str::from_utf8(start) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    valid && start.iter().all(|byte| *byte >= 0x20 || matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c))
}

/// Whether a JPEG's segments lead to an end-of-image marker (ITU-T T.81, annex B).
///
/// Exif may hold a whole JPEG as thumbnail, so a search for the marker's two bytes would not do.
fn jpeg_has_end(bytes: &[u8]) -> bool {
    let mut at = 2;
    loop {
        let Some(skipped) = bytes.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == 0xff)) else {
            return false;
        };
        at += skipped + 1;
        match bytes.get(at) {
            None => return false,
            Some(0xd9) => return true,
            // A stuffed 0xff of the entropy-coded data, a restart marker or a fill byte: no segment follows.
            Some(0x00 | 0x01 | 0xd0..=0xd8) => at += 1,
            Some(0xff) => {}
            Some(_) => {
                let Some(&[high, low]) = bytes.get(at + 1..at + 3) else { return false };
                at += 1 + usize::from(u16::from_be_bytes([high, low])).max(2);
            }
        }
    }
}

/// Whether a WebP is as long as its RIFF header says: 8 bytes more than the number there.
fn webp_has_end(bytes: &[u8]) -> bool {
    let Some(&[a, b, c, d]) = bytes.get(4..8) else { return false };
    u64::from(u32::from_le_bytes([a, b, c, d])) + 8 <= bytes.len() as u64
}

/// Drops alpha, repeats grey, and brings every depth to 8 bits.
fn to_rgb(image: DynamicImage) -> RgbImage {
    let (width, height) = (image.width(), image.height());
    let high_byte = |value: u16| (value >> 8) as u8;
    // NaN becomes 0.
    let unit = |value: f32| (value.clamp(0.0, 1.0) * 255.0 + 0.5) as u8;
    let values = match &image {
        DynamicImage::ImageLuma8(grey) => spread(grey.as_raw(), 1, |value| value),
        DynamicImage::ImageLumaA8(grey) => spread(grey.as_raw(), 2, |value| value),
        DynamicImage::ImageRgba8(colour) => spread(colour.as_raw(), 4, |value| value),
        DynamicImage::ImageLuma16(grey) => spread(grey.as_raw(), 1, high_byte),
        DynamicImage::ImageLumaA16(grey) => spread(grey.as_raw(), 2, high_byte),
        DynamicImage::ImageRgb16(colour) => spread(colour.as_raw(), 3, high_byte),
        DynamicImage::ImageRgba16(colour) => spread(colour.as_raw(), 4, high_byte),
        DynamicImage::ImageRgb32F(colour) => spread(colour.as_raw(), 3, unit),
        DynamicImage::ImageRgba32F(colour) => spread(colour.as_raw(), 4, unit),
        _ => return image.into_rgb8(),
    };
    RgbImage::from_raw(width, height, values).unwrap_or_else(|| image.into_rgb8())
}

fn spread<T: Copy>(values: &[T], channels: usize, level: impl Fn(T) -> u8) -> Vec<u8> {
    let mut rgb = Vec::with_capacity(values.len() / channels * 3);
    for pixel in values.chunks_exact(channels) {
        let colour = if channels < 3 { [pixel[0]; 3] } else { [pixel[0], pixel[1], pixel[2]] };
        rgb.extend(colour.map(&level));
    }
    rgb
}

fn from_image_error(path: &Path, format: ImageFormat, error: ImageError, limits: &Limits) -> Error {
    let name = format.extensions_str().first().map_or_else(|| format!("{format:?}"), |name| name.to_uppercase());
    match error {
        ImageError::Limits(_) => Error::Limit {
            path: path.to_owned(),
            what: "the memory to decode it, in bytes and at least,".to_owned(),
            found: limits.decoded_bytes.saturating_add(1),
            limit: limits.decoded_bytes,
        },
        ImageError::Unsupported(error) => Error::image(path, format!("{name} of a kind that is not read: {error}")),
        ImageError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Error::image(path, format!("the {name} is truncated: {error}"))
        }
        error => Error::image(path, format!("damaged {name}: {error}")),
    }
}
