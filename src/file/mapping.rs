//! A file mapped into memory, so that opening a checkpoint copies none of it.

use bytes::Bytes;
use memmap2::MmapOptions;
use std::fs::File;

/// The first `len` bytes of `file`, which has as many; `None` where the system cannot map it.
#[allow(unsafe_code)]
pub(crate) fn map(file: &File, len: usize) -> Option<Bytes> {
    // SAFETY: memmap2 unmaps nothing while `Bytes` or a slice of it lives, and the map is never written to. What Rust
    // cannot rule out is that somebody else writes to the file or cuts it off meanwhile. No system can forbid that, every
    // framework's own map has the same hole, and nothing in this process makes it: files are replaced by renaming, never
    // written in place. `Limits::map_from_bytes` says so to callers, and is their way to read instead.
    let map = unsafe { MmapOptions::new().len(len).map(file) }.ok()?;
    Some(Bytes::from_owner(map))
}
