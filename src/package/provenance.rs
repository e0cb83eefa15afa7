//! Where a package's weights came from.

use crate::checkpoint::{Format, StateDict};
use crate::error::{Error, Result};
use crate::file::sha256;
use bytes::Bytes;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;

/// Where weights came from.
#[derive(Debug, Clone)]
pub struct Provenance {
    origin: PathBuf,
    format: Option<Format>,
    file: Origin,
    sha256: OnceLock<String>,
}

/// What the weights were read from.
#[derive(Debug, Clone)]
pub(super) enum Origin {
    /// A regular file, and what the system said of it before it was opened.
    File(PathBuf, Version),
    Bytes(Bytes),
    /// Several files, or none.
    Other,
}

/// A file's length, and when it was last changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version(u64, Option<SystemTime>);

impl Version {
    fn of(file: &Metadata) -> Self {
        Self(file.len(), file.modified().ok())
    }
}

impl Origin {
    /// The file at `path`, which is not open yet.
    pub fn at(path: &Path) -> Self {
        match path.metadata() {
            Ok(file) if file.is_file() => Self::File(path.to_owned(), Version::of(&file)),
            _ => Self::Other,
        }
    }
}

impl Provenance {
    pub(super) fn new(state: &StateDict, file: Origin) -> Self {
        Self { origin: state.origin().to_owned(), format: state.format(), file, sha256: OnceLock::new() }
    }

    /// The file or folder that the weights were read from, or what stands for one in errors.
    pub fn origin(&self) -> &Path {
        &self.origin
    }

    /// The format of the file; none for tensors that were made in memory.
    pub fn format(&self) -> Option<Format> {
        self.format
    }

    /// The SHA-256 of the file of weights, in lower-case hexadecimal, as sha256sum prints it; none where the weights were
    /// several files, or a [`StateDict`] that the caller had opened. The first call reads the whole file, which opening it
    /// did not.
    ///
    /// # Errors
    /// [`Error::Io`] where the file can no longer be read; [`Error::Checkpoint`] where it has changed since it was opened.
    pub fn sha256(&self) -> Result<Option<&str>> {
        if let Some(known) = self.sha256.get() {
            return Ok(Some(known));
        }
        let found = match &self.file {
            Origin::Other => return Ok(None),
            Origin::Bytes(bytes) => sha256::of(&mut &bytes[..]).map_err(|error| Error::io(&self.origin, error))?,
            Origin::File(path, opened) => {
                let found = sha256::of_file(path).map_err(|error| Error::io(path, error))?;
                // Only now, so that a change while it was read counts.
                let now = path.metadata().map_err(|error| Error::io(path, error))?;
                if Version::of(&now) != *opened {
                    let reason = "has changed since its weights were read, so that its SHA-256 would not be theirs; \
                                  open it again";
                    return Err(Error::checkpoint(path, reason));
                }
                found
            }
        };
        Ok(Some(self.sha256.get_or_init(|| found)))
    }
}
