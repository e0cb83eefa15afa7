//! A plan on the CPU: packed steps, buffers made once, and runs shared by the threads of a pool.
#![allow(unsafe_code)] // Hands buffers to several threads, which write different parts of them.

use super::Context;
use super::isa::InstructionSet;
use super::kernels::Places;
use super::memory::{Line, lines};
use super::pack::{Room, pack};
use super::pool::Unit;
use super::step::Step;
use crate::checkpoint::Limits;
use crate::compile::{Budget, Plan, Target};
use crate::device::{Precision, StepTime};
use crate::error::{Error, Result};
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

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
    images: (*const f32, usize),
    buffers: Vec<Memory>,
    scratch: Vec<Memory>,
    count: usize,
}

/// Where numbers lie, and how many.
type Memory = (*mut f32, usize);

// SAFETY: its pointers are used only while the session that owns the buffers waits for the run; threads write different
// numbers, and read only what earlier phases wrote.
unsafe impl Send for Job {}
// SAFETY: as above.
unsafe impl Sync for Job {}

impl Job {
    /// Where `step` reads and writes, on a thread.
    fn places(&self, step: &Step, thread: usize) -> Places {
        let (x, x_numbers) = step.source.map_or(self.images, |buffer| {
            let (x, numbers) = self.buffers[buffer];
            (x.cast_const(), numbers)
        });
        let (y, y_numbers) = self.buffers[step.target];
        let other = step.other.map(|other| self.buffers[other.buffer]);
        let (other, other_numbers) = other.unwrap_or((std::ptr::null_mut(), 0));
        let (scratch, scratch_numbers) = self.scratch[thread];
        let count = self.count;
        Places { x, x_numbers, y, y_numbers, other, other_numbers, scratch, scratch_numbers, count }
    }

    fn compute(&self, unit: Unit) {
        let step = &self.steps[self.first + unit.phase];
        // SAFETY, as `Places` numbers it: 1. steps were found to stay within their images when they were packed, and to fit
        // this memory before the run; 2. it is the thread's own; 3. the pool hands out each unit once; 4. the context found
        // the set on this machine, and the steps are packed for it.
        unsafe { self.set.compute(step, unit.index, self.places(step, unit.thread)) }
    }
}

impl Session {
    /// Packs the weights of `plan`, and takes memory for batches of up to `max_batch`.
    pub(in crate::device) fn new(
        context: Arc<Context>,
        plan: &Plan,
        max_batch: usize,
        limits: &Limits,
        budget: &Budget,
    ) -> Result<Self> {
        let most = usize::try_from(limits.activation_bytes).unwrap_or(usize::MAX) / size_of::<f32>();
        // The input is read where the caller has it.
        let mut sizes = vec![0; plan.buffers.len()];
        plan.steps.iter().map(|step| step.target.buffer).for_each(|buffer| sizes[buffer] = plan.buffers[buffer]);
        let image = sizes.iter().fold(0usize, |sum, n| sum.saturating_add(*n));
        if image > most {
            return Err(Error::Device(format!(
                "cpu: an input of {} takes {} bytes of memory, and {} is its limit (`Limits::activation_bytes`)",
                plan.input.shape,
                image.saturating_mul(size_of::<f32>()),
                limits.activation_bytes
            )));
        }
        let threads = context.pool.threads();
        let room = Room { budget, scratch: (most - image) / threads };
        let steps: Arc<[Step]> = pack(plan, context.set, threads, room)?.into();
        let scratch = steps.iter().map(|step| step.scratch).max().unwrap_or(0);
        // Where so many images do not fit, fewer go together.
        let fit = (most - scratch * threads) / image.max(1);
        let together = max_batch.min(TOGETHER).min(fit).max(1);
        let buffers = sizes.iter().map(|size| lines(size * together)).collect::<Result<_>>()?;
        let scratch = (0..threads).map(|_| lines(scratch)).collect::<Result<_>>()?;
        let (input, output) = (plan.input.shape.elements(), plan.output.clone());
        let profile = plan.steps.iter().zip(&*steps);
        let profile = profile.map(|(step, packed)| StepTime::of(step, packed.kernel.name(), Precision::F32)).collect();
        Ok(Self { context, steps, buffers, scratch, together, profile, input, output })
    }

    /// See [`crate::Session::activation_bytes`].
    pub(in crate::device) fn activation_bytes(&self) -> u64 {
        self.buffers.iter().map(|lines| size_of_val(lines.as_slice()) as u64).sum()
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
        let numbers = |lines: &mut Vec<Line>| (lines.as_mut_ptr().cast(), lines.len() * 16);
        let pointers = |memory: &mut Vec<Vec<Line>>| memory.iter_mut().map(numbers).collect();
        let job = Job {
            steps: self.steps.clone(),
            first: range.start,
            set: self.context.set,
            images: (images.as_ptr(), images.len()),
            buffers: pointers(&mut self.buffers),
            scratch: pointers(&mut self.scratch),
            count,
        };
        if !self.steps[range.clone()].iter().all(|step| step.fits(&job.places(step, 0))) {
            return Err(Error::Device("cpu: a step would leave its memory; this is a bug in pretrained".into()));
        }
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
