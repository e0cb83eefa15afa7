//! Room for one batch on the CPU: memory that the workers fill, and the run that fills it.
#![allow(unsafe_code)] // Hands memory to several threads, which write different parts of it.

use super::kernels::Places;
use super::memory::{Line, lines};
use super::program::CpuProgram;
use super::step::Step;
use super::workers::{Submitted, Unit};
use crate::compile::Target;
use crate::device::clock::Stopwatch;
use crate::device::program::Slot;
use crate::error::{Error, Result};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

/// Memory for a batch, and the run over it. Each slot has its own, so that several runs may be under way.
pub(super) struct CpuSlot {
    program: Arc<CpuProgram>,
    memory: Arc<Memory>,
    /// The batch, where it was copied, and its results: as large as batches were so far.
    input: Arc<Numbers>,
    results: Arc<Numbers>,
    run: Option<Submitted>,
}

/// What the steps of a run work on. The run owns it too, so that it stays until no thread uses it.
struct Memory {
    buffers: Vec<Numbers>,
    /// One for each thread.
    scratch: Vec<Numbers>,
}

/// Zeros at first, at a place that does not move; the system gives their memory when they are written.
struct Numbers {
    first: *mut f32,
    count: usize,
    _lines: Vec<Line>,
}

// SAFETY: it owns what it points to. Whoever goes by the pointer says why nobody else does at that time.
unsafe impl Send for Numbers {}
// SAFETY: as above.
unsafe impl Sync for Numbers {}

impl Numbers {
    fn new(count: usize) -> Result<Self> {
        let mut lines = lines(count)?;
        Ok(Self { first: lines.as_mut_ptr().cast(), count: lines.len() * 16, _lines: lines })
    }
}

/// What a run hands to the workers.
struct Job {
    program: Arc<CpuProgram>,
    memory: Arc<Memory>,
    results: Arc<Numbers>,
    /// The batch: the caller's own, or `copy`.
    images: *const f32,
    _copy: Option<Arc<Numbers>>,
    /// Images.
    count: usize,
    /// The steps that run, of as many images as go together, before the next images' turn.
    steps: Range<usize>,
}

// SAFETY: `images` points into `_copy`, or to what the caller of `Workers::run` or `run_alone` has, who waits until no
// thread uses it.
unsafe impl Send for Job {}
// SAFETY: as above; nobody writes there.
unsafe impl Sync for Job {}

impl Job {
    /// Images of each part of the batch that goes through the steps together.
    fn parts(&self) -> impl Iterator<Item = Range<usize>> {
        let (count, together) = (self.count, self.program.together);
        (0..count).step_by(together).map(move |first| first..count.min(first + together))
    }

    /// Units of every phase: for each part of the batch the steps, and then the images whose results are taken.
    fn units(&self) -> Vec<usize> {
        let steps = &self.program.steps[self.steps.clone()];
        let of = |count: usize| steps.iter().map(move |step| step.units(count)).chain([count]);
        self.parts().flat_map(|part| of(part.len())).collect()
    }

    /// Whether every step stays within the memory that it is given.
    fn fits(&self) -> bool {
        let steps = &self.program.steps[self.steps.clone()];
        self.parts().all(|part| steps.iter().all(|step| step.fits(&self.places(step, &part, 0))))
    }

    /// Where `step` reads and writes for a part of the batch, on a thread.
    fn places(&self, step: &Step, part: &Range<usize>, thread: usize) -> Places {
        let of = |numbers: &Numbers| (numbers.first, numbers.count);
        let buffer = |buffer: usize| of(&self.memory.buffers[buffer]);
        let input = self.program.input;
        let images = || (self.images.wrapping_add(part.start * input), part.len() * input);
        let (x, x_numbers) = step.source.map_or_else(images, |source| {
            let (x, numbers) = buffer(source);
            (x.cast_const(), numbers)
        });
        let (y, y_numbers) = buffer(step.target);
        let (other, other_numbers) = step.other.map_or((std::ptr::null_mut(), 0), |other| buffer(other.buffer));
        let (scratch, scratch_numbers) = of(&self.memory.scratch[thread]);
        Places { x, x_numbers, y, y_numbers, other, other_numbers, scratch, scratch_numbers, count: part.len() }
    }

    fn compute(&self, unit: Unit) {
        let phases = self.steps.len() + 1;
        let (part, phase) = (unit.phase / phases, unit.phase % phases);
        let first = part * self.program.together;
        let part = first..self.count.min(first + self.program.together);
        if phase == self.steps.len() {
            return self.collect(first, unit.index);
        }
        let step = &self.program.steps[self.steps.start + phase];
        // SAFETY, as `Places` numbers it: 1. steps were found to stay within their images when they were packed, and to fit
        // this memory before the run; 2. it is the thread's own; 3. the workers hand out each unit once, and wait between
        // phases; 4. the device found the set on this machine, and the steps are packed for it.
        unsafe { self.program.cpu.set.compute(step, unit.index, self.places(step, &part, unit.thread)) }
    }

    /// Takes the results of an image out of the output buffer's layout. `first` is the first image that lies there.
    fn collect(&self, first: usize, index: usize) {
        let Target { buffer, image_stride, lanes, shape, .. } = self.program.output;
        let (from, to) = (&self.memory.buffers[buffer], &self.results);
        let (start, image) = ((first + index) * shape.elements(), index * image_stride);
        assert!(start + shape.elements() <= to.count, "the results of image {start} are beyond their memory");
        for c in 0..shape.channels {
            let plane = image + self.program.output.plane(c);
            for pixel in 0..shape.pixels() {
                let (at, result) = (plane + pixel * lanes, start + c * shape.pixels() + pixel);
                assert!(at < from.count, "a result at {at} is beyond its buffer");
                // SAFETY: both are within their memory, as was just seen. All steps are over, so that nobody writes the
                // buffer, and each image's results are one unit's.
                unsafe { *to.first.add(result) = *from.first.add(at) }
            }
        }
    }
}

impl CpuSlot {
    pub fn new(program: Arc<CpuProgram>) -> Result<Self> {
        let buffers = program.buffers.iter().map(|numbers| Numbers::new(numbers * program.together));
        let scratch = (0..program.cpu.workers.threads()).map(|_| Numbers::new(program.scratch));
        let memory = Memory { buffers: buffers.collect::<Result<_>>()?, scratch: scratch.collect::<Result<_>>()? };
        let [input, results] = [Arc::new(Numbers::new(0)?), Arc::new(Numbers::new(0)?)];
        Ok(Self { program, memory: Arc::new(memory), input, results, run: None })
    }

    /// The job of running some of the steps over the `count` images at `images`, and its phases' units. No run is under way.
    fn job(
        &mut self,
        images: *const f32,
        copy: Option<Arc<Numbers>>,
        count: usize,
        steps: Range<usize>,
    ) -> Result<(Vec<usize>, Job)> {
        let numbers = count.saturating_mul(self.program.output.shape.elements());
        if self.results.count < numbers {
            self.results = Arc::new(Numbers::new(numbers)?);
        }
        let (program, memory, results) = (self.program.clone(), self.memory.clone(), self.results.clone());
        let job = Job { program, memory, results, images, _copy: copy, count, steps };
        if !job.fits() {
            return Err(Error::device("cpu: a step would leave its memory; this is a bug in pretrained"));
        }
        Ok((job.units(), job))
    }

    /// The same of images that were written.
    fn copied(&mut self, count: usize, steps: Range<usize>) -> Result<(Vec<usize>, Job)> {
        if count.saturating_mul(self.program.input) > self.input.count {
            return Err(Error::Usage(format!("{count} images are more than were written")));
        }
        let input = self.input.clone();
        self.job(input.first, Some(input), count, steps)
    }

    /// Runs a job to its end.
    fn compute(&self, (units, job): (Vec<usize>, Job)) -> Result<()> {
        ended(self.program.cpu.workers.run(&units, Box::new(move |unit| job.compute(unit))))
    }

    /// The job of running all steps over a batch that is read where it is.
    fn in_place(&mut self, batch: &[f32], count: usize) -> Result<(Vec<usize>, Job)> {
        self.wait()?;
        if batch.len() != count * self.program.input {
            return Err(Error::Usage(format!("a batch of {} numbers is not {count} images", batch.len())));
        }
        let steps = 0..self.program.steps.len();
        self.job(batch.as_ptr(), None, count, steps)
    }
}

fn ended(well: bool) -> Result<()> {
    if well { Ok(()) } else { Err(Error::device("cpu: a kernel panicked; this is a bug in pretrained")) }
}

impl Slot for CpuSlot {
    fn write(&mut self, batch: &[f32]) -> Result<()> {
        self.wait()?;
        if self.input.count < batch.len() {
            self.input = Arc::new(Numbers::new(batch.len())?);
        }
        // SAFETY: so many numbers are there, and no run is under way that could read them.
        unsafe { std::ptr::copy_nonoverlapping(batch.as_ptr(), self.input.first, batch.len()) }
        Ok(())
    }

    fn submit(&mut self, count: usize) -> Result<()> {
        self.wait()?;
        let (units, job) = self.copied(count, 0..self.program.steps.len())?;
        self.run = Some(self.program.cpu.workers.submit(&units, Box::new(move |unit| job.compute(unit))));
        Ok(())
    }

    fn poll(&mut self, waker: Option<&Waker>) -> bool {
        self.run.as_ref().is_none_or(|run| run.poll(waker))
    }

    fn wait(&mut self) -> Result<()> {
        self.run.take().map_or(Ok(()), |run| ended(run.wait()))
    }

    fn read(&mut self, count: usize) -> Result<Vec<f32>> {
        self.wait()?;
        let numbers = (count * self.program.output.shape.elements()).min(self.results.count);
        // SAFETY: so many numbers are there, and no run is under way that could write them.
        Ok(unsafe { std::slice::from_raw_parts(self.results.first, numbers) }.to_vec())
    }

    fn run(&mut self, batch: &[f32], count: usize) -> Result<Vec<f32>> {
        let job = self.in_place(batch, count)?;
        self.compute(job)?;
        self.read(count)
    }

    fn run_alone(&mut self, batch: &[f32], count: usize) -> Result<Vec<f32>> {
        let (units, job) = self.in_place(batch, count)?;
        ended(self.program.cpu.workers.run_alone(&units, Box::new(move |unit| job.compute(unit))))?;
        self.read(count)
    }

    fn profile(mut self: Box<Self>, count: usize) -> Result<(usize, Vec<Duration>)> {
        self.wait()?;
        let count = count.min(self.program.together);
        let steps = 0..self.program.steps.len();
        let time = |step| {
            let (mut units, job) = self.copied(count, step..step + 1)?;
            // Without the results.
            units.truncate(1);
            let began = Stopwatch::start();
            self.compute((units, job))?;
            Ok(began.elapsed())
        };
        Ok((count, steps.map(time).collect::<Result<_>>()?))
    }
}

impl fmt::Debug for CpuSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CpuSlot").field("running", &self.run.is_some()).finish_non_exhaustive()
    }
}
