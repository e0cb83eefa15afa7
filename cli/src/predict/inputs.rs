//! Which images the command line means: files, folders, archives, globs, lists, and standard input.

use crate::args::Args;
use crate::console::remark;
use glob::MatchOptions;
use pretrained::Error;
use pretrained::sources::{self, Item, Items, List, Options};
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files that are looked at before anything is loaded.
const AHEAD: usize = 64;

/// The images that the arguments stand for, in order.
pub struct Inputs {
    /// The first of them.
    pub first: Vec<Item>,
    /// Whether these are all.
    pub is_all: bool,
    rest: Items,
}

impl Inputs {
    /// What was passed over is said on standard error.
    pub fn of(args: &Args) -> Self {
        let options = Options { every: args.every, remarks: Some(Arc::new(remark)), ..Options::default() };
        let mut rest = expand(args, options, true);
        let mut first: Vec<Item> = Vec::new();
        // Images of archives and streams are held in memory, and may take their time to come.
        let is_held = |item: &Item| item.path().is_none() && item.absent().is_none();
        while first.len() < AHEAD && !first.last().is_some_and(is_held) {
            match rest.next() {
                Some(item) => first.push(item),
                None => return Self { first, is_all: true, rest },
            }
        }
        Self { is_all: rest.size_hint().1 == Some(0), first, rest }
    }

    /// The reason why the first image cannot be had, where none can.
    pub fn absent(&self) -> Option<Error> {
        let errors: Option<Vec<Error>> = self.first.iter().map(Item::absent).collect();
        errors.filter(|_| self.is_all)?.into_iter().next()
    }

    /// All of them.
    pub fn into_items(self) -> impl Iterator<Item = Item> + Send {
        self.first.into_iter().chain(self.rest)
    }
}

/// The files that the arguments stand for, as far as they can be listed twice: not what standard input lists, nor what is in
/// archives.
pub fn files(args: &Args) -> impl Iterator<Item = PathBuf> + Send + use<> {
    expand(args, Options::default(), false).filter_map(|item| item.path().map(Path::to_owned))
}

/// The images of the arguments; without what can be read only once, and with archives as files, unless `all` is set.
fn expand(args: &Args, options: Options, all: bool) -> Items {
    let arguments: Vec<PathBuf> = args.images.iter().chain(&args.image_path).cloned().collect();
    let streams = all && arguments.iter().any(|argument| argument == Path::new("-"));
    let mut is_first = true;
    let named = {
        let options = options.clone();
        arguments.into_iter().flat_map(move |argument| -> Items {
            if argument == Path::new("-") {
                return match (all, std::mem::take(&mut is_first)) {
                    (false, _) => nothing(),
                    (true, true) => sources::stream("-", io::stdin(), &options),
                    (true, false) => {
                        one(Item::nothing("-", "standard input is read once, which an earlier - stands for"))
                    }
                };
            }
            expand_one(&argument, &options, all)
        })
    };
    let lists: Vec<PathBuf> = args.files_from.clone();
    let is_zero_separated = args.null;
    let listed = lists.into_iter().flat_map(move |list| -> Items {
        let reader: Box<dyn BufRead + Send> = match list == Path::new("-") {
            true if !all => return nothing(),
            true if streams => return one(Item::nothing("-", "standard input cannot be images and their list")),
            true => Box::new(BufReader::new(io::stdin())),
            false => match File::open(&list) {
                Ok(file) => Box::new(BufReader::new(file)),
                Err(error) => return one(Item::nothing(list, error.to_string())),
            },
        };
        let options = options.clone();
        Box::new(List::new(&list, reader, is_zero_separated).flat_map(move |path| match path {
            Ok(path) => open(path, &options, all),
            Err(item) => one(item),
        }))
    });
    Box::new(named.chain(listed))
}

fn one(item: Item) -> Items {
    Box::new(std::iter::once(item))
}

fn nothing() -> Items {
    Box::new(std::iter::empty())
}

/// What is at a path; an archive is a file where only files are wanted.
fn open(path: PathBuf, options: &Options, all: bool) -> Items {
    if all || path.is_dir() { sources::open(path, options) } else { one(Item::file(path)) }
}

fn expand_one(argument: &Path, options: &Options, all: bool) -> Items {
    let pattern = argument.to_str().filter(|_| !argument.exists()).map(plain);
    let Some(pattern) = pattern else { return open(argument.to_owned(), options, all) };
    let names = sources::expand_braces(&pattern);
    if !pattern.contains(['*', '?', '[']) && names.len() < 2 {
        return open(argument.to_owned(), options, all);
    }
    let options = options.clone();
    Box::new(names.into_iter().flat_map(move |name| matches(name, &options, all)))
}

/// What a pattern matches.
fn matches(pattern: String, options: &Options, all: bool) -> Items {
    if !pattern.contains(['*', '?', '[']) || Path::new(&pattern).exists() {
        return open(pattern.into(), options, all);
    }
    // As names are told apart there.
    let matching = MatchOptions { case_sensitive: !cfg!(windows), ..MatchOptions::new() };
    match glob::glob_with(&pattern, matching) {
        Err(error) => one(Item::nothing(pattern, format!("is not a valid glob: {error}"))),
        Ok(paths) => {
            let options = options.clone();
            let mut paths = paths.peekable();
            if paths.peek().is_none() {
                return one(Item::nothing(pattern, "no file matches"));
            }
            Box::new(paths.flat_map(move |path| match path {
                Ok(path) => open(with_slashes_of(&pattern, path), &options, all),
                Err(error) => one(Item::nothing(error.path(), error.error().to_string())),
            }))
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
