//! What a TIFF's tags say of its picture.

use super::super::refusal::Refusal;
use super::compression::Compression;
use super::damaged;
use super::directory::Directory;

/// What the numbers of a sample mean (tag 339).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Unsigned,
    Signed,
    Float,
}

/// Tag 262, for what is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Photometric {
    WhiteIsZero,
    BlackIsZero,
    Rgb,
    Palette,
    Cmyk,
    YCbCr,
    Lab,
}

impl Photometric {
    pub fn words(self) -> &'static str {
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
pub(super) struct Picture {
    pub width: u32,
    pub height: u32,
    /// Bits a sample, the same for all channels.
    pub bits: usize,
    pub format: Format,
    pub photometric: Photometric,
    /// Channels a pixel in the file.
    pub channels: usize,
    /// Those of them that the colour needs; the first ones.
    pub used: usize,
    /// The colour was multiplied with the alpha behind it.
    pub associated_alpha: bool,
    pub compression: Compression,
    pub predictor: u64,
    pub planar: bool,
    /// Horizontal and vertical subsampling of chroma that is stored as it is.
    pub subsampling: (u32, u32),
}

impl Picture {
    pub fn read(directory: &Directory) -> Result<Self, Refusal> {
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
