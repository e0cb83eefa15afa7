//! Images of a stream: one of any kind, JPEGs one after the other as `ffmpeg -f image2pipe -c:v mjpeg -` writes them, or a
//! tar archive.

use super::item::Item;
use super::sample::Samples;
use super::{Items, Options, tar};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// The images of a stream.
pub(super) fn stream(name: &Path, reader: Box<dyn Read + Send>, options: &Options) -> Items {
    let mut start = Vec::new();
    let mut reader = reader;
    if let Err(error) = reader.by_ref().take(512).read_to_end(&mut start) {
        return Box::new(std::iter::once(Item::nothing(name, error.to_string())));
    }
    let is_tar = tar::is_tar(&start);
    let reader = BufReader::with_capacity(1 << 16, io::Cursor::new(start).chain(reader));
    let limit = options.limits.file_bytes;
    if is_tar {
        return Box::new(Samples::new(name, tar::Members::new(reader, limit)));
    }
    let every = options.every.max(1);
    Box::new(Jpegs { name: name.to_owned(), reader, limit, every, number: 0, is_over: false })
}

/// JPEGs one after the other; or, where the first is no JPEG or the last, one image.
struct Jpegs<R> {
    name: PathBuf,
    reader: BufReader<R>,
    /// The most that an image may take, in bytes.
    limit: u64,
    every: u64,
    number: u64,
    is_over: bool,
}

/// How a JPEG of a stream ended.
enum Ended {
    /// With its end, after which another one begins.
    Before,
    /// With the stream, or with what is no JPEG.
    Last,
}

impl<R: Read> Jpegs<R> {
    /// Reads to the end of a JPEG, or to that of the stream.
    fn read(&mut self) -> io::Result<(Vec<u8>, Ended)> {
        let mut bytes = Vec::new();
        let is_jpeg = self.reader.fill_buf()?.starts_with(&[0xff, 0xd8, 0xff]);
        let is_whole = is_jpeg && self.picture(&mut bytes)?;
        let starts_another = is_whole && self.reader.fill_buf()?.starts_with(&[0xff, 0xd8]);
        if starts_another && !has_several(&bytes) {
            return Ok((bytes, Ended::Before));
        }
        // What comes after one image is for its decoder to judge.
        let room = self.limit.saturating_add(1).saturating_sub(bytes.len() as u64);
        self.reader.by_ref().take(room).read_to_end(&mut bytes)?;
        Ok((bytes, Ended::Last))
    }

    /// Takes bytes up to an end-of-image marker (T.81, annex B). Whether there is one within the limit.
    fn picture(&mut self, bytes: &mut Vec<u8>) -> io::Result<bool> {
        self.exactly(2, bytes)?;
        loop {
            // Entropy-coded data, or nothing, up to the next marker.
            loop {
                let room = self.limit.saturating_add(1).saturating_sub(bytes.len() as u64);
                self.reader.by_ref().take(room).read_until(0xff, bytes)?;
                if bytes.last() != Some(&0xff) || bytes.len() as u64 > self.limit || !self.exactly(1, bytes)? {
                    return Ok(false);
                }
                while bytes.last() == Some(&0xff) {
                    if !self.exactly(1, bytes)? {
                        return Ok(false);
                    }
                }
                // Stuffed and restart markers belong to the data.
                if !matches!(bytes.last(), Some(0x00 | 0x01 | 0xd0..=0xd8)) {
                    break;
                }
            }
            if bytes.last() == Some(&0xd9) {
                return Ok(true);
            }
            if !self.exactly(2, bytes)? {
                return Ok(false);
            }
            let length = bytes.last_chunk::<2>().map_or(0, |length| u16::from_be_bytes(*length));
            if !self.exactly(u64::from(length).saturating_sub(2), bytes)? {
                return Ok(false);
            }
        }
    }

    /// Takes so many bytes; whether there are as many.
    fn exactly(&mut self, count: u64, bytes: &mut Vec<u8>) -> io::Result<bool> {
        Ok(self.reader.by_ref().take(count).read_to_end(bytes)? as u64 == count)
    }
}

impl<R: Read> Iterator for Jpegs<R> {
    type Item = Item;

    /// None come after the last, which an image alone is.
    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, self.is_over.then_some(0))
    }

    fn next(&mut self) -> Option<Item> {
        while !self.is_over {
            let number = self.number;
            self.number += 1;
            let (bytes, ended) = match self.read() {
                Ok(read) => read,
                Err(error) => {
                    self.is_over = true;
                    return Some(Item::nothing(self.name.clone(), error.to_string()));
                }
            };
            self.is_over = matches!(ended, Ended::Last);
            if number.is_multiple_of(self.every) {
                if number == 0 && self.is_over {
                    return Some(Item::bytes(self.name.clone(), bytes));
                }
                let mut name = self.name.clone().into_os_string();
                name.push(format!("#{number}"));
                return Some(Item::bytes(name, bytes));
            }
        }
        None
    }
}

/// Whether a JPEG says that others of the same file follow (CIPA DC-007): they are smaller ones of the same picture.
fn has_several(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[0xff, marker, high, low]) = bytes.get(at..at + 4) {
        if marker == 0xda {
            return false;
        }
        if marker == 0xe2 && bytes.get(at + 4..at + 8) == Some(b"MPF\0") {
            return true;
        }
        at += 2 + usize::from(u16::from_be_bytes([high, low]));
    }
    false
}
