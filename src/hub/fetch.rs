//! One file of weights on this machine: found, or brought while others wait.

use super::pace::Until;
use super::published::{check, matches, mismatch};
use super::{Fetched, Hub, Progress, Weights};
use crate::file::{regular_file, sha256};
use crate::{Error, Result};
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

impl Hub {
    /// The path of `weights` on this machine, downloaded when no verified copy is there yet.
    ///
    /// `progress` is called before the first byte of a download and after every piece of it. An interrupted download
    /// leaves `<file>.part` in the cache folder, and the next one resumes there.
    ///
    /// # Errors
    /// - [`Error::Usage`]: `weights` has no plain file name or no usable SHA-256.
    /// - [`Error::Download`]: the hub is offline, the server cannot be reached, refuses, falls silent, is too slow,
    ///   closes too early or sends too much, or the file is not the published one.
    /// - [`Error::Io`]: the cache folder cannot be written, or its file system has no locks; `<file>.part` or
    ///   `<file>.lock` is a link or no regular file.
    pub fn fetch(&self, weights: &Weights, progress: &mut dyn FnMut(Progress)) -> Result<Fetched> {
        check(weights)?;
        let found = self.look(weights);
        if let Ok(fetched) = found {
            return Ok(fetched);
        }
        if self.offline {
            return Err(self.unavailable(weights, "not downloaded, as PRETRAINED_OFFLINE or Hub::offline is set"));
        }

        let until = Until::after(self.deadline);
        fs::create_dir_all(&self.cache).map_err(|e| Error::io(&self.cache, e))?;
        let _held = self.lock(weights, until)?;
        // Whoever held the lock before may have brought the file.
        match self.look(weights) {
            Ok(fetched) => Ok(fetched),
            Err(notes) => Ok(Fetched { path: self.download(weights, until, progress)?, notes }),
        }
    }

    /// Waits until no other process or thread brings the file.
    fn lock(&self, weights: &Weights, until: Until) -> Result<File> {
        const PAUSE: Duration = Duration::from_millis(20);
        let path = self.cache.join(format!("{}.lock", weights.file));
        let io = |e| Error::io(&path, e);
        let file = regular_file::read_and_write(&path).map_err(io)?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(error)) => return Err(io(error)),
                Err(TryLockError::WouldBlock) if until.left().is_zero() => {
                    let reason = format!("another process holds {}; {}", path.display(), self.late());
                    return Err(self.unavailable(weights, &reason));
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            }
        }
    }

    /// What is said of a download that took too long.
    pub(super) fn late(&self) -> String {
        format!("it was given up after {:?} (Hub::deadline)", self.deadline)
    }

    /// The first verified copy in the folders, or why the files of that name are none.
    fn look(&self, weights: &Weights) -> Result<Fetched, Vec<String>> {
        let mut notes = Vec::new();
        for folder in self.folders() {
            let path = folder.join(weights.file);
            match sha256::of_file(&path) {
                Ok(found) if matches(&found, weights) => return Ok(Fetched { path, notes }),
                Ok(found) => notes.push(format!("{}: {}", path.display(), mismatch(&found, weights))),
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                Err(e) => notes.push(format!("{}: {e}", path.display())),
            }
        }
        Err(notes)
    }

    fn folders(&self) -> impl Iterator<Item = &Path> {
        self.torch.as_deref().into_iter().chain([self.cache.as_path()])
    }

    /// Weights that are neither here nor to be had: every place tried, and the ways out.
    pub(super) fn unavailable(&self, weights: &Weights, reason: &str) -> Error {
        let file = weights.file;
        let cache = self.cache.display();
        let mut text = format!("{reason}; {file} is not in");
        for (n, folder) in self.folders().enumerate() {
            text += &format!("{} {}", if n > 0 { " or" } else { "" }, folder.display());
        }
        for note in self.look(weights).err().into_iter().flatten() {
            text += &format!("; {note}");
        }
        text += &format!("; give another file as the weights, or put the file into {cache}");
        Error::download(weights.url, text)
    }
}
