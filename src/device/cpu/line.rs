//! A cache line of numbers, and so many of them.

use crate::error::{Error, Result};
use bytemuck::{Pod, Zeroable};

/// A cache line.
#[derive(Debug, Clone, Copy, PartialEq, Zeroable, Pod)]
#[repr(C, align(64))]
pub(super) struct Line(pub [f32; 16]);

/// Zeros, so many or a few more, which take memory once they are written.
///
/// # Errors
/// [`Error::Device`] where the system has not so much.
pub(super) fn lines(numbers: usize) -> Result<Vec<Line>> {
    bytemuck::allocation::try_zeroed_vec(numbers.div_ceil(16))
        .map_err(|()| Error::out_of_memory(format!("cpu: the system has no memory for {numbers} numbers")))
}
