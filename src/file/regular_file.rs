//! Opens regular files: never waits at a named pipe, and follows links only where that is wanted.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// Opens the file at `path` for reading. Links are followed.
pub(crate) fn read(path: &Path) -> io::Result<File> {
    regular(options(Links::Followed).read(true).open(path)?)
}

/// Opens the file at `path`, which lies in the folder `root`, for reading. Both are free of links; a link that has come
/// below `root` since that was established is an error.
pub(crate) fn read_beneath(root: &Path, path: &Path) -> io::Result<File> {
    regular(beneath(root, path)?)
}

/// Opens the file at `path` for reading and writing, and makes it where there is none. A link is an error.
#[cfg(feature = "hub")]
pub(crate) fn read_and_write(path: &Path) -> io::Result<File> {
    let opened = options(Links::Refused).read(true).write(true).create(true).truncate(false).open(path);
    opened.and_then(regular).map_err(|error| match path.symlink_metadata() {
        // What the system says of it is "too many levels of links", or nothing of links at all.
        Ok(kind) if kind.is_symlink() => invalid("this is a link, and is not written through; remove it"),
        _ => error,
    })
}

/// `file`, if it is a regular one.
fn regular(file: File) -> io::Result<File> {
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(invalid("this is not a regular file")),
    }
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

/// What becomes of a link in the place of the file.
#[derive(Clone, Copy, PartialEq)]
enum Links {
    Followed,
    #[cfg_attr(not(feature = "hub"), allow(dead_code, reason = "only the hub writes where others may"))]
    Refused,
}

#[cfg(unix)]
fn options(links: Links) -> OpenOptions {
    use rustix::fs::OFlags;
    use std::os::unix::fs::OpenOptionsExt;
    // A pipe would wait for its other end. The flag means nothing to regular files.
    let refused = if links == Links::Refused { OFlags::NOFOLLOW } else { OFlags::empty() };
    let mut options = OpenOptions::new();
    options.custom_flags((OFlags::NONBLOCK | refused).bits().cast_signed());
    options
}

#[cfg(windows)]
fn options(links: Links) -> OpenOptions {
    use std::os::windows::fs::OpenOptionsExt;
    // Opens the link itself, which is not a regular file.
    const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
    let mut options = OpenOptions::new();
    if links == Links::Refused {
        options.custom_flags(FILE_FLAG_OPEN_REPARSE_POINT);
    }
    options
}

#[cfg(not(any(unix, windows)))]
fn options(_: Links) -> OpenOptions {
    OpenOptions::new()
}

const OUTSIDE: &str = "this lies outside of its folder";

/// Opens folder after folder from `root` on, none of which may be a link.
#[cfg(unix)]
fn beneath(root: &Path, path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags, open, openat};
    let outside = || invalid(OUTSIDE);
    let below = path.strip_prefix(root).map_err(|_| outside())?;
    let (folders, file) = (below.parent().ok_or_else(outside)?, below.file_name().ok_or_else(outside)?);
    let folder = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut at = open(root, folder, Mode::empty())?;
    for name in folders {
        at = openat(&at, name, folder, Mode::empty())?;
    }
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(openat(&at, file, flags, Mode::empty())?.into())
}

/// Where folders cannot be opened one below the other, the path is looked at once more when the file is open.
#[cfg(not(unix))]
fn beneath(root: &Path, path: &Path) -> io::Result<File> {
    let file = options(Links::Refused).read(true).open(path)?;
    match path.starts_with(root) && path.canonicalize()? == path {
        true => Ok(file),
        false => Err(invalid(OUTSIDE)),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A pipe that nobody writes to; opening it in the usual way would wait for ever.
    fn pipe(path: &Path) {
        rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    }

    #[test]
    fn pipes_do_not_wait_and_links_are_followed_where_that_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let (file, link, fifo) = (root.join("file"), root.join("link"), root.join("pipe"));
        std::fs::write(&file, "text").unwrap();
        symlink(&file, &link).unwrap();
        pipe(&fifo);
        assert!(read(&file).is_ok() && read(&link).is_ok());
        assert!(read_beneath(&root, &file).is_ok() && read_beneath(&root, &link).is_err());
        for error in [read(&fifo).unwrap_err(), read_beneath(&root, &fifo).unwrap_err(), read(&root).unwrap_err()] {
            assert!(error.to_string().contains("not a regular file"), "{error}");
        }
        #[cfg(feature = "hub")]
        {
            assert!(read_and_write(&file).is_ok() && read_and_write(&root.join("new")).is_ok());
            assert!(read_and_write(&link).unwrap_err().to_string().contains("is a link"));
            assert!(read_and_write(&fifo).unwrap_err().to_string().contains("not a regular file"));
        }
    }

    #[test]
    fn no_folder_on_the_way_is_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("in/deep")).unwrap();
        std::fs::write(root.join("in/deep/file"), "text").unwrap();
        symlink("in", root.join("way")).unwrap();
        assert!(read_beneath(&root, &root.join("in/deep/file")).is_ok());
        assert!(read_beneath(&root.join("in"), &root.join("in/deep/file")).is_ok());
        assert!(read_beneath(&root, &root.join("way/deep/file")).is_err());
        assert!(read_beneath(&root.join("in/deep"), &root.join("in")).is_err());
        assert!(read_beneath(&root, &root).is_err());
    }
}
