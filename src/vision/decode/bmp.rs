//! BMP: what run-length codes leave out has the palette's first colour, and not black.

use std::borrow::Cow;
use std::io::Cursor;

use image::codecs::bmp::BmpDecoder;
use image::{ImageDecoder, RgbImage};

use super::limits::Admission;
use super::refusal::Refusal;
use super::{decode_with, from_image_error, memory};

/// Reads a BMP file as RGB.
pub(super) fn decode(bytes: &[u8], admission: &mut Admission) -> Result<RgbImage, Refusal> {
    let limits = admission.limits();
    let open = |bytes| {
        let refuse = |error| from_image_error("BMP", error, limits);
        let mut decoder = BmpDecoder::new(Cursor::new(bytes)).map_err(refuse)?;
        decoder.set_limits(memory(limits)).map_err(refuse)?;
        Ok(decoder)
    };
    let decoder = open(Cow::Borrowed(bytes))?;
    let Some(indices) = with_indices_for_colours(bytes) else { return decode_with(decoder, "BMP", 0, admission) };
    let palette = decoder.get_palette().unwrap_or_default().to_vec();
    let copy = indices.len() as u64;
    let mut image = decode_with(open(Cow::Owned(indices))?, "BMP", copy, admission)?;
    for pixel in image.pixels_mut() {
        pixel.0 = palette.get(usize::from(pixel[0])).copied().unwrap_or_default();
    }
    Ok(image)
}

/// A run-length bitmap whose palette gives every index as its own grey, or nothing for other bitmaps. `image` fills gaps
/// with zeros, which then stand for the first colour.
fn with_indices_for_colours(bytes: &[u8]) -> Option<Vec<u8>> {
    const FILE_HEADER: usize = 14;
    let number = |at: usize| bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    let header = usize::try_from(number(FILE_HEADER)?).ok()?;
    let colours: u8 = match (bytes.get(28..30)?, number(30)?) {
        ([8, 0], 1) => 255,
        ([4, 0], 2) => 15,
        _ => return None,
    };
    let data = bytes.get(usize::try_from(number(10)?).ok()?..)?;
    let mut copy = bytes.get(..FILE_HEADER.checked_add(header)?)?.to_vec();
    copy.get_mut(46..50)?.fill(0);
    copy.extend((0..=colours).flat_map(|index| [index, index, index, 0]));
    let start = u32::try_from(copy.len()).ok()?;
    copy.get_mut(10..14)?.copy_from_slice(&start.to_le_bytes());
    copy.extend_from_slice(data);
    Some(copy)
}
