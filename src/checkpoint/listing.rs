//! What lies in a folder, by name, and the fault of a name that leads to no file in it.

use super::source::short;
use crate::error::{Error, Result};
use crate::file::directory::{Directory, Entry};
use crate::file::enclosure::Astray;
use std::path::Path;

/// What lies in one folder.
pub(super) struct Listing {
    pub entries: Vec<Entry>,
    /// The names of files, as far as they are text, sorted; and those of folders.
    pub files: Vec<String>,
    pub folders: Vec<String>,
}

impl Listing {
    /// What lies in `directory`.
    pub fn of(directory: &Directory) -> Result<Self> {
        let entries = directory.entries().map_err(|e| Error::io(directory.path(), e))?;
        let (mut files, mut folders) = (Vec::new(), Vec::new());
        for entry in &entries {
            if let Some(name) = entry.name.to_str() {
                if entry.is_folder { &mut folders } else { &mut files }.push(name.to_owned());
            }
        }
        files.sort_unstable();
        folders.sort_unstable();
        Ok(Self { entries, files, folders })
    }

    /// Whether there is a file of this name.
    pub fn has(&self, file: &str) -> bool {
        self.files.iter().any(|name| name == file)
    }

    /// The files whose names end with `end`.
    pub fn ending<'a>(&'a self, end: &'a str) -> impl Iterator<Item = &'a str> {
        self.files.iter().map(String::as_str).filter(move |name| name.ends_with(end))
    }
}

/// The fault of the entry `name` of the folder at `path` that is not within it.
pub(super) fn astray(path: &Path, name: &str, astray: Astray) -> Error {
    match astray {
        Astray::Io(error) => Error::io(path.join(name), error),
        Astray::Missing => Error::io(path.join(name), std::io::ErrorKind::NotFound.into()),
        astray => Error::checkpoint(path, format!("its file `{}` {}", short(name), astray.reason())),
    }
}
