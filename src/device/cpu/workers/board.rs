//! Where runs are posted, and idle threads look for them.

use super::run::Run;
use super::spin::{lock, spin_while};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::*};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::Builder;

/// Runs that threads may join, and the threads that sleep until there are more.
#[derive(Default)]
pub(super) struct Board {
    posted: Mutex<Posted>,
    news: Condvar,
    /// Counts what was posted.
    count: AtomicUsize,
    /// Threads that serve.
    serving: AtomicUsize,
}

#[derive(Default)]
struct Posted {
    /// Those that a thread may still join, the oldest first.
    runs: VecDeque<Arc<Run>>,
    closed: bool,
    sleepers: usize,
}

impl Board {
    /// Shows `run` to up to `wanted` threads.
    pub fn post(&self, run: &Arc<Run>, wanted: usize) {
        let mut posted = lock(&self.posted);
        posted.runs.push_back(run.clone());
        self.count.fetch_add(1, Release);
        let sleepers = posted.sleepers;
        drop(posted);
        (0..sleepers.min(wanted)).for_each(|_| self.news.notify_one());
    }

    /// Takes a run off the board that nobody needs to join any more.
    pub fn withdraw(&self, run: &Arc<Run>) {
        lock(&self.posted).runs.retain(|other| !Arc::ptr_eq(other, run));
    }

    /// The oldest run that can use one more thread, and the thread's number in it.
    fn join(&self) -> Option<(Arc<Run>, usize)> {
        // They go after the lock: with its last run a device may go, which closes the board.
        let mut gone = Vec::new();
        let mut posted = lock(&self.posted);
        loop {
            let run = posted.runs.front()?;
            match run.join().filter(|_| !run.is_over()) {
                Some(thread) => return Some((run.clone(), thread)),
                None => gone.extend(posted.runs.pop_front()),
            }
        }
    }

    /// Has one more thread serve, of the name `name`. One that cannot be started is done without.
    pub fn man(self: &Arc<Self>, name: String) {
        let board = self.clone();
        let serve = move || {
            board.serve();
            board.serving.fetch_sub(1, SeqCst);
        };
        self.serving.fetch_add(1, SeqCst);
        if Builder::new().name(name).spawn(serve).is_err() {
            self.serving.fetch_sub(1, SeqCst);
        }
    }

    /// Whether any thread serves.
    pub fn is_served(&self) -> bool {
        self.serving.load(SeqCst) > 0
    }

    /// Sends the threads home.
    pub fn close(&self) {
        lock(&self.posted).closed = true;
        self.count.fetch_add(1, Release);
        self.news.notify_all();
    }

    /// Takes part in whatever is posted, until the workers are gone.
    fn serve(&self) {
        loop {
            let seen = self.count.load(Acquire);
            if let Some((run, thread)) = self.join() {
                run.share(thread);
                continue;
            }
            spin_while(|| self.count.load(Acquire) == seen);
            let mut posted = lock(&self.posted);
            while self.count.load(Acquire) == seen && !posted.closed {
                posted.sleepers += 1;
                posted = self.news.wait(posted).unwrap_or_else(PoisonError::into_inner);
                posted.sleepers -= 1;
            }
            if posted.closed {
                return;
            }
        }
    }
}
