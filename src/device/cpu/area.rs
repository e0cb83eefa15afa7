//! Memory that runs write: what their tasks work on, their batches and their results.
#![allow(unsafe_code)] // Hands memory to several threads, which write different parts of it.

use super::line::{Line, lines};
use crate::error::Result;

/// Zeros at first, at a place that does not move; the system gives their memory when they are written.
pub(super) struct Area {
    pub first: *mut f32,
    pub count: usize,
    _lines: Vec<Line>,
}

// SAFETY: 5 of `places.rs`, for it owns what it points to; whoever goes by the pointer cites 3.
unsafe impl Send for Area {}
// SAFETY: 5, and 3 wherever the pointer is used.
unsafe impl Sync for Area {}

impl Area {
    pub fn new(count: usize) -> Result<Self> {
        let mut lines = lines(count)?;
        Ok(Self { first: lines.as_mut_ptr().cast(), count: lines.len() * 16, _lines: lines })
    }
}

/// What the tasks of a run work on. The run owns it too, so that it stays until no thread uses it.
pub(super) struct Memory {
    pub buffers: Vec<Area>,
    /// One for each thread.
    pub scratch: Vec<Area>,
}
