//! The strips or tiles of a picture, and the samples that are in them.

use half::f16;

use super::super::jpeg::{self, Colour};
use super::super::limits::Admission;
use super::super::refusal::Refusal;
use super::compression::{Compression, undo_differences, undo_float_differences};
use super::damaged;
use super::directory::Directory;
use super::picture::{Format, Photometric, Picture};
use super::samples::Samples;

/// How a picture is cut up. A strip is a tile as wide as the picture, whose last one may be lower.
pub(super) struct Grid<'a> {
    tiled: bool,
    width: u32,
    height: u32,
    across: usize,
    down: usize,
    /// One a tile, row by row, plane by plane.
    data: Vec<&'a [u8]>,
    /// Bytes of a row in a tile.
    row_bytes: usize,
    /// Channels that lie side by side in a tile.
    channels: usize,
}

impl<'a> Grid<'a> {
    pub fn read(directory: &Directory, picture: &Picture, bytes: &'a [u8]) -> Result<Self, Refusal> {
        let number = |tag| directory.number(tag).and_then(|side| u32::try_from(side).ok()).filter(|side| *side > 0);
        let tiled = directory.number(322).is_some();
        let (width, height) = match tiled {
            true => (number(322), number(323)),
            // 2^32 - 1 rows a strip stand for all.
            false => (Some(picture.width), Some(number(278).unwrap_or(u32::MAX).min(picture.height))),
        };
        let (Some(width), Some(height)) = (width, height) else { return Err(damaged("its tiles have no size")) };
        let (across, down) = (picture.width.div_ceil(width) as usize, picture.height.div_ceil(height) as usize);
        let area = |width: u32, height: u32| u64::from(width) * u64::from(height);
        let all_tiles = area(width, height).saturating_mul(across as u64).saturating_mul(down as u64);
        if all_tiles > area(picture.width, picture.height).saturating_mul(16).saturating_add(1 << 24) {
            return Err(damaged(format!("tiles of {width} x {height} hold far more than its picture")));
        }
        let (planes, channels) = if picture.planar { (picture.channels, 1) } else { (1, picture.channels) };
        let too_large = || damaged("a row is longer than any memory");
        let row_bits = match picture.subsampling {
            (1, 1) => (width as usize).checked_mul(channels).and_then(|samples| samples.checked_mul(picture.bits)),
            // A row of blocks, each of h * v luma samples and two of chroma, is kept as one.
            (h, v) => (width.div_ceil(h) as usize).checked_mul((h * v + 2) as usize * 8),
        };
        let row_bytes = row_bits.ok_or_else(too_large)?.div_ceil(8);

        let count = across.checked_mul(down).and_then(|count| count.checked_mul(planes)).ok_or_else(too_large)?;
        let (offsets, lengths) = if tiled { (324, 325) } else { (273, 279) };
        let lost = || Refusal::truncated("TIFF", "a strip or tile lies outside the file");
        let offsets = directory.numbers(offsets).ok_or_else(|| damaged("it has no strips and no tiles"))?;
        let lengths = directory.numbers(lengths);
        if offsets.len() < count || lengths.as_ref().is_some_and(|lengths| lengths.len() < count) {
            return Err(damaged(format!("it has {} strips or tiles instead of {count}", offsets.len())));
        }
        let slice = |index: usize| {
            let start = usize::try_from(offsets[index]).ok()?;
            match &lengths {
                // Where nothing tells, to the end.
                None => bytes.get(start..),
                Some(lengths) => bytes.get(start..start.checked_add(usize::try_from(lengths[index]).ok()?)?),
            }
        };
        let data = (0..count).map(|index| slice(index).ok_or_else(lost)).collect::<Result<_, _>>()?;
        Ok(Grid { tiled, width, height, across, down, data, row_bytes, channels })
    }

    pub fn chunk_bytes(&self) -> u64 {
        (self.row_bytes as u64).saturating_mul(self.height.into())
    }

    /// Expands every tile and puts its samples where they belong.
    pub fn samples(
        &self,
        directory: &Directory,
        picture: &Picture,
        admission: &mut Admission,
    ) -> Result<Samples, Refusal> {
        let length = picture.width as usize * picture.height as usize * picture.used;
        let mut samples = match (picture.format, picture.bits) {
            (Format::Unsigned, ..=8) => Samples::Bytes(vec![0; length]),
            (Format::Unsigned, ..=16) => Samples::Words(vec![0; length]),
            // The bits of L*a*b* are looked at where it becomes RGB.
            _ if picture.photometric == Photometric::Lab => Samples::Bytes(vec![0; length]),
            _ => Samples::Numbers(vec![0.0; length]),
        };
        let reversed = directory.number(266) == Some(2) && picture.compression != Compression::Jpeg;
        let a_plane = self.across * self.down;
        for (index, data) in self.data.iter().enumerate() {
            let plane = index / a_plane;
            let place = index % a_plane;
            if plane >= picture.used {
                break;
            }
            let (x, y) = ((place % self.across) as u32 * self.width, (place / self.across) as u32 * self.height);
            let rows = if self.tiled { self.height } else { self.height.min(picture.height - y) };
            let chunk = match (picture.compression, reversed) {
                (Compression::Jpeg, _) => self.jpeg(data, rows, directory, picture, admission)?,
                (_, true) => self.expand(
                    &data.iter().map(|byte| byte.reverse_bits()).collect::<Vec<_>>(),
                    rows,
                    picture,
                    directory.little,
                )?,
                (_, false) => self.expand(data, rows, picture, directory.little)?,
            };
            self.place(&chunk, picture, (x, y), plane, &mut samples);
        }
        Ok(samples)
    }

    /// The tile's bytes with the picture's layout: rows of [`Self::row_bytes`], big-endian where samples have several.
    fn expand(&self, data: &[u8], rows: u32, picture: &Picture, little: bool) -> Result<Vec<u8>, Refusal> {
        let rows = rows.div_ceil(picture.subsampling.1) as usize;
        let mut bytes = picture.compression.expand(data, rows, self.row_bytes, self.width)?;
        let size = picture.bits / 8;
        for row in bytes.chunks_exact_mut(self.row_bytes) {
            if picture.predictor == 3 {
                undo_float_differences(row, self.channels, size);
                continue;
            }
            if picture.predictor == 2 {
                undo_differences(row, self.channels, size, little);
            }
            // 12 bits are packed from the highest down, whatever the byte order.
            if little && size > 1 && picture.bits.is_multiple_of(16) {
                row.chunks_exact_mut(size).for_each(<[u8]>::reverse);
            }
        }
        Ok(bytes)
    }

    /// A tile that is a JPEG, whose tables stand in the directory.
    fn jpeg(
        &self,
        data: &[u8],
        rows: u32,
        directory: &Directory,
        picture: &Picture,
        admission: &mut Admission,
    ) -> Result<Vec<u8>, Refusal> {
        let tables = directory.blob(347).and_then(|tables| tables.strip_prefix(b"\xff\xd8"));
        let tables = tables.map(|tables| tables.strip_suffix(b"\xff\xd9").unwrap_or(tables)).unwrap_or_default();
        let frame = data.strip_prefix(b"\xff\xd8").ok_or_else(|| damaged("a strip is no JPEG"))?;
        let whole = [b"\xff\xd8", tables, frame].concat();
        // Four channels are inks here, whatever they are there: they come as they are stored.
        let colour = match (self.channels, picture.photometric) {
            (1, _) => Colour::Grey,
            (3, Photometric::YCbCr) => Colour::YCbCr,
            (3, _) => Colour::Rgb,
            _ => Colour::Cmyk,
        };
        let mut samples = jpeg::samples(&whole, colour, admission)?;
        if samples.width != self.width || samples.height < rows {
            let found = format!("{} x {}", samples.width, samples.height);
            return Err(damaged(format!("a strip of {} x {rows} pixels holds {found}", self.width)));
        }
        if colour == Colour::Cmyk {
            // But for Adobe's turning of them, which is undone.
            samples.values.iter_mut().for_each(|ink| *ink = 255 - *ink);
        }
        debug_assert_eq!(samples.channels, self.channels);
        Ok(samples.values)
    }

    /// Copies what lies within the picture; tiles go over its edges.
    fn place(&self, chunk: &[u8], picture: &Picture, (x, y): (u32, u32), plane: usize, samples: &mut Samples) {
        let columns = self.width.min(picture.width - x) as usize;
        let rows = self.height.min(picture.height - y) as usize;
        let (first, kept) = if picture.planar { (plane, 1) } else { (0, picture.used) };
        let as_it_lies = picture.bits == 8 && picture.subsampling == (1, 1) && self.channels == picture.used;
        for row in 0..rows {
            if let Samples::Bytes(bytes) = samples
                && as_it_lies
            {
                let to = ((y as usize + row) * picture.width as usize + x as usize) * kept;
                let from = row * self.row_bytes;
                bytes[to..to + columns * kept].copy_from_slice(&chunk[from..from + columns * kept]);
                continue;
            }
            for column in 0..columns {
                let pixel = (y as usize + row) * picture.width as usize + x as usize + column;
                for channel in 0..kept {
                    let to = pixel * picture.used + first + channel;
                    let from = self.sample(picture, (column, row), channel);
                    match samples {
                        Samples::Bytes(bytes) => bytes[to] = small(chunk, from, picture.bits) as u8,
                        Samples::Words(words) => words[to] = small(chunk, from, picture.bits),
                        Samples::Numbers(numbers) => numbers[to] = number(chunk, from, picture.bits, picture.format),
                    }
                }
            }
        }
    }

    /// The bit at which a sample begins.
    fn sample(&self, picture: &Picture, (column, row): (usize, usize), channel: usize) -> usize {
        let (h, v) = (picture.subsampling.0 as usize, picture.subsampling.1 as usize);
        if (h, v) == (1, 1) {
            return row * self.row_bytes * 8 + (column * self.channels + channel) * picture.bits;
        }
        let block = row / v * self.row_bytes + column / h * (h * v + 2);
        let within = if channel == 0 { row % v * h + column % h } else { h * v + channel - 1 };
        (block + within) * 8
    }
}

/// An unsigned sample of up to 16 bits.
fn small(chunk: &[u8], bit: usize, bits: usize) -> u16 {
    let at = bit / 8;
    match bits {
        8 => chunk[at].into(),
        16 => u16::from_be_bytes([chunk[at], chunk[at + 1]]),
        // Those of 12 bits lie in two bytes, smaller ones in one.
        12 => u16::from_be_bytes([chunk[at], chunk[at + 1]]) >> (4 - bit % 8) & 0xfff,
        _ => u16::from(chunk[at]) >> (8 - bits - bit % 8) & ((1 << bits) - 1),
    }
}

fn number(chunk: &[u8], bit: usize, bits: usize, format: Format) -> f32 {
    let bytes = &chunk[bit / 8..bit / 8 + bits / 8];
    let unsigned = bytes.iter().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
    match (format, bits) {
        (Format::Float, 16) => f16::from_bits(unsigned as u16).to_f32(),
        (Format::Float, 32) => f32::from_bits(unsigned as u32),
        (Format::Float, _) => f64::from_bits(unsigned) as f32,
        (Format::Signed, _) => ((unsigned << (64 - bits)).cast_signed() >> (64 - bits)) as f32,
        (Format::Unsigned, _) => unsigned as f32,
    }
}
