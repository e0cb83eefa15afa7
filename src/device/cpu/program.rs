//! A plan on the CPU: packed steps, which all runs share, and how much memory a run takes.

use super::Cpu;
use super::pack::{Room, pack};
use super::slot::CpuSlot;
use super::step::Step;
use crate::compile::{Plan, Target};
use crate::device::StepTime;
use crate::device::program::{Program, Slot, Terms};
use crate::error::{Error, Result};
use std::sync::Arc;

/// Images that go through the network together: later ones find the weights in the cache.
const TOGETHER: usize = 4;

/// A compiled network in memory.
#[derive(Debug)]
pub(super) struct CpuProgram {
    pub cpu: Arc<Cpu>,
    pub steps: Vec<Step>,
    /// Numbers of each buffer, an image; none of the input's, which is read where it lies.
    pub buffers: Vec<usize>,
    /// Numbers that a thread needs beside.
    pub scratch: usize,
    /// Images that the buffers hold.
    pub together: usize,
    /// Numbers of an image.
    pub input: usize,
    pub output: Target,
    /// What each step does.
    profile: Vec<StepTime>,
}

impl CpuProgram {
    /// Packs the weights of `plan`, for batches of up to `max_batch`.
    pub fn new(cpu: Arc<Cpu>, plan: Plan, terms: &Terms) -> Result<Self> {
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
        let threads = cpu.workers.threads();
        let room = Room { budget, scratch: (most - image) / threads };
        let (input, output) = (plan.input.shape.elements(), plan.output.clone());
        let (steps, profile) = pack(plan, cpu.set, threads, room)?;
        let scratch = steps.iter().map(|step| step.scratch).max().unwrap_or(0);
        // Where so many images do not fit, fewer go together.
        let fit = (most - scratch * threads) / image.max(1);
        let together = max_batch.min(TOGETHER).min(fit).max(1);
        Ok(Self { cpu, steps, buffers, scratch, together, input, output, profile })
    }
}

impl Program for CpuProgram {
    fn slot(self: Arc<Self>) -> Result<Box<dyn Slot>> {
        Ok(Box::new(CpuSlot::new(self)?))
    }

    fn steps(&self) -> &[StepTime] {
        &self.profile
    }

    fn activation_bytes(&self) -> u64 {
        let lines = |numbers: &usize| (numbers * self.together).div_ceil(16) as u64;
        self.buffers.iter().map(|numbers| lines(numbers) * 64).sum()
    }
}
