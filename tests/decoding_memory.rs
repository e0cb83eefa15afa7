//! Measures what decoders take together: one budget for all of them, whatever the number of threads.

#![expect(unsafe_code, reason = "an allocator is a trait of unsafe functions")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use pretrained::vision::{Limits, Preset, prepare};

/// The system's allocator, which counts.
struct Counting;

static USED: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        MOST.fetch_max(USED.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn small_files_of_large_pictures_share_a_budget() {
    const SIDE: usize = 800;
    // One bit a pixel, which becomes 24.
    let file = [format!("P4\n{SIDE} {SIDE}\n").as_bytes(), &vec![0x55; SIDE / 8 * SIDE]].concat();
    let picture = SIDE * SIDE * 3;
    let preprocess = Preset::Torchvision.preprocess();
    let most_of = |budget: usize| {
        let limits = Limits { bytes_at_once: budget as u64, ..Limits::default() };
        let before = USED.load(Relaxed);
        MOST.store(before, Relaxed);
        let ready = Barrier::new(8);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    ready.wait();
                    prepare("bits.pbm", &file, &limits, &preprocess).unwrap();
                });
            }
        });
        MOST.load(Relaxed) - before
    };
    // What a picture takes beside its pixels: its planes, tables, and the rows that are being resized.
    let beside = 2 << 20;
    let at_most = 4 * picture + beside;
    // How many threads run side by side is the system's to say.
    let all = (0..100).map(|_| most_of(usize::MAX)).find(|all| *all > at_most);
    assert!(all.is_some(), "eight pictures of {picture} bytes never take {at_most}: the budget changes nothing");
    // Two pictures at once, each as RGB and as it is turned.
    let two = most_of(4 * picture + 1);
    assert!(two <= at_most, "{two} bytes for two pictures of {picture} at once");
    // One that is over the budget goes, alone.
    let alone = most_of(1);
    assert!(alone <= 2 * picture + beside, "{alone} bytes for one picture of {picture} at once");
}
