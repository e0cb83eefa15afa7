//! Why a picture is not decoded, in words; the path is put before them where it is known.

use std::path::Path;

use crate::Error;

/// Why a decoder stops.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The words of an [`Error::Image`].
    Image(String),
    /// What an [`Error::Limit`] says.
    Limit { what: String, found: u64, limit: u64 },
}

impl Refusal {
    /// The file is sound as far as it was looked at, and of a kind that is not read. `what` completes "this is ...".
    pub fn unread(what: impl AsRef<str>) -> Self {
        Self::Image(format!("this is {}, which is not read; convert it to PNG or JPEG", what.as_ref()))
    }

    /// The file contradicts itself or its format.
    pub fn damaged(format: &str, why: impl AsRef<str>) -> Self {
        Self::Image(format!("damaged {format}: {}", why.as_ref()))
    }

    /// The file ends before the picture does.
    pub fn truncated(format: &str, why: impl AsRef<str>) -> Self {
        Self::Image(format!("the {format} is truncated: {}", why.as_ref()))
    }

    pub fn into_error(self, path: &Path) -> Error {
        match self {
            Self::Image(text) => Error::image(path, text),
            Self::Limit { what, found, limit } => Error::Limit { path: path.to_owned(), what, found, limit },
        }
    }
}
