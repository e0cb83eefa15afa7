//! The samples of a TIFF's pixels, and the colours that they are.

use super::super::channels::{cmyk_to_rgb, divide_by_alpha, lab_to_rgb, ycbcr_to_rgb};
use super::super::refusal::Refusal;
use super::compression::Compression;
use super::damaged;
use super::directory::Directory;
use super::picture::{Format, Photometric, Picture};

/// Samples of all pixels side by side, [`Picture::used`] a pixel.
pub(super) enum Samples {
    /// Of up to 8 bits, and not scaled to 8.
    Bytes(Vec<u8>),
    /// The upper 8 of 16 bits come later: palettes index with all of them.
    Words(Vec<u16>),
    /// Signed ones, those of 32 bits and more, floats.
    Numbers(Vec<f32>),
}

impl Picture {
    /// Brings every sample to 8 bits, but for the indices of a palette.
    pub fn levels(&self, samples: Samples) -> Result<Samples, Refusal> {
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

    pub fn rgb(&self, levels: Samples, directory: &Directory) -> Result<Vec<u8>, Refusal> {
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
