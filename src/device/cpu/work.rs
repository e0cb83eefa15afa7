//! What never changes from run to run: the tasks of a plan, and how much memory a run takes.

use super::isa::InstructionSet;
use super::packer::Room;
use super::shelf::Shelf;
use super::task::{Task, pack};
use super::workers::Workers;
use crate::compile::{Plan, Target};
use crate::device::profile::StepTime;
use crate::device::program::Terms;
use crate::error::{Error, Result};
use std::sync::Arc;

/// Images that go through the network together: later ones find the weights in the cache.
const TOGETHER: usize = 4;

/// A compiled network in memory.
#[derive(Debug)]
pub(super) struct CpuWork {
    pub workers: Arc<Workers>,
    pub set: InstructionSet,
    pub tasks: Vec<Task>,
    /// Numbers of each buffer, an image; none of the input's, which is read where it lies.
    pub buffers: Vec<usize>,
    /// Numbers that a thread needs besides.
    pub scratch: usize,
    /// Images that the buffers hold.
    pub together: usize,
    /// Numbers of an image.
    pub input: usize,
    pub output: Target,
    /// What each step does.
    pub profile: Vec<StepTime>,
}

impl CpuWork {
    /// Packs the weights of `plan`, for batches of up to `max_batch`.
    pub fn new(workers: Arc<Workers>, set: InstructionSet, shelf: &Shelf, plan: Plan, terms: &Terms) -> Result<Self> {
        let &Terms { max_batch, limits, budget, .. } = terms;
        let most = usize::try_from(limits.activation_bytes).unwrap_or(usize::MAX) / size_of::<f32>();
        let mut buffers = vec![0; plan.buffers.len()];
        plan.steps.iter().map(|step| step.target.buffer).for_each(|buffer| buffers[buffer] = plan.buffers[buffer]);
        let image = buffers.iter().fold(0usize, |sum, n| sum.saturating_add(*n));
        if image > most {
            return Err(Error::out_of_memory(format!(
                "cpu: an input of {} takes {} bytes of memory, and {} is its limit (`Limits::activation_bytes`)",
                plan.input.shape,
                image.saturating_mul(size_of::<f32>()),
                limits.activation_bytes
            )));
        }
        let threads = workers.threads();
        let room = Room { budget, scratch: (most - image) / threads };
        let (input, output) = (plan.input.shape.elements(), plan.output.clone());
        let (tasks, profile) = pack(plan, set, threads, room, shelf)?;
        let scratch = tasks.iter().map(|task| task.scratch).max().unwrap_or(0);
        // Where so many images do not fit, fewer go together.
        let fit = (most - scratch * threads) / image.max(1);
        let together = max_batch.min(TOGETHER).min(fit).max(1);
        Ok(Self { workers, set, tasks, buffers, scratch, together, input, output, profile })
    }

    /// Bytes of the buffers.
    pub fn activation_bytes(&self) -> u64 {
        let lines = |numbers: &usize| (numbers * self.together).div_ceil(16) as u64;
        self.buffers.iter().map(|numbers| lines(numbers) * 64).sum()
    }
}
