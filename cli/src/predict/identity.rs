//! What two ways to one file or folder have in common: other spellings of a path, links of both kinds, a redirection.

use std::io;
use std::path::Path;

/// Device and inode.
#[cfg(unix)]
pub type Identity = (u64, u64);

/// The path without links and detours.
#[cfg(not(unix))]
pub type Identity = std::path::PathBuf;

#[cfg(unix)]
pub fn of(path: &Path) -> io::Result<Identity> {
    path.metadata().map(|file| of_metadata(&file))
}

#[cfg(not(unix))]
pub fn of(path: &Path) -> io::Result<Identity> {
    path.canonicalize()
}

/// What standard input reads from.
#[cfg(unix)]
pub fn of_stdin() -> io::Result<Identity> {
    use std::os::fd::AsFd;
    let file = std::fs::File::from(io::stdin().as_fd().try_clone_to_owned()?);
    file.metadata().map(|file| of_metadata(&file))
}

#[cfg(not(unix))]
pub fn of_stdin() -> io::Result<Identity> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(unix)]
fn of_metadata(file: &std::fs::Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    (file.dev(), file.ino())
}
