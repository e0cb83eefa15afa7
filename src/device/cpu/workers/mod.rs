//! Threads that share the phases of runs: they spin briefly between phases, then sleep, and nobody waits for a thread
//! that holds no work.
//!
//! A run is a list of phases, each of independent units. Threads claim units one by one, first from a share of their
//! own, so that a thread finds in its cache what it wrote the phase before, then from others'. A phase is over when all
//! its units are done, not when all threads have arrived: a thread that the system has taken off its core, or that is
//! busy with another run, is simply not missed. So several runs may be under way at once, and a caller that gets no
//! help does all the work itself.

mod board;
mod run;
mod spin;

use board::Board;
pub(super) use run::Unit;
use run::{Run, Work};
use spin::lock;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::task::Waker;

/// Threads that take part in runs, started when a run first needs them.
pub(super) struct Workers {
    threads: usize,
    board: Arc<Board>,
    /// How many were started, or at least tried.
    started: Mutex<usize>,
}

impl Workers {
    /// Workers for runs on up to `threads` threads each.
    pub fn new(threads: usize) -> Self {
        Self { threads: threads.max(1), board: Arc::default(), started: Mutex::new(0) }
    }

    /// Threads that may share a run.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Does all units of all phases, phase by phase, on the calling thread and others, and returns whether none of them
    /// panicked.
    pub fn run(&self, units: &[usize], work: Box<Work>) -> bool {
        // The caller is the first.
        let run = Arc::new(Run::new(self.threads, units, work, 1));
        if self.threads > 1 {
            self.start(self.threads - 1);
            self.board.post(&run, self.threads - 1);
        }
        run.share(0);
        if self.threads > 1 {
            self.board.withdraw(&run);
        }
        !run.has_failed()
    }

    /// Does the same on the calling thread alone.
    pub fn run_alone(&self, units: &[usize], work: Box<Work>) -> bool {
        let run = Run::new(self.threads, units, work, 1);
        run.share(0);
        !run.has_failed()
    }

    /// Leaves the same to other threads, and returns at once. Nothing is computed before a thread is free.
    pub fn submit(&self, units: &[usize], work: Box<Work>) -> Submitted {
        let run = Arc::new(Run::new(self.threads, units, work, 0));
        self.start(self.threads);
        self.board.post(&run, self.threads);
        Submitted { run, board: self.board.clone() }
    }

    /// Starts threads until there are `count`. One that cannot be started is done without.
    fn start(&self, count: usize) {
        let mut started = lock(&self.started);
        while *started < count {
            *started += 1;
            self.board.man(format!("pretrained-{started}"));
        }
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").field("threads", &self.threads).finish_non_exhaustive()
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.board.close();
    }
}

/// A run that was left to the workers.
pub(super) struct Submitted {
    run: Arc<Run>,
    board: Arc<Board>,
}

impl Submitted {
    /// Whether the run is over; if it is not, `waker` is called when it is. Where no thread could be started, it computes.
    pub fn poll(&self, waker: Option<&Waker>) -> bool {
        if self.run.is_over() {
            return true;
        }
        if !self.board.is_served() {
            self.wait();
            return true;
        }
        if let Some(waker) = waker {
            self.run.wake_at_end(waker);
        }
        // It may have ended before it had the waker.
        self.run.is_over()
    }

    /// Takes part in the run until it is over, and returns whether no unit panicked.
    pub fn wait(&self) -> bool {
        let run = &self.run;
        if !run.is_over() {
            match run.join() {
                Some(thread) => run.share(thread),
                None => run.wait_for_all(),
            }
        }
        self.board.withdraw(run);
        !run.has_failed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn threads_end_with_the_last_run_of_workers_that_nobody_else_has() {
        for round in 0..200 {
            let workers = Arc::new(Workers::new(2));
            let board = workers.board.clone();
            let kept = workers.clone();
            // Nobody waits for it, and it alone keeps the workers.
            drop(workers.submit(&[1 + round % 3], Box::new(move |_| assert_eq!(kept.threads(), 2))));
            drop(workers);
            let began = Instant::now();
            while Arc::strong_count(&board) > 1 {
                assert!(began.elapsed() < Duration::from_secs(60), "round {round}: threads are left");
                std::thread::yield_now();
            }
        }
    }
}
