//! TIFF and BigTIFF: the first directory's picture, by strips or tiles.
//!
//! The container is read here, since the kinds that cameras, scanners and microscopes write (palettes, grey with alpha,
//! floats, 4 bits, tiles of JPEG with its tables elsewhere) are half of them no kinds of the `tiff` crate; what is
//! compressed is left to a crate a compression.

mod chunks;
mod compression;
mod directory;

use image::RgbImage;

use super::channels::{cmyk_to_rgb, divide_by_alpha, lab_to_rgb, ycbcr_to_rgb};
use super::limits::{Admission, Size};
use super::orientation::Metadata;
use super::refusal::Refusal;
use super::turned;
use chunks::Grid;
use compression::Compression;
use directory::Directory;

/// What the numbers of a sample mean (tag 339).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Unsigned,
    Signed,
    Float,
}

/// Tag 262, for what is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Photometric {
    WhiteIsZero,
    BlackIsZero,
    Rgb,
    Palette,
    Cmyk,
    YCbCr,
    Lab,
}

impl Photometric {
    fn words(self) -> &'static str {
        match self {
            Self::WhiteIsZero | Self::BlackIsZero => "grey",
            Self::Rgb => "RGB",
            Self::Palette => "a palette's colours",
            Self::Cmyk => "CMYK",
            Self::YCbCr => "YCbCr",
            Self::Lab => "L*a*b*",
        }
    }
}

/// A picture's tags, once they are known to be of a kind that is read.
struct Picture {
    width: u32,
    height: u32,
    /// Bits a sample, the same for all channels.
    bits: usize,
    format: Format,
    photometric: Photometric,
    /// Channels a pixel in the file.
    channels: usize,
    /// Those of them that the colour needs; the first ones.
    used: usize,
    /// The colour was multiplied with the alpha behind it.
    associated_alpha: bool,
    compression: Compression,
    predictor: u64,
    planar: bool,
    /// Horizontal and vertical subsampling of chroma that is stored as it is.
    subsampling: (u32, u32),
}

/// Samples of all pixels side by side, [`Picture::used`] a pixel.
enum Samples {
    /// Of up to 8 bits, and not scaled to 8.
    Bytes(Vec<u8>),
    /// The upper 8 of 16 bits come later: palettes index with all of them.
    Words(Vec<u16>),
    /// Signed ones, those of 32 bits and more, floats.
    Numbers(Vec<f32>),
}

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

impl Picture {
    fn read(directory: &Directory) -> Result<Self, Refusal> {
        let number = |tag, default: u64| directory.number(tag).unwrap_or(default);
        let side = |tag, what: &str| {
            let side = directory.number(tag).and_then(|side| u32::try_from(side).ok()).filter(|side| *side > 0);
            side.ok_or_else(|| damaged(format!("its {what} is missing or 0")))
        };
        let (width, height) = (side(256, "width")?, side(257, "height")?);
        let channels = number(277, 1);
        let all_bits = directory.numbers(258).unwrap_or_else(|| vec![1]);
        let extra = directory.numbers(338).unwrap_or_default();
        let formats = directory.numbers(339).unwrap_or_default();
        let compression = Compression::of(number(259, 1))?;

        let bits = all_bits[..].first().copied().unwrap_or(1);
        if all_bits.iter().any(|other| *other != bits) {
            return Err(Refusal::unread(format!("a TIFF whose channels have {all_bits:?} bits")));
        }
        if formats.iter().any(|other| *other != formats[0]) {
            return Err(Refusal::unread("a TIFF whose channels are numbers of different kinds"));
        }
        let format = match formats.first() {
            None | Some(1 | 4) => Format::Unsigned,
            Some(2) => Format::Signed,
            Some(3) => Format::Float,
            Some(_) => return Err(Refusal::unread("a TIFF of complex numbers")),
        };
        let known = match format {
            Format::Unsigned => matches!(bits, 1 | 2 | 4 | 8 | 12 | 16 | 32),
            Format::Signed => matches!(bits, 8 | 16 | 32),
            Format::Float => matches!(bits, 16 | 32 | 64),
        };
        if !known {
            let kind = if format == Format::Float { "floats" } else { "integers" };
            return Err(Refusal::unread(format!("a TIFF of {kind} of {bits} bits")));
        }
        let photometric = photometric(directory, channels)?;
        let colours = match photometric {
            Photometric::WhiteIsZero | Photometric::BlackIsZero | Photometric::Palette => 1,
            Photometric::Cmyk => 4,
            _ => 3,
        };
        if channels < colours || channels > 64 {
            return Err(damaged(format!("it has {channels} channels, and its colours need {colours}")));
        }
        let associated_alpha = extra.first() == Some(&1) && channels > colours && photometric != Photometric::Palette;
        if photometric == Photometric::Palette && (bits > 16 || format != Format::Unsigned) {
            return Err(damaged(format!("its palette is indexed by {bits} bits")));
        }
        let subsampled = photometric == Photometric::YCbCr && compression != Compression::Jpeg;
        let subsampling = if subsampled { subsampling(directory)? } else { (1, 1) };
        if subsampled && bits != 8 || photometric == Photometric::Lab && (bits != 8 || format == Format::Float) {
            return Err(Refusal::unread(format!("a TIFF of {} of {bits} bits", photometric.words())));
        }
        let in_jpeg = match photometric {
            Photometric::Lab => false,
            Photometric::YCbCr => channels == 3,
            _ => matches!(channels, 1 | 3 | 4) || number(284, 1) == 2,
        };
        // Dividing by alpha would enlarge what JPEG lost.
        if compression == Compression::Jpeg && (bits != 8 || !in_jpeg || associated_alpha) {
            let what = format!(
                "a TIFF of {}, with {channels} channels of {bits} bits a pixel, compressed with JPEG",
                photometric.words()
            );
            return Err(Refusal::unread(what));
        }
        if matches!(compression, Compression::Group3 | Compression::Group4) && (bits, channels) != (1, 1) {
            return Err(damaged("facsimile codes are for 1 bit a pixel"));
        }
        if compression == Compression::Group3 && number(292, 0) & 1 != 0 {
            return Err(Refusal::unread("a TIFF compressed with two-dimensional Group 3 codes"));
        }
        let predictor = match compression {
            Compression::Lzw | Compression::Deflate | Compression::Zstd => number(317, 1),
            _ => 1,
        };
        let fits = match predictor {
            1 => true,
            2 => matches!(bits, 8 | 16 | 32 | 64) && subsampling == (1, 1),
            3 => format == Format::Float,
            _ => false,
        };
        if !fits {
            return Err(Refusal::unread(format!("a TIFF with predictor {predictor} on {bits} bits")));
        }
        let planar = number(284, 1) == 2 && channels > 1;
        if planar && (subsampling != (1, 1) || compression == Compression::Jpeg && photometric == Photometric::YCbCr) {
            return Err(Refusal::unread("a TIFF of subsampled chroma in separate planes"));
        }
        Ok(Picture {
            width,
            height,
            bits: bits as usize,
            format,
            photometric,
            channels: channels as usize,
            used: colours as usize + usize::from(associated_alpha),
            associated_alpha,
            compression,
            predictor,
            planar,
            subsampling,
        })
    }

    /// Brings every sample to 8 bits, but for the indices of a palette.
    fn levels(&self, samples: Samples) -> Result<Samples, Refusal> {
        let bytes = match samples {
            indices if self.photometric == Photometric::Palette => return Ok(indices),
            Samples::Bytes(mut bytes) => {
                let scale = match self.bits {
                    1 => 255,
                    2 => 85,
                    4 => 17,
                    _ => 1,
                };
                bytes.iter_mut().for_each(|byte| *byte *= scale);
                bytes
            }
            Samples::Words(words) => words.iter().map(|word| (word >> (self.bits - 8)) as u8).collect(),
            Samples::Numbers(numbers) => self.as_levels(&numbers)?,
        };
        Ok(Samples::Bytes(bytes))
    }

    /// Numbers that are levels from 0 to 255 already. A file does not say which number is white where they are not.
    fn as_levels(&self, numbers: &[f32]) -> Result<Vec<u8>, Refusal> {
        let least = numbers.iter().copied().fold(f32::INFINITY, f32::min);
        let most = numbers.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let unit = self.format == Format::Float && most > 0.0 && most <= 1.0;
        if least < -1.0 || most > 256.0 || unit || numbers.iter().any(|number| number.is_nan()) {
            let kind = match self.format {
                Format::Unsigned => "integers",
                Format::Signed => "signed integers",
                Format::Float => "floats",
            };
            return Err(Refusal::Image(format!(
                "this is a TIFF of {kind} of {} bits from {least} to {most}, and only those that are levels from 0 to 255 \
                 are read, since the file does not say which number is white; save it with 8 or 16 unsigned bits",
                self.bits
            )));
        }
        Ok(numbers.iter().map(|number| *number as u8).collect())
    }

    fn rgb(&self, levels: Samples, directory: &Directory) -> Result<Vec<u8>, Refusal> {
        if self.photometric == Photometric::Palette {
            return palette(&levels, directory, self.bits);
        }
        let Samples::Bytes(levels) = levels else { return Err(damaged("its samples are no levels")) };
        // JPEG's own decoder turned chroma into colour.
        let photometric = match self.photometric {
            Photometric::YCbCr if self.compression == Compression::Jpeg => Photometric::Rgb,
            other => other,
        };
        if photometric == Photometric::Rgb && self.used == 3 {
            return Ok(levels);
        }
        let mut rgb = Vec::with_capacity(self.width as usize * self.height as usize * 3);
        for pixel in levels.chunks_exact(self.used) {
            let colour = match (photometric, pixel) {
                (Photometric::WhiteIsZero, [grey, ..]) => [255 - grey; 3],
                (Photometric::BlackIsZero, [grey, ..]) => [*grey; 3],
                (Photometric::Cmyk, [c, m, y, k, ..]) => cmyk_to_rgb([*c, *m, *y, *k]),
                (Photometric::YCbCr, [y, cb, cr, ..]) => ycbcr_to_rgb([*y, *cb, *cr]),
                (Photometric::Lab, [l, a, b, ..]) => lab_to_rgb([*l, *a, *b]),
                (_, [r, g, b, ..]) => [*r, *g, *b],
                _ => return Err(damaged("it lacks channels")),
            };
            match self.associated_alpha {
                true => rgb.extend(colour.map(|level| divide_by_alpha(level, pixel[self.used - 1]))),
                false => rgb.extend(colour),
            }
        }
        Ok(rgb)
    }
}

fn photometric(directory: &Directory, channels: u64) -> Result<Photometric, Refusal> {
    match directory.number(262) {
        Some(0) => Ok(Photometric::WhiteIsZero),
        Some(1) => Ok(Photometric::BlackIsZero),
        Some(2) => Ok(Photometric::Rgb),
        Some(3) => Ok(Photometric::Palette),
        Some(4) => Err(Refusal::unread("a TIFF that is a transparency mask")),
        Some(5) if directory.number(332).is_none_or(|inks| inks == 1) => Ok(Photometric::Cmyk),
        Some(5) => Err(Refusal::unread("a TIFF of other inks than cyan, magenta, yellow and black")),
        Some(6) => Ok(Photometric::YCbCr),
        Some(8) => Ok(Photometric::Lab),
        Some(9 | 10) => Err(Refusal::unread("a TIFF in a variant of L*a*b*")),
        Some(32803 | 34892) => Err(Refusal::unread("a raw photo of a camera (DNG or its like)")),
        Some(32844 | 32845) => Err(Refusal::unread("a LogLuv TIFF")),
        Some(other) => Err(Refusal::unread(format!("a TIFF of colours of kind {other}"))),
        // The tag is required, and some writers leave it out.
        None if channels >= 3 => Ok(Photometric::Rgb),
        None => Ok(Photometric::BlackIsZero),
    }
}

/// How chroma is stored; other ranges and weights than JFIF's are another colour space.
fn subsampling(directory: &Directory) -> Result<(u32, u32), Refusal> {
    let value = |(numerator, denominator): (u64, u64)| numerator as f64 / denominator as f64;
    let same = |tag, expected: &[f64]| match directory.rationals(tag) {
        None => true,
        Some(found) => {
            found.len() == expected.len() && found.iter().zip(expected).all(|(f, e)| (value(*f) - e).abs() < 0.01)
        }
    };
    if !same(532, &[0.0, 255.0, 128.0, 255.0, 128.0, 255.0]) || !same(529, &[0.299, 0.587, 0.114]) {
        return Err(Refusal::unread("a TIFF of YCbCr with a range or with weights of its own"));
    }
    match directory.numbers(530).unwrap_or_else(|| vec![2, 2])[..] {
        [h @ (1 | 2 | 4), v @ (1 | 2 | 4)] => Ok((h as u32, v as u32)),
        ref other => Err(damaged(format!("its chroma is subsampled by {other:?}"))),
    }
}

/// Looks indices up in tag 320: all reds, all greens, all blues, in 16 bits.
fn palette(indices: &Samples, directory: &Directory, bits: usize) -> Result<Vec<u8>, Refusal> {
    let colours = directory.numbers(320).ok_or_else(|| damaged("its palette is missing"))?;
    let count = colours.len() / 3;
    if count != 1 << bits {
        return Err(damaged(format!("its palette has {count} colours, and {bits} bits index it")));
    }
    // Some writers give 8 bits.
    let shift = if colours.iter().any(|level| *level > 255) { 8 } else { 0 };
    let colour = |index: usize| [0, 1, 2].map(|channel| (colours[channel * count + index] >> shift) as u8);
    Ok(match indices {
        Samples::Bytes(indices) => indices.iter().flat_map(|index| colour((*index).into())).collect(),
        Samples::Words(indices) => indices.iter().flat_map(|index| colour((*index).into())).collect(),
        Samples::Numbers(_) => return Err(damaged("its palette is indexed by numbers")),
    })
}

fn damaged(why: impl AsRef<str>) -> Refusal {
    Refusal::damaged("TIFF", why)
}
