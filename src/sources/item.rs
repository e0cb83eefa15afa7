//! An image of a source, or the reason why there is none.

use crate::checkpoint::StateDict;
use crate::error::{Error, Result};
use crate::pipeline::Source;
use crate::vision::{self, Levels, Limits, Planes, Preprocess};
use bytes::Bytes;
use std::path::{Path, PathBuf};

/// An image that is read when its turn comes, or the reason why it cannot be.
#[derive(Clone, Debug)]
pub struct Item {
    name: PathBuf,
    content: Content,
    beside: Vec<(String, Bytes)>,
}

#[derive(Clone, Debug)]
enum Content {
    /// The file of that name.
    File,
    Bytes(Bytes),
    /// None, for this reason.
    Nothing(String),
}

impl Item {
    /// A file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { name: path.into(), content: Content::File, beside: Vec::new() }
    }

    /// The bytes of a file.
    pub fn bytes(name: impl Into<PathBuf>, bytes: impl Into<Bytes>) -> Self {
        Self { name: name.into(), content: Content::Bytes(bytes.into()), beside: Vec::new() }
    }

    /// What is called so and is no image, for a reason.
    pub fn nothing(name: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        Self { name: name.into(), content: Content::Nothing(reason.into()), beside: Vec::new() }
    }

    /// The same, with what stands beside it in its sample.
    pub(super) fn with(self, beside: Vec<(String, Bytes)>) -> Self {
        Self { beside, ..self }
    }

    /// What an archive's sample has beside the image, by its extension, such as `cls` or `json`.
    pub fn beside(&self, extension: &str) -> Option<&Bytes> {
        self.beside.iter().find(|(name, _)| name == extension).map(|(_, bytes)| bytes)
    }

    /// The file that it is, if it is one.
    pub fn path(&self) -> Option<&Path> {
        matches!(self.content, Content::File).then_some(&self.name)
    }

    /// Why it cannot be read, as far as that shows without reading it.
    pub fn absent(&self) -> Option<Error> {
        match &self.content {
            Content::File => self.name.metadata().err().map(|error| Error::io(&self.name, error)),
            Content::Bytes(_) => None,
            Content::Nothing(reason) => Some(Error::image(&self.name, reason.clone())),
        }
    }

    /// An error of the file, or what that is besides.
    fn explained(&self, error: Error) -> Error {
        match checkpoint(&self.name) {
            Some(what) => Error::image(&self.name, format!("is a checkpoint ({what}), not an image")),
            None => error,
        }
    }
}

impl Source for Item {
    fn name(&self) -> &Path {
        &self.name
    }

    fn prepare(&self, limits: &Limits, preprocess: &Preprocess) -> Result<Planes> {
        match &self.content {
            Content::File => vision::prepare_file(&self.name, limits, preprocess).map_err(|e| self.explained(e)),
            Content::Bytes(bytes) => vision::prepare(&self.name, bytes, limits, preprocess),
            Content::Nothing(reason) => Err(Error::image(&self.name, reason.clone())),
        }
    }

    fn prepare_levels(&self, limits: &Limits, preprocess: &Preprocess) -> Option<Result<Levels>> {
        Some(match &self.content {
            Content::File => vision::prepare_levels_file(&self.name, limits, preprocess).map_err(|e| self.explained(e)),
            Content::Bytes(bytes) => vision::prepare_levels(&self.name, bytes, limits, preprocess),
            Content::Nothing(reason) => Err(Error::image(&self.name, reason.clone())),
        })
    }
}

/// The format of the checkpoint at `path`, which may be given for an image by mistake; none where it is no checkpoint.
pub fn checkpoint(path: impl AsRef<Path>) -> Option<String> {
    let path = path.as_ref();
    // A pipe can be read only once, by whoever takes it for an image.
    if !path.is_file() && !path.is_dir() {
        return None;
    }
    let state = StateDict::open(path).ok().filter(|state| !state.is_empty())?;
    Some(state.format().map_or_else(|| "of no named format".to_owned(), |format| format.to_string()))
}
