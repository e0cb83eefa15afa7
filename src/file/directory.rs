//! A folder that can be listed: one on disk, or one among files in memory.

use super::held::{Held, held_name};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A folder.
#[derive(Debug, Clone)]
pub(crate) struct Directory {
    path: PathBuf,
    /// The files in memory, and the folder's name among them.
    held: Option<(Arc<Held>, String)>,
}

/// A file or a folder in a folder.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub name: OsString,
    /// Links followed.
    pub is_folder: bool,
}

impl Directory {
    pub fn on_disk(path: &Path) -> Self {
        Self { path: path.to_owned(), held: None }
    }

    pub(super) fn held(files: &Arc<Held>, name: &str) -> Self {
        Self { path: files.path_of(name), held: Some((files.clone(), name.to_owned())) }
    }

    /// What errors call it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What lies in it, in no order.
    pub fn entries(&self) -> io::Result<Vec<Entry>> {
        match &self.held {
            Some((files, folder)) => {
                let entries = files.entries(folder).into_iter();
                Ok(entries.map(|(name, is_folder)| Entry { name: name.into(), is_folder }).collect())
            }
            None => std::fs::read_dir(&self.path)?
                .map(|entry| {
                    let entry = entry?;
                    Ok(Entry { is_folder: entry.path().is_dir(), name: entry.file_name() })
                })
                .collect(),
        }
    }

    /// Whether there is a file called `name` in it; links are followed.
    pub fn is_file(&self, name: impl AsRef<Path>) -> bool {
        match &self.held {
            Some((files, folder)) => held_name(folder, name.as_ref()).is_some_and(|name| files.get(&name).is_some()),
            None => self.path.join(name).is_file(),
        }
    }

    /// Whether there is a folder called `name` in it; links are followed.
    pub fn is_folder(&self, name: impl AsRef<Path>) -> bool {
        match &self.held {
            Some((files, folder)) => held_name(folder, name.as_ref()).is_some_and(|name| files.is_folder(&name)),
            None => self.path.join(name).is_dir(),
        }
    }

    /// Whether there is anything called `name` in it; links are followed.
    pub fn has(&self, name: &str) -> bool {
        match &self.held {
            Some(_) => self.is_file(name) || self.is_folder(name),
            None => self.path.join(name).exists(),
        }
    }

    /// The folder called `name` in it.
    pub fn folder(&self, name: &str) -> Self {
        // A name that leads out is that of no folder.
        let inner = |folder: &String| held_name(folder, Path::new(name)).unwrap_or_else(|| "..".into());
        let held = self.held.as_ref().map(|(files, folder)| (files.clone(), inner(folder)));
        Self { path: self.path.join(name), held }
    }

    /// The files in memory that it is among, and its name there; none where it is on disk.
    pub(super) fn in_memory(&self) -> Option<(&Arc<Held>, &str)> {
        self.held.as_ref().map(|(files, folder)| (files, folder.as_str()))
    }
}
