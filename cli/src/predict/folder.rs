//! The pictures in a folder and in those below it, as torchvision and timm find them: by extension, hidden ones too, and
//! through links.

use crate::identity;
use pretrained::printable;
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::fs::{self, DirEntry, FileType};
use std::io;
use std::path::{Path, PathBuf};

/// What a folder holds.
#[derive(Debug, Default)]
pub struct Contents {
    /// Files that are pictures by their extensions, and what could not be looked at, with the reason; by path.
    pub found: BTreeMap<PathBuf, Option<String>>,
    /// How many files are no pictures, by extension.
    others: BTreeMap<String, usize>,
    /// Links to folders that were read already, by another path.
    again: usize,
}

/// Extensions of pictures beyond those that the decoder lists: other names of the kinds that are read, and kinds that are
/// not read, for which each picture gets an error of its own rather than none.
const MORE_EXTENSIONS: [&str; 29] = [
    "jpe", "jif", "jfif", "jfi", "pjpeg", "pjp", "mpo", "jps", "dib", "cur", "apng", "btf", "tf8", "heic", "heics",
    "heif", "heifs", "hif", "avif", "avifs", "avci", "jxl", "jp2", "j2k", "jpf", "jpx", "jpm", "jpc", "j2c",
];

/// Extensions that are named before the rest is counted.
const NAMED: usize = 8;

impl Contents {
    /// Reads the folder at `root`. Each folder is read once, so links may lead in circles.
    pub fn of(root: &Path) -> Self {
        let mut contents = Self::default();
        let mut read = HashSet::new();
        // Links wait until all real folders are read, so that pictures go by their own paths where they have one.
        let (mut folders, mut links) = (vec![root.to_owned()], Vec::new());
        while let Some(folder) = folders.pop().or_else(|| links.pop()) {
            match identity::of(&folder) {
                Ok(identity) => match read.insert(identity) {
                    true => contents.read(folder, &mut folders, &mut links),
                    false => contents.again += 1,
                },
                Err(error) => contents.unreadable(folder, &error),
            }
        }
        contents
    }

    fn read(&mut self, folder: PathBuf, folders: &mut Vec<PathBuf>, links: &mut Vec<PathBuf>) {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => return self.unreadable(folder, &error),
        };
        let before = links.len();
        for entry in entries {
            let sorted = entry.and_then(|entry| Ok((kind(&entry)?, inside(&folder, &entry.file_name()))));
            match sorted {
                Ok((Kind::Folder, path)) => folders.push(path),
                Ok((Kind::LinkedFolder, path)) => links.push(path),
                Ok((Kind::File, path)) if is_picture(&path) => drop(self.found.insert(path, None)),
                Ok((Kind::Broken(error), path)) if is_picture(&path) => self.unreadable(path, &error),
                Ok((Kind::Other, path)) if is_picture(&path) => {
                    drop(self.found.insert(path, Some("is no file but a pipe, a socket or a device".into())));
                }
                Ok((_, path)) => *self.others.entry(kind_of_other(&path)).or_default() += 1,
                Err(error) => self.unreadable(folder.clone(), &error),
            }
        }
        // The last is taken first.
        links[before..].sort_by(|a, b| b.cmp(a));
    }

    fn unreadable(&mut self, path: PathBuf, error: &io::Error) {
        self.found.insert(path, Some(error.to_string()));
    }

    /// What was passed over, in words; nothing where everything was a picture.
    pub fn passed_over(&self) -> Option<String> {
        let mut kinds: Vec<(&String, &usize)> = self.others.iter().collect();
        kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let total: usize = self.others.values().sum();
        let mut parts: Vec<String> = kinds.iter().take(NAMED).map(|(kind, count)| format!("{count} {kind}")).collect();
        if let Some(rest) = kinds.get(NAMED..).filter(|rest| !rest.is_empty()) {
            parts.push(format!(
                "{} of {} other kinds",
                rest.iter().map(|(_, count)| **count).sum::<usize>(),
                rest.len()
            ));
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

/// What an entry of a folder is, or leads to.
enum Kind {
    Folder,
    LinkedFolder,
    File,
    /// A pipe, a socket or a device: to read it may take forever.
    Other,
    /// A link that leads nowhere.
    Broken(io::Error),
}

fn kind(entry: &DirEntry) -> io::Result<Kind> {
    let of = |kind: FileType| match (kind.is_dir(), kind.is_file()) {
        (true, _) => Kind::Folder,
        (_, true) => Kind::File,
        _ => Kind::Other,
    };
    let own = entry.file_type()?;
    if !own.is_symlink() {
        return Ok(of(own));
    }
    Ok(match fs::metadata(entry.path()).map(|target| of(target.file_type())) {
        Ok(Kind::Folder) => Kind::LinkedFolder,
        Ok(kind) => kind,
        Err(error) => Kind::Broken(error),
    })
}

/// Whether the extension is one of pictures. What macOS keeps in `._NAME` beside a file is none.
pub fn is_picture(path: &Path) -> bool {
    let known = |extension: &str| {
        image::ImageFormat::from_extension(extension).is_some()
            || MORE_EXTENSIONS.contains(&extension.to_ascii_lowercase().as_str())
    };
    !is_apple_double(path) && path.extension().and_then(|extension| extension.to_str()).is_some_and(known)
}

fn is_apple_double(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"._"))
}

/// What a file that is no picture is counted as.
fn kind_of_other(path: &Path) -> String {
    match path.extension() {
        _ if is_apple_double(path) => "._*".to_owned(),
        Some(extension) => format!(".{}", printable::cut(&extension.to_string_lossy().to_lowercase(), 16)),
        None => "without an extension".to_owned(),
    }
}
