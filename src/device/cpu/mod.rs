//! The CPU device: runs a plan with the machine's own vector instructions, on several threads, with nothing installed.

mod isa;
mod kernels;
mod memory;
mod pack;
mod pool;
mod reach;
mod session;
mod simd;
mod step;

pub use isa::InstructionSet;
pub use session::Session;

use crate::compile::Layout;
use crate::error::{Error, Result};
use std::num::NonZeroUsize;

/// How the CPU device runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CpuOptions {
    /// Threads, the caller's included, at most 1,024. By default as many as the process may use: `taskset` and the
    /// quotas of containers count.
    pub threads: Option<NonZeroUsize>,
    /// By default the widest that the machine has.
    pub instruction_set: Option<InstructionSet>,
}

/// Where a process has tens of thousands of threads, the system runs out of what starting one takes, and ends it.
const MOST_THREADS: usize = 1024;

/// The threads and the instruction set that sessions share.
pub struct Context {
    pool: pool::Pool,
    set: InstructionSet,
}

/// All threads, and the widest instruction set.
impl Default for Context {
    fn default() -> Self {
        Self::with(CpuOptions::default().threads, InstructionSet::widest())
    }
}

impl Context {
    fn with(threads: Option<NonZeroUsize>, set: InstructionSet) -> Self {
        let usable = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self { pool: pool::Pool::new(threads.unwrap_or_else(usable).get()), set }
    }

    pub(in crate::device) fn new(options: CpuOptions) -> Result<Self> {
        let set = options.instruction_set.unwrap_or_else(InstructionSet::widest);
        if !InstructionSet::available().contains(&set) {
            return Err(Error::Device(format!("cpu: this machine has no {set}")));
        }
        if let Some(threads) = options.threads.filter(|threads| threads.get() > MOST_THREADS) {
            return Err(Error::Usage(format!(
                "cpu: {threads} threads are too many; at most {MOST_THREADS} are started"
            )));
        }
        Ok(Self::with(options.threads, set))
    }

    /// How plans for this device are laid out.
    pub(in crate::device) fn layout(&self) -> Layout {
        Layout { lanes: self.set.lanes(), pooled_weights: pack::LARGE_MATRIX / size_of::<f32>() }
    }

    /// `cpu`, and the instruction set where it is not what one gets unasked.
    pub(in crate::device) fn name(&self) -> String {
        if self.set == InstructionSet::widest() { "cpu".to_owned() } else { format!("cpu ({})", self.set) }
    }

    /// Threads that may share a run, the caller's included.
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("set", &self.set).field("threads", &self.threads()).finish()
    }
}
