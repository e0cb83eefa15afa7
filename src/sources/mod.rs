//! Images by the million: what folders, lists, archives and streams hold, one after the other, for a [`Pipeline`].
//!
//! ```no_run
//! use pretrained::sources::{self, Options};
//! use pretrained::{Classifier, Pipeline};
//!
//! let classifier = Classifier::builder().weights("shufflenetv2_x1-5666bf0f80.pth").build()?;
//! let shards = sources::expand_braces("photos-{0000..0099}.tar");
//! let images = shards.into_iter().flat_map(|shard| sources::open(shard, &Options::default()));
//! for result in Pipeline::new(&classifier).run(images) {
//!     println!("{}: {:?}", result.source.name().display(), result.outputs?.len());
//! }
//! # use pretrained::pipeline::Source;
//! # Ok::<(), pretrained::Error>(())
//! ```
//!
//! Nothing is unpacked, and little is held: the names in the folders on the way, and the images that are under way. What
//! cannot be read is an [`Item`] too, with its reason.
//!
//! [`Pipeline`]: crate::Pipeline

mod archive;
mod braces;
mod folder;
mod identity;
mod item;
mod jpegs;
mod list;
mod names;
mod sample;
mod shard;
mod tar;
mod zip;

pub use braces::expand as expand_braces;
pub use folder::Folder;
pub use identity::Identity;
pub use item::{Item, checkpoint};
pub use list::List;
pub use names::is_picture;
pub use shard::Shard;

use crate::vision::Limits;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How sources are read.
#[derive(Clone, Default)]
pub struct Options {
    /// What an image may ask of memory; what is larger is not read from an archive or a stream.
    pub limits: Limits,
    /// Of a stream of JPEGs, every how many are taken; 0 is 1.
    pub every: u64,
    /// Who is told of what was passed over, a sentence each.
    pub remarks: Option<Remarks>,
}

/// Who is told of what was passed over.
pub type Remarks = Arc<dyn Fn(String) + Send + Sync>;

/// Images, one after the other.
pub type Items = Box<dyn Iterator<Item = Item> + Send>;

/// The images at a path: a file, a folder and those below it, or an archive (tar, tar.gz, tar.zst, zip; its content tells).
pub fn open(path: impl Into<PathBuf>, options: &Options) -> Items {
    let path = path.into();
    if path.is_dir() {
        return Box::new(Folder::new(path, options));
    }
    match archive::open(&path, options) {
        Some(items) => items,
        None => Box::new(std::iter::once(Item::file(path))),
    }
}

/// The images of a stream, such as standard input: one of any kind, JPEGs one after the other, or a tar archive. They are
/// called `name`, and JPEGs by their numbers, as in `name#12`.
pub fn stream(name: impl AsRef<Path>, reader: impl Read + Send + 'static, options: &Options) -> Items {
    jpegs::stream(name.as_ref(), Box::new(reader), options)
}

impl Options {
    fn remark(&self, text: impl FnOnce() -> String) {
        if let Some(remarks) = &self.remarks {
            remarks(text());
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limits, every, .. } = self;
        f.debug_struct("Options").field("limits", limits).field("every", every).finish_non_exhaustive()
    }
}
