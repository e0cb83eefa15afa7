//! WebP: orientation stands in chunks after the pixels, so that a file which ends early would lose it.

use std::io::Cursor;

use image::codecs::webp::WebPDecoder;
use image::{ImageDecoder, RgbImage};

use super::limits::Admission;
use super::orientation::Metadata;
use super::refusal::Refusal;
use super::{decode_with, from_image_error, turned};

/// Reads a WebP file as upright RGB; of an animation, the first frame.
pub(super) fn decode(bytes: &[u8], admission: &mut Admission) -> Result<RgbImage, Refusal> {
    if !has_end(bytes) {
        return Err(Refusal::truncated("WebP", "it is shorter than it says"));
    }
    let decoder = WebPDecoder::new(Cursor::new(bytes));
    let decoder = decoder.map_err(|error| from_image_error("WebP", error, admission.limits()))?;
    let (width, height) = decoder.dimensions();
    // Lossless pixels and the frame of an animation are RGBA while they are decoded; lossy ones YCbCr.
    let working_bytes = u64::from(width) * u64::from(height) * 4;
    let image = decode_with(decoder, "WebP", working_bytes, admission)?;
    Ok(turned(image, metadata(bytes).orientation()))
}

/// Whether a WebP is as long as its RIFF header says: 8 bytes more than the number there.
fn has_end(bytes: &[u8]) -> bool {
    let Some(&[a, b, c, d]) = bytes.get(4..8) else { return false };
    u64::from(u32::from_le_bytes([a, b, c, d])) + 8 <= bytes.len() as u64
}

fn metadata(bytes: &[u8]) -> Metadata<'_> {
    let mut metadata = Metadata::default();
    let mut rest = bytes.get(12..).unwrap_or_default();
    while let Some((&[a, b, c, d, l0, l1, l2, l3], body)) = rest.split_first_chunk::<8>() {
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        let Some((data, after)) = body.split_at_checked(length) else { break };
        match &[a, b, c, d] {
            b"EXIF" => metadata.exif = metadata.exif.or(Some(data.into())),
            b"XMP " => metadata.xmp = metadata.xmp.or(Some(data)),
            _ => {}
        }
        // Chunks are padded to even lengths.
        rest = after.get(length % 2..).unwrap_or_default();
    }
    metadata
}
