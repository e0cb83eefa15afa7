//! Files that are held in memory: given one by one, or the content of an archive.

use crate::error::{Error, Result};
use crate::printable;
use bytes::Bytes;
use flate2::bufread::DeflateDecoder;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// Longest name of a file, in bytes.
pub(super) const MOST_NAME_BYTES: usize = 4096;

/// Folders that lie in each other, at most.
const MOST_DEPTH: usize = 64;

/// Bytes that all names may take together, with what keeps them: about 200,000 files.
const MOST_BYTES: usize = 64 << 20;

/// Files by name, and the folders that they lie in.
#[derive(Debug)]
pub(super) struct Held {
    /// What errors call all of them together.
    path: PathBuf,
    files: BTreeMap<String, Member>,
    /// The empty name is the folder that everything lies in.
    folders: BTreeSet<String>,
    /// Bytes that names have taken so far.
    taken: usize,
}

/// The content of one file.
#[derive(Debug, Clone)]
pub(crate) enum Member {
    Whole(Bytes),
    Deflated(Deflated),
}

/// Bytes that are compressed until somebody asks for them.
#[derive(Debug, Clone)]
pub(crate) struct Deflated {
    pub packed: Bytes,
    /// Bytes that there are when they are expanded, as the archive says.
    pub len: u64,
    pub crc32: u32,
}

impl Held {
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), files: BTreeMap::new(), folders: [String::new()].into(), taken: 0 }
    }

    /// What errors call the file or folder of this name.
    pub fn path_of(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.path.clone() } else { self.path.join(name) }
    }

    /// Adds a file.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] that names the file, where its name leads out of the folder or is taken; [`Error::Limit`]
    /// for more names than anybody has.
    pub fn insert(&mut self, name: &str, member: Member) -> Result<()> {
        let tidy = self.tidy(name)?;
        if tidy.is_empty() || name.ends_with('/') {
            return Err(self.refused(name, "it is the name of a folder"));
        }
        if self.folders.contains(&tidy) || self.files.contains_key(&tidy) {
            return Err(self.refused(name, "there are two of this name"));
        }
        self.insert_folders(name, tidy.rsplit_once('/').map_or("", |(folder, _)| folder))?;
        self.take(tidy.len())?;
        self.files.insert(tidy, member);
        Ok(())
    }

    /// Adds a folder, which may be empty.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn insert_folder(&mut self, name: &str) -> Result<()> {
        let tidy = self.tidy(name)?;
        self.insert_folders(name, &tidy)
    }

    /// Adds `folder` and those that it lies in, for what was called `name`.
    fn insert_folders(&mut self, name: &str, mut folder: &str) -> Result<()> {
        while !self.folders.contains(folder) {
            if self.files.contains_key(folder) {
                return Err(self.refused(name, "a file and a folder have the same name"));
            }
            self.take(folder.len())?;
            self.folders.insert(folder.to_owned());
            folder = folder.rsplit_once('/').map_or("", |(above, _)| above);
        }
        Ok(())
    }

    /// The name without what means nothing: `./a//b` is `a/b`.
    fn tidy(&self, name: &str) -> Result<String> {
        // Backslash and colon lead out on Windows.
        if name.is_empty() || name.starts_with('/') || name.contains(['\\', ':', '\0']) {
            return Err(self.refused(name, "it must lie in the same folder"));
        }
        let parts: Vec<&str> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        if parts.contains(&"..") {
            return Err(self.refused(name, "it must lie in the same folder"));
        }
        if name.len() > MOST_NAME_BYTES || parts.len() > MOST_DEPTH {
            return Err(self.refused(name, "its name is too long"));
        }
        Ok(parts.join("/"))
    }

    fn take(&mut self, name: usize) -> Result<()> {
        self.taken = self.taken.saturating_add(name + 256);
        match self.taken > MOST_BYTES {
            true => Err(Error::Limit {
                path: self.path.clone(),
                what: "what the names of its files take in bytes".into(),
                found: self.taken as u64,
                limit: MOST_BYTES as u64,
            }),
            false => Ok(()),
        }
    }

    /// The fault of the file called `name`.
    pub fn refused(&self, name: &str, reason: &str) -> Error {
        Error::checkpoint(&self.path, format!("its file `{}` is refused: {reason}", printable::cut(name, 120)))
    }

    /// The fault of the whole.
    pub fn fault(&self, reason: impl Into<String>) -> Error {
        Error::checkpoint(&self.path, reason)
    }

    pub fn get(&self, name: &str) -> Option<&Member> {
        self.files.get(name)
    }

    pub fn is_folder(&self, name: &str) -> bool {
        self.folders.contains(name)
    }

    /// The names of all files, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// The names of what lies in `folder` itself, and whether each is a folder.
    pub fn entries(&self, folder: &str) -> Vec<(&str, bool)> {
        let start = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let own = |name: &String| !name[start.len()..].contains('/') && name.len() > start.len();
        let files = self.files.range(start.clone()..).map(|(name, _)| (name, false));
        let files = files.take_while(|(name, _)| name.starts_with(&start));
        let folders = self.folders.range(start.clone()..).map(|name| (name, true));
        let folders = folders.take_while(|(name, _)| name.starts_with(&start));
        let own = files.chain(folders).filter(|(name, _)| own(name));
        own.map(|(name, is_folder)| (&name[start.len()..], is_folder)).collect()
    }
}

/// What a file of memory is called that is `name` from `folder` on.
pub(super) fn held_name(folder: &str, name: &Path) -> Option<String> {
    let mut whole = folder.to_owned();
    for part in name.components() {
        match part {
            Component::CurDir => {}
            Component::Normal(part) => {
                if !whole.is_empty() {
                    whole.push('/');
                }
                whole.push_str(part.to_str()?);
            }
            _ => return None,
        }
    }
    Some(whole)
}

impl Member {
    /// Bytes of the file.
    pub fn len(&self) -> u64 {
        match self {
            Self::Whole(bytes) => bytes.len() as u64,
            Self::Deflated(deflated) => deflated.len,
        }
    }

    /// Bytes of memory that [`bytes`](Self::bytes) takes.
    pub fn cost(&self) -> u64 {
        match self {
            Self::Whole(_) => 0,
            Self::Deflated(deflated) => deflated.len,
        }
    }

    /// The first bytes, up to `most`.
    pub fn head(&self, most: usize) -> io::Result<Vec<u8>> {
        match self {
            Self::Whole(bytes) => Ok(bytes[..bytes.len().min(most)].to_vec()),
            Self::Deflated(deflated) => {
                let mut head = Vec::new();
                let most = deflated.len.min(most as u64);
                DeflateDecoder::new(&deflated.packed[..]).take(most).read_to_end(&mut head)?;
                Ok(head)
            }
        }
    }

    /// All bytes; whoever asks has made sure that there is room for their [`cost`](Self::cost).
    pub fn bytes(&self) -> io::Result<Bytes> {
        match self {
            Self::Whole(bytes) => Ok(bytes.clone()),
            Self::Deflated(deflated) => deflated.expand(),
        }
    }
}

impl Deflated {
    fn expand(&self) -> io::Result<Bytes> {
        let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
        // What an archive claims may be anything, but deflate makes at most 1032 times as much.
        let likely = self.len.min((self.packed.len() as u64).saturating_mul(1032));
        let mut bytes = Vec::new();
        let likely = usize::try_from(likely).unwrap_or(usize::MAX);
        bytes.try_reserve_exact(likely).map_err(|error| invalid(error.to_string()))?;
        DeflateDecoder::new(&self.packed[..]).take(self.len.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != self.len {
            return Err(invalid(format!("it claims {} bytes and holds {} or more", self.len, bytes.len())));
        }
        if crc32fast::hash(&bytes) != self.crc32 {
            return Err(invalid("its checksum differs: the archive is damaged".into()));
        }
        Ok(bytes.into())
    }
}
