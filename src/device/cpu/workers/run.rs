//! One run: what is left to do of each phase, and who waits for it.

use super::spin::{lock, spin_while};
use crate::device::wake::wake;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::sync::{Condvar, Mutex, PoisonError};
use std::task::Waker;

/// One unit of work: its phase, its place there, and a number below the count of threads that no other thread of the
/// same run has.
#[derive(Debug, Clone, Copy)]
pub(in crate::device::cpu) struct Unit {
    pub phase: usize,
    pub index: usize,
    pub thread: usize,
}

pub(super) type Work = dyn Fn(Unit) + Send + Sync;

/// One run: what is left to do of each phase.
pub(super) struct Run {
    work: Box<Work>,
    phases: Vec<Phase>,
    threads: usize,
    joined: AtomicUsize,
    over: AtomicBool,
    failed: AtomicBool,
    /// Called when it is over.
    waker: Mutex<Option<Waker>>,
    sleepers: AtomicUsize,
    bed: Mutex<()>,
    alarm: Condvar,
}

struct Phase {
    units: usize,
    done: AtomicUsize,
    /// For each thread, how many units of its share were claimed.
    claimed: Box<[Apart]>,
}

/// A counter in a cache line of its own.
#[derive(Default)]
#[repr(align(64))]
struct Apart(AtomicUsize);

impl Run {
    /// A run of which `joined` threads are part from the start.
    pub fn new(threads: usize, units: &[usize], work: Box<Work>, joined: usize) -> Self {
        let phase = |&units: &usize| Phase {
            units,
            done: AtomicUsize::new(0),
            claimed: (0..threads).map(|_| Apart::default()).collect(),
        };
        Self {
            work,
            phases: units.iter().map(phase).collect(),
            threads,
            joined: AtomicUsize::new(joined),
            over: AtomicBool::new(units.is_empty()),
            failed: AtomicBool::new(false),
            waker: Mutex::default(),
            sleepers: AtomicUsize::new(0),
            bed: Mutex::new(()),
            alarm: Condvar::new(),
        }
    }

    pub fn is_over(&self) -> bool {
        self.over.load(SeqCst)
    }

    /// Whether a unit panicked.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Acquire)
    }

    /// Has `waker` called when the run is over, if it was not over yet.
    pub fn wake_at_end(&self, waker: &Waker) {
        *lock(&self.waker) = Some(waker.clone());
    }

    /// A number for one more thread, where the run takes one.
    pub fn join(&self) -> Option<usize> {
        self.joined.fetch_update(Relaxed, Relaxed, |joined| (joined < self.threads).then_some(joined + 1)).ok()
    }

    /// Called by the thread that finishes the last unit.
    fn end(&self) {
        self.over.store(true, SeqCst);
        let waker = lock(&self.waker).take();
        wake(waker);
    }

    /// Does units as thread number `thread` until all phases are over.
    pub fn share(&self, thread: usize) {
        for (index, phase) in self.phases.iter().enumerate() {
            let mut done = 0;
            while let Some(unit) = phase.claim(thread) {
                let unit = Unit { phase: index, index: unit, thread };
                // A panic must not leave the others waiting for this unit.
                if catch_unwind(AssertUnwindSafe(|| (self.work)(unit))).is_err() {
                    self.failed.store(true, Release);
                }
                done += 1;
            }
            // Sequentially consistent, and so is `wait`: of a thread that finishes and one that goes to sleep, one
            // sees what the other has done.
            let before = phase.done.fetch_add(done, SeqCst);
            if done > 0 && before + done == phase.units {
                if self.sleepers.load(SeqCst) > 0 {
                    drop(lock(&self.bed));
                    self.alarm.notify_all();
                }
                if index + 1 == self.phases.len() {
                    self.end();
                }
            }
            self.wait(phase);
        }
    }

    /// Sleeps until all phases are over.
    pub fn wait_for_all(&self) {
        self.phases.last().into_iter().for_each(|last| self.wait(last));
    }

    fn wait(&self, phase: &Phase) {
        let unfinished = || phase.done.load(SeqCst) < phase.units;
        if !spin_while(unfinished) {
            return;
        }
        let mut bed = lock(&self.bed);
        self.sleepers.fetch_add(1, SeqCst);
        while unfinished() {
            bed = self.alarm.wait(bed).unwrap_or_else(PoisonError::into_inner);
        }
        self.sleepers.fetch_sub(1, SeqCst);
    }
}

impl Phase {
    /// A unit that nobody has, from the thread's own share if there is one.
    fn claim(&self, thread: usize) -> Option<usize> {
        let shares = self.claimed.len();
        (0..shares).map(|i| (thread + i) % shares).find_map(|share| {
            let (start, end) = (self.units * share / shares, self.units * (share + 1) / shares);
            let Apart(claimed) = &self.claimed[share];
            if claimed.load(Relaxed) >= end - start {
                return None;
            }
            let unit = start + claimed.fetch_add(1, Relaxed);
            (unit < end).then_some(unit)
        })
    }
}
