//! The folders that a checkpoint may lead into, and the files that are found there.
//!
//! A link that the caller named is the caller's, and is followed. What a checkpoint's content names, and what lies in a
//! folder that the caller named, may be anybody's: it stays in the folder of the named file, in that of the file which
//! the name resolves to, or in the store of Hugging Face's cache that the folder belongs to.

use super::directory::Directory;
use super::held::{Held, Member, held_name};
use super::regular_file;
use crate::printable;
use std::cell::Cell;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

/// The folders that one checkpoint may lead into.
#[derive(Debug, Clone)]
pub(crate) struct Enclosure(Around);

#[derive(Debug, Clone)]
enum Around {
    /// Folders on disk; all are free of links.
    Disk {
        /// Names are looked up in these.
        starts: Vec<PathBuf>,
        /// What is found may be a link into these: the `blobs` that the links of a snapshot in Hugging Face's cache
        /// lead to.
        stores: Vec<PathBuf>,
    },
    /// A folder among files in memory, where there are no links.
    Held {
        files: Arc<Held>,
        folder: String,
        /// Bytes that compressed files took so far, which all who share the enclosure count together.
        expanded: Rc<Cell<u64>>,
    },
}

/// A file or folder within an [`Enclosure`].
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// Where it lies, on disk free of links.
    path: PathBuf,
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    /// On disk, in this folder of the enclosure.
    Beneath(PathBuf),
    /// In memory, under this name.
    Held(Arc<Held>, String),
}

/// A file that can be read.
pub(crate) enum Opened {
    Disk(File),
    Held(Member),
}

/// Why a name leads to no file within an [`Enclosure`].
#[derive(Debug)]
pub(crate) enum Astray {
    /// The name itself leads out: it is absolute or has `..` in it.
    Outside,
    /// A link leads out, to this place.
    Link(PathBuf),
    /// Beside the named link and beside the file that it leads to there are two different files of this name.
    Twice,
    Missing,
    Io(io::Error),
}

impl Enclosure {
    /// What the file at `path` may lead into.
    pub fn of_file(path: &Path) -> io::Result<Self> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut starts = vec![parent.canonicalize()?];
        let resolved = path.canonicalize()?.parent().map(Path::to_owned);
        starts.extend(resolved.filter(|resolved| *resolved != starts[0]));
        Ok(Self::around(starts))
    }

    /// What `folder` may lead into.
    pub fn of_folder(folder: &Directory) -> io::Result<Self> {
        match folder.in_memory() {
            Some((files, name)) => Ok(Self::held(files, name)),
            None => Ok(Self::around(vec![folder.path().canonicalize()?])),
        }
    }

    /// What the file that was `found` under `name` may lead into: the folder of its name, and that of what it is.
    pub fn of_found(&self, name: &str, found: &Found) -> io::Result<Self> {
        let above = Path::new(name).parent().unwrap_or(Path::new(""));
        match (&self.0, &found.place) {
            (Around::Held { .. }, Place::Held(files, name)) => {
                Ok(Self::held(files, name.rsplit_once('/').map_or("", |(folder, _)| folder)))
            }
            (Around::Disk { starts, .. }, _) => {
                let mut own: Vec<PathBuf> = Vec::new();
                for start in starts {
                    // The name was found, so its folder is no link that leads out.
                    own.extend(start.join(above).canonicalize().ok().filter(|folder| self.is_within(folder)));
                }
                own.extend(found.path.parent().map(Path::to_owned));
                own.dedup();
                Ok(Self::around(own))
            }
            _ => Err(ErrorKind::NotFound.into()),
        }
    }

    /// What the folder called `name` among `files` may lead into.
    pub(super) fn held(files: &Arc<Held>, name: &str) -> Self {
        Self(Around::Held { files: files.clone(), folder: name.to_owned(), expanded: Rc::default() })
    }

    fn around(starts: Vec<PathBuf>) -> Self {
        Self(Around::Disk { stores: starts.iter().filter_map(|start| store(start)).collect(), starts })
    }

    fn is_within(&self, path: &Path) -> bool {
        match &self.0 {
            Around::Disk { starts, stores } => starts.iter().chain(stores).any(|root| path.starts_with(root)),
            Around::Held { .. } => false,
        }
    }

    /// Counts `bytes` that a compressed file is going to take, unless all would then take more than `most`: the error
    /// says how many.
    pub fn expand(&self, bytes: u64, most: u64) -> Result<(), u64> {
        let Around::Held { expanded, .. } = &self.0 else { return Ok(()) };
        let total = expanded.get().saturating_add(bytes);
        if total > most {
            return Err(total);
        }
        expanded.set(total);
        Ok(())
    }

    /// What `name`, which the checkpoint's content gives, leads to.
    pub fn named(&self, name: &str) -> Result<Found, Astray> {
        let path = Path::new(name);
        let inside = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        // Backslash and colon lead out on Windows, and files come from there and go there.
        if path.file_name().is_none() || !inside || name.contains(['\\', ':', '\0']) {
            return Err(Astray::Outside);
        }
        self.find(path)
    }

    /// What the entry `name` of the folder leads to.
    pub fn entry(&self, name: &OsStr) -> Result<Found, Astray> {
        self.find(Path::new(name))
    }

    fn find(&self, name: &Path) -> Result<Found, Astray> {
        let (starts, stores) = match &self.0 {
            Around::Disk { starts, stores } => (starts, stores),
            Around::Held { files, folder, .. } => {
                let place = Place::held(files, folder, name).ok_or(Astray::Missing)?;
                return Ok(Found { path: place.1, place: place.0 });
            }
        };
        let mut found: Option<Found> = None;
        for start in starts {
            let path = match start.join(name).canonicalize() {
                Ok(path) => path,
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => continue,
                Err(error) => return Err(Astray::Io(error)),
            };
            let Some(root) = starts.iter().chain(stores).find(|root| path.starts_with(root)) else {
                return Err(Astray::Link(path));
            };
            let next = Found { path, place: Place::Beneath(root.clone()) };
            match &found {
                Some(found) if found.path != next.path => return Err(Astray::Twice),
                Some(_) => {}
                None => found = Some(next),
            }
        }
        found.ok_or(Astray::Missing)
    }
}

/// The `blobs` of Hugging Face's cache, where `folder` lies in its `snapshots`.
fn store(folder: &Path) -> Option<PathBuf> {
    let snapshots = folder.ancestors().skip(1).find(|folder| folder.ends_with("snapshots"))?;
    let blobs = snapshots.parent()?.join("blobs");
    // A link in the place of the store would lead out again.
    std::fs::symlink_metadata(&blobs).ok()?.is_dir().then_some(blobs)
}

impl Found {
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is a regular file. Asked before opening: opening some devices is an order to them.
    pub fn is_file(&self) -> io::Result<bool> {
        match &self.place {
            Place::Beneath(_) => Ok(std::fs::symlink_metadata(&self.path)?.is_file()),
            Place::Held(files, name) => Ok(files.get(name).is_some()),
        }
    }

    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        match &self.place {
            Place::Beneath(_) => self.path.is_dir(),
            Place::Held(files, name) => files.is_folder(name),
        }
    }

    /// The folder that it is, if it is one.
    pub fn directory(&self) -> Directory {
        match &self.place {
            Place::Beneath(_) => Directory::on_disk(&self.path),
            Place::Held(files, name) => Directory::held(files, name),
        }
    }

    /// Opens it, provided that it is a regular file and no link has come in between since it was found.
    pub fn open(&self) -> io::Result<Opened> {
        match &self.place {
            Place::Beneath(root) => regular_file::read_beneath(root, &self.path).map(Opened::Disk),
            Place::Held(files, name) => files.get(name).cloned().map(Opened::Held).ok_or(ErrorKind::NotFound.into()),
        }
    }
}

impl Place {
    /// The place of `name` in `folder`, and what errors call it.
    fn held(files: &Arc<Held>, folder: &str, name: &Path) -> Option<(Self, PathBuf)> {
        let name = held_name(folder, name)?;
        let there = files.is_folder(&name) || files.get(&name).is_some();
        there.then(|| (Self::Held(files.clone(), name.clone()), files.path_of(&name)))
    }
}

impl Opened {
    /// The file's size in bytes.
    pub fn len(&self) -> io::Result<u64> {
        match self {
            Self::Disk(file) => Ok(file.metadata()?.len()),
            Self::Held(member) => Ok(member.len()),
        }
    }

    /// Its first bytes, up to `most`. What is read of a file on disk after that comes after them.
    pub fn head(&mut self, most: usize) -> io::Result<Vec<u8>> {
        match self {
            Self::Disk(file) => {
                let mut head = Vec::with_capacity(most);
                file.by_ref().take(most as u64).read_to_end(&mut head)?;
                Ok(head)
            }
            Self::Held(member) => member.head(most),
        }
    }
}

impl Astray {
    /// What is wrong with `name`, to follow its mention.
    pub fn reason(self) -> String {
        match self {
            Self::Outside => "is refused: it must lie in the same folder".into(),
            Self::Link(to) => format!(
                "is refused: it is a link out of the folder, to {}; put the file itself there, or give it by its own path",
                printable::path(&to)
            ),
            Self::Twice => "is refused: the file that was given is a link, and two different files of this name lie \
                            beside the link and beside what it leads to; give the path that it leads to"
                .into(),
            Self::Missing => "is missing; get every file that belongs together".into(),
            Self::Io(error) => format!("cannot be read: {error}"),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::fs::{create_dir_all, write};
    use std::os::unix::fs::symlink;

    fn find(enclosure: &Enclosure, name: &str) -> Result<PathBuf, String> {
        enclosure.named(name).map(|found| found.path).map_err(Astray::reason)
    }

    #[test]
    fn snapshots_lead_to_their_blobs_and_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let hub = folder.path().canonicalize().unwrap();
        create_dir_all(hub.join("m/blobs")).unwrap();
        create_dir_all(hub.join("m/snapshots/a/onnx")).unwrap();
        write(hub.join("m/blobs/1"), "1").unwrap();
        write(hub.join("secret"), "s").unwrap();
        symlink("../../blobs/1", hub.join("m/snapshots/a/one")).unwrap();
        symlink("../../../blobs/1", hub.join("m/snapshots/a/onnx/one")).unwrap();
        symlink("../../../secret", hub.join("m/snapshots/a/out")).unwrap();
        let one = hub.join("m/blobs/1");
        let snapshot = Enclosure::of_folder(&Directory::on_disk(&hub.join("m/snapshots/a"))).unwrap();
        assert_eq!(find(&snapshot, "one").unwrap(), one);
        assert_eq!(find(&snapshot, "onnx/one").unwrap(), one);
        assert!(find(&snapshot, "out").unwrap_err().contains("link out of the folder"));
        let deeper = Enclosure::of_folder(&Directory::on_disk(&hub.join("m/snapshots/a/onnx"))).unwrap();
        assert_eq!(find(&deeper, "one").unwrap(), one);
        // A store that is itself a link is none.
        std::fs::rename(hub.join("m/blobs"), hub.join("elsewhere")).unwrap();
        symlink(hub.join("elsewhere"), hub.join("m/blobs")).unwrap();
        let snapshot = Enclosure::of_folder(&Directory::on_disk(&hub.join("m/snapshots/a"))).unwrap();
        assert!(find(&snapshot, "one").unwrap_err().contains("link out of the folder"));
    }

    #[test]
    fn a_named_link_leads_into_its_own_folder_and_that_of_its_target() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for name in ["here", "there"] {
            create_dir_all(root.join(name)).unwrap();
            write(root.join(name).join("both"), name).unwrap();
        }
        write(root.join("there/model"), "m").unwrap();
        write(root.join("there/data"), "d").unwrap();
        write(root.join("here/near"), "n").unwrap();
        symlink("../there/model", root.join("here/link")).unwrap();
        symlink("../there/both", root.join("here/same")).unwrap();
        let enclosure = Enclosure::of_file(&root.join("here/link")).unwrap();
        assert_eq!(find(&enclosure, "near").unwrap(), root.join("here/near"));
        assert_eq!(find(&enclosure, "./data").unwrap(), root.join("there/data"));
        assert_eq!(find(&enclosure, "same").unwrap(), root.join("there/both"));
        assert!(find(&enclosure, "both").unwrap_err().contains("two different files"));
        assert!(find(&enclosure, "gone").unwrap_err().contains("missing"));
        for name in ["", ".", "..", "../there/data", "/etc/passwd", "a\\b", "c:x", "near/../near"] {
            assert!(find(&enclosure, name).unwrap_err().contains("must lie in the same folder"), "{name}");
        }
    }
}
