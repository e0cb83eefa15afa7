//! Which images the command line means: files, folders, globs, and standard input.

use crate::console::remark;
use crate::folder::Contents;
use glob::MatchOptions;
use pretrained::pipeline::Source;
use pretrained::vision::{self, Levels, Limits, Planes, Preprocess};
use pretrained::{Error, Result, StateDict, printable};
use std::borrow::Cow;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// One image to predict, or why there is none.
#[derive(Debug)]
pub enum Input {
    File(PathBuf),
    Stdin,
    /// What stands for no image, and the reason.
    Nothing(PathBuf, String),
}

impl Source for Input {
    fn name(&self) -> &Path {
        match self {
            Self::File(path) | Self::Nothing(path, _) => path,
            Self::Stdin => Path::new("-"),
        }
    }

    fn prepare(&self, limits: &Limits, preprocess: &Preprocess) -> Result<Planes> {
        match self {
            Self::File(path) => vision::prepare_file(path, limits, preprocess).map_err(|error| explained(path, error)),
            Self::Stdin => vision::prepare("-", &read(limits)?, limits, preprocess),
            Self::Nothing(path, reason) => Err(Error::image(path, reason.clone())),
        }
    }

    fn prepare_levels(&self, limits: &Limits, preprocess: &Preprocess) -> Option<Result<Levels>> {
        Some(match self {
            Self::File(path) => {
                vision::prepare_levels_file(path, limits, preprocess).map_err(|error| explained(path, error))
            }
            Self::Stdin => read(limits).and_then(|bytes| vision::prepare_levels("-", &bytes, limits, preprocess)),
            Self::Nothing(path, reason) => Err(Error::image(path, reason.clone())),
        })
    }
}

/// Standard input, as far as the limits let it be read.
fn read(limits: &Limits) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let bound = limits.file_bytes.saturating_add(1);
    io::stdin().lock().take(bound).read_to_end(&mut bytes).map_err(|e| Error::io("-", e))?;
    Ok(bytes)
}

/// An error of the file at `path`, or what that is besides.
fn explained(path: &Path, error: Error) -> Error {
    match checkpoint(path) {
        Some(what) => Error::image(path, format!("is a checkpoint ({what}), not an image")),
        None => error,
    }
}

impl Input {
    /// Why it cannot be read, as far as that shows without reading it.
    pub fn absent(&self) -> Option<Error> {
        match self {
            Self::File(path) => path.metadata().err().map(|error| Error::io(path, error)),
            Self::Stdin => None,
            Self::Nothing(path, reason) => Some(Error::image(path, reason.clone())),
        }
    }
}

/// The images that the arguments stand for, in order. What a folder holds besides is said on standard error.
pub fn expand<'a>(arguments: impl Iterator<Item = &'a PathBuf>) -> Vec<Input> {
    let mut inputs: Vec<Input> = arguments.flat_map(|argument| expand_one(argument)).collect();
    for again in inputs.iter_mut().filter(|input| matches!(input, Input::Stdin)).skip(1) {
        *again = Input::Nothing("-".into(), "standard input holds one image, which an earlier - stands for".into());
    }
    inputs
}

fn expand_one(argument: &Path) -> Vec<Input> {
    if argument == Path::new("-") {
        return vec![Input::Stdin];
    }
    let pattern = argument.to_str().filter(|_| !argument.exists()).map(plain);
    let pattern = pattern.filter(|text| text.contains(['*', '?', '[']));
    let Some(pattern) = pattern else { return file_or_folder(argument.to_owned()) };
    let nothing = |reason: String| vec![Input::Nothing(argument.to_owned(), reason)];
    // As names are told apart there.
    let options = MatchOptions { case_sensitive: !cfg!(windows), ..MatchOptions::new() };
    match glob::glob_with(&pattern, options) {
        Err(error) => nothing(format!("is not a valid glob: {error}")),
        Ok(paths) => {
            let matched: Vec<Input> = paths
                .flat_map(|path| match path {
                    Ok(path) => file_or_folder(with_slashes_of(&pattern, path)),
                    Err(error) => vec![Input::Nothing(error.path().to_owned(), error.error().to_string())],
                })
                .collect();
            if matched.is_empty() { nothing("no file matches".into()) } else { matched }
        }
    }
}

/// A path without what Windows has before one that is to be taken as it is, whose question mark matches nothing.
fn plain(path: &str) -> Cow<'_, str> {
    match path.strip_prefix(r"\\?\").filter(|_| cfg!(windows)) {
        Some(rest) => match rest.strip_prefix(r"UNC\") {
            Some(share) => Cow::Owned(format!(r"\\{share}")),
            None => Cow::Borrowed(rest),
        },
        None => Cow::Borrowed(path),
    }
}

/// A path that a pattern matches, with the pattern's own separator: Windows takes slashes too.
fn with_slashes_of(pattern: &str, path: PathBuf) -> PathBuf {
    match path.to_str() {
        Some(text) if cfg!(windows) && pattern.contains('/') && !pattern.contains('\\') => {
            text.replace('\\', "/").into()
        }
        _ => path,
    }
}

/// A file, or what a folder holds.
fn file_or_folder(path: PathBuf) -> Vec<Input> {
    if !path.is_dir() {
        return vec![Input::File(path)];
    }
    let contents = Contents::of(&path);
    if let Some(passed_over) = contents.passed_over() {
        remark(format_args!("{}: {passed_over}", printable::path(&path)));
    }
    if contents.found.is_empty() {
        let reason = match checkpoint(&path) {
            Some(what) => format!("is a checkpoint ({what}), not a folder of images"),
            None => "the folder holds no image file".to_owned(),
        };
        return vec![Input::Nothing(path, reason)];
    }
    let inputs = contents.found.into_iter();
    inputs
        .map(|(path, reason)| match reason {
            Some(reason) => Input::Nothing(path, reason),
            None => Input::File(path),
        })
        .collect()
}

/// What kind of checkpoint lies at `path`, if it is one that opens.
pub fn checkpoint(path: &Path) -> Option<String> {
    // A pipe can be read only once, by whoever takes it for an image.
    if !path.is_file() && !path.is_dir() {
        return None;
    }
    let state = StateDict::open(path).ok().filter(|state| !state.is_empty())?;
    Some(state.format().map_or_else(|| "of no named format".to_owned(), |format| format.to_string()))
}
