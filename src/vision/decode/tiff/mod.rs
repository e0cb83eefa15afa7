//! TIFF and BigTIFF: the first directory's picture, by strips or tiles.
//!
//! The container is read here, since the kinds that cameras, scanners and microscopes write (palettes, grey with alpha,
//! floats, 4 bits, tiles of JPEG with its tables elsewhere) are half of them no kinds of the `tiff` crate; what is
//! compressed is left to a crate a compression.

mod chunks;
mod compression;
mod directory;
mod picture;
mod samples;

use image::RgbImage;

use super::limits::{Admission, Size};
use super::orientation::Metadata;
use super::refusal::Refusal;
use super::turned;
use chunks::Grid;
use compression::Compression;
use directory::Directory;
use picture::{Format, Picture};

/// Reads a TIFF as upright RGB.
pub(super) fn decode(bytes: &[u8], admission: &mut Admission) -> Result<RgbImage, Refusal> {
    let directory = Directory::read(bytes)?;
    let picture = Picture::read(&directory)?;
    let grid = Grid::read(&directory, &picture, bytes)?;
    let pixels = u64::from(picture.width) * u64::from(picture.height);
    let sample_bytes = match picture.bits {
        ..=8 => 1,
        9..=16 if picture.format == Format::Unsigned => 2,
        _ => 4,
    };
    let decoded_bytes = (pixels * picture.used as u64).saturating_mul(sample_bytes);
    // JPEG's decoder keeps a tile's coefficients and planes beside its pixels.
    let copies = if picture.compression == Compression::Jpeg { 4 } else { 1 };
    let working_bytes = grid.chunk_bytes().saturating_mul(copies);
    let size = Size { width: picture.width, height: picture.height, decoded_bytes, working_bytes };
    super::check("a strip or tile in bytes", grid.chunk_bytes(), admission.limits().decoded_bytes)?;
    admission.admit(&size)?;
    let samples = grid.samples(&directory, &picture, admission)?;
    let levels = picture.levels(samples)?;
    let rgb = picture.rgb(levels, &directory)?;
    let image = RgbImage::from_raw(picture.width, picture.height, rgb).ok_or_else(|| damaged("it lacks pixels"))?;
    let number = directory.number(0x0112).and_then(|number| u8::try_from(number).ok());
    let orientation = match number.and_then(image::metadata::Orientation::from_exif) {
        Some(orientation) => orientation,
        None => Metadata { exif: None, xmp: directory.blob(700) }.orientation(),
    };
    Ok(turned(image, orientation))
}

fn damaged(why: impl AsRef<str>) -> Refusal {
    Refusal::damaged("TIFF", why)
}
