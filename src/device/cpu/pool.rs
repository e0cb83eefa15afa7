//! Threads that share the phases of a run: they spin briefly between phases, then sleep, and nobody waits for a thread
//! that holds no work.
//!
//! A run is a list of phases, each of independent units. Threads claim units one by one, first from a share of their
//! own, so that a thread finds in its cache what it wrote the phase before, then from others'. A phase is over when all
//! its units are done, not when all threads have arrived: a thread that the system has taken off its core, or that is
//! busy with another run, is simply not missed. So several runs may use one pool at once, and a caller that gets no
//! help does all the work itself.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a thread spins before it sleeps. Waking one takes about as long.
const SPIN: Duration = Duration::from_micros(50);

/// One unit of work: its phase, its place there, and a number below the count of threads that no other thread of the
/// same run has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unit {
    pub phase: usize,
    pub index: usize,
    pub thread: usize,
}

type Work = dyn Fn(Unit) + Send + Sync;

/// Threads beside the caller's, started at the first run.
pub(super) struct Pool {
    threads: usize,
    board: Arc<Board>,
    started: AtomicBool,
}

/// Where callers post runs, and idle threads look for them.
#[derive(Default)]
struct Board {
    posted: Mutex<Posted>,
    news: Condvar,
    /// Counts what was posted.
    count: AtomicUsize,
}

#[derive(Default)]
struct Posted {
    run: Option<Arc<Run>>,
    closed: bool,
    sleepers: usize,
}

impl Pool {
    /// A pool for runs on up to `threads` threads, the caller's included.
    pub fn new(threads: usize) -> Self {
        Self { threads: threads.max(1), board: Arc::default(), started: AtomicBool::new(false) }
    }

    /// Threads that may share a run, the caller's included.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Does all units of all phases, phase by phase, and returns whether none of them panicked.
    pub fn run(&self, units: &[usize], work: Box<Work>) -> bool {
        let run = Arc::new(Run::new(self.threads, units, work));
        if self.threads > 1 {
            self.start();
            self.board.post(&run);
        }
        run.share(0);
        if self.threads > 1 {
            self.board.withdraw(&run);
        }
        !run.failed.load(Acquire)
    }

    /// Starts the threads, unless they were. One that cannot be started is done without.
    fn start(&self) {
        if self.started.swap(true, Relaxed) {
            return;
        }
        for i in 1..self.threads {
            let board = self.board.clone();
            let _ = std::thread::Builder::new().name(format!("pretrained-{i}")).spawn(move || board.serve());
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        lock(&self.board.posted).closed = true;
        self.board.count.fetch_add(1, Release);
        self.board.news.notify_all();
    }
}

impl Board {
    fn post(&self, run: &Arc<Run>) {
        let mut posted = lock(&self.posted);
        posted.run = Some(run.clone());
        self.count.fetch_add(1, Release);
        if posted.sleepers > 0 {
            self.news.notify_all();
        }
    }

    /// Takes a finished run off the board, unless another is there by now.
    fn withdraw(&self, run: &Arc<Run>) {
        let mut posted = lock(&self.posted);
        posted.run.take_if(|other| Arc::ptr_eq(other, run));
    }

    /// Takes part in whatever is posted, until the pool is gone.
    fn serve(&self) {
        let mut seen = 0;
        loop {
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
            seen = self.count.load(Acquire);
            let run = posted.run.clone();
            drop(posted);
            if let Some(run) = run {
                let thread = run.joined.fetch_add(1, Relaxed);
                if thread < run.threads {
                    run.share(thread);
                }
            }
        }
    }
}

/// One run: what is left to do of each phase.
struct Run {
    work: Box<Work>,
    phases: Vec<Phase>,
    threads: usize,
    joined: AtomicUsize,
    failed: AtomicBool,
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
    fn new(threads: usize, units: &[usize], work: Box<Work>) -> Self {
        let phase = |&units: &usize| Phase {
            units,
            done: AtomicUsize::new(0),
            claimed: (0..threads).map(|_| Apart::default()).collect(),
        };
        Self {
            work,
            phases: units.iter().map(phase).collect(),
            threads,
            joined: AtomicUsize::new(1),
            failed: AtomicBool::new(false),
            sleepers: AtomicUsize::new(0),
            bed: Mutex::new(()),
            alarm: Condvar::new(),
        }
    }

    /// Does units as thread number `thread` until all phases are over.
    fn share(&self, thread: usize) {
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
            if done > 0 && before + done == phase.units && self.sleepers.load(SeqCst) > 0 {
                drop(lock(&self.bed));
                self.alarm.notify_all();
            }
            self.wait(phase);
        }
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

/// Spins while `waiting` holds, but not for long. Returns whether it still holds.
fn spin_while(waiting: impl Fn() -> bool) -> bool {
    let mut began = None;
    loop {
        for _ in 0..32 {
            if !waiting() {
                return false;
            }
            std::hint::spin_loop();
        }
        if began.get_or_insert_with(Instant::now).elapsed() > SPIN {
            return true;
        }
    }
}

/// A panic while one of these locks was held leaves nothing half done, so poison is no concern.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
