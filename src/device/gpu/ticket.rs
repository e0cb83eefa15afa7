//! A batch that was submitted, and the way to its results.

use super::context::{Context, lock};
use crate::compile::Target;
use crate::error::Result;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::Waker;
use std::time::Duration;

/// How long a finished run waits for its callback before it polls again.
const CALLBACK_WAIT: Duration = Duration::from_millis(10);

/// Two buffers that take a batch to the device, and its results to the host.
#[derive(Debug)]
pub(super) struct Slot {
    /// Mapped, but while a batch is under way.
    pub upload: wgpu::Buffer,
    /// Mapped only while results are read.
    pub readback: wgpu::Buffer,
    /// Of the next batch, if it is as large as the last.
    pub next: Option<Commands>,
}

/// What the device is to do for a batch that lies in a slot.
#[derive(Debug)]
pub(super) struct Commands {
    /// Images.
    pub count: usize,
    pub commands: wgpu::CommandBuffer,
    pub mapping: Arc<Mapping>,
}

/// Slots of which no batch is under way.
pub(super) type Pool = Arc<Mutex<Vec<Slot>>>;

/// What the driver said of a slot's buffers, and who wants to know.
#[derive(Debug)]
pub(super) struct Mapping {
    state: Mutex<State>,
    told: Condvar,
}

#[derive(Debug)]
struct State {
    /// Buffers of which nothing was said yet.
    pending: usize,
    failed: bool,
    waker: Option<Waker>,
}

impl Mapping {
    /// Waits for both buffers of a slot.
    pub fn of_slot() -> Self {
        Self { state: Mutex::new(State { pending: 2, failed: false, waker: None }), told: Condvar::new() }
    }

    /// Called by wgpu when a buffer is mapped, or cannot be.
    pub fn tell(&self, result: Result<(), wgpu::BufferAsyncError>) {
        let mut state = lock(&self.state);
        state.pending = state.pending.saturating_sub(1);
        state.failed |= result.is_err();
        if state.pending == 0 {
            let waker = state.waker.take();
            drop(state);
            self.told.notify_all();
            waker.into_iter().for_each(Waker::wake);
        }
    }
}

/// A batch on its way through the device.
#[derive(Debug)]
pub(in crate::device) struct Ticket {
    pub(super) context: Arc<Context>,
    pub(super) submission: wgpu::SubmissionIndex,
    pub(super) mapping: Arc<Mapping>,
    pub(super) slot: Slot,
    pub(super) pool: Pool,
    pub(super) output: Target,
    pub(super) count: usize,
    /// Whether a thread waits for the device, on behalf of a waker.
    pub(super) watched: bool,
}

impl Ticket {
    /// Blocks until the results are there.
    pub fn wait(self) -> Result<Vec<f32>> {
        let wait = wgpu::PollType::Wait { submission_index: Some(self.submission.clone()), timeout: None };
        let waited = self.context.device.poll(wait);
        self.context.check()?;
        waited.map_err(|error| self.context.error(error))?;
        // Another thread that polls the same device may have taken the callback on, and not have called it yet.
        let mut state = lock(&self.mapping.state);
        while state.pending > 0 {
            let (waited, timeout) =
                self.mapping.told.wait_timeout(state, CALLBACK_WAIT).unwrap_or_else(PoisonError::into_inner);
            state = waited;
            if timeout.timed_out() && state.pending > 0 {
                drop(state);
                self.context.device.poll(wgpu::PollType::Poll).map_err(|error| self.context.error(error))?;
                self.context.check()?;
                state = lock(&self.mapping.state);
            }
        }
        drop(state);
        self.results()
    }

    /// Whether the results are there; if not, `waker` is called when they are.
    pub fn is_ready(&mut self, waker: &Waker) -> bool {
        let mut state = lock(&self.mapping.state);
        if state.pending == 0 {
            return true;
        }
        state.waker = Some(waker.clone());
        drop(state);
        if !self.watched {
            self.watched = true;
            let (context, mapping, submission) = (self.context.clone(), self.mapping.clone(), self.submission.clone());
            std::thread::spawn(move || {
                let wait = wgpu::PollType::Wait { submission_index: Some(submission), timeout: None };
                if context.device.poll(wait).is_err() {
                    (0..2).for_each(|_| mapping.tell(Err(wgpu::BufferAsyncError)));
                }
            });
        }
        false
    }

    /// Takes the results out of the mapped buffer, and gives the slot back to the session.
    pub fn results(self) -> Result<Vec<f32>> {
        self.context.check()?;
        if lock(&self.mapping.state).failed {
            return Err(self.context.error("the results cannot be read"));
        }
        let Slot { readback, .. } = &self.slot;
        let size = (self.count * self.output.image_stride * size_of::<f32>()) as u64;
        let view = readback.get_mapped_range(0..size).map_err(|error| self.context.error(error))?;
        let results = collect(bytemuck::cast_slice(&view), &self.output);
        drop(view);
        readback.unmap();
        lock(&self.pool).push(self.slot);
        Ok(results)
    }
}

/// Takes images out of the layout of the output's buffer.
fn collect(images: &[f32], output: &Target) -> Vec<f32> {
    let (shape, lanes) = (output.shape, output.lanes);
    let mut results = Vec::with_capacity(images.len());
    for image in images.chunks_exact(output.image_stride) {
        if shape.pixels() == 1 {
            // Vectors are dense.
            results.extend_from_slice(&image[output.offset..output.offset + shape.channels]);
        } else {
            for c in 0..shape.channels {
                results.extend(image[output.plane(c)..].iter().step_by(lanes).take(shape.pixels()));
            }
        }
    }
    results
}
