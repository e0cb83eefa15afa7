//! A plan on the CPU: packed steps, buffers made once, and runs shared by the threads of a pool.
#![allow(unsafe_code)] // Hands buffers to several threads, which write different parts of them.

use super::Context;
use super::isa::InstructionSet;
use super::kernels::Places;
use super::memory::{Line, lines};
use super::pack::pack;
use super::pool::Unit;
use super::step::Step;
use crate::compile::{Plan, Target};
use crate::device::{Precision, StepTime};
use crate::error::{Error, Result};
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// Bytes that a session's buffers may take.
const MOST_BYTES: usize = 4 << 30;

/// Images that go through the network together: later ones find the weights in the cache.
const TOGETHER: usize = 4;

/// A compiled network in memory.
#[derive(Debug)]
pub struct Session {
    context: Arc<Context>,
    steps: Arc<[Step]>,
    buffers: Vec<Vec<Line>>,
    /// One for each thread.
    scratch: Vec<Vec<Line>>,
    /// Images that the buffers hold.
    together: usize,
    /// What each step does.
    profile: Vec<StepTime>,
    /// Numbers of an image.
    input: usize,
    output: Target,
}

/// What a run hands to the pool's threads.
struct Job {
    steps: Arc<[Step]>,
    /// The step that the first phase is.
    first: usize,
    set: InstructionSet,
    images: *const f32,
    buffers: Vec<*mut f32>,
    scratch: Vec<*mut f32>,
    count: usize,
}

// SAFETY: its pointers are used only while the session that owns the buffers waits for the run; threads write different
// numbers, and read only what earlier phases wrote.
unsafe impl Send for Job {}
// SAFETY: as above.
unsafe impl Sync for Job {}

impl Job {
    fn compute(&self, unit: Unit) {
        let step = &self.steps[self.first + unit.phase];
        let places = Places {
            x: step.source.map_or(self.images, |buffer| self.buffers[buffer]),
            y: self.buffers[step.target],
            other: step.other.map_or(std::ptr::null(), |other| self.buffers[other.buffer]),
            scratch: self.scratch[unit.thread],
            count: self.count,
        };
        // SAFETY: buffers hold `count` images as the plan has them, and scratch is this thread's own; the pool hands out
        // each unit once; the set was checked when the context was made.
        unsafe { self.set.compute(step, unit.index, places) }
    }
}

impl Session {
    /// Packs the weights of `plan`, and takes memory for batches of up to `max_batch`.
    pub(in crate::device) fn new(context: Arc<Context>, plan: &Plan, max_batch: usize) -> Result<Self> {
        let together = max_batch.min(TOGETHER);
        let affordable = |numbers: usize| match numbers.saturating_mul(size_of::<f32>()) {
            bytes if bytes <= MOST_BYTES => Ok(()),
            bytes => Err(Error::Device(format!(
                "cpu: an input of {} takes {bytes} bytes of memory, and {MOST_BYTES} is its limit",
                plan.input.shape
            ))),
        };
        let values = plan.buffers.iter().fold(0usize, |sum, n| sum.saturating_add(*n)).saturating_mul(together);
        affordable(values)?;
        let steps: Arc<[Step]> = pack(plan, context.set, context.pool.threads()).into();
        let most = steps.iter().map(|step| step.scratch).max().unwrap_or(0);
        affordable(values.saturating_add(most.saturating_mul(context.pool.threads())))?;
        let used = |buffer| steps.iter().any(|step| step.target == buffer);
        let sizes = plan.buffers.iter().enumerate();
        let buffers = sizes.map(|(i, size)| lines(if used(i) { size * together } else { 0 })).collect();
        let scratch = (0..context.pool.threads()).map(|_| lines(most)).collect();
        let (input, output) = (plan.input.shape.elements(), plan.output.clone());
        let profile = plan.steps.iter().zip(&*steps);
        let profile = profile.map(|(step, packed)| StepTime::of(step, packed.kernel.name(), Precision::F32)).collect();
        Ok(Self { context, steps, buffers, scratch, together, profile, input, output })
    }

    /// Runs `count` images; see [`crate::Session::run`].
    pub(in crate::device) fn run(&mut self, batch: &[f32], count: usize) -> Result<Vec<f32>> {
        let mut results = Vec::with_capacity(count * self.output.shape.elements());
        for images in batch.chunks(self.input * self.together) {
            let count = images.len() / self.input;
            self.run_steps(images, count, 0..self.steps.len())?;
            self.collect(count, &mut results);
        }
        Ok(results)
    }

    /// Runs one step after the other, of as many images as go together; see [`crate::Session::profile`].
    pub(in crate::device) fn profile(&mut self, batch: &[f32], count: usize) -> Result<Vec<StepTime>> {
        let count = count.min(self.together);
        let images = &batch[..count * self.input];
        let steps = self.profile.clone().into_iter().enumerate();
        let time = |(step, profile): (usize, StepTime)| {
            let began = Instant::now();
            self.run_steps(images, count, step..step + 1)?;
            Ok(profile.of_batch(count, began.elapsed()))
        };
        steps.map(time).collect()
    }

    fn run_steps(&mut self, images: &[f32], count: usize, range: Range<usize>) -> Result<()> {
        let pointers = |memory: &mut Vec<Vec<Line>>| memory.iter_mut().map(|m| m.as_mut_ptr().cast()).collect();
        let job = Job {
            steps: self.steps.clone(),
            first: range.start,
            set: self.context.set,
            images: images.as_ptr(),
            buffers: pointers(&mut self.buffers),
            scratch: pointers(&mut self.scratch),
            count,
        };
        let units: Vec<usize> = self.steps[range].iter().map(|step| step.units(count)).collect();
        match self.context.pool.run(&units, Box::new(move |unit| job.compute(unit))) {
            true => Ok(()),
            false => Err(Error::Device("cpu: a kernel panicked; this is a bug in pretrained".into())),
        }
    }

    /// Takes the results out of the output buffer's layout.
    fn collect(&self, count: usize, results: &mut Vec<f32>) {
        let Target { buffer, image_stride, lanes, shape, .. } = self.output;
        let lines = &self.buffers[buffer];
        let number = |i: usize| lines[i / 16].0[i % 16];
        for image in 0..count {
            for plane in (0..shape.channels).map(|c| self.output.plane(c)) {
                results.extend((0..shape.pixels()).map(|pixel| number(image * image_stride + plane + pixel * lanes)));
            }
        }
    }
}
