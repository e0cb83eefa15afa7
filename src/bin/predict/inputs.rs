//! Which images the command line means: files, folders, globs, and standard input.

use pretrained::vision::{self, Limits, RgbImage};
use pretrained::{Error, Result};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// One image to predict, or why there is none.
#[derive(Debug)]
pub enum Input {
    File(PathBuf),
    Stdin,
    /// An argument that stands for no image, and the reason.
    Nothing(PathBuf, String),
}

impl Input {
    /// What results call it.
    pub fn name(&self) -> String {
        match self {
            Self::File(path) | Self::Nothing(path, _) => path.display().to_string(),
            Self::Stdin => "-".to_owned(),
        }
    }

    /// Reads and decodes it.
    pub fn decode(&self, limits: &Limits) -> Result<RgbImage> {
        match self {
            Self::File(path) => vision::decode_file(path, limits),
            Self::Stdin => {
                let mut bytes = Vec::new();
                let bound = limits.file_bytes.saturating_add(1);
                io::stdin().lock().take(bound).read_to_end(&mut bytes).map_err(|e| Error::io("-", e))?;
                vision::decode("-", &bytes, limits)
            }
            Self::Nothing(path, reason) => Err(Error::image(path, reason.clone())),
        }
    }
}

/// The images that the arguments stand for, in order.
pub fn expand<'a>(arguments: impl Iterator<Item = &'a PathBuf>) -> Vec<Input> {
    arguments.flat_map(|argument| expand_one(argument)).collect()
}

fn expand_one(argument: &Path) -> Vec<Input> {
    let nothing = |reason: &str| vec![Input::Nothing(argument.to_owned(), reason.to_owned())];
    if argument == Path::new("-") {
        return vec![Input::Stdin];
    }
    if argument.is_dir() {
        return match images_in(argument) {
            Ok(files) if files.is_empty() => nothing("the folder holds no image file"),
            Ok(files) => files.into_iter().map(Input::File).collect(),
            Err(error) => nothing(&error.to_string()),
        };
    }
    let pattern = argument.to_str().filter(|text| text.contains(['*', '?', '[']) && !argument.exists());
    match pattern.map(glob::glob) {
        None => vec![Input::File(argument.to_owned())],
        Some(Err(error)) => nothing(&format!("is no valid glob: {error}")),
        Some(Ok(paths)) => {
            let files: Vec<Input> = paths.flatten().filter(|path| path.is_file()).map(Input::File).collect();
            if files.is_empty() { nothing("no file matches") } else { files }
        }
    }
}

/// The image files in a folder and the folders in it, sorted by path; what they are is told by their extensions.
/// Links to folders are not followed.
fn images_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else if image::ImageFormat::from_path(&path).is_ok() && path.is_file() {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
