//! Which names are those of pictures, and many names in little memory.

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// Extensions of pictures beyond those that the decoder lists: other names of the kinds that are read, and kinds that are
/// not read, for which each picture gets an error of its own rather than none.
const MORE_EXTENSIONS: [&str; 29] = [
    "jpe", "jif", "jfif", "jfi", "pjpeg", "pjp", "mpo", "jps", "dib", "cur", "apng", "btf", "tf8", "heic", "heics",
    "heif", "heifs", "hif", "avif", "avifs", "avci", "jxl", "jp2", "j2k", "jpf", "jpx", "jpm", "jpc", "j2c",
];

/// Whether a path has an extension of pictures. What macOS keeps in `._NAME` beside a file is none.
pub fn is_picture(path: impl AsRef<Path>) -> bool {
    let path = path.as_ref();
    let known = |extension: &str| {
        image::ImageFormat::from_extension(extension).is_some()
            || MORE_EXTENSIONS.contains(&extension.to_ascii_lowercase().as_str())
    };
    !is_apple_double(path) && path.extension().and_then(|extension| extension.to_str()).is_some_and(known)
}

pub(super) fn is_apple_double(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"._"))
}

/// Names, each with a mark, in a fraction of the memory that strings of their own take.
#[derive(Debug)]
pub(super) struct Names<M> {
    bytes: Vec<u8>,
    /// Where each begins and ends.
    places: Vec<(usize, u32, M)>,
}

impl<M: Copy> Names<M> {
    pub fn new() -> Self {
        Self { bytes: Vec::new(), places: Vec::new() }
    }

    pub fn push(&mut self, name: &OsStr, mark: M) {
        let bytes = name.as_encoded_bytes();
        self.places.push((self.bytes.len(), bytes.len() as u32, mark));
        self.bytes.extend_from_slice(bytes);
    }

    /// Brings them in order, the first to the end.
    pub fn sort_for_pop(&mut self) {
        let bytes = &self.bytes;
        let name = |place: &(usize, u32, M)| &bytes[place.0..][..place.1 as usize];
        self.places.sort_unstable_by(|a, b| name(b).cmp(name(a)));
        self.places.shrink_to_fit();
        self.bytes.shrink_to_fit();
    }

    /// Takes the last.
    pub fn pop(&mut self) -> Option<(OsString, M)> {
        let (start, length, mark) = self.places.pop()?;
        Some((own(&self.bytes[start..][..length as usize]), mark))
    }
}

/// The name whose encoded bytes these are.
#[cfg(unix)]
fn own(bytes: &[u8]) -> OsString {
    use std::os::unix::ffi::OsStringExt;
    OsString::from_vec(bytes.to_vec())
}

/// The name whose encoded bytes these are.
#[cfg(not(unix))]
#[allow(unsafe_code, reason = "std has no other way back")]
fn own(bytes: &[u8]) -> OsString {
    // SAFETY: `push` took them as a whole from `as_encoded_bytes`, in this process.
    unsafe { OsString::from_encoded_bytes_unchecked(bytes.to_vec()) }
}
