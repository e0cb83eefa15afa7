//! The CPU as a device: the threads and the instruction set that sessions share.

use super::isa::InstructionSet;
use super::kernels::LARGE_MATRIX;
use super::program::CpuProgram;
use super::shelf::Shelf;
use super::work::CpuWork;
use super::workers::Workers;
use crate::compile::{Layout, Plan};
use crate::device::precision::Precision;
use crate::device::program::{Engine, Program, Terms};
use crate::error::{Error, Result};
use std::num::NonZeroUsize;
use std::sync::Arc;

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
pub(in crate::device) struct Cpu {
    workers: Arc<Workers>,
    set: InstructionSet,
    shelf: Shelf,
}

/// All threads, and the widest instruction set.
impl Default for Cpu {
    fn default() -> Self {
        Self::with(CpuOptions::default().threads, InstructionSet::widest())
    }
}

impl Cpu {
    fn with(threads: Option<NonZeroUsize>, set: InstructionSet) -> Self {
        let usable = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self { workers: Arc::new(Workers::new(threads.unwrap_or_else(usable).get())), set, shelf: Shelf::default() }
    }

    pub fn new(options: CpuOptions) -> Result<Self> {
        let set = options.instruction_set.unwrap_or_else(InstructionSet::widest);
        if !InstructionSet::available().contains(&set) {
            return Err(Error::unsupported(format!("cpu: this machine has no {set}")));
        }
        if let Some(threads) = options.threads.filter(|threads| threads.get() > MOST_THREADS) {
            return Err(Error::Usage(format!(
                "cpu: {threads} threads are too many; at most {MOST_THREADS} are started"
            )));
        }
        Ok(Self::with(options.threads, set))
    }
}

impl Engine for Cpu {
    /// `cpu`, and the instruction set where it is not what one gets unasked.
    fn name(&self) -> String {
        if self.set == InstructionSet::widest() { "cpu".to_owned() } else { format!("cpu ({})", self.set) }
    }

    fn layout(&self) -> Layout {
        Layout { pooled_weights: LARGE_MATRIX / size_of::<f32>(), ..Layout::of_lanes(self.set.lanes()) }
    }

    fn stores(&self, precision: Precision) -> Result<()> {
        match precision {
            Precision::F32 => Ok(()),
            other => Err(Error::unsupported(format!("cpu: it stores numbers as f32 only, not as {other}; a GPU can"))),
        }
    }

    fn program(self: Arc<Self>, plan: Plan, terms: &Terms) -> Result<Arc<dyn Program>> {
        let work = CpuWork::new(self.workers.clone(), self.set, &self.shelf, plan, terms)?;
        Ok(Arc::new(CpuProgram(Arc::new(work))))
    }

    /// The caller's included.
    fn threads(&self) -> Option<usize> {
        Some(self.workers.threads())
    }
}

impl std::fmt::Debug for Cpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cpu").field("set", &self.set).field("threads", &self.workers.threads()).finish()
    }
}
