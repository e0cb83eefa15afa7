//! One error for the whole crate, sorted by whose fault it is.

mod kind;
mod named;
pub mod printable;

pub use kind::ErrorKind;
pub(crate) use named::named;

use printable::lines;
use std::any::Any;
use std::fmt;
use std::path::{Path, PathBuf};

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a network's parameters and a checkpoint's have in common: a [`LoadReport`](crate::LoadReport), which an error
/// carries without knowing it. [`Error::report`] gives it back.
pub trait Report: fmt::Debug + fmt::Display + Any + Send + Sync {}

/// What went wrong, and with which file.
///
/// [`kind`](Self::kind) is for programs, and the message is for people. There is no [`source`](std::error::Error::source),
/// since the message has all of it.
///
/// Every message names what was expected, what was found and, where there is one, the way out. Names and other text of a
/// file are escaped in it (see [`printable`]); in the fields they are as the file has them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A checkpoint is damaged, hostile, or of a kind that is not read.
    #[error("{}: {}", printable::path(.path), lines(.reason))]
    #[non_exhaustive]
    Checkpoint {
        /// The checkpoint's file or folder.
        path: PathBuf,
        /// Which of the kinds that start with `Checkpoint`.
        kind: ErrorKind,
        /// What was expected and what was found.
        reason: String,
    },
    /// An image is damaged, or of a kind that is not read.
    #[error("{}: {}", printable::path(.path), lines(.reason))]
    #[non_exhaustive]
    Image {
        /// The image's file, or `-` for standard input.
        path: PathBuf,
        /// What was expected and what was found.
        reason: String,
    },
    /// The checkpoint's parameters do not fit the network; the report lists every one.
    #[error("{}: the parameters do not fit the network: {report}", printable::path(.path))]
    #[non_exhaustive]
    Mismatch {
        /// The checkpoint's file or folder.
        path: PathBuf,
        /// What became of every parameter: see [`Error::report`].
        report: Box<dyn Report>,
    },
    /// Several parts of a checkpoint hold all parameters of a network, such as a student and its teacher.
    #[error("{}: {} each hold a network's parameters; keep one of them: StateDict::rename takes its prefix off", printable::path(.path), list(.prefixes))]
    #[non_exhaustive]
    Ambiguous {
        /// The checkpoint's file or folder.
        path: PathBuf,
        /// What stands before the names of each part's parameters, such as `student.`.
        prefixes: Vec<String>,
    },
    /// No device, not the device that was asked for, or a device that failed.
    #[error("{}", lines(.reason))]
    #[non_exhaustive]
    Device {
        /// Which of the kinds that start with `Device`.
        kind: ErrorKind,
        /// What was expected and what was found.
        reason: String,
    },
    /// Weights could not be downloaded, or are not what was published.
    #[error("{}: {}", printable::line(.url), lines(.reason))]
    #[non_exhaustive]
    Download {
        /// Where the weights were to come from.
        url: String,
        /// What was expected, what was found and what to do next.
        reason: String,
    },
    /// Something is larger than the limit that guards memory.
    #[error("{}: {} is {found}, over the limit of {limit}", printable::path(.path), lines(.what))]
    #[non_exhaustive]
    Limit {
        /// The file that asks for too much.
        path: PathBuf,
        /// What is too large, with its unit.
        what: String,
        /// How large it is.
        found: u64,
        /// How large it may be.
        limit: u64,
    },
    /// The operating system refused to read or write a file.
    #[error("{}: {}", printable::path(.path), lines(&.error.to_string()))]
    #[non_exhaustive]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        error: std::io::Error,
    },
    /// The caller asked for something that does not exist or does not fit.
    #[error("{}", lines(.0))]
    Usage(String),
}

impl Error {
    /// What a program can match on.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Checkpoint { kind, .. } | Self::Device { kind, .. } => *kind,
            Self::Image { .. } => ErrorKind::Image,
            Self::Mismatch { .. } => ErrorKind::CheckpointMismatch,
            Self::Ambiguous { .. } => ErrorKind::CheckpointAmbiguous,
            Self::Download { .. } => ErrorKind::Download,
            Self::Limit { .. } => ErrorKind::Limit,
            Self::Io { .. } => ErrorKind::Io,
            Self::Usage(_) => ErrorKind::Usage,
        }
    }

    /// A fault of the checkpoint at `path`, which is damaged or hostile.
    pub fn checkpoint(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::of_checkpoint(ErrorKind::CheckpointDamaged, path, reason)
    }

    /// What lies at `path` is no checkpoint that is read, or more than one.
    pub fn foreign(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::of_checkpoint(ErrorKind::CheckpointFormat, path, reason)
    }

    /// The checkpoint at `path` is of no known network.
    pub fn unknown_network(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::of_checkpoint(ErrorKind::CheckpointNetwork, path, reason)
    }

    /// A checkpoint cannot be written to `path` as asked.
    pub fn unwritable(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::of_checkpoint(ErrorKind::CheckpointUnwritable, path, reason)
    }

    fn of_checkpoint(kind: ErrorKind, path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::Checkpoint { path: path.as_ref().to_owned(), kind, reason: reason.into() }
    }

    /// The parameters of the checkpoint at `path` do not fit the network.
    pub(crate) fn mismatch(path: impl AsRef<Path>, report: impl Report) -> Self {
        Self::Mismatch { path: path.as_ref().to_owned(), report: Box::new(report) }
    }

    /// Several parts of the checkpoint at `path` would do equally well.
    pub(crate) fn ambiguous(path: impl AsRef<Path>, prefixes: Vec<String>) -> Self {
        Self::Ambiguous { path: path.as_ref().to_owned(), prefixes }
    }

    /// A fault of the image at `path`.
    pub fn image(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::Image { path: path.as_ref().to_owned(), reason: reason.into() }
    }

    /// The machine does not have the device.
    pub fn absent(reason: impl Into<String>) -> Self {
        Self::Device { kind: ErrorKind::DeviceAbsent, reason: reason.into() }
    }

    /// The device is gone.
    pub fn lost(reason: impl Into<String>) -> Self {
        Self::Device { kind: ErrorKind::DeviceLost, reason: reason.into() }
    }

    /// The device does not have the memory.
    pub fn out_of_memory(reason: impl Into<String>) -> Self {
        Self::Device { kind: ErrorKind::DeviceMemory, reason: reason.into() }
    }

    /// The device cannot do this.
    pub fn unsupported(reason: impl Into<String>) -> Self {
        Self::Device { kind: ErrorKind::DeviceUnsupported, reason: reason.into() }
    }

    /// The device failed.
    pub fn device(reason: impl Into<String>) -> Self {
        Self::Device { kind: ErrorKind::DeviceFailed, reason: reason.into() }
    }

    /// A failed download of `url`.
    pub fn download(url: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Download { url: url.into(), reason: reason.into() }
    }

    /// The operating system's `error` about `path`.
    pub fn io(path: impl AsRef<Path>, error: std::io::Error) -> Self {
        Self::Io { path: path.as_ref().to_owned(), error }
    }
}

/// The first few of `prefixes`, escaped, as a sentence has them.
fn list(prefixes: &[String]) -> String {
    const SHOWN: usize = 6;
    let mut shown: Vec<String> =
        prefixes.iter().take(SHOWN).map(|prefix| format!("`{}`", printable::cut(prefix, 60))).collect();
    if prefixes.len() > SHOWN {
        shown.push(format!("{} more", prefixes.len() - SHOWN));
    }
    shown.join(" and ")
}

#[cfg(test)]
mod tests;
