//! Which way up a picture is, by its Exif block or, where that does not say, by its XMP packet, as Pillow has it.

use std::borrow::Cow;

use crate::vision::picture::Area;
use image::metadata::Orientation;

/// What a file says about itself, as far as orientation goes.
#[derive(Clone, Debug, Default)]
pub(super) struct Metadata<'a> {
    /// A TIFF structure, with or without `Exif\0\0` before it, once or more often.
    pub exif: Option<Cow<'a, [u8]>>,
    /// An XMP packet.
    pub xmp: Option<&'a [u8]>,
}

impl Metadata<'_> {
    /// How the stored pixels become upright. A damaged block says nothing about the pixels, and so turns none.
    pub fn orientation(&self) -> Orientation {
        let number = self.exif.as_deref().and_then(in_exif).or_else(|| self.xmp.and_then(in_xmp));
        number.and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms)
    }
}

/// Where the pixels of an upright picture are stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    /// Whether rows are stored as columns.
    rows_are_columns: bool,
    /// Whether what is stored runs from right to left, and from bottom to top.
    backwards: (bool, bool),
}

impl From<Orientation> for Turn {
    fn from(orientation: Orientation) -> Self {
        let (rows_are_columns, right_to_left, bottom_to_top) = match orientation {
            Orientation::NoTransforms => (false, false, false),
            Orientation::FlipHorizontal => (false, true, false),
            Orientation::FlipVertical => (false, false, true),
            Orientation::Rotate180 => (false, true, true),
            Orientation::Rotate90FlipH => (true, false, false),
            Orientation::Rotate90 => (true, false, true),
            Orientation::Rotate270 => (true, true, false),
            Orientation::Rotate270FlipH => (true, true, true),
        };
        Self { rows_are_columns, backwards: (right_to_left, bottom_to_top) }
    }
}

impl Turn {
    /// Width and height upright of a stored picture, or stored of an upright one.
    pub fn size<T>(self, (width, height): (T, T)) -> (T, T) {
        if self.rows_are_columns { (height, width) } else { (width, height) }
    }

    /// Where a part of an upright picture is stored, in one of this size as it is stored.
    pub fn stored(self, area: Area, (width, height): (u32, u32)) -> Area {
        let Area { left, top, width: across, height: down } = area;
        let (left, top) = self.size((left, top));
        let (across, down) = self.size((across, down));
        let left = if self.backwards.0 { width as usize - across - left } else { left };
        let top = if self.backwards.1 { height as usize - down - top } else { top };
        Area { left, top, width: across, height: down }
    }

    /// The levels of a part as it is stored, upright; `N` of them are a pixel.
    pub fn upright<const N: usize>(self, levels: Vec<u8>, stored: Area) -> Vec<u8> {
        if !self.rows_are_columns && self.backwards == (false, false) {
            return levels;
        }
        let (width, height) = self.size((stored.width, stored.height));
        let from = |backwards: bool, length: usize, at: usize| if backwards { length - 1 - at } else { at };
        let at = |x: usize, y: usize| {
            let (x, y) = self.size((x, y));
            from(self.backwards.1, stored.height, y) * stored.width + from(self.backwards.0, stored.width, x)
        };
        let pixels = levels.as_chunks::<N>().0;
        let mut upright = Vec::with_capacity(levels.len());
        for y in 0..height {
            (0..width).for_each(|x| upright.extend_from_slice(&pixels[at(x, y)]));
        }
        upright
    }
}

const TAG: u16 = 0x0112;

/// The tag's number in the first directory of an Exif block (TIFF 6.0, section 2), of the types that Pillow takes for
/// numbers: not those of bytes.
fn in_exif(mut block: &[u8]) -> Option<u8> {
    while let Some(rest) = block.strip_prefix(b"Exif\0\0") {
        block = rest;
    }
    let little = match block.get(..4)? {
        b"II*\0" | b"II\0*" => true,
        b"MM\0*" | b"MM*\0" => false,
        _ => return None,
    };
    let u16_at = |at: usize| {
        let bytes = block.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    };
    let u32_at = |at: usize| {
        let bytes = block.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    };
    let directory = usize::try_from(u32_at(4)?).ok()?;
    for index in 0..usize::from(u16_at(directory)?) {
        let entry = directory.checked_add(2 + 12 * index)?;
        if u16_at(entry)? != TAG {
            continue;
        }
        let (kind, count) = (u16_at(entry + 2)?, u32_at(entry + 4)?);
        let size: u32 = match kind {
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            5 | 10 | 12 => 8,
            _ => return None,
        };
        // Where there are several, the first counts.
        let value = entry + 8;
        let length = size.checked_mul(count).filter(|length| *length > 0)?;
        let value = if length <= 4 { value } else { usize::try_from(u32_at(value)?).ok()? };
        block.get(value..value.checked_add(usize::try_from(length).ok()?)?)?;
        let number = match kind {
            3 | 8 => f64::from(u16_at(value)?),
            5 | 10 => f64::from(u32_at(value)?) / f64::from(u32_at(value + 4)?),
            11 => f32::from_bits(u32_at(value)?).into(),
            12 => {
                let (first, second) = (u64::from(u32_at(value)?), u64::from(u32_at(value + 4)?));
                f64::from_bits(if little { second << 32 | first } else { first << 32 | second })
            }
            _ => f64::from(u32_at(value)?),
        };
        return (1..=8).find(|whole| f64::from(*whole) == number);
    }
    None
}

/// The digit of `tiff:Orientation`, written as an attribute or as an element.
fn in_xmp(packet: &[u8]) -> Option<u8> {
    const NAME: &[u8] = b"tiff:Orientation";
    let mut rest = packet;
    while let Some(at) = rest.windows(NAME.len()).position(|window| window == NAME) {
        rest = &rest[at + NAME.len()..];
        let value = rest.strip_prefix(b"=\"").or_else(|| rest.strip_prefix(b">"));
        if let Some(digit) = value.and_then(|value| value.first()).filter(|byte| byte.is_ascii_digit()) {
            return Some(digit - b'0');
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{DynamicImage, GrayImage, Luma};

    /// A part of the upright picture, and the picture's part that is stored there.
    #[test]
    fn a_part_is_turned_as_the_whole_is() {
        let (width, height) = (7, 5);
        let image = GrayImage::from_fn(width, height, |x, y| Luma([(16 * y + x) as u8]));
        for number in 1..=8 {
            let orientation = Orientation::from_exif(number).unwrap();
            let mut upright = DynamicImage::ImageLuma8(image.clone());
            upright.apply_orientation(orientation);
            let turn = Turn::from(orientation);
            assert_eq!(turn.size((width, height)), (upright.width(), upright.height()));
            let area = Area { left: 1, top: 2, width: 3, height: 2 };
            let stored = turn.stored(area, (width, height));
            let [x, y, w, h] = [stored.left, stored.top, stored.width, stored.height].map(|at| at as u32);
            let levels = image::imageops::crop_imm(&image, x, y, w, h).to_image().into_raw();
            let expected = upright.crop_imm(1, 2, 3, 2).into_luma8().into_raw();
            assert_eq!(turn.upright::<1>(levels, stored), expected, "{orientation:?}");
        }
    }

    fn exif(little: bool, kind: u16, value: [u8; 4]) -> Vec<u8> {
        let two = |v: u16| if little { v.to_le_bytes() } else { v.to_be_bytes() };
        let four = |v: u32| if little { v.to_le_bytes() } else { v.to_be_bytes() };
        let head: &[u8] = if little { b"II" } else { b"MM" };
        [head, &two(42), &four(8), &two(1), &two(TAG), &two(kind), &four(1), &value].concat()
    }

    #[test]
    fn every_integer_type_is_understood() {
        assert_eq!(in_exif(&exif(true, 3, [6, 0, 0, 0])), Some(6));
        assert_eq!(in_exif(&exif(false, 3, [0, 6, 0, 0])), Some(6));
        assert_eq!(in_exif(&exif(true, 4, [8, 0, 0, 0])), Some(8));
        assert_eq!(in_exif(&exif(false, 4, [0, 0, 0, 8])), Some(8));
        assert_eq!(in_exif(&exif(true, 2, [b'6', 0, 0, 0])), None);
        assert_eq!(in_exif(b"II*\0\xff\xff\xff\xff"), None);
        assert_eq!(in_exif(b""), None);
    }

    #[test]
    fn xmp_speaks_where_exif_does_not() {
        let xmp: &[u8] = b"<x tiff:Orientation=\"3\"/>";
        assert_eq!(Metadata { exif: None, xmp: Some(xmp) }.orientation(), Orientation::Rotate180);
        let upright = exif(true, 3, [1, 0, 0, 0]);
        assert_eq!(Metadata { exif: Some(upright.into()), xmp: Some(xmp) }.orientation(), Orientation::NoTransforms);
        assert_eq!(in_xmp(b"<tiff:Orientation>8</tiff:Orientation>"), Some(8));
        assert_eq!(in_xmp(b"tiff:Orientation"), None);
    }
}
