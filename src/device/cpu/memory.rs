//! Numbers in memory, so that no vector of them straddles two cache lines; and all that a network does not change in one
//! place, step after step, in huge pages if the system has them: a core knows the places of only so many pages at once,
//! and does not fetch ahead from one that it does not know.
#![allow(unsafe_code)] // Keeps pointers to what it owns, for kernels go by pointers; cites `places.rs`.

use crate::error::{Error, Result};
use bytemuck::{Pod, Zeroable};
use memmap2::MmapMut;
use std::sync::Arc;

/// Bytes from which numbers are gathered: less than a huge page gains nothing.
#[cfg(target_os = "linux")]
const LARGE: usize = 2 << 20;

/// Bytes from which numbers have pages of their own until they are gathered, which the system has back at once then; an
/// allocator may keep what it is given back, and there would be two of all for a while.
const PAGES: usize = 64 << 10;

/// A cache line.
#[derive(Debug, Clone, Copy, Zeroable, Pod)]
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
    Many(#[allow(dead_code, reason = "keeps what `first` points to")] Arc<MmapMut>),
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

    /// Moves all of them to one place, in this order, where they are many and the system has huge pages.
    pub fn gather(mut all: Vec<&mut Self>) {
        let lines = |numbers: &Self| numbers.count.div_ceil(16);
        let total: usize = all.iter().map(|numbers| lines(numbers)).sum();
        let Some(mut memory) = huge_pages(total * size_of::<Line>()) else { return };
        let place: &mut [Line] = bytemuck::cast_slice_mut(&mut memory);
        let mut end = 0;
        for numbers in &mut all {
            let own: &[Line] = match &numbers.owner {
                Owner::One(own) => own,
                Owner::Pages(own) => bytemuck::cast_slice(own),
                Owner::Many(_) => &[],
            };
            place[end..end + own.len()].copy_from_slice(own);
            // One after the other, so that there are never two of all.
            numbers.owner = Owner::One(Vec::new());
            end += lines(numbers);
        }
        let memory = Arc::new(memory);
        let mut place: &[Line] = bytemuck::cast_slice(&memory);
        for numbers in all {
            numbers.first = place.as_ptr().cast();
            place = &place[lines(numbers)..];
            numbers.owner = Owner::Many(memory.clone());
        }
    }
}

#[cfg(target_os = "linux")]
fn huge_pages(bytes: usize) -> Option<MmapMut> {
    if bytes < LARGE {
        return None;
    }
    let pages = MmapMut::map_anon(bytes.next_multiple_of(LARGE)).ok()?;
    pages.advise(memmap2::Advice::HugePage).ok()?;
    Some(pages)
}

#[cfg(not(target_os = "linux"))]
fn huge_pages(_bytes: usize) -> Option<MmapMut> {
    None
}
