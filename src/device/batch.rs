//! A batch as it comes to a device: numbers, or levels that the device normalises.

use crate::error::{Error, Result};
use std::borrow::Cow;

/// Images one after the other, channels first.
#[derive(Debug, Clone)]
pub(crate) enum Batch<'b> {
    /// As the network takes them.
    Numbers(Cow<'b, [f32]>),
    /// Before they are normalised.
    Levels(Cow<'b, [u8]>),
}

impl<'b> From<&'b [f32]> for Batch<'b> {
    fn from(numbers: &'b [f32]) -> Self {
        Self::Numbers(numbers.into())
    }
}

impl<'b> From<&'b [u8]> for Batch<'b> {
    fn from(levels: &'b [u8]) -> Self {
        Self::Levels(levels.into())
    }
}

impl Batch<'_> {
    /// Numbers or levels.
    pub fn len(&self) -> usize {
        match self {
            Self::Numbers(numbers) => numbers.len(),
            Self::Levels(levels) => levels.len(),
        }
    }

    /// What errors call its elements.
    pub fn unit(&self) -> &'static str {
        match self {
            Self::Numbers(_) => "numbers",
            Self::Levels(_) => "levels",
        }
    }

    /// The numbers, for a device that takes nothing else.
    pub fn numbers(&self) -> Result<&[f32]> {
        match self {
            Self::Numbers(numbers) => Ok(numbers),
            Self::Levels(_) => {
                Err(Error::device("levels came to a device that takes numbers; this is a bug in pretrained"))
            }
        }
    }
}
