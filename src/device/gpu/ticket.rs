//! A batch that was submitted, and the way to its results.

use super::context::{Context, lock};
use crate::compile::Target;
use crate::error::Result;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

/// How long a finished run waits for its callback before it polls again.
const CALLBACK_WAIT: Duration = Duration::from_millis(10);

/// What the driver said of the results' buffer, and who wants to know.
#[derive(Debug, Default)]
pub(super) struct Mapping {
    state: Mutex<(Option<Result<(), wgpu::BufferAsyncError>>, Option<Waker>)>,
    told: Condvar,
}

impl Mapping {
    /// Called by wgpu when the buffer is mapped, or cannot be.
    pub fn tell(&self, result: Result<(), wgpu::BufferAsyncError>) {
        let waker = {
            let mut state = lock(&self.state);
            state.0 = Some(result);
            state.1.take()
        };
        self.told.notify_all();
        waker.into_iter().for_each(Waker::wake);
    }

    fn is_told(&self) -> bool {
        lock(&self.state).0.is_some()
    }
}

/// Buffers that are not mapped, to take results to the host.
pub(super) type Pool = Arc<Mutex<Vec<wgpu::Buffer>>>;

/// A batch on its way through the device.
#[derive(Debug)]
pub(in crate::device) struct Ticket {
    pub(super) context: Arc<Context>,
    pub(super) submission: wgpu::SubmissionIndex,
    pub(super) mapping: Arc<Mapping>,
    pub(super) readback: wgpu::Buffer,
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
        while state.0.is_none() {
            let (waited, timeout) =
                self.mapping.told.wait_timeout(state, CALLBACK_WAIT).unwrap_or_else(PoisonError::into_inner);
            state = waited;
            if timeout.timed_out() && state.0.is_none() {
                drop(state);
                self.context.device.poll(wgpu::PollType::Poll).map_err(|error| self.context.error(error))?;
                self.context.check()?;
                state = lock(&self.mapping.state);
            }
        }
        drop(state);
        self.results()
    }

    /// The results, if they are there; otherwise `waker` is called when they are.
    pub fn poll(&mut self, waker: &Waker) -> Poll<Result<Vec<f32>>> {
        if self.mapping.is_told() {
            return Poll::Ready(self.results());
        }
        lock(&self.mapping.state).1 = Some(waker.clone());
        // Told between the two looks, the waker may have been missed.
        if self.mapping.is_told() {
            return Poll::Ready(self.results());
        }
        if !self.watched {
            self.watched = true;
            let (context, mapping, submission) = (self.context.clone(), self.mapping.clone(), self.submission.clone());
            std::thread::spawn(move || {
                let wait = wgpu::PollType::Wait { submission_index: Some(submission), timeout: None };
                let waited = context.device.poll(wait);
                if waited.is_err() {
                    mapping.tell(Err(wgpu::BufferAsyncError));
                }
            });
        }
        Poll::Pending
    }

    /// Takes the results out of the mapped buffer, and gives it back to the session.
    fn results(&self) -> Result<Vec<f32>> {
        self.context.check()?;
        let told = lock(&self.mapping.state).0.take();
        if let Some(Err(error)) = told {
            return Err(self.context.error(error));
        }
        let size = (self.count * self.output.image_stride * size_of::<f32>()) as u64;
        let view = self.readback.get_mapped_range(0..size).map_err(|error| self.context.error(error))?;
        let results = collect(bytemuck::cast_slice(&view), &self.output);
        drop(view);
        self.readback.unmap();
        lock(&self.pool).push(self.readback.clone());
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
