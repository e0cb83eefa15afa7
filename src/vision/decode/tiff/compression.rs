//! The bytes of one strip or tile: taken out of their compression, then out of their predictor.

use std::io::Read;

use fax::Color;
use flate2::read::ZlibDecoder;
use ruzstd::decoding::StreamingDecoder;
use weezl::{BitOrder, LzwStatus, decode::Decoder};

use super::super::refusal::Refusal;

/// Tag 259, for what is read; JPEG is not among them, since it makes pixels and not bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Group3,
    Group4,
    Lzw,
    Deflate,
    PackBits,
    Zstd,
    Jpeg,
}

impl Compression {
    pub fn of(number: u64) -> Result<Self, Refusal> {
        let unread = |how: &str| Err(Refusal::unread(format!("a TIFF compressed with {how}")));
        match number {
            1 => Ok(Self::None),
            2 => unread("modified Huffman codes (CCITT RLE)"),
            3 => Ok(Self::Group3),
            4 => Ok(Self::Group4),
            5 => Ok(Self::Lzw),
            6 => unread("the old kind of JPEG (type 6)"),
            7 => Ok(Self::Jpeg),
            8 | 32946 => Ok(Self::Deflate),
            32773 => Ok(Self::PackBits),
            33003 | 33005 | 34712 => unread("JPEG 2000"),
            34676 | 34677 => unread("SGI LogLuv"),
            34887 => unread("LERC"),
            34925 => unread("LZMA"),
            50000 => Ok(Self::Zstd),
            50001 => unread("WebP"),
            50002 => unread("JPEG XL"),
            number => unread(&format!("method {number}")),
        }
    }

    /// `rows` rows of `row_bytes` each. `width` is that of the pixels, which facsimile codes count.
    pub fn expand(self, data: &[u8], rows: usize, row_bytes: usize, width: u32) -> Result<Vec<u8>, Refusal> {
        let length = rows.checked_mul(row_bytes).ok_or_else(|| damaged("a strip is larger than any memory"))?;
        let bytes = match self {
            Self::None => data.get(..length).unwrap_or(data).to_vec(),
            Self::PackBits => unpack_bits(data, length),
            Self::Lzw => lzw(data, length)?,
            Self::Deflate => read_to(ZlibDecoder::new(data), length)?,
            Self::Zstd => {
                let decoder = StreamingDecoder::new_with_max_window_size(data, MOST_WINDOW);
                read_to(decoder.map_err(|error| damaged(error.to_string()))?, length)?
            }
            Self::Group3 | Self::Group4 => self.facsimile(data, rows, row_bytes, width)?,
            Self::Jpeg => return Err(damaged("a JPEG where bytes are expected")),
        };
        if bytes.len() < length {
            return Err(Refusal::truncated("TIFF", "a strip holds fewer pixels than it should"));
        }
        Ok(bytes)
    }

    /// White pixels are 0, black ones 1 (ITU-T T.4 and T.6).
    fn facsimile(self, data: &[u8], rows: usize, row_bytes: usize, width: u32) -> Result<Vec<u8>, Refusal> {
        let narrow =
            |size: usize| u16::try_from(size).map_err(|_| Refusal::unread("a facsimile of over 65,535 pixels"));
        let (width, height) = (narrow(width as usize)?, narrow(rows)?);
        let mut bytes = Vec::with_capacity(rows * row_bytes);
        let mut whole = true;
        let line = |transitions: &[u16]| {
            if bytes.len() == rows * row_bytes {
                return;
            }
            // Only in Group 4 may a row end in what is left of it.
            whole &= self == Self::Group4 || transitions.last() == Some(&width);
            let start = bytes.len();
            bytes.resize(start + row_bytes, 0);
            for (x, colour) in fax::decoder::pels(transitions, width).enumerate() {
                if colour == Color::Black {
                    bytes[start + x / 8] |= 0x80 >> (x % 8);
                }
            }
        };
        let data = data.iter().copied();
        let ended = match self {
            // Writers leave the six end-of-line codes out that end a page, and the decoder misses the last row then.
            Self::Group3 => fax::decoder::decode_g3(data.chain(SIX_ENDS_OF_LINE), line),
            _ => fax::decoder::decode_g4(data, width, Some(height), line),
        };
        if !whole || ended.is_none() {
            return Err(damaged("its facsimile codes do not make whole rows"));
        }
        Ok(bytes)
    }
}

/// Eleven zeros and a one, six times.
const SIX_ENDS_OF_LINE: [u8; 9] = [0, 0x10, 0x01, 0, 0x10, 0x01, 0, 0x10, 0x01];

/// Zstandard's own limit for windows that need no special switch is 8 MiB; `--long` goes to this.
const MOST_WINDOW: u64 = 128 << 20;

fn read_to(reader: impl Read, length: usize) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    match reader.take(length as u64).read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        // What was read is too short, which the caller says.
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(bytes),
        Err(error) => Err(damaged(error.to_string())),
    }
}

fn lzw(data: &[u8], length: usize) -> Result<Vec<u8>, Refusal> {
    if let [0, second, ..] = data
        && second & 1 == 1
    {
        return Err(Refusal::unread("a TIFF with LZW as it was before version 6 of the format"));
    }
    let mut decoder = Decoder::with_tiff_size_switch(BitOrder::Msb, 8);
    let mut bytes = vec![0; length];
    let (mut read, mut written) = (0, 0);
    while written < length {
        let step = decoder.decode_bytes(&data[read..], &mut bytes[written..]);
        read += step.consumed_in;
        written += step.consumed_out;
        match step.status {
            Ok(LzwStatus::Ok) if step.consumed_in + step.consumed_out > 0 => {}
            Ok(_) => break,
            Err(error) => return Err(damaged(error.to_string())),
        }
    }
    bytes.truncate(written);
    Ok(bytes)
}

fn unpack_bits(mut data: &[u8], length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some((&count, rest)) = data.split_first()
        && bytes.len() < length
    {
        data = rest;
        match count.cast_signed() {
            -128 => {}
            count @ 0.. => {
                let (literal, rest) = data.split_at(data.len().min(usize::from(count.unsigned_abs()) + 1));
                bytes.extend_from_slice(literal);
                data = rest;
            }
            count => {
                let Some((&byte, rest)) = data.split_first() else { break };
                bytes.resize(bytes.len() + usize::from(count.unsigned_abs()) + 1, byte);
                data = rest;
            }
        }
    }
    bytes.truncate(length);
    bytes
}

/// Adds to each sample the one `channels` before it (predictor 2); samples have 1, 2, 4 or 8 bytes.
pub(super) fn undo_differences(row: &mut [u8], channels: usize, size: usize, little: bool) {
    let distance = channels * size;
    for at in (distance..row.len() / size * size).step_by(size) {
        let mut carry = 0;
        for byte in 0..size {
            let place = if little { at + byte } else { at + size - 1 - byte };
            let sum = u16::from(row[place]) + u16::from(row[place - distance]) + carry;
            row[place] = sum as u8;
            carry = sum >> 8;
        }
    }
}

/// Undoes predictor 3: the bytes of all samples by their rank, the highest first, each the difference to the one before.
/// What comes out is big-endian.
pub(super) fn undo_float_differences(row: &mut [u8], channels: usize, size: usize) {
    for at in channels..row.len() {
        row[at] = row[at].wrapping_add(row[at - channels]);
    }
    let samples = row.len() / size;
    let ranks = row.to_vec();
    for (sample, bytes) in row.chunks_exact_mut(size).enumerate() {
        for (rank, byte) in bytes.iter_mut().enumerate() {
            *byte = ranks[rank * samples + sample];
        }
    }
}

fn damaged(why: impl AsRef<str>) -> Refusal {
    Refusal::damaged("TIFF", why)
}
