//! One file's bytes, with the path and the limits that errors about it speak of.

use super::beside::Beside;
use super::{Limits, mapping};
use crate::error::{Error, Result};
use crate::printable;
use bytes::Bytes;
use std::cell::Cell;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Bytes from which a format is told.
pub(super) const HEAD_BYTES: usize = 4096;

/// A file that was opened, of which only the head was read.
pub(super) struct Opening<'a> {
    pub path: &'a Path,
    pub head: Vec<u8>,
    limits: &'a Limits,
    file: File,
    len: u64,
}

impl<'a> Opening<'a> {
    pub fn new(path: &'a Path, limits: &'a Limits) -> Result<Self> {
        let io = |e| Error::io(path, e);
        // Asked before opening: opening a named pipe would wait for its other end.
        if !std::fs::metadata(path).map_err(io)?.is_file() {
            return Err(Error::checkpoint(path, "is no regular file; a checkpoint must be a file or a folder"));
        }
        let mut file = File::open(path).map_err(io)?;
        let len = file.metadata().map_err(io)?.len();
        let mut head = Vec::with_capacity(HEAD_BYTES);
        file.by_ref().take(HEAD_BYTES as u64).read_to_end(&mut head).map_err(io)?;
        Ok(Self { path, head, limits, file, len })
    }

    /// The file's size in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Maps the file into memory or reads the rest of it, as the limits have it and provided that they allow its size.
    pub fn load(self) -> Result<Source<'a>> {
        let Self { path, head: mut bytes, limits, file, len } = self;
        let over = |found| Error::Limit {
            path: path.to_owned(),
            what: "the file's size in bytes (Limits::file_bytes)".into(),
            found,
            limit: limits.file_bytes,
        };
        if len > limits.file_bytes {
            return Err(over(len));
        }
        if len >= limits.map_from_bytes
            && let Some(bytes) = usize::try_from(len).ok().and_then(|len| mapping::map(&file, len))
        {
            return Ok(Source::new(path, bytes, limits));
        }
        let rest = usize::try_from(len).unwrap_or(usize::MAX).saturating_sub(bytes.len());
        if bytes.try_reserve_exact(rest).is_err() {
            return Err(Error::checkpoint(path, format!("its {len} bytes do not fit into memory")));
        }
        // A file that grows meanwhile must not grow past the limit either.
        let bound = limits.file_bytes.saturating_add(1).saturating_sub(bytes.len() as u64);
        file.take(bound).read_to_end(&mut bytes).map_err(|e| Error::io(path, e))?;
        if bytes.len() as u64 > limits.file_bytes {
            return Err(over(bytes.len() as u64));
        }
        Ok(Source::new(path, Bytes::from(bytes), limits))
    }
}

/// A whole file, mapped into memory or read into it.
pub(super) struct Source<'a> {
    pub path: &'a Path,
    pub bytes: Bytes,
    pub limits: &'a Limits,
    expanded: Cell<u64>,
    /// Files of data in the same folder; none where the bytes come from no folder.
    beside: Option<Beside>,
}

impl<'a> Source<'a> {
    pub fn new(path: &'a Path, bytes: Bytes, limits: &'a Limits) -> Self {
        Self { path, bytes, limits, expanded: Cell::new(0), beside: Some(Beside::default()) }
    }

    /// Bytes that come from no file, and lead to none.
    pub fn alone(path: &'a Path, bytes: Bytes, limits: &'a Limits) -> Self {
        Self { beside: None, ..Self::new(path, bytes, limits) }
    }

    /// The content of another file in the same folder.
    pub fn beside(&self, file: &str) -> Result<Bytes> {
        match &self.beside {
            Some(beside) => beside.open(self, file),
            None => Err(self.fault(format!("its data lies in `{}`, which bytes alone do not lead to", short(file)))),
        }
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

    fn bound(&self) -> u64 {
        self.limits.expanded_bytes.saturating_add(self.bytes.len() as u64)
    }
}

/// Text of the file as a message may quote it.
pub(super) fn short(text: &str) -> String {
    printable::cut(text, 120).into_owned()
}
