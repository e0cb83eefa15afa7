//! Makes a file or a folder appear under its name whole or not at all: written beside it, synced, renamed.

use super::temporaries::{self, ASIDE, TEMPORARY};
use crate::error::{Error, Result};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Writes the file `target` by `write`, and returns when it is on the disk.
pub(crate) fn file(
    target: &Path,
    overwrite: bool,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<()> {
    put(target, overwrite, true, write)
}

/// Replaces the file `target`. It may be lost with the power: nothing waits for the disk.
pub(super) fn unsynced(target: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<()> {
    put(target, true, false, write)
}

fn put(
    target: &Path,
    overwrite: bool,
    sync: bool,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<()> {
    let place = Place::of(target)?;
    let old = place.existing()?;
    if let Some(old) = &old {
        refuse(target, overwrite)?;
        if !old.is_file() {
            return Err(Error::unwritable(
                target,
                "exists and is no regular file; remove it first, or choose another name",
            ));
        }
    }
    let io = |error| Error::io(target, error);
    let (temporary, file) =
        place.temporary(TEMPORARY, |path| OpenOptions::new().write(true).create_new(true).open(path))?;
    temporaries::hold(&file);
    let mut out = BufWriter::with_capacity(1 << 20, file);
    write(&mut out).map_err(io)?;
    let file = out.into_inner().map_err(|error| io(error.into_error()))?;
    if let Some(old) = old {
        // Whoever could read the old one can read the new one. Not every file system has permissions.
        let _ = file.set_permissions(old.permissions());
    }
    if sync {
        file.sync_all().map_err(io)?;
    }
    drop(file);
    if overwrite {
        replace(&temporary.path, &place.path).map_err(|error| unreplaced(target, error))?;
    } else {
        // A rename would replace what somebody else has put there meanwhile; a link does not.
        match fs::hard_link(&temporary.path, &place.path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(taken(target)),
            // There are file systems without links.
            Err(_) => {
                if place.existing()?.is_some() {
                    return Err(taken(target));
                }
                fs::rename(&temporary.path, &place.path).map_err(io)?;
            }
        }
    }
    drop(temporary);
    if sync { sync_folder(&place.parent).map_err(io) } else { Ok(()) }
}

/// The folders that may be replaced, besides empty ones.
pub(crate) struct Replaceable {
    /// What they are, as an error says it: `a OneFlow snapshot`.
    pub kind: &'static str,
    /// The file that each of them has.
    pub sign: &'static str,
}

/// Writes the folder `target` by `write`, which gets the path of a temporary one and syncs what it writes.
pub(crate) fn folder(
    target: &Path,
    overwrite: bool,
    replaceable: Replaceable,
    write: impl FnOnce(&Path) -> io::Result<()>,
) -> Result<()> {
    let place = Place::of(target)?;
    let io = |error| Error::io(target, error);
    let old = place.existing()?;
    if let Some(old) = &old {
        refuse(target, overwrite)?;
        if !old.is_dir() {
            return Err(Error::unwritable(target, "exists and is no folder; remove it first, or choose another name"));
        }
        let Replaceable { kind, sign } = replaceable;
        if !place.path.join(sign).exists() && fs::read_dir(&place.path).map_err(io)?.next().is_some() {
            return Err(Error::unwritable(
                target,
                format!("is a folder that holds other things than {kind}, and is not replaced; choose another name"),
            ));
        }
    }
    let (new, ()) = place.temporary(TEMPORARY, |path| fs::create_dir(path))?;
    let _held = temporaries::hold_folder(&new.path);
    write(&new.path).map_err(io)?;
    sync_folder(&new.path).map_err(io)?;
    if old.is_none() {
        // Renaming to a folder with anything in it fails, so nothing that came meanwhile is lost.
        fs::rename(&new.path, &place.path).map_err(|error| match place.existing() {
            Ok(Some(_)) => taken(target),
            _ => io(error),
        })?;
    } else {
        // Two renames: no portable call swaps folders. If the second fails, the old folder goes back. Where the process
        // ends between them, the old folder is all that there is, and so nobody removes it for stale.
        let (mut aside, ()) = place.temporary(ASIDE, |path| fs::create_dir(path))?;
        let kept = aside.path.join("old");
        fs::rename(&place.path, &kept).map_err(|error| unreplaced(target, error))?;
        if let Err(error) = fs::rename(&new.path, &place.path) {
            if fs::rename(&kept, &place.path).is_err() {
                aside.keep = true;
            }
            return Err(io(error));
        }
    }
    sync_folder(&place.parent).map_err(io)
}

/// Where the checkpoint goes, links followed.
struct Place {
    path: PathBuf,
    parent: PathBuf,
}

impl Place {
    fn of(target: &Path) -> Result<Self> {
        // Replacing a link by a file would leave what it points to as it was.
        let linked = fs::symlink_metadata(target).is_ok_and(|kind| kind.is_symlink());
        let path = if linked { target.canonicalize().map_err(|e| Error::io(target, e))? } else { target.to_owned() };
        // `a/` and `a/.` have the name `a`; `..` and the root have none.
        let (Some(name), Some(parent)) = (path.file_name(), path.parent()) else {
            return Err(Error::unwritable(target, "names no file or folder to write; give one"));
        };
        let parent = if parent.as_os_str().is_empty() { PathBuf::from(".") } else { parent.to_owned() };
        Ok(Self { path: parent.join(name), parent })
    }

    fn existing(&self) -> Result<Option<fs::Metadata>> {
        match fs::symlink_metadata(&self.path) {
            Ok(kind) => Ok(Some(kind)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io(&self.path, error)),
        }
    }

    /// What `create` makes, at a path beside the target that nobody else has and that ends with `end`. Those that other
    /// writers have left there go first.
    fn temporary<T>(&self, end: &str, create: impl Fn(&Path) -> io::Result<T>) -> Result<(Temporary, T)> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        temporaries::remove_stale(&self.parent);
        loop {
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = self.parent.join(temporaries::name(number, end));
            match create(&path) {
                Ok(made) => return Ok((Temporary { path, keep: false }, made)),
                // Another machine or container may share the folder and the process's number.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::io(&self.path, error)),
            }
        }
    }
}

/// A file or folder that goes when this does.
struct Temporary {
    path: PathBuf,
    keep: bool,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        // After a rename there is nothing left to remove, and otherwise nobody to tell.
        let _ = match fs::symlink_metadata(&self.path) {
            Ok(kind) if kind.is_dir() => fs::remove_dir_all(&self.path),
            _ => fs::remove_file(&self.path),
        };
    }
}

/// Gives a file the name of another. Where Windows does not, others may be just doing the same, or looking at it: that
/// passes.
fn replace(from: &Path, to: &Path) -> io::Result<()> {
    const TRIES: u32 = 8;
    for tried in 0..TRIES {
        match fs::rename(from, to) {
            // Access denied, sharing violation.
            Err(error) if cfg!(windows) && matches!(error.raw_os_error(), Some(5 | 32)) => {
                std::thread::sleep(Duration::from_millis(1 << tried));
            }
            result => return result,
        }
    }
    fs::rename(from, to)
}

/// Why what lies at `target` was not replaced. Windows keeps what somebody has open or mapped.
fn unreplaced(target: &Path, error: io::Error) -> Error {
    // Access denied, sharing violation, lock violation, user-mapped section open.
    if cfg!(windows) && matches!(error.raw_os_error(), Some(5 | 32 | 33 | 1224)) {
        let reason = "is not replaced: a program, perhaps this one, has it open, or it may not be written; let go of what was \
                      read from it, or choose another name";
        return Error::unwritable(target, format!("{reason} ({error})"));
    }
    Error::io(target, error)
}

fn refuse(target: &Path, overwrite: bool) -> Result<()> {
    if overwrite { Ok(()) } else { Err(taken(target)) }
}

fn taken(target: &Path) -> Error {
    Error::unwritable(target, "exists already; choose another name, or allow it to be overwritten")
}

/// Writes a file and brings it to the disk.
pub(crate) fn synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Brings the names in a folder to the disk, where the system has a way to.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(path)?.sync_all() {
        // What a file system says that cannot.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        result => result,
    }
}
