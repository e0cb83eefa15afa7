//! How large pictures may be, one by one and all those together that are decoded at the same time.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::refusal::Refusal;

/// How large an image may be. What is larger is an [`Error::Limit`](crate::Error::Limit), before any memory is taken for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the file. Default: 256 MiB.
    pub file_bytes: u64,
    /// Width in pixels. Default: 65,535, the most that a JPEG can be.
    pub width: u32,
    /// Height in pixels. Default: 65,535.
    pub height: u32,
    /// Width times height. Default: 100 million.
    pub pixels: u64,
    /// Bytes of the decoded pixels in the file's own depth, before they become 8-bit RGB. Default: 512 MiB.
    ///
    /// A decoder may take several times this much while it works; a lossless JPEG takes seven times.
    pub decoded_bytes: u64,
    /// Bytes that all decoders of the process may take together. Default: 1 GiB.
    ///
    /// A decoder that would go over it waits until others are done, in the order in which they came. It is no limit for
    /// a single picture: what takes more than this alone is decoded while no other is.
    pub bytes_at_once: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes: 256 << 20,
            width: 65_535,
            height: 65_535,
            pixels: 100_000_000,
            decoded_bytes: 512 << 20,
            bytes_at_once: 1 << 30,
        }
    }
}

/// What a picture takes while it is decoded.
pub(super) struct Size {
    pub width: u32,
    pub height: u32,
    /// The pixels in the file's own depth.
    pub decoded_bytes: u64,
    /// What the decoder keeps beside them and beside the finished RGB.
    pub working_bytes: u64,
}

/// One picture's way past the limits, and its share of the memory of all decoders.
pub(super) struct Admission<'a> {
    limits: &'a Limits,
    share: Option<Share>,
}

impl<'a> Admission<'a> {
    pub fn new(limits: &'a Limits) -> Self {
        Self { limits, share: None }
    }

    pub fn limits(&self) -> &'a Limits {
        self.limits
    }

    /// Checks a picture's size, then waits until there is memory for it. A picture inside the picture is only checked:
    /// the share was taken with the outer one, and a decoder that waits must hold nothing.
    pub fn admit(&mut self, size: &Size) -> Result<(), Refusal> {
        let limits = self.limits;
        let pixels = u64::from(size.width) * u64::from(size.height);
        check("the image's width in pixels", size.width.into(), limits.width.into())?;
        check("the image's height in pixels", size.height.into(), limits.height.into())?;
        check("the image's number of pixels", pixels, limits.pixels)?;
        check("the decoded image in bytes", size.decoded_bytes, limits.decoded_bytes)?;
        if self.share.is_none() {
            // Turning a picture upright takes its RGB a second time, when the decoder's own memory is free again.
            let rgb = pixels.saturating_mul(3);
            let peak = size.decoded_bytes.saturating_add(size.working_bytes).max(rgb).saturating_add(rgb);
            self.share = Some(MEMORY.take(peak, limits.bytes_at_once));
        }
        Ok(())
    }
}

pub(super) fn check(what: &str, found: u64, limit: u64) -> Result<(), Refusal> {
    if found <= limit { Ok(()) } else { Err(Refusal::Limit { what: what.to_owned(), found, limit }) }
}

/// The memory of all decoders of the process.
static MEMORY: Memory = Memory::new();

struct Memory {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    taken: u64,
    /// Numbers are drawn as in a shop, so that a large picture is not overtaken for ever by small ones.
    next_number: u64,
    now_serving: u64,
}

impl Memory {
    const fn new() -> Self {
        Self { state: Mutex::new(State { taken: 0, next_number: 0, now_serving: 0 }), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `bytes` more keep the sum within `most`, or until nobody else has any.
    fn take(&'static self, bytes: u64, most: u64) -> Share {
        let mut state = self.lock();
        let number = state.next_number;
        state.next_number += 1;
        let waits = |state: &mut State| {
            let fits = state.taken == 0 || state.taken.saturating_add(bytes) <= most;
            state.now_serving != number || !fits
        };
        state = self.changed.wait_while(state, waits).unwrap_or_else(PoisonError::into_inner);
        state.now_serving += 1;
        state.taken = state.taken.saturating_add(bytes);
        let share = Share { memory: self, bytes };
        drop(state);
        self.changed.notify_all();
        share
    }
}

/// Bytes that are given back when it is dropped.
struct Share {
    memory: &'static Memory,
    bytes: u64,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut state = self.memory.lock();
        state.taken = state.taken.saturating_sub(self.bytes);
        drop(state);
        self.memory.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;

    /// Forty pictures of 8 threads, some larger than the budget: all go, and those that share it keep to it.
    #[test]
    fn decoders_share_one_budget() {
        static SHARED: Memory = Memory::new();
        static USED: AtomicU64 = AtomicU64::new(0);
        let worker = |seed: u64| {
            for step in 0..40 {
                let bytes = [10, 35, 60, 250][(seed * 7 + step * 3) as usize % 4];
                let share = SHARED.take(bytes, 100);
                let together = USED.fetch_add(bytes, Ordering::SeqCst) + bytes;
                assert!(together <= 100 || together == bytes, "{together} bytes at once");
                thread::yield_now();
                USED.fetch_sub(bytes, Ordering::SeqCst);
                drop(share);
            }
        };
        thread::scope(|scope| (0..8).for_each(|seed| drop(scope.spawn(move || worker(seed)))));
        assert_eq!(SHARED.lock().taken, 0);
    }

    #[test]
    fn a_large_picture_is_not_overtaken() {
        static SHARED: Memory = Memory::new();
        static ORDER: Mutex<Vec<u64>> = Mutex::new(Vec::new());
        let first = SHARED.take(90, 100);
        thread::scope(|scope| {
            // Both of them at once would not fit, so that one is through before the other begins.
            for (number, bytes) in [(1, 96), (2, 5)] {
                scope.spawn(move || {
                    let share = SHARED.take(bytes, 100);
                    ORDER.lock().unwrap().push(bytes);
                    drop(share);
                });
                while SHARED.lock().next_number <= number {
                    thread::yield_now();
                }
            }
            assert!(ORDER.lock().unwrap().is_empty(), "5 would fit, and waits behind 96");
            drop(first);
        });
        assert_eq!(*ORDER.lock().unwrap(), [96, 5]);
    }
}
