//! Which files are archives, by their content, and what is in them.

use super::item::{Item, checkpoint};
use super::sample::Samples;
use super::{Items, Options, tar, zip};
use flate2::read::MultiGzDecoder;
use ruzstd::decoding::StreamingDecoder;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;

/// The images of an archive; none for what is none.
pub(super) fn open(path: &Path, options: &Options) -> Option<Items> {
    // A pipe or a device is read once, by whoever takes it for an image.
    if !path.is_file() {
        return None;
    }
    let file = File::open(path).ok()?;
    let limit = options.limits.file_bytes;
    let start = head(&file)?;
    // Most files are pictures, and a list may have a million.
    if start.starts_with(b"\xff\xd8") || start.starts_with(b"\x89PNG") {
        return None;
    }
    if start.starts_with(b"PK\x03\x04") {
        if checkpoint(path).is_some() {
            return None;
        }
        return Some(match zip::Members::new(file, limit) {
            Ok(members) => Box::new(Samples::new(path, members)),
            Err(error) => {
                Box::new(std::iter::once(Item::nothing(path, format!("the zip archive is damaged: {error}"))))
            }
        });
    }
    let is_tar = tar::is_tar(&head(unpacked(&file)?)?);
    if !is_tar {
        return None;
    }
    (&file).rewind().ok()?;
    Some(Box::new(Samples::new(path, tar::Members::new(unpacked(file)?, limit))))
}

/// The first bytes of a reader.
fn head(reader: impl Read) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    reader.take(512).read_to_end(&mut head).ok()?;
    Some(head)
}

/// What a file holds, unpacked where it is packed by gzip or Zstandard.
fn unpacked<'f>(file: impl Read + Seek + Send + 'f) -> Option<Box<dyn Read + Send + 'f>> {
    let mut file = file;
    file.rewind().ok()?;
    let start = head(file.by_ref())?;
    file.rewind().ok()?;
    let file = BufReader::with_capacity(1 << 16, file);
    Some(match start[..] {
        [0x1f, 0x8b, ..] => Box::new(BufReader::new(MultiGzDecoder::new(file))),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(StreamingDecoder::new(file).map_err(io::Error::other).ok()?),
        _ => Box::new(file),
    })
}
