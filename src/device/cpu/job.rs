//! A run over a batch, or over some of its tasks, as the workers take it.
#![allow(unsafe_code)] // Goes by pointers into memory that several threads use; each block cites what `places.rs` numbers.

use super::area::{Area, Memory};
use super::places::Places;
use super::task::Task;
use super::work::CpuWork;
use super::workers::Unit;
use crate::compile::Target;
use std::ops::Range;
use std::sync::Arc;

/// What a run hands to the workers.
pub(super) struct Job {
    pub work: Arc<CpuWork>,
    pub memory: Arc<Memory>,
    pub results: Arc<Area>,
    /// The batch: the caller's own, or `copy`.
    pub images: *const f32,
    pub _copy: Option<Arc<Area>>,
    /// Images.
    pub count: usize,
    /// The tasks that run, of as many images as go together, before the next images' turn.
    pub tasks: Range<usize>,
}

// SAFETY: 5, for `images` points into `_copy`, or to what the caller of `Workers::run` or `run_alone` has, who waits until no thread uses
// it.
unsafe impl Send for Job {}
// SAFETY: 5; nobody writes there.
unsafe impl Sync for Job {}

impl Job {
    /// Images of each part of the batch that goes through the tasks together.
    fn parts(&self) -> impl Iterator<Item = Range<usize>> {
        let (count, together) = (self.count, self.work.together);
        (0..count).step_by(together).map(move |first| first..count.min(first + together))
    }

    /// Units of every phase: for each part of the batch the tasks, and then the images whose results are taken.
    pub fn units(&self) -> Vec<usize> {
        let tasks = &self.work.tasks[self.tasks.clone()];
        let of = |count: usize| tasks.iter().map(move |task| task.units(count)).chain([count]);
        self.parts().flat_map(|part| of(part.len())).collect()
    }

    /// Whether every task stays within the memory that it is given.
    pub fn fits(&self) -> bool {
        let tasks = &self.work.tasks[self.tasks.clone()];
        self.parts().all(|part| tasks.iter().all(|task| task.fits(&self.places(task, &part, 0))))
    }

    /// Where `task` reads and writes for a part of the batch, on a thread.
    fn places(&self, task: &Task, part: &Range<usize>, thread: usize) -> Places {
        let of = |numbers: &Area| (numbers.first, numbers.count);
        let buffer = |buffer: usize| of(&self.memory.buffers[buffer]);
        let input = self.work.input;
        let images = || (self.images.wrapping_add(part.start * input), part.len() * input);
        let (x, x_numbers) = task.operands.source.map_or_else(images, |source| {
            let (x, numbers) = buffer(source);
            (x.cast_const(), numbers)
        });
        let (y, y_numbers) = buffer(task.operands.target);
        let (other, other_numbers) =
            task.operands.other.map_or((std::ptr::null_mut(), 0), |other| buffer(other.buffer));
        let (scratch, scratch_numbers) = of(&self.memory.scratch[thread]);
        Places { x, x_numbers, y, y_numbers, other, other_numbers, scratch, scratch_numbers, count: part.len() }
    }

    pub fn compute(&self, unit: Unit) {
        let phases = self.tasks.len() + 1;
        let (part, phase) = (unit.phase / phases, unit.phase % phases);
        let first = part * self.work.together;
        let part = first..self.count.min(first + self.work.together);
        if phase == self.tasks.len() {
            return self.collect(first, unit.index);
        }
        let task = &self.work.tasks[self.tasks.start + phase];
        // SAFETY: 1. tasks were found to stay within their images when they were packed, and to fit this memory before the
        // run; 2. the memory is the thread's own; 3. the workers hand out each unit once, and wait between phases; 4. the
        // device found the set on this machine, and the tasks are packed for it.
        unsafe { task.compute(self.work.set, unit.index, self.places(task, &part, unit.thread)) }
    }

    /// Takes the results of an image out of the output buffer's layout. `first` is the first image that lies there.
    fn collect(&self, first: usize, index: usize) {
        let Target { buffer, image_stride, lanes, shape, .. } = self.work.output;
        let (from, to) = (&self.memory.buffers[buffer], &self.results);
        let (start, image) = ((first + index) * shape.elements(), index * image_stride);
        assert!(start + shape.elements() <= to.count, "the results of image {start} are beyond their memory");
        for c in 0..shape.channels {
            let plane = image + self.work.output.plane(c);
            for pixel in 0..shape.pixels() {
                let (at, result) = (plane + pixel * lanes, start + c * shape.pixels() + pixel);
                assert!(at < from.count, "a result at {at} is beyond its buffer");
                // SAFETY: 1, for both are within their memory, as was just seen; 3, for all tasks are over, so that nobody
                // writes the buffer, and each image's results are one unit's.
                unsafe { *to.first.add(result) = *from.first.add(at) }
            }
        }
    }
}
