//! The filters that resize, by name.

use crate::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// The filter that resizes, by Pillow's names and with Pillow's meaning: the filter widens as the image shrinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Filter {
    /// The pixel below the centre of the new one; where that is an edge between two, Pillow may take the other.
    Nearest,
    /// The mean of the pixels below the new one. One whose centre lies on the very edge may count otherwise than in
    /// Pillow: the last bit of an f64 decides.
    Box,
    /// A triangle.
    Bilinear,
    /// Catmull-Rom, a = -0.5.
    Bicubic,
    /// A sinc cut off by a sinc three times as wide.
    Lanczos3,
}

impl Filter {
    /// Every filter.
    pub const ALL: [Self; 5] = [Self::Nearest, Self::Box, Self::Bilinear, Self::Bicubic, Self::Lanczos3];

    /// The name that [`FromStr`] reads. It also reads `linear`, `cubic` and `lanczos`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nearest => "nearest",
            Self::Box => "box",
            Self::Bilinear => "bilinear",
            Self::Bicubic => "bicubic",
            Self::Lanczos3 => "lanczos3",
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Filter {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim().to_ascii_lowercase();
        let name = match text.as_str() {
            "linear" | "triangle" => "bilinear",
            "cubic" => "bicubic",
            "lanczos" | "antialias" => "lanczos3",
            other => other,
        };
        Self::ALL.into_iter().find(|filter| filter.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Error::Usage(format!("no filter is called {text:?}; there are {names}"))
        })
    }
}
