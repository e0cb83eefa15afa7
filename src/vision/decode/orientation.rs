//! Which way up a picture is, by its Exif block or, where that does not say, by its XMP packet, as Pillow has it.

use image::metadata::Orientation;

/// What a file says about itself, as far as orientation goes.
#[derive(Clone, Debug, Default)]
pub(super) struct Metadata<'a> {
    /// A TIFF structure, with or without `Exif\0\0` before it. Of several, the first.
    pub exif: Option<&'a [u8]>,
    /// An XMP packet.
    pub xmp: Option<&'a [u8]>,
}

impl Metadata<'_> {
    /// How the stored pixels become upright. A damaged block says nothing about the pixels, and so turns none.
    pub fn orientation(&self) -> Orientation {
        let number = self.exif.and_then(in_exif).or_else(|| self.xmp.and_then(in_xmp));
        number.and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms)
    }
}

const TAG: u16 = 0x0112;

/// The tag's number in the first directory of an Exif block (TIFF 6.0, section 2), whatever integer type it has.
fn in_exif(block: &[u8]) -> Option<u8> {
    let block = block.strip_prefix(b"Exif\0\0").unwrap_or(block);
    let little = match block.get(..2)? {
        b"II" => true,
        b"MM" => false,
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
        if u16_at(entry)? != TAG || u32_at(entry + 4)? != 1 {
            continue;
        }
        return match u16_at(entry + 2)? {
            1 | 6 => block.get(entry + 8).copied(),
            3 | 8 => u8::try_from(u16_at(entry + 8)?).ok(),
            4 | 9 | 13 => u8::try_from(u32_at(entry + 8)?).ok(),
            _ => None,
        };
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
        assert_eq!(Metadata { exif: Some(&upright), xmp: Some(xmp) }.orientation(), Orientation::NoTransforms);
        assert_eq!(in_xmp(b"<tiff:Orientation>8</tiff:Orientation>"), Some(8));
        assert_eq!(in_xmp(b"tiff:Orientation"), None);
    }
}
