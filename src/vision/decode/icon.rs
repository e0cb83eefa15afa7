//! Windows icons and cursors: a directory of pictures, each a PNG or a bitmap without its file header.

use std::cmp::Reverse;
use std::io::Cursor;

use image::RgbImage;
use image::codecs::bmp::BmpDecoder;

use super::limits::{Admission, check};
use super::refusal::Refusal;
use super::{decode_with, from_image_error, png};

const ENTRY: usize = 16;

/// Whether the bytes are a cursor; a TGA may begin in the same way.
pub(super) fn is_cursor(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0\0\x02\0")
        && directory(bytes).is_some_and(|entries| entries.iter().all(|e| e.data(bytes).is_some()))
}

/// Reads the largest picture; of several as large, the one with the fewest bits, as Pillow does.
pub(super) fn decode(bytes: &[u8], admission: &mut Admission) -> Result<RgbImage, Refusal> {
    let cursor = bytes.get(2) == Some(&2);
    let name = if cursor { "CUR" } else { "ICO" };
    let entries = directory(bytes).ok_or_else(|| Refusal::truncated(name, "its directory is longer than the file"))?;
    let bits = |entry: &Entry| if cursor { 0 } else { entry.colour_bits() };
    let best = entries.iter().min_by_key(|entry| (Reverse(entry.pixels()), bits(entry)));
    let best = best.ok_or_else(|| Refusal::damaged(name, "it holds no picture"))?;
    let data = best.data(bytes).ok_or_else(|| Refusal::truncated(name, "a picture lies outside the file"))?;
    if data.starts_with(png::SIGNATURE) {
        return png::decode_pixels(data, name, admission);
    }
    // The height counts the mask of transparent pixels too, which stands after the colours.
    check("the icon's picture in bytes", data.len() as u64, admission.limits().decoded_bytes)?;
    let mut bitmap = data.to_vec();
    let Some(height) = bitmap.get_mut(8..12) else { return Err(Refusal::truncated(name, "a picture is cut off")) };
    let doubled = i32::from_le_bytes([height[0], height[1], height[2], height[3]]);
    height.copy_from_slice(&(doubled / 2).to_le_bytes());
    let decoder = BmpDecoder::new_without_file_header(Cursor::new(&bitmap[..]));
    decode_with(decoder.map_err(|error| from_image_error(name, error, admission.limits()))?, name, 0, admission)
}

struct Entry([u8; ENTRY]);

fn directory(bytes: &[u8]) -> Option<Vec<Entry>> {
    let count = u16::from_le_bytes([*bytes.get(4)?, *bytes.get(5)?]);
    let entries = bytes.get(6..6 + usize::from(count) * ENTRY)?;
    (count > 0).then(|| entries.as_chunks().0.iter().map(|entry| Entry(*entry)).collect())
}

impl Entry {
    /// 0 stands for 256.
    fn pixels(&self) -> u32 {
        let side = |byte: u8| if byte == 0 { 256 } else { u32::from(byte) };
        side(self.0[0]) * side(self.0[1])
    }

    fn colour_bits(&self) -> u32 {
        match (u16::from_le_bytes([self.0[6], self.0[7]]), self.0[2]) {
            (0, 0) => 256,
            (0, 1) => 256,
            (0, colours) => u32::from(colours - 1).checked_ilog2().map_or(0, |bits| bits + 1),
            (bits, _) => bits.into(),
        }
    }

    fn data<'b>(&self, bytes: &'b [u8]) -> Option<&'b [u8]> {
        let number = |at: usize| u32::from_le_bytes([self.0[at], self.0[at + 1], self.0[at + 2], self.0[at + 3]]);
        let start = usize::try_from(number(12)).ok()?;
        let end = start.checked_add(usize::try_from(number(8)).ok()?)?;
        bytes.get(start..end).filter(|data| !data.is_empty())
    }
}
