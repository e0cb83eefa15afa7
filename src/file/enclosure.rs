//! The folders that a checkpoint may lead into, and the files that are found there.
//!
//! A link that the caller named is the caller's, and is followed. What a checkpoint's content names, and what lies in a
//! folder that the caller named, may be anybody's: it stays in the folder of the named file, in that of the file which
//! the name resolves to, or in the store of Hugging Face's cache that the folder belongs to.

use super::regular_file;
use crate::printable;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

/// The folders that one checkpoint may lead into; all are free of links.
#[derive(Debug, Clone)]
pub(crate) struct Enclosure {
    /// Names are looked up in these.
    starts: Vec<PathBuf>,
    /// What is found may be a link into these: the `blobs` that the links of a snapshot in Hugging Face's cache lead to.
    stores: Vec<PathBuf>,
}

/// A file or folder within an [`Enclosure`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Found {
    /// The folder of the enclosure that it lies in.
    root: PathBuf,
    /// Where it lies, free of links.
    path: PathBuf,
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

    /// What the folder at `path` may lead into.
    pub fn of_folder(path: &Path) -> io::Result<Self> {
        Ok(Self::around(vec![path.canonicalize()?]))
    }

    fn around(starts: Vec<PathBuf>) -> Self {
        Self { stores: starts.iter().filter_map(|start| store(start)).collect(), starts }
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
        let mut found: Option<Found> = None;
        for start in &self.starts {
            let path = match start.join(name).canonicalize() {
                Ok(path) => path,
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => continue,
                Err(error) => return Err(Astray::Io(error)),
            };
            let Some(root) = self.starts.iter().chain(&self.stores).find(|root| path.starts_with(root)) else {
                return Err(Astray::Link(path));
            };
            let next = Found { root: root.clone(), path };
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

    /// Opens it, provided that it is a regular file and no link has come in between since it was found.
    pub fn open(&self) -> io::Result<File> {
        regular_file::read_beneath(&self.root, &self.path)
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
        let snapshot = Enclosure::of_folder(&hub.join("m/snapshots/a")).unwrap();
        assert_eq!(find(&snapshot, "one").unwrap(), one);
        assert_eq!(find(&snapshot, "onnx/one").unwrap(), one);
        assert!(find(&snapshot, "out").unwrap_err().contains("link out of the folder"));
        let deeper = Enclosure::of_folder(&hub.join("m/snapshots/a/onnx")).unwrap();
        assert_eq!(find(&deeper, "one").unwrap(), one);
        // A store that is itself a link is none.
        std::fs::rename(hub.join("m/blobs"), hub.join("elsewhere")).unwrap();
        symlink(hub.join("elsewhere"), hub.join("m/blobs")).unwrap();
        let snapshot = Enclosure::of_folder(&hub.join("m/snapshots/a")).unwrap();
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
