//! Files that lie beside the one that was opened and belong to it.

use super::source::{Opening, Source, short};
use crate::error::{Error, Result};
use bytes::Bytes;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// The path of `file`, which must lie in the folder of `owner`, where it is a `what`.
pub(super) fn locate(owner: &Path, what: &str, file: &str) -> Result<PathBuf> {
    let fault = |reason: &str| Error::checkpoint(owner, format!("its {what} `{}` {reason}", short(file)));
    let inside = Path::new(file).components().all(|part| matches!(part, Component::Normal(_)));
    if file.is_empty() || !inside || file.contains(['\\', ':', '\0']) {
        return Err(fault("is refused: it must lie in the same folder"));
    }
    let folder = owner.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = folder.canonicalize().map_err(|e| Error::io(folder, e))?;
    let found = match folder.join(file).canonicalize() {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(fault("is missing; get every file that belongs together"));
        }
        Err(error) => return Err(Error::io(folder.join(file), error)),
    };
    if !found.starts_with(&folder) {
        return Err(fault("is refused: it is a link out of the folder; put the file itself there"));
    }
    Ok(found)
}

/// Files of data beside a model, each opened once.
#[derive(Debug, Default)]
pub(super) struct Beside(RefCell<BTreeMap<String, Bytes>>);

impl Beside {
    /// The content of `file`, which counts against the same limits as the model itself.
    pub fn open(&self, source: &Source, file: &str) -> Result<Bytes> {
        let mut opened = self.0.borrow_mut();
        if let Some(bytes) = opened.get(file) {
            return Ok(bytes.clone());
        }
        let taken = source.bytes.len() + opened.values().map(Bytes::len).sum::<usize>();
        let mut left = source.limits.clone();
        left.file_bytes = left.file_bytes.saturating_sub(taken as u64);
        let path = locate(source.path, "file of data", file)?;
        let bytes = Opening::new(&path, &left)?.load()?.bytes;
        opened.insert(file.to_owned(), bytes.clone());
        Ok(bytes)
    }
}
