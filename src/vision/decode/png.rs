//! PNG: its orientation may stand before the pixels or after them, and its end may be missing.

use std::borrow::Cow;
use std::io::{Cursor, Read};

use flate2::read::ZlibDecoder;
use image::RgbImage;
use image::codecs::png::PngDecoder;

use super::limits::Admission;
use super::orientation::Metadata;
use super::refusal::Refusal;
use super::{decode_with, from_image_error, memory, turned};

pub(super) const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
const END: &[u8] = b"\0\0\0\0IEND\xae\x42\x60\x82";

/// Reads a PNG file as upright RGB.
pub(super) fn decode(bytes: &[u8], admission: &mut Admission) -> Result<RgbImage, Refusal> {
    let chunks = Chunks::read(bytes)?;
    let whole = chunks.with_end(bytes);
    let image = decode_pixels(&whole, "PNG", admission)?;
    Ok(turned(image, chunks.metadata().orientation()))
}

/// Reads a PNG, as it lies, that is a file or a part of one of the format `name`.
pub(super) fn decode_pixels(bytes: &[u8], name: &str, admission: &mut Admission) -> Result<RgbImage, Refusal> {
    let decoder = PngDecoder::with_limits(Cursor::new(bytes), memory(admission.limits()));
    decode_with(decoder.map_err(|error| from_image_error(name, error, admission.limits()))?, name, 0, admission)
}

/// A PNG's text and Exif chunks may be compressed, and so are owned.
#[derive(Default)]
struct Chunks {
    exif: Option<Vec<u8>>,
    xmp: Option<Vec<u8>>,
    has_end: bool,
}

impl Chunks {
    /// Follows the chunks (PNG, section 5.3), before the pixels and after them.
    fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        let mut chunks = Chunks::default();
        let mut raw_profile = None;
        let mut rest = bytes.get(SIGNATURE.len()..).unwrap_or_default();
        while let Some((&[l3, l2, l1, l0, a, b, c, d], body)) = rest.split_first_chunk::<8>() {
            let length = u32::from_be_bytes([l3, l2, l1, l0]) as usize;
            let Some((data, after)) = body.split_at_checked(length) else { break };
            match &[a, b, c, d] {
                b"IEND" => {
                    chunks.has_end = true;
                    rest = &[];
                    break;
                }
                b"CgBI" => return Err(Refusal::unread("a PNG as Apple's tools write it into apps (CgBI)")),
                b"eXIf" => chunks.exif = Some(data.to_owned()),
                b"tEXt" | b"zTXt" | b"iTXt" => match text(a, data) {
                    Some((b"XML:com.adobe.xmp", text)) => chunks.xmp = Some(text.into_owned()),
                    Some((b"Raw profile type exif", text)) => raw_profile = bytes_of_hex(&text),
                    _ => {}
                },
                _ => {}
            }
            rest = after.get(4..).unwrap_or_default();
        }
        // A chunk that is begun may be the one that tells which way up the picture is.
        let is_chunk = rest.get(4..8).unwrap_or(rest).iter().all(u8::is_ascii_alphabetic);
        if !END.starts_with(rest) && (is_chunk || rest.len() < 8) {
            return Err(Refusal::truncated("PNG", "it ends within a chunk"));
        }
        chunks.exif = chunks.exif.or(raw_profile);
        Ok(chunks)
    }

    fn metadata(&self) -> Metadata<'_> {
        Metadata { exif: self.exif.as_deref().map(Cow::Borrowed), xmp: self.xmp.as_deref() }
    }

    /// The file with an end. Nothing that a picture needs stands in the end chunk, and a cut through the pixels is noticed
    /// in their own stream.
    fn with_end<'b>(&self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        if self.has_end { Cow::Borrowed(bytes) } else { Cow::Owned([bytes, END].concat()) }
    }
}

/// Keyword and text of a `tEXt`, `zTXt` or `iTXt` chunk.
fn text(kind: u8, data: &[u8]) -> Option<(&[u8], Cow<'_, [u8]>)> {
    let split = |data| -> Option<(&[u8], &[u8])> {
        let data: &[u8] = data;
        let end = data.iter().position(|byte| *byte == 0)?;
        Some((&data[..end], &data[end + 1..]))
    };
    let (keyword, value) = split(data)?;
    let (compressed, value) = match kind {
        b't' => (false, value),
        b'z' => (true, value.get(1..)?),
        // Compression flag and method, language, translated keyword.
        _ => (*value.first()? == 1, split(split(value.get(2..)?)?.1)?.1),
    };
    if !compressed {
        return Some((keyword, Cow::Borrowed(value)));
    }
    // Pillow's limit of what a text chunk may expand to.
    let mut text = Vec::new();
    ZlibDecoder::new(value).take(1 << 20).read_to_end(&mut text).ok()?;
    Some((keyword, Cow::Owned(text)))
}

/// ImageMagick's raw profile: a line feed, the name, the length, and hexadecimal digits in lines.
fn bytes_of_hex(profile: &[u8]) -> Option<Vec<u8>> {
    let mut lines = profile.split(|byte| *byte == b'\n').skip(3);
    let digits: Vec<u8> =
        lines.by_ref().flatten().filter_map(|byte| (*byte as char).to_digit(16)).map(|d| d as u8).collect();
    let (pairs, _) = digits.as_chunks::<2>();
    Some(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}
