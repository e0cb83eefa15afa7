//! Room for one batch on the CPU: memory that the workers fill, and the run that fills it.
#![allow(unsafe_code)] // Fills and reads memory that several threads use; each block cites what `places.rs` numbers.

use super::area::{Area, Memory};
use super::job::Job;
use super::work::CpuWork;
use super::workers::Submitted;
use crate::device::batch::Batch;
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
    work: Arc<CpuWork>,
    memory: Arc<Memory>,
    /// The batch, where it was copied, and its results: as large as batches were so far.
    input: Arc<Area>,
    results: Arc<Area>,
    run: Option<Submitted>,
}

impl CpuSlot {
    pub fn new(work: Arc<CpuWork>) -> Result<Self> {
        let buffers = work.buffers.iter().map(|numbers| Area::new(numbers * work.together));
        let scratch = (0..work.workers.threads()).map(|_| Area::new(work.scratch));
        let memory = Memory { buffers: buffers.collect::<Result<_>>()?, scratch: scratch.collect::<Result<_>>()? };
        let [input, results] = [Arc::new(Area::new(0)?), Arc::new(Area::new(0)?)];
        Ok(Self { work, memory: Arc::new(memory), input, results, run: None })
    }

    /// The job of running some of the tasks over the `count` images at `images`, and its phases' units. No run is under way.
    fn job(
        &mut self,
        images: *const f32,
        copy: Option<Arc<Area>>,
        count: usize,
        tasks: Range<usize>,
    ) -> Result<(Vec<usize>, Job)> {
        let numbers = count.saturating_mul(self.work.output.shape.elements());
        if self.results.count < numbers {
            self.results = Arc::new(Area::new(numbers)?);
        }
        let (work, memory, results) = (self.work.clone(), self.memory.clone(), self.results.clone());
        let job = Job { work, memory, results, images, _copy: copy, count, tasks };
        if !job.fits() {
            return Err(Error::device("cpu: a step would leave its memory; this is a bug in pretrained"));
        }
        Ok((job.units(), job))
    }

    /// The same of images that were written.
    fn copied(&mut self, count: usize, tasks: Range<usize>) -> Result<(Vec<usize>, Job)> {
        if count.saturating_mul(self.work.input) > self.input.count {
            return Err(Error::Usage(format!("{count} images are more than were written")));
        }
        let input = self.input.clone();
        self.job(input.first, Some(input), count, tasks)
    }

    /// Runs a job to its end.
    fn compute(&self, (units, job): (Vec<usize>, Job)) -> Result<()> {
        ended(self.work.workers.run(&units, Box::new(move |unit| job.compute(unit))))
    }

    /// The job of running all tasks over a batch that is read where it is.
    fn in_place(&mut self, batch: &[f32], count: usize) -> Result<(Vec<usize>, Job)> {
        self.wait()?;
        if batch.len() != count * self.work.input {
            return Err(Error::Usage(format!("a batch of {} numbers is not {count} images", batch.len())));
        }
        let tasks = 0..self.work.tasks.len();
        self.job(batch.as_ptr(), None, count, tasks)
    }
}

fn ended(well: bool) -> Result<()> {
    if well { Ok(()) } else { Err(Error::device("cpu: a kernel panicked; this is a bug in pretrained")) }
}

impl Slot for CpuSlot {
    fn write(&mut self, batch: &Batch) -> Result<()> {
        let batch = batch.numbers()?;
        self.wait()?;
        if self.input.count < batch.len() {
            self.input = Arc::new(Area::new(batch.len())?);
        }
        // SAFETY: 1, for so many numbers are there; 3, for no run is under way that could read them.
        unsafe { std::ptr::copy_nonoverlapping(batch.as_ptr(), self.input.first, batch.len()) }
        Ok(())
    }

    fn submit(&mut self, count: usize) -> Result<()> {
        self.wait()?;
        let (units, job) = self.copied(count, 0..self.work.tasks.len())?;
        self.run = Some(self.work.workers.submit(&units, Box::new(move |unit| job.compute(unit))));
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
        let numbers = (count * self.work.output.shape.elements()).min(self.results.count);
        // SAFETY: 1, for so many numbers are there; 3, for no run is under way that could write them.
        Ok(unsafe { std::slice::from_raw_parts(self.results.first, numbers) }.to_vec())
    }

    fn run(&mut self, batch: &Batch, count: usize) -> Result<Vec<f32>> {
        let job = self.in_place(batch.numbers()?, count)?;
        self.compute(job)?;
        self.read(count)
    }

    fn run_alone(&mut self, batch: &Batch, count: usize) -> Result<Vec<f32>> {
        let (units, job) = self.in_place(batch.numbers()?, count)?;
        ended(self.work.workers.run_alone(&units, Box::new(move |unit| job.compute(unit))))?;
        self.read(count)
    }

    fn profile(mut self: Box<Self>, count: usize) -> Result<(usize, Vec<Duration>)> {
        self.wait()?;
        let count = count.min(self.work.together);
        let tasks = 0..self.work.tasks.len();
        let time = |task| {
            let (mut units, job) = self.copied(count, task..task + 1)?;
            // Without the results.
            units.truncate(1);
            let began = Stopwatch::start();
            self.compute((units, job))?;
            Ok(began.elapsed())
        };
        Ok((count, tasks.map(time).collect::<Result<_>>()?))
    }
}

impl fmt::Debug for CpuSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CpuSlot").field("running", &self.run.is_some()).finish_non_exhaustive()
    }
}
