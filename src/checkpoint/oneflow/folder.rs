//! A checkpoint's folder: what is in it, read within the limits and never out of it.

use super::meta::{self, Meta};
use crate::checkpoint::source::{Opening, short};
use crate::checkpoint::{Format, Limits};
use crate::error::{Error, Result};
use crate::file::directory::{Directory, Entry};
use crate::file::enclosure::{Astray, Enclosure, Found};
use crate::tensor::{DType, Tensor};
use bytes::Bytes;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The step counter that training keeps beside the parameters.
pub(in crate::checkpoint) const TRAIN_STEP: &str = "System-Train-TrainStep";

/// Bytes of a `meta`; a few lines.
const MAX_META_BYTES: u64 = 64 << 10;

/// Which of OneFlow's layouts `directory` with these entries has, if any.
pub(in crate::checkpoint) fn layout(directory: &Directory, entries: &[Entry]) -> Option<Format> {
    if directory.is_file("pickled_data") {
        return Some(Format::OneFlowPickledData);
    }
    let mut legacy = directory.has("snapshot_done");
    for Entry { name, .. } in entries {
        if name.to_string_lossy().starts_with(TRAIN_STEP) {
            legacy = true;
        } else if directory.is_file(Path::new(name).join("meta")) {
            return Some(Format::OneFlowSnapshot);
        } else if directory.is_file(Path::new(name).join("out")) {
            legacy = true;
        }
    }
    legacy.then_some(Format::OneFlowLegacy)
}

/// A folder that is read file by file, each once, all together under one limit.
pub(super) struct Folder<'a> {
    pub path: &'a Path,
    directory: &'a Directory,
    enclosure: Enclosure,
    left: Limits,
    /// What was read, by where it lies.
    read: HashMap<PathBuf, Bytes>,
}

impl<'a> Folder<'a> {
    pub fn new(directory: &'a Directory, enclosure: Enclosure, limits: &Limits) -> Self {
        Self { path: directory.path(), directory, enclosure, left: limits.clone(), read: HashMap::new() }
    }

    pub fn fault(&self, reason: impl Into<String>) -> Error {
        Error::checkpoint(self.path, reason)
    }

    /// The names of the folders in it, sorted, because a folder has no order; and how many others there are, whose
    /// names are no text.
    pub fn folders(&self) -> Result<(Vec<String>, usize)> {
        let mut names = Vec::new();
        let mut unnamed = 0;
        let entries = self.directory.entries().map_err(|e| Error::io(self.path, e))?;
        for entry in entries.into_iter().filter(|entry| entry.is_folder) {
            match entry.name.into_string() {
                Ok(name) => names.push(name),
                Err(_) => unnamed += 1,
            }
        }
        names.sort_unstable();
        Ok((names, unnamed))
    }

    /// Whether it is marked as complete, which is done last.
    pub fn is_done(&self) -> bool {
        self.directory.has("snapshot_done")
    }

    /// Where `file` of the folder `of` is; `None` where there is no such file. Both may come from the checkpoint, so
    /// neither leads out of it.
    pub fn locate(&self, of: &str, file: &str) -> Result<Option<Found>> {
        let name = if of.is_empty() { file.to_owned() } else { format!("{of}/{file}") };
        match self.enclosure.named(&name) {
            Ok(found) => Ok(Some(found)),
            Err(Astray::Missing) => Ok(None),
            Err(Astray::Io(error)) => Err(Error::io(self.path.join(name), error)),
            Err(Astray::Outside) => {
                Err(self.fault(format!("its part `{}` is refused: it must lie in the folder itself", short(of))))
            }
            Err(astray) => Err(self.fault(format!("its part `{}` {}", short(of), astray.reason()))),
        }
    }

    /// The content of what `locate` found, provided that `fits` accepts its size in bytes.
    pub fn read(&mut self, found: &Found, fits: impl FnOnce(u64) -> Result<()>) -> Result<Bytes> {
        if let Some(bytes) = self.read.get(found.path()) {
            fits(bytes.len() as u64)?;
            return Ok(bytes.clone());
        }
        let opening = Opening::found(found.path(), found, self.enclosure.clone(), &self.left)?;
        fits(opening.len())?;
        let bytes = opening.load()?.bytes;
        self.left.file_bytes = self.left.file_bytes.saturating_sub(bytes.len() as u64);
        self.read.insert(found.path().to_owned(), bytes.clone());
        Ok(bytes)
    }

    /// What the `meta` of the folder `of` says of the parameter `name`; `None` where there is none.
    pub fn meta(&mut self, of: &str, name: &str) -> Result<Option<Meta>> {
        let Some(found) = self.locate(of, "meta")? else { return Ok(None) };
        let path = found.path().to_owned();
        let over = |found| Error::Limit {
            path,
            what: "the size in bytes of a parameter's description".into(),
            found,
            limit: MAX_META_BYTES,
        };
        let bytes = self.read(&found, |len| if len > MAX_META_BYTES { Err(over(len)) } else { Ok(()) })?;
        let meta = meta::parse(&bytes);
        meta.map(Some).map_err(|reason| self.fault(format!("parameter `{}`: its meta {reason}", short(name))))
    }

    /// The tensor whose values are the `out` of the folder `of`, as `dtype` and `shape`, which errors call `name`.
    /// Without a shape it is flat.
    pub fn tensor(&mut self, of: &str, name: &str, dtype: DType, shape: Option<&[usize]>) -> Result<Tensor> {
        let path = self.path;
        let fault = |reason: String| Error::checkpoint(path, format!("parameter `{}`: {reason}", short(name)));
        let expected = match shape {
            Some(shape) => Some(Tensor::byte_count(dtype, shape).map_err(|error| fault(error.to_string()))?),
            None => None,
        };
        let Some(out) = self.locate(of, "out")? else {
            return Err(fault("its file out is missing; copy the whole folder again".into()));
        };
        let fits = |len: u64| match (shape, expected) {
            (Some(shape), Some(expected)) if expected as u64 != len => Err(fault(format!(
                "{dtype} of shape {shape:?} takes {expected} bytes, and its file out has {len}; was the copy cut short?"
            ))),
            (None, _) if !len.is_multiple_of(dtype.size() as u64) => Err(fault(format!(
                "its file out has {len} bytes, which is no whole number of {dtype}; was the copy cut short?"
            ))),
            _ => Ok(()),
        };
        let bytes = self.read(&out, fits)?;
        let flat = [bytes.len() / dtype.size()];
        Tensor::new(dtype, shape.unwrap_or(&flat), bytes).map_err(|error| fault(error.to_string()))
    }
}
