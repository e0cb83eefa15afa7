//! How wide numbers are in a device's memory.

use crate::error::Error;
use std::fmt;
use std::str::FromStr;

/// How weights, and values between steps, are stored. Sums are always made in `f32`, and so are inputs and outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Precision {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits, of which 11 count: half the memory and half the traffic, for results that are off by about a thousandth of
    /// the largest. Values beyond 65504 become infinite. The `cpu` device has no such thing.
    F16,
}

impl FromStr for Precision {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "f32" => Ok(Self::F32),
            "f16" => Ok(Self::F16),
            _ => Err(Error::Usage(format!("{text:?} is no precision; f32 and f16 are"))),
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
        })
    }
}

impl Precision {
    /// Bytes of a number.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }
}
