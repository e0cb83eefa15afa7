//! One file's bytes, with the path and the limits that errors about it speak of.

use super::Limits;
use crate::error::{Error, Result};
use crate::file::enclosure::{Enclosure, Found, Opened};
use crate::file::{mapping, regular_file};
use crate::printable;
use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

/// Bytes from which a format is told.
pub(super) const HEAD_BYTES: usize = 4096;

/// A file that was opened, of which only the head was read.
pub(super) struct Opening<'a> {
    pub path: &'a Path,
    pub head: Vec<u8>,
    /// What the file may lead into.
    pub enclosure: Enclosure,
    pub limits: &'a Limits,
    opened: Opened,
    len: u64,
}

impl<'a> Opening<'a> {
    /// Opens the file that the caller named, links followed.
    pub fn new(path: &'a Path, limits: &'a Limits) -> Result<Self> {
        let io = |e| Error::io(path, e);
        Self::check(path, std::fs::metadata(path).map_err(io)?.is_file())?;
        let enclosure = Enclosure::of_file(path).map_err(io)?;
        Self::begin(path, Opened::Disk(regular_file::read(path).map_err(io)?), enclosure, limits)
    }

    /// Opens the file that was `found` within `enclosure`; errors call it `path`.
    pub fn found(path: &'a Path, found: &Found, enclosure: Enclosure, limits: &'a Limits) -> Result<Self> {
        let io = |e| Error::io(path, e);
        Self::check(path, found.is_file().map_err(io)?)?;
        Self::begin(path, found.open().map_err(io)?, enclosure, limits)
    }

    /// Asked before opening: opening some devices is an order to them.
    fn check(path: &Path, is_file: bool) -> Result<()> {
        match is_file {
            true => Ok(()),
            false => Err(Error::foreign(path, "is no regular file; a checkpoint must be a file or a folder")),
        }
    }

    fn begin(path: &'a Path, mut opened: Opened, enclosure: Enclosure, limits: &'a Limits) -> Result<Self> {
        let io = |e| Error::io(path, e);
        let len = opened.len().map_err(io)?;
        let head = opened.head(HEAD_BYTES).map_err(io)?;
        Ok(Self { path, head, enclosure, limits, opened, len })
    }

    /// The file's size in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Maps the file into memory or reads the rest of it, as the limits have it and provided that they allow its size.
    pub fn load(self) -> Result<Source<'a>> {
        let Self { path, head: mut bytes, enclosure, limits, opened, len } = self;
        let over = |found| Error::Limit {
            path: path.to_owned(),
            what: "the file's size in bytes (Limits::file_bytes)".into(),
            found,
            limit: limits.file_bytes,
        };
        if len > limits.file_bytes {
            return Err(over(len));
        }
        if let Opened::Held(member) = &opened {
            enclosure.expand(member.cost(), limits.expanded_bytes).map_err(|found| Error::Limit {
                path: path.to_owned(),
                what: "the memory in bytes that compressed files of its archive take (Limits::expanded_bytes)".into(),
                found,
                limit: limits.expanded_bytes,
            })?;
        }
        let source = |bytes| Source { neighbours: Some(Neighbours::of(enclosure)), ..Source::new(path, bytes, limits) };
        let file = match opened {
            Opened::Disk(file) => file,
            Opened::Held(member) => return Ok(source(member.bytes().map_err(|e| Error::io(path, e))?)),
        };
        if len >= limits.map_from_bytes
            && let Some(bytes) = usize::try_from(len).ok().and_then(|len| mapping::map(&file, len))
        {
            return Ok(source(bytes));
        }
        let rest = usize::try_from(len).unwrap_or(usize::MAX).saturating_sub(bytes.len());
        if bytes.try_reserve_exact(rest).is_err() {
            return Err(Error::foreign(path, format!("its {len} bytes do not fit into memory")));
        }
        // A file that grows meanwhile must not grow past the limit either.
        let bound = limits.file_bytes.saturating_add(1).saturating_sub(bytes.len() as u64);
        file.take(bound).read_to_end(&mut bytes).map_err(|e| Error::io(path, e))?;
        if bytes.len() as u64 > limits.file_bytes {
            return Err(over(bytes.len() as u64));
        }
        Ok(source(Bytes::from(bytes)))
    }
}

/// A whole file, mapped into memory or read into it.
pub(super) struct Source<'a> {
    pub path: &'a Path,
    pub bytes: Bytes,
    pub limits: &'a Limits,
    expanded: Cell<u64>,
    /// Files of data that the file may lead to; none where the bytes come from no file.
    neighbours: Option<Neighbours>,
}

/// Files of data that belong to another file, each opened once.
struct Neighbours {
    enclosure: Enclosure,
    opened: RefCell<BTreeMap<String, Bytes>>,
}

impl Neighbours {
    fn of(enclosure: Enclosure) -> Self {
        Self { enclosure, opened: RefCell::default() }
    }
}

impl<'a> Source<'a> {
    /// Bytes that lead to no other file.
    pub fn new(path: &'a Path, bytes: Bytes, limits: &'a Limits) -> Self {
        Self { path, bytes, limits, expanded: Cell::new(0), neighbours: None }
    }

    /// The content of another `file` that this one names, which counts against the same limits.
    pub fn neighbour(&self, file: &str) -> Result<Bytes> {
        let called = || format!("its file of data `{}`", short(file));
        let Some(Neighbours { enclosure, opened }) = &self.neighbours else {
            return Err(self.fault(format!("its data lies in `{}`, which bytes alone do not lead to", short(file))));
        };
        let mut opened = opened.borrow_mut();
        if let Some(bytes) = opened.get(file) {
            return Ok(bytes.clone());
        }
        let found = enclosure.named(file).map_err(|astray| self.fault(format!("{} {}", called(), astray.reason())))?;
        let taken = opened.values().fold(self.bytes.len() as u64, |sum, bytes| sum.saturating_add(bytes.len() as u64));
        let mut left = self.limits.clone();
        left.file_bytes = left.file_bytes.saturating_sub(taken);
        let bytes = Opening::found(found.path(), &found, enclosure.clone(), &left)?.load()?.bytes;
        opened.insert(file.to_owned(), bytes.clone());
        Ok(bytes)
    }

    /// What the file holds is sound, and is not read.
    pub fn unread(&self, reason: impl Into<String>) -> Error {
        Error::foreign(self.path, reason)
    }

    pub fn fault(&self, reason: impl Into<String>) -> Error {
        Error::checkpoint(self.path, reason)
    }

    pub fn over(&self, what: impl Into<String>, found: u64, limit: u64) -> Error {
        Error::Limit { path: self.path.to_owned(), what: what.into(), found, limit }
    }

    /// Counts `bytes` that `what` takes above the file's own; to be asked before they are allocated.
    pub fn expand(&self, what: impl FnOnce() -> String, bytes: u64) -> Result<()> {
        let total = self.expanded.get().saturating_add(bytes);
        if total > self.bound() {
            let what = format!(
                "the memory in bytes that {} brings expanded data to (Limits::expanded_bytes plus the file's size)",
                what()
            );
            return Err(self.over(what, total, self.bound()));
        }
        self.expanded.set(total);
        Ok(())
    }

    /// The bytes that were counted so far.
    pub fn expanded(&self) -> u64 {
        self.expanded.get()
    }

    fn bound(&self) -> u64 {
        self.limits.expanded_bytes.saturating_add(self.bytes.len() as u64)
    }
}

/// Text of the file as a message may quote it.
pub(super) fn short(text: &str) -> String {
    printable::cut(text, 120).into_owned()
}
