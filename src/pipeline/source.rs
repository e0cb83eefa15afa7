//! What a pipeline reads: images that have a name.

use crate::error::Result;
use crate::vision::{
    Levels, Limits, Planes, Preprocess, RgbImage, prepare, prepare_file, prepare_levels, prepare_levels_file,
};
use bytes::Bytes;
use std::path::{Path, PathBuf};

/// An image that has a name, and is read when its turn comes: a file, bytes of a file, pixels, or what a program makes of
/// its own.
pub trait Source: Send + 'static {
    /// What errors call it.
    fn name(&self) -> &Path;

    /// Reads, decodes and prepares it. Called once, on any thread.
    ///
    /// # Errors
    /// As [`prepare_file`].
    fn prepare(&self, limits: &Limits, preprocess: &Preprocess) -> Result<Planes>;

    /// As [`prepare`](Self::prepare), but for normalising; none for a source that only prepares, which is the default. It is
    /// called first where the device normalises by itself, so that a quarter of the bytes waits and is copied there.
    fn prepare_levels(&self, _limits: &Limits, _preprocess: &Preprocess) -> Option<Result<Levels>> {
        None
    }
}

/// A file on disk.
impl Source for PathBuf {
    fn name(&self) -> &Path {
        self
    }

    fn prepare(&self, limits: &Limits, preprocess: &Preprocess) -> Result<Planes> {
        prepare_file(self, limits, preprocess)
    }

    fn prepare_levels(&self, limits: &Limits, preprocess: &Preprocess) -> Option<Result<Levels>> {
        Some(prepare_levels_file(self, limits, preprocess))
    }
}

/// A name, and the bytes of an image file.
impl Source for (PathBuf, Bytes) {
    fn name(&self) -> &Path {
        &self.0
    }

    fn prepare(&self, limits: &Limits, preprocess: &Preprocess) -> Result<Planes> {
        prepare(&self.0, &self.1, limits, preprocess)
    }

    fn prepare_levels(&self, limits: &Limits, preprocess: &Preprocess) -> Option<Result<Levels>> {
        Some(prepare_levels(&self.0, &self.1, limits, preprocess))
    }
}

/// A name, and pixels.
impl Source for (PathBuf, RgbImage) {
    fn name(&self) -> &Path {
        &self.0
    }

    fn prepare(&self, _: &Limits, preprocess: &Preprocess) -> Result<Planes> {
        preprocess.apply(&self.1)
    }

    fn prepare_levels(&self, _: &Limits, preprocess: &Preprocess) -> Option<Result<Levels>> {
        Some(preprocess.levels(&self.1))
    }
}
