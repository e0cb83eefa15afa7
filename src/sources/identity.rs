//! What two ways to one file or folder have in common: other spellings of a path, links of both kinds, a redirection.

use std::io;
use std::path::Path;

/// Which file or folder it is, whatever it is called.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity(Inner);

/// Device and inode.
#[cfg(unix)]
type Inner = (u64, u64);

/// The path without links and detours.
#[cfg(not(unix))]
type Inner = std::path::PathBuf;

impl Identity {
    /// That of the file or folder at `path`.
    ///
    /// # Errors
    /// Where there is none, or it may not be looked at.
    #[cfg(unix)]
    pub fn of(path: impl AsRef<Path>) -> io::Result<Self> {
        path.as_ref().metadata().map(|file| Self::of_metadata(&file))
    }

    /// That of the file or folder at `path`.
    ///
    /// # Errors
    /// Where there is none, or it may not be looked at.
    #[cfg(not(unix))]
    pub fn of(path: impl AsRef<Path>) -> io::Result<Self> {
        path.as_ref().canonicalize().map(Self)
    }

    /// That of what standard input reads from.
    ///
    /// # Errors
    /// Where that cannot be told.
    #[cfg(unix)]
    pub fn of_stdin() -> io::Result<Self> {
        use std::os::fd::AsFd;
        let file = std::fs::File::from(io::stdin().as_fd().try_clone_to_owned()?);
        file.metadata().map(|file| Self::of_metadata(&file))
    }

    /// That of what standard input reads from.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(unix))]
    pub fn of_stdin() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    #[cfg(unix)]
    fn of_metadata(file: &std::fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self((file.dev(), file.ino()))
    }
}
