//! How exactly a file is decoded.

use crate::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// How a file is decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Decoding {
    /// As the format has it; of a JPEG, what libjpeg makes of it.
    #[default]
    Exact,
    /// A JPEG at a half, a quarter or an eighth of its size, from its low frequencies alone: the smallest that is at least
    /// twice as large as what the image is resized to. Large photos take a fraction of the time, and outputs change a little.
    Fast,
}

impl Decoding {
    /// The name that [`FromStr`] reads.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Fast => "fast",
        }
    }
}

impl fmt::Display for Decoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Decoding {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let all = [Self::Exact, Self::Fast];
        all.into_iter()
            .find(|decoding| decoding.name() == text.trim().to_ascii_lowercase())
            .ok_or_else(|| Error::Usage(format!("no decoding is called {text:?}; there are exact and fast")))
    }
}
