//! A share of the images, for one of several machines.

use crate::error::{Error, Result};
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// One of so many shares, read from `i/n` with `i` from 0 to `n - 1`. Which share an image belongs to follows from its name
/// alone, on every machine and for ever: the first eight bytes of the SHA-256 of its bytes in UTF-8, as a number whose first
/// byte is the highest, modulo `n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u64,
    count: u64,
}

impl Shard {
    /// Share `index` of `count`.
    ///
    /// # Errors
    /// [`Error::Usage`] where there is no such share.
    pub fn new(index: u64, count: u64) -> Result<Self> {
        if index < count {
            return Ok(Self { index, count });
        }
        Err(Error::Usage(format!(
            "{index}/{count} is no share; the shares of {count} are 0/{count} and those after it"
        )))
    }

    /// Whether the image of that name belongs to it.
    pub fn has(&self, name: &Path) -> bool {
        // Windows writes the same names with other separators.
        let name = name.to_string_lossy();
        let name = if cfg!(windows) { name.replace('\\', "/") } else { name.into_owned() };
        let hash = Sha256::digest(name.as_bytes());
        let first = hash.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        first % self.count == self.index
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let numbers = text.split_once('/').and_then(|(i, n)| Some((i.trim().parse().ok()?, n.trim().parse().ok()?)));
        let (index, count) = numbers.ok_or_else(|| Error::Usage(format!("{text:?} is no share; give one as 0/4")))?;
        Self::new(index, count)
    }
}
