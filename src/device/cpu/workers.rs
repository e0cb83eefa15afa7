//! Threads that share the phases of runs: they spin briefly between phases, then sleep, and nobody waits for a thread
//! that holds no work.
//!
//! A run is a list of phases, each of independent units. Threads claim units one by one, first from a share of their
//! own, so that a thread finds in its cache what it wrote the phase before, then from others'. A phase is over when all
//! its units are done, not when all threads have arrived: a thread that the system has taken off its core, or that is
//! busy with another run, is simply not missed. So several runs may be under way at once, and a caller that gets no
//! help does all the work itself.

use crate::device::clock::Stopwatch;
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

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

/// Threads that take part in runs, started when a run first needs them.
pub(super) struct Workers {
    threads: usize,
    board: Arc<Board>,
    /// How many were started, or at least tried.
    started: Mutex<usize>,
}

/// Where runs are posted, and idle threads look for them.
#[derive(Default)]
struct Board {
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
        !run.failed.load(Acquire)
    }

    /// Does the same on the calling thread alone.
    pub fn run_alone(&self, units: &[usize], work: Box<Work>) -> bool {
        let run = Run::new(self.threads, units, work, 1);
        run.share(0);
        !run.failed.load(Acquire)
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
            let board = self.board.clone();
            let serve = move || {
                board.serve();
                board.serving.fetch_sub(1, SeqCst);
            };
            self.board.serving.fetch_add(1, SeqCst);
            if std::thread::Builder::new().name(format!("pretrained-{started}")).spawn(serve).is_err() {
                self.board.serving.fetch_sub(1, SeqCst);
            }
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
        lock(&self.board.posted).closed = true;
        self.board.count.fetch_add(1, Release);
        self.board.news.notify_all();
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
        if self.board.serving.load(SeqCst) == 0 {
            self.wait();
            return true;
        }
        if let Some(waker) = waker {
            *lock(&self.run.waker) = Some(waker.clone());
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
                None => run.phases.last().into_iter().for_each(|last| run.wait(last)),
            }
        }
        self.board.withdraw(run);
        !run.failed.load(Acquire)
    }
}

impl Board {
    /// Shows `run` to up to `wanted` threads.
    fn post(&self, run: &Arc<Run>, wanted: usize) {
        let mut posted = lock(&self.posted);
        posted.runs.push_back(run.clone());
        self.count.fetch_add(1, Release);
        let sleepers = posted.sleepers;
        drop(posted);
        (0..sleepers.min(wanted)).for_each(|_| self.news.notify_one());
    }

    /// Takes a run off the board that nobody needs to join any more.
    fn withdraw(&self, run: &Arc<Run>) {
        lock(&self.posted).runs.retain(|other| !Arc::ptr_eq(other, run));
    }

    /// The oldest run that can use one more thread, and the thread's number in it.
    fn join(&self) -> Option<(Arc<Run>, usize)> {
        let mut posted = lock(&self.posted);
        loop {
            let run = posted.runs.front()?;
            match run.join().filter(|_| !run.is_over()) {
                Some(thread) => return Some((run.clone(), thread)),
                None => drop(posted.runs.pop_front()),
            }
        }
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

/// One run: what is left to do of each phase.
struct Run {
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
    fn new(threads: usize, units: &[usize], work: Box<Work>, joined: usize) -> Self {
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

    fn is_over(&self) -> bool {
        self.over.load(SeqCst)
    }

    /// A number for one more thread, where the run takes one.
    fn join(&self) -> Option<usize> {
        self.joined.fetch_update(Relaxed, Relaxed, |joined| (joined < self.threads).then_some(joined + 1)).ok()
    }

    /// Called by the thread that finishes the last unit.
    fn end(&self) {
        self.over.store(true, SeqCst);
        let waker = lock(&self.waker).take();
        waker.into_iter().for_each(Waker::wake);
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
        if began.get_or_insert_with(Stopwatch::start).elapsed() > SPIN {
            return true;
        }
    }
}

/// A panic while one of these locks was held leaves nothing half done, so poison is no concern.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
