//! One error for the whole crate, sorted by whose fault it is.

use crate::bind::LoadReport;
use crate::printable::{self, lines};
use std::path::{Path, PathBuf};

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, and with which file.
///
/// Every message names what was expected, what was found and, where there is one, the way out. Names and other text of a
/// file are escaped in it (see [`printable`]); in the fields they are as the file has them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A checkpoint is damaged, hostile, or of a kind that is not read.
    #[error("{}: {}", printable::path(.path), lines(.reason))]
    Checkpoint {
        /// The checkpoint's file or folder.
        path: PathBuf,
        /// What was expected and what was found.
        reason: String,
    },
    /// An image is damaged, or of a kind that is not read.
    #[error("{}: {}", printable::path(.path), lines(.reason))]
    Image {
        /// The image's file, or `-` for standard input.
        path: PathBuf,
        /// What was expected and what was found.
        reason: String,
    },
    /// The checkpoint's parameters do not fit the network; the report lists every one.
    #[error("{}: the parameters do not fit the network: {report}", printable::path(.path))]
    Mismatch {
        /// The checkpoint's file or folder.
        path: PathBuf,
        /// What became of every parameter.
        report: Box<LoadReport>,
    },
    /// Several parts of a checkpoint hold all parameters of a network, such as a student and its teacher.
    #[error("{}: {} each hold a network's parameters; keep one of them: StateDict::rename takes its prefix off", printable::path(.path), list(.prefixes))]
    Ambiguous {
        /// The checkpoint's file or folder.
        path: PathBuf,
        /// What stands before the names of each part's parameters, such as `student.`.
        prefixes: Vec<String>,
    },
    /// No device, not the device that was asked for, or a device that failed.
    #[error("{}", lines(.0))]
    Device(String),
    /// Weights could not be downloaded, or are not what was published.
    #[error("{}: {}", printable::line(.url), lines(.reason))]
    Download {
        /// Where the weights were to come from.
        url: String,
        /// What was expected, what was found and what to do next.
        reason: String,
    },
    /// Something is larger than the limit that guards memory.
    #[error("{}: {} is {found}, over the limit of {limit}", printable::path(.path), lines(.what))]
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
    #[error("{}: {}", printable::path(.path), lines(&.source.to_string()))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The caller asked for something that does not exist or does not fit.
    #[error("{}", lines(.0))]
    Usage(String),
}

impl Error {
    /// A fault of the checkpoint at `path`.
    pub fn checkpoint(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::Checkpoint { path: path.as_ref().to_owned(), reason: reason.into() }
    }

    /// Parts of the checkpoint at `path` that would do equally well.
    pub(crate) fn ambiguous(path: impl AsRef<Path>, prefixes: Vec<String>) -> Self {
        Self::Ambiguous { path: path.as_ref().to_owned(), prefixes }
    }

    /// A fault of the image at `path`.
    pub fn image(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::Image { path: path.as_ref().to_owned(), reason: reason.into() }
    }

    /// A failed download of `url`.
    pub fn download(url: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Download { url: url.into(), reason: reason.into() }
    }

    /// What the operating system said of `path`.
    pub fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io { path: path.as_ref().to_owned(), source }
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
