//! The pictures in a folder and in those below it, as torchvision and timm find them: by extension, hidden ones too, and
//! through links.

use super::Options;
use super::identity::Identity;
use super::item::{Item, checkpoint};
use super::names::{Names, is_apple_double, is_picture};
use crate::error::printable;
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::fs::{self, DirEntry, FileType};
use std::path::{Path, PathBuf};

/// Extensions that are named before the rest is counted.
const NAMED: usize = 8;

/// The pictures of a folder, in the order of their paths; those that only links lead to come last. Each folder is read once, so
/// that links may lead in circles. At the end [`Options::remarks`] are told what was passed over.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    options: Options,
    /// Folders that are being read: the path, and what is to come of it.
    open: Vec<(PathBuf, Names<Kind>)>,
    /// Folders behind links, to be read when all others are.
    links: Vec<PathBuf>,
    read: HashSet<Identity>,
    found: usize,
    /// How many files are no pictures, by extension.
    others: BTreeMap<String, usize>,
    /// Links to folders that were read already, by another path.
    again: usize,
    /// A picture that could not be looked at, and is to be given out next.
    failed: Vec<Item>,
    is_over: bool,
}

/// What an entry of a folder is, or leads to.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Folder,
    Picture,
    Link,
    /// A pipe, a socket or a device: to read it may take forever.
    Other,
}

impl Folder {
    /// The folder at `root`.
    pub fn new(root: impl Into<PathBuf>, options: &Options) -> Self {
        let root = root.into();
        let mut folder = Self {
            root: root.clone(),
            options: options.clone(),
            open: Vec::new(),
            links: Vec::new(),
            read: HashSet::new(),
            found: 0,
            others: BTreeMap::new(),
            again: 0,
            failed: Vec::new(),
            is_over: false,
        };
        folder.enter(root);
        folder
    }

    /// Begins with a folder, unless it was read.
    fn enter(&mut self, path: PathBuf) {
        let entries = match Identity::of(&path) {
            Ok(identity) => match self.read.insert(identity) {
                true => fs::read_dir(&path),
                false => return self.again += 1,
            },
            Err(error) => Err(error),
        };
        let entries = match entries {
            Ok(entries) => entries,
            Err(error) => return self.failed.push(Item::nothing(path, error.to_string())),
        };
        let mut names = Names::new();
        for entry in entries {
            let kind = entry.and_then(|entry| Ok((entry.file_type()?, entry)));
            match kind {
                Ok((kind, entry)) => self.sort(&mut names, kind, &entry),
                Err(error) => self.failed.push(Item::nothing(path.clone(), error.to_string())),
            }
        }
        names.sort_for_pop();
        self.open.push((path, names));
    }

    /// Keeps an entry, or counts it among the others.
    fn sort(&mut self, names: &mut Names<Kind>, kind: FileType, entry: &DirEntry) {
        let name = entry.file_name();
        let is_picture = is_picture(Path::new(&name));
        let kept = match (kind.is_dir(), kind.is_symlink(), kind.is_file()) {
            (true, ..) => Some(Kind::Folder),
            (_, true, _) => Some(Kind::Link),
            (.., true) => is_picture.then_some(Kind::Picture),
            _ => is_picture.then_some(Kind::Other),
        };
        match kept {
            Some(kind) => names.push(&name, kind),
            None => self.pass_over(Path::new(&name)),
        }
    }

    fn pass_over(&mut self, name: &Path) {
        *self.others.entry(kind_of_other(name)).or_default() += 1;
    }

    /// What an entry comes to; nothing where it is a folder, or no picture.
    fn visit(&mut self, path: PathBuf, kind: Kind) -> Option<Item> {
        match kind {
            Kind::Picture => Some(Item::file(path)),
            Kind::Other => Some(Item::nothing(path, "is no file but a pipe, a socket or a device")),
            Kind::Folder => {
                self.enter(path);
                None
            }
            Kind::Link => {
                let target = fs::metadata(&path);
                match target {
                    Ok(target) if target.is_dir() => self.links.push(path),
                    _ if !is_picture(&path) => self.pass_over(&path),
                    Ok(target) if target.is_file() => return Some(Item::file(path)),
                    Ok(_) => return self.visit(path, Kind::Other),
                    Err(error) => return Some(Item::nothing(path, error.to_string())),
                }
                None
            }
        }
    }

    /// What was passed over, in words; nothing where everything was a picture.
    fn passed_over(&self) -> Option<String> {
        let mut kinds: Vec<(&String, &usize)> = self.others.iter().collect();
        kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let total: usize = self.others.values().sum();
        let mut parts: Vec<String> = kinds.iter().take(NAMED).map(|(kind, count)| format!("{count} {kind}")).collect();
        if let Some(rest) = kinds.get(NAMED..).filter(|rest| !rest.is_empty()) {
            let files: usize = rest.iter().map(|(_, count)| **count).sum();
            parts.push(format!("{files} of {} other kinds", rest.len()));
        }
        let files = match total {
            0 => None,
            1 => Some(format!("1 file was passed over: {}", parts.concat())),
            _ => Some(format!("{total} files were passed over: {}", parts.join(", "))),
        };
        let again = match self.again {
            0 => None,
            1 => Some("1 link leads to a folder that was read already".to_owned()),
            n => Some(format!("{n} links lead to folders that were read already")),
        };
        let all: Vec<String> = files.into_iter().chain(again).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// The last item: an error where there was none.
    fn end(&mut self) -> Option<Item> {
        if std::mem::replace(&mut self.is_over, true) {
            return None;
        }
        if let Some(passed_over) = self.passed_over() {
            self.options.remark(|| format!("{}: {passed_over}", printable::path(&self.root)));
        }
        if self.found > 0 {
            return None;
        }
        let reason = match checkpoint(&self.root) {
            Some(what) => format!("is a checkpoint ({what}), not a folder of images"),
            None => "the folder holds no image file".to_owned(),
        };
        Some(Item::nothing(self.root.clone(), reason))
    }
}

impl Iterator for Folder {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(failed) = self.failed.pop() {
                self.found += 1;
                return Some(failed);
            }
            let Some((folder, names)) = self.open.last_mut() else {
                if self.links.is_empty() {
                    return self.end();
                }
                let link = self.links.remove(0);
                self.enter(link);
                continue;
            };
            let Some((name, kind)) = names.pop() else {
                self.open.pop();
                continue;
            };
            let path = inside(folder, &name);
            if let Some(item) = self.visit(path, kind) {
                self.found += 1;
                return Some(item);
            }
        }
    }
}

/// The path of what lies in a folder, with the separator of the folder's own path: Windows takes slashes too.
fn inside(folder: &Path, name: &OsStr) -> PathBuf {
    let own = folder.as_os_str().as_encoded_bytes();
    if !cfg!(windows) || !own.contains(&b'/') || own.contains(&b'\\') {
        return folder.join(name);
    }
    let mut path = folder.as_os_str().to_owned();
    if !own.ends_with(b"/") {
        path.push("/");
    }
    path.push(name);
    path.into()
}

/// What a file that is no picture is counted as.
fn kind_of_other(path: &Path) -> String {
    match path.extension() {
        _ if is_apple_double(path) => "._*".to_owned(),
        Some(extension) => format!(".{}", printable::cut(&extension.to_string_lossy().to_lowercase(), 16)),
        None => "without an extension".to_owned(),
    }
}
