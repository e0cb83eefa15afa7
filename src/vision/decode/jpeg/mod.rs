//! JPEG, by three decoders: the header tells which of them is right about a file.
//!
//! `baseline` reads what most files are, to the bit as libjpeg does, and no more of the picture than is wanted. Where such a
//! file's data are not as they should be, it has nothing to say, and the file is read as others are. `zune-jpeg` (in `image`)
//! is right about nearly all other files. It takes baseline files in separate
//! scans for something else, as it does files whose luma is sampled less than their chroma; these it turns into noise
//! without a word, or refuses. `jpeg-decoder` reads those, lossless files and odd sampling factors as well, and is slower.
//! What neither does right is refused by name: arithmetic coding, more than 8 bits, hierarchical files.

mod baseline;
mod header;

use std::borrow::Cow;
use std::io::{Cursor, Read};

use image::codecs::jpeg::JpegDecoder;
use image::{DynamicImage, ImageDecoder, RgbImage};
use jpeg_decoder::{ColorTransform, Decoder};

use super::limits::{Admission, Limits, Size};
use super::orientation::Turn;
use super::refusal::Refusal;
use super::{Wanted, channels, from_image_error, memory, turned};
use crate::vision::picture::{self, Picture};
use baseline::Side;
use header::{Frame, Header};

/// How components become colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colour {
    Grey,
    Rgb,
    YCbCr,
    Cmyk,
    /// YCbCr of the inverted inks, and black.
    Ycck,
}

/// Reads a JPEG file as an upright picture.
pub(super) fn decode(bytes: &[u8], wanted: Wanted, admission: &mut Admission) -> Result<Picture<'static>, Refusal> {
    let header = Header::read(bytes)?;
    let frame = frame(&header)?;
    let colour = colour(&header, frame);
    let bytes = &header.with_known_transforms(bytes, frame)[..];
    let common = baseline::suits(&header, frame, colour);
    if common && header.has_end {
        admission.admit(&size(&header, frame))?;
        if let Some(picture) = decode_baseline(bytes, &header, frame, wanted) {
            return Ok(picture);
        }
    }
    let first = suits_first(&header, frame, colour);
    if !first || !header.has_end {
        suits_second(&header, frame)?;
    }
    admission.admit(&size(&header, frame))?;
    let mut ended = Cow::Borrowed(bytes);
    if !header.has_end && (first || common) {
        check_whole(bytes, &header, frame, colour)?;
        ended = Cow::Owned([without_padding(bytes), END].concat());
        if common && let Some(picture) = decode_baseline(&ended, &header, frame, wanted) {
            return Ok(picture);
        }
    }
    let image = match first {
        true => decode_first(&ended, admission.limits())?,
        false => to_rgb(decode_second(bytes, &header, frame, colour)?)?,
    };
    Ok(turned(image, header.metadata.orientation()).into())
}

/// The part that is wanted of a common file; none where its data are not as they should be.
fn decode_baseline(bytes: &[u8], header: &Header, frame: &Frame, wanted: Wanted) -> Option<Picture<'static>> {
    let turn = Turn::from(header.metadata.orientation());
    let original = turn.size((frame.width, frame.height));
    let eighths = wanted.eighths(original);
    let side =
        [Side::One, Side::Two, Side::Four].into_iter().find(|side| *side as u32 == eighths).unwrap_or(Side::Eight);
    let stored = baseline::size(frame, side);
    let size = turn.size(stored);
    let area = wanted.area(original, size);
    let part = turn.stored(area, stored);
    let samples = match baseline::decode(bytes, header, frame, side, part)? {
        picture::Samples::Rgb(levels) => picture::Samples::Rgb(turn.upright::<3>(levels.into_owned(), part).into()),
        picture::Samples::Grey(levels) => picture::Samples::Grey(turn.upright::<1>(levels, part)),
    };
    Some(Picture { original, size, area, samples })
}

/// Samples side by side, as many a pixel as there are `channels`.
pub(super) struct Samples {
    pub width: u32,
    pub height: u32,
    pub channels: usize,
    /// Inks, not what is left of the paper, where there are 4 channels.
    pub values: Vec<u8>,
}

/// Reads the JPEG that is a strip or tile of a TIFF, whose tags tell the colours and not the JPEG.
pub(super) fn samples(bytes: &[u8], colour: Colour, admission: &mut Admission) -> Result<Samples, Refusal> {
    let header = Header::read(bytes)?;
    let frame = frame(&header)?;
    suits_second(&header, frame)?;
    admission.admit(&size(&header, frame))?;
    let expected = match colour {
        Colour::Grey => 1,
        Colour::Rgb | Colour::YCbCr => 3,
        Colour::Cmyk | Colour::Ycck => 4,
    };
    if frame.components.len() != expected {
        return Err(damaged(format!("a strip has {} components instead of {expected}", frame.components.len())));
    }
    decode_second(&header.with_known_transforms(bytes, frame), &header, frame, colour)
}

/// The frame header, if it is of a kind that one of the decoders reads.
fn frame<'h>(header: &'h Header) -> Result<&'h Frame, Refusal> {
    let Some(frame) = &header.frame else {
        let why = "it has no frame header";
        return Err(if header.has_end { damaged(why) } else { truncated(why) });
    };
    let unread = |what: &str| Err(Refusal::unread(what));
    match frame.process {
        0xc0..=0xc3 => {}
        0xc9..=0xcb => {
            return Err(Refusal::Image(
                "this is a JPEG with arithmetic coding, which is not read; the file is sound, and libjpeg-turbo's \
                 djpeg and cjpeg, or ImageMagick, make a common JPEG of it"
                    .to_owned(),
            ));
        }
        0xf7 => return unread("a JPEG-LS image"),
        _ => return unread("a hierarchical JPEG"),
    }
    if header.several_frames {
        return unread("a hierarchical JPEG");
    }
    if frame.precision != 8 {
        return Err(Refusal::unread(format!("a JPEG with {} bits a sample", frame.precision)));
    }
    if frame.height == 0 {
        return unread("a JPEG that gives its height only after the first scan (DNL)");
    }
    if frame.width == 0 {
        return Err(damaged("it is 0 pixels wide"));
    }
    if !matches!(frame.components.len(), 1 | 3 | 4) {
        return Err(Refusal::unread(format!("a JPEG with {} components", frame.components.len())));
    }
    if frame.components.iter().any(|c| !(1..=4).contains(&c.h) || !(1..=4).contains(&c.v)) {
        return Err(damaged(format!("sampling factors {} are not within 1..4", frame.sampling())));
    }
    let missing = (0..frame.components.len()).any(|index| !header.scans.iter().any(|s| s.components.contains(&index)));
    if missing {
        let why = "a component is in no scan";
        return Err(if header.has_end { damaged(why) } else { truncated(why) });
    }
    Ok(frame)
}

/// What libjpeg takes the components for, by JFIF's and Adobe's segments and the components' names.
fn colour(header: &Header, frame: &Frame) -> Colour {
    let ids: Vec<u8> = frame.components.iter().map(|component| component.id).collect();
    match (frame.components.len(), header.jfif, header.adobe) {
        (1, ..) => Colour::Grey,
        (3, true, _) => Colour::YCbCr,
        (3, false, Some(0)) => Colour::Rgb,
        (3, false, None) if ids == *b"RGB" => Colour::Rgb,
        (3, ..) => Colour::YCbCr,
        (_, _, None | Some(0)) => Colour::Cmyk,
        _ => Colour::Ycck,
    }
}

/// Whether the file is among what `zune-jpeg` reads as libjpeg does.
fn suits_first(header: &Header, frame: &Frame, colour: Colour) -> bool {
    let one_scan = matches!(&header.scans[..], [scan] if scan.components.len() == frame.components.len());
    let divided_well = match frame.process {
        0xc0 | 0xc1 => one_scan,
        0xc2 => true,
        _ => false,
    };
    let powers_of_two = frame.components.iter().all(|c| c.h.is_power_of_two() && c.v.is_power_of_two());
    let luma_is_finest = match &frame.components[..] {
        [_] => true,
        [luma, chroma @ ..] => {
            chroma.iter().enumerate().all(|(i, c)| (c.h, c.v) == (1, 1) || (i == 2 && (c.h, c.v) == (luma.h, luma.v)))
        }
        [] => false,
    };
    // Its own idea of the colours, which can't be overridden.
    let named_rgb = frame.components.len() == 3 && frame.components.iter().map(|c| c.id).eq(*b"RGB");
    let same_colours = match colour {
        Colour::YCbCr => header.adobe != Some(0) && !named_rgb,
        Colour::Ycck => header.adobe.is_some_and(|transform| transform >= 2),
        Colour::Grey | Colour::Rgb | Colour::Cmyk => true,
    };
    divided_well && powers_of_two && luma_is_finest && same_colours
}

/// Whether the file is among what `jpeg-decoder` reads as libjpeg does.
fn suits_second(header: &Header, frame: &Frame) -> Result<(), Refusal> {
    let sampling = frame.sampling();
    let (h_most, v_most) = frame.most();
    if frame.process == 0xc3 {
        let [scan] = &header.scans[..] else { return Err(Refusal::unread("a lossless JPEG in separate scans")) };
        if (h_most, v_most) != (1, 1) {
            return Err(Refusal::unread(format!("a lossless JPEG with sampling factors {sampling}")));
        }
        if header.restarts {
            return Err(Refusal::unread("a lossless JPEG with restart markers"));
        }
        if scan.low_bits != 0 {
            return Err(Refusal::unread("a lossless JPEG with a point transform"));
        }
        return Ok(());
    }
    if frame.components.iter().any(|c| h_most % c.h != 0 || v_most % c.v != 0) {
        return Err(Refusal::unread(format!("a JPEG with sampling factors {sampling}")));
    }
    // It counts blocks by the padded plane where a component has a scan of its own.
    for scan in header.scans.iter().filter(|scan| scan.components.len() == 1 && frame.components.len() > 1) {
        let component = frame.components[scan.components[0]];
        let same = |pixels: u32, factor: u32, most: u32| {
            let blocks = (pixels * factor).div_ceil(most).div_ceil(8);
            let padded = pixels.div_ceil(8 * most) * factor;
            padded.min(pixels.div_ceil(8)) == blocks
        };
        if !same(frame.width, component.h, h_most) || !same(frame.height, component.v, v_most) {
            return Err(Refusal::unread(format!("a JPEG in separate scans with sampling factors {sampling}")));
        }
    }
    Ok(())
}

fn size(header: &Header, frame: &Frame) -> Size {
    let (width, height) = (frame.width, frame.height);
    let (h_most, v_most) = frame.most();
    // Planes are padded to whole blocks of the coarsest component.
    let padded = |c: &header::Component| {
        u64::from(width.div_ceil(8 * h_most) * c.h * 8) * u64::from(height.div_ceil(8 * v_most) * c.v * 8)
    };
    let samples: u64 = frame.components.iter().map(padded).sum();
    let decoded_bytes = u64::from(width) * u64::from(height) * frame.components.len() as u64;
    let working_bytes = match frame.process {
        0xc2 => 3 * samples,
        0xc3 => 6 * decoded_bytes,
        _ => samples,
    };
    // Without an end it is decoded twice, to compare.
    let working_bytes = if header.has_end { working_bytes } else { working_bytes + decoded_bytes };
    Size { width, height, decoded_bytes, working_bytes }
}

fn decode_first(bytes: &[u8], limits: &Limits) -> Result<RgbImage, Refusal> {
    let refuse = |error| from_image_error("JPEG", error, limits);
    let mut decoder = JpegDecoder::new(Cursor::new(bytes)).map_err(refuse)?;
    decoder.set_limits(memory(limits)).map_err(refuse)?;
    Ok(DynamicImage::from_decoder(decoder).map_err(refuse)?.into_rgb8())
}

fn decode_second(bytes: &[u8], header: &Header, frame: &Frame, colour: Colour) -> Result<Samples, Refusal> {
    let values =
        if header.has_end { run_second(bytes, frame, colour)? } else { check_whole(bytes, header, frame, colour)? };
    Ok(Samples { width: frame.width, height: frame.height, channels: frame.components.len(), values })
}

const END: &[u8] = &[0xff, 0xd9];

/// Entropy-coded bits that are none of any picture's, and no markers.
const OTHER_BITS: [u8; 64] = [0xaa; 64];

/// Decodes a file without an end marker, which may have lost no more than that, or a part of its picture. A whole picture
/// does not depend on what follows its data.
fn check_whole(bytes: &[u8], header: &Header, frame: &Frame, colour: Colour) -> Result<Vec<u8>, Refusal> {
    let cut = || truncated("it has no end-of-image marker, and nothing shows that its picture is whole");
    if !header.scans_are_complete(frame) {
        return Err(cut());
    }
    let data = without_padding(bytes);
    let values = run_second(data.chain(END), frame, colour).map_err(|_| cut())?;
    let others = run_second(data.chain(&OTHER_BITS[..]).chain(END), frame, colour);
    if others.ok().as_ref() == Some(&values) { Ok(values) } else { Err(cut()) }
}

/// The bytes before a run of equal ones, which is what fills up a file's last sectors.
fn without_padding(bytes: &[u8]) -> &[u8] {
    let Some(&last) = bytes.last() else { return bytes };
    let run = bytes.iter().rev().take_while(|byte| **byte == last).count();
    // A few bytes may be the picture's own, but for 0xff, which is always followed by another.
    if last != 0xff && run < 4 { bytes } else { &bytes[..bytes.len() - run] }
}

fn run_second(bytes: impl Read, frame: &Frame, colour: Colour) -> Result<Vec<u8>, Refusal> {
    let mut decoder = Decoder::new(bytes);
    decoder.set_color_transform(match colour {
        Colour::Grey => ColorTransform::Grayscale,
        Colour::Rgb => ColorTransform::RGB,
        Colour::YCbCr => ColorTransform::YCbCr,
        Colour::Cmyk => ColorTransform::CMYK,
        Colour::Ycck => ColorTransform::YCCK,
    });
    let mut values = decoder.decode().map_err(|error| match error {
        jpeg_decoder::Error::Io(_) => truncated("it ends within a segment"),
        jpeg_decoder::Error::Format(why) => damaged(why),
        error => Refusal::unread(format!("a JPEG of another kind ({error})")),
    })?;
    let (width, height) = (frame.width as usize, frame.height as usize);
    if values.len() != width * height * frame.components.len() {
        return Err(damaged("its pixels are not as many as it says"));
    }
    if frame.process == 0xc3 && colour == Colour::YCbCr {
        // Lossless files come as they are stored.
        values.as_chunks_mut::<3>().0.iter_mut().for_each(|pixel| *pixel = channels::ycbcr_to_rgb(*pixel));
    }
    Ok(values)
}

fn to_rgb(samples: Samples) -> Result<RgbImage, Refusal> {
    let Samples { width, height, channels, values } = samples;
    let rgb = match channels {
        1 => values.iter().flat_map(|grey| [*grey; 3]).collect(),
        4 => values.as_chunks::<4>().0.iter().flat_map(|inks| channels::cmyk_to_rgb(*inks)).collect(),
        _ => values,
    };
    RgbImage::from_raw(width, height, rgb).ok_or_else(|| damaged("its pixels are not as many as it says"))
}

fn damaged(why: impl AsRef<str>) -> Refusal {
    Refusal::damaged("JPEG", why)
}

fn truncated(why: &str) -> Refusal {
    Refusal::truncated("JPEG", why)
}
