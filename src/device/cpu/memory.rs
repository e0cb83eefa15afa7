//! Numbers in memory, so that no vector of them straddles two cache lines.
#![allow(unsafe_code)] // Keeps pointers to what it owns, for kernels go by pointers; cites `places.rs`.

use super::gathered::Gathered;
use super::line::{Line, lines};
use crate::error::Result;
use memmap2::MmapMut;
use std::ops::Range;
use std::sync::Arc;

/// Bytes from which numbers have pages of their own until they are gathered, which the system has back at once then; an
/// allocator may keep what it is given back, and there would be two of all for a while.
const PAGES: usize = 64 << 10;

/// Numbers that do not change.
#[derive(Debug)]
pub(super) struct Numbers {
    first: *const f32,
    count: usize,
    owner: Owner,
}

#[derive(Debug)]
enum Owner {
    One(Vec<Line>),
    Pages(MmapMut),
    /// A place among others.
    Gathered(Arc<Gathered>, Range<usize>),
}

// SAFETY: 5 of `places.rs`, for it owns what it points to, alone or with others; nobody writes there.
unsafe impl Send for Numbers {}
// SAFETY: 5, and nobody writes there.
unsafe impl Sync for Numbers {}

impl Numbers {
    /// Those of `values`.
    ///
    /// # Errors
    /// As [`lines`].
    pub fn new(values: &[f32]) -> Result<Self> {
        if size_of_val(values) >= PAGES
            && let Ok(mut pages) = MmapMut::map_anon(values.len().div_ceil(16) * size_of::<Line>())
        {
            bytemuck::cast_slice_mut(&mut pages)[..values.len()].copy_from_slice(values);
            return Ok(Self { first: pages.as_ptr().cast(), count: values.len(), owner: Owner::Pages(pages) });
        }
        let mut lines = lines(values.len())?;
        bytemuck::cast_slice_mut(&mut lines)[..values.len()].copy_from_slice(values);
        Ok(Self { first: lines.as_ptr().cast(), count: values.len(), owner: Owner::One(lines) })
    }

    pub fn as_ptr(&self) -> *const f32 {
        self.first
    }

    pub fn len(&self) -> usize {
        self.count
    }

    /// All of them, and what fills up the last line.
    pub fn lines(&self) -> &[Line] {
        match &self.owner {
            Owner::One(own) => own,
            Owner::Pages(own) => bytemuck::cast_slice(own),
            Owner::Gathered(all, place) => all.lines(place),
        }
    }

    pub fn is_gathered(&self) -> bool {
        matches!(self.owner, Owner::Gathered(..))
    }

    /// Lets go of its memory, before it [lies](Self::lie_in) elsewhere.
    pub fn forget(&mut self) {
        (self.owner, self.first) = (Owner::One(Vec::new()), std::ptr::null());
    }

    /// Has the same numbers elsewhere from here on.
    pub fn lie_in(&mut self, all: &Arc<Gathered>, place: Range<usize>) {
        self.first = all.lines(&place).as_ptr().cast();
        self.owner = Owner::Gathered(all.clone(), place);
    }
}
