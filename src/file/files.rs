//! Files by name: a folder on disk, files in memory, or the content of an archive.

use super::directory::Directory;
use super::enclosure::{Astray, Enclosure, Found, Opened};
use super::held::{Held, Member};
use super::{archive, mapping, regular_file};
use crate::error::{Error, Result};
use crate::printable;
use bytes::Bytes;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// From as many bytes on a file is mapped into memory instead of read into it.
const MAPPED_FROM: u64 = 64 << 10;

/// Files by name, from which a checkpoint of several files is read: a folder on disk, files in memory, or what a zip or
/// tar archive holds.
///
/// Names have slashes between folders, wherever the files are. No name leads out of the files: one that is absolute or
/// has `..`, a backslash or a colon in it is an error, and so is a link that leads out of a folder on disk. Cloning
/// copies no file.
///
/// ```
/// # fn main() -> pretrained::Result<()> {
/// use pretrained::{Files, Limits, StateDict};
/// # let index = r#"{"weight_map": {"w": "a.safetensors"}}"#;
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("a.safetensors");
/// # let dict: StateDict = [("w", pretrained::Tensor::from_f32(&[1], &[2.0]).unwrap())].into_iter().collect();
/// # dict.save(&path, &Default::default())?;
/// # let shard = std::fs::read(&path).unwrap();
/// let files = Files::in_memory("download", [("model.safetensors.index.json", index.into()), ("a.safetensors", shard)])?;
/// let state = StateDict::from_files(&files, "model.safetensors.index.json", &Limits::default())?;
/// assert!(state.contains("w"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Files(Origin);

#[derive(Debug, Clone)]
enum Origin {
    Disk(PathBuf),
    Held(Arc<Held>),
}

/// What a name leads to.
pub(crate) enum Item {
    Folder(Directory),
    File(Found, Enclosure),
}

impl Files {
    /// The files in the folder at `path`, or those that the zip or tar archive at `path` holds. Both are read and mapped
    /// as they are asked for, so files and archives must not be written in place meanwhile.
    ///
    /// # Errors
    /// [`Error::Io`] where the system does not let it be read; as [`archive`](Self::archive) for what is no folder.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let io = |error| Error::io(path, error);
        if std::fs::metadata(path).map_err(io)?.is_dir() {
            return Ok(Self(Origin::Disk(path.to_owned())));
        }
        let file = regular_file::read(path).map_err(io)?;
        let len = file.metadata().map_err(io)?.len();
        Self::archive(path, load(file, len, len).map_err(io)?)
    }

    /// Files in memory, by their names. Errors call all of them together `path`, which need not exist.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] that names the file whose name leads out, or comes twice.
    pub fn in_memory<N: AsRef<str>, B: Into<Bytes>>(
        path: impl AsRef<Path>,
        files: impl IntoIterator<Item = (N, B)>,
    ) -> Result<Self> {
        let mut held = Held::new(path.as_ref());
        for (name, bytes) in files {
            held.insert(name.as_ref(), Member::Whole(bytes.into()))?;
        }
        Ok(Self(Origin::Held(Arc::new(held))))
    }

    /// The files in a zip or tar archive, which errors call `path`. What is stored as it is stays a slice of the archive;
    /// what a zip archive has compressed is expanded when it is read, within [`Limits::expanded_bytes`] for all of it.
    ///
    /// [`Limits::expanded_bytes`]: crate::Limits::expanded_bytes
    ///
    /// # Errors
    /// [`Error::Checkpoint`] for bytes that are no such archive or a damaged one, and for one with an entry whose name
    /// leads out or comes twice, that is a link or a device, encrypted, or compressed in another way; the error names the
    /// entry. [`Error::Limit`] for too many entries.
    pub fn archive(path: impl AsRef<Path>, bytes: impl Into<Bytes>) -> Result<Self> {
        Ok(Self(Origin::Held(Arc::new(archive::open(path.as_ref(), &bytes.into())?))))
    }

    /// What errors call all files together: the path of the folder or archive.
    pub fn path(&self) -> PathBuf {
        match &self.0 {
            Origin::Disk(path) => path.clone(),
            Origin::Held(files) => files.path_of(""),
        }
    }

    /// The names of all files, sorted, also of those in folders; without those that are no UTF-8. Links to folders are
    /// not followed.
    ///
    /// # Errors
    /// [`Error::Io`] where the system does not let a folder be listed.
    pub fn names(&self) -> Result<Vec<String>> {
        let root = match &self.0 {
            Origin::Held(files) => return Ok(files.names().map(str::to_owned).collect()),
            Origin::Disk(path) => path,
        };
        let mut names = Vec::new();
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            let path = root.join(&folder);
            let io = |error| Error::io(&path, error);
            for entry in std::fs::read_dir(&path).map_err(io)? {
                let entry = entry.map_err(io)?;
                let Ok(name) = entry.file_name().into_string() else { continue };
                let name = if folder.is_empty() { name } else { format!("{folder}/{name}") };
                if entry.file_type().map_err(io)?.is_dir() {
                    folders.push(name);
                } else if entry.path().is_file() {
                    names.push(name);
                }
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// The content of the file called `name`, which may have up to `most` bytes.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] for a name that leads out, and one that leads to no regular file; [`Error::Limit`] for a
    /// larger file; [`Error::Io`] where there is none, or the system does not let it be read.
    pub fn read(&self, name: &str, most: u64) -> Result<Bytes> {
        let path = self.path().join(name);
        let io = |error| Error::io(&path, error);
        let Item::File(found, _) = self.find(name)? else {
            return Err(Error::checkpoint(&path, "is no regular file"));
        };
        let opened = found.open().map_err(io)?;
        let len = opened.len().map_err(io)?;
        let over =
            |found| Error::Limit { path: path.clone(), what: "the file's size in bytes".into(), found, limit: most };
        if len > most {
            return Err(over(len));
        }
        let bytes = match opened {
            Opened::Disk(file) => load(file, len, most),
            Opened::Held(member) => member.bytes(),
        };
        bytes.map_err(io)
    }

    /// What is called `name`; the whole is where it is empty or `.`.
    pub(crate) fn find(&self, name: &str) -> Result<Item> {
        let directory = match &self.0 {
            Origin::Disk(path) => Directory::on_disk(path),
            Origin::Held(files) => Directory::held(files, ""),
        };
        if matches!(name, "" | ".") {
            return Ok(Item::Folder(directory));
        }
        let io = |error| Error::io(self.path().join(name), error);
        let whole = Enclosure::of_folder(&directory).map_err(io)?;
        let found = whole.named(name).map_err(|astray| match astray {
            Astray::Missing => io(std::io::ErrorKind::NotFound.into()),
            Astray::Io(error) => io(error),
            astray => {
                let reason = format!("its file `{}` {}", printable::cut(name, 120), astray.reason());
                Error::checkpoint(self.path(), reason)
            }
        })?;
        if found.is_folder() {
            return Ok(Item::Folder(found.directory()));
        }
        let enclosure = whole.of_found(name, &found).map_err(io)?;
        Ok(Item::File(found, enclosure))
    }
}

/// The content of `file`, of which up to `most` bytes are read, also where it grows meanwhile.
fn load(file: File, len: u64, most: u64) -> std::io::Result<Bytes> {
    if len >= MAPPED_FROM
        && let Some(bytes) = usize::try_from(len).ok().and_then(|len| mapping::map(&file, len))
    {
        return Ok(bytes);
    }
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes.into())
}
