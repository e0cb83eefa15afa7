//! Paths from a list: a line each, or with a zero byte after each.

use super::item::Item;
use std::ffi::OsString;
use std::io::BufRead;
use std::path::{Path, PathBuf};

/// The longest path that a list may have, in bytes; no system opens one as long.
const LONGEST: u64 = 1 << 16;

/// The paths of a list, as they come.
pub struct List<R> {
    name: PathBuf,
    reader: R,
    separator: u8,
    entries: u64,
    is_over: bool,
}

impl<R: BufRead> List<R> {
    /// A list that is called `name`: lines, or, where `is_zero_separated`, what `find -print0` writes. Empty ones do not count.
    pub fn new(name: impl AsRef<Path>, reader: R, is_zero_separated: bool) -> Self {
        let separator = if is_zero_separated { 0 } else { b'\n' };
        Self { name: name.as_ref().to_owned(), reader, separator, entries: 0, is_over: false }
    }

    fn failed(&mut self, reason: impl std::fmt::Display) -> Option<Result<PathBuf, Item>> {
        self.is_over = true;
        Some(Err(Item::nothing(self.name.clone(), format!("entry {} of this list: {reason}", self.entries))))
    }
}

impl<R: BufRead> Iterator for List<R> {
    /// A path, or why no more come.
    type Item = Result<PathBuf, Item>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.is_over {
            let mut entry = Vec::new();
            self.entries += 1;
            let mut bounded = std::io::Read::take(&mut self.reader, LONGEST);
            match bounded.read_until(self.separator, &mut entry) {
                Ok(0) => self.is_over = true,
                Ok(read) if read as u64 == LONGEST => return self.failed("it is longer than any path"),
                Ok(_) => {}
                Err(error) => return self.failed(error),
            }
            entry.pop_if(|last| *last == self.separator);
            if self.separator == b'\n' {
                entry.pop_if(|last| *last == b'\r');
                if self.entries == 1 && entry.starts_with(b"\xef\xbb\xbf") {
                    entry.drain(..3);
                }
            }
            if !entry.is_empty() {
                return match path(entry) {
                    Some(path) => Some(Ok(path)),
                    None => self.failed("it is not in UTF-8"),
                };
            }
        }
        None
    }
}

#[cfg(unix)]
fn path(bytes: Vec<u8>) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    Some(OsString::from_vec(bytes).into())
}

#[cfg(not(unix))]
fn path(bytes: Vec<u8>) -> Option<PathBuf> {
    String::from_utf8(bytes).ok().map(|text| OsString::from(text).into())
}
