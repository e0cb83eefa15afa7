//! The members of a tar archive, read from front to back.

use super::names::is_picture;
use super::sample::{MOST_BESIDE, Member};
use bytes::Bytes;
use std::io::{self, Read};
use std::path::Path;
use tar::{Archive, EntryType, Header};

/// Bytes of which members take whole multiples.
const BLOCK: usize = 512;

/// Whether bytes are those of a tar archive's first block.
pub(super) fn is_tar(bytes: &[u8]) -> bool {
    let Some(block) = bytes.first_chunk::<BLOCK>() else { return false };
    let header = Header::from_byte_slice(block);
    let sum = |at: usize, byte: &u8| u32::from(if (148..156).contains(&at) { b' ' } else { *byte });
    let sum: u32 = block.iter().enumerate().map(|(at, byte)| sum(at, byte)).sum();
    block[0] != 0 && header.cksum().is_ok_and(|stored| stored == sum)
}

/// The members of an archive.
pub(super) struct Members<R> {
    reader: Counted<R>,
    /// The most that an image may take.
    limit: u64,
    members: u64,
    is_over: bool,
}

impl<R: Read> Members<R> {
    pub fn new(reader: R, limit: u64) -> Self {
        Self { reader: Counted { reader, read: 0 }, limit, members: 0, is_over: false }
    }

    /// The next member; none at the end.
    fn read(&mut self) -> io::Result<Option<Member>> {
        let Self { reader, limit, .. } = self;
        reader.align()?;
        let before = reader.read;
        // An archive keeps the reader for itself, and forgets nothing that the next one needs.
        let mut archive = Archive::new(&mut *reader);
        let Some(entry) = archive.entries()?.next() else {
            // An archive ends with blocks of zeros.
            return if reader.read == before { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(None) };
        };
        let mut entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let size = entry.size();
        let is_file =
            matches!(entry.header().entry_type(), EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse);
        let is_picture = is_picture(Path::new(&name));
        let most = if is_picture { *limit } else { MOST_BESIDE };
        let member = if is_file && size <= most {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            if bytes.len() as u64 != size {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            Member::File(name, Bytes::from(bytes))
        } else if is_file && is_picture {
            Member::Failed(name, format!("the file in bytes: {size} is over the limit of {most}"))
        } else {
            Member::Passed
        };
        // What is left of it.
        let left = io::copy(&mut entry, &mut io::sink())?;
        if matches!(member, Member::Passed | Member::Failed(..)) && is_file && left != size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Some(member))
    }
}

impl<R: Read> Iterator for Members<R> {
    type Item = Member;

    fn next(&mut self) -> Option<Member> {
        if self.is_over {
            return None;
        }
        match self.read() {
            Ok(Some(member)) => {
                self.members += 1;
                Some(member)
            }
            Ok(None) => {
                self.is_over = true;
                None
            }
            Err(error) => {
                self.is_over = true;
                let what = match error.kind() {
                    io::ErrorKind::UnexpectedEof => "it ends before its end".to_owned(),
                    _ => error.to_string(),
                };
                let reason = format!("the archive is damaged after member {}: {what}", self.members);
                Some(Member::Failed(String::new(), reason))
            }
        }
    }
}

/// A reader that knows how far it has come.
struct Counted<R> {
    reader: R,
    read: u64,
}

impl<R: Read> Counted<R> {
    /// Reads to the end of a block.
    fn align(&mut self) -> io::Result<()> {
        let rest = self.read.next_multiple_of(BLOCK as u64) - self.read;
        match io::copy(&mut Read::take(&mut *self, rest), &mut io::sink())? == rest {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.read += read as u64;
        Ok(read)
    }
}
