//! The runs that wgpu has not told the end of, in the order of their submission, so that a thread can wait for one after
//! the other.

use super::mapping::Mapping;
use crate::device::gpu::lock::lock;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// What is under way on a device.
#[derive(Debug, Default)]
pub(super) struct InFlight(Mutex<VecDeque<(wgpu::SubmissionIndex, Arc<Mapping>)>>);

impl InFlight {
    /// Adds the run that was submitted last.
    pub fn add(&self, submission: wgpu::SubmissionIndex, mapping: Arc<Mapping>) {
        let mut runs = lock(&self.0);
        forget_told(&mut runs);
        runs.push_back((submission, mapping));
    }

    /// Waits for the oldest run, and has wgpu call back whoever waits for it; nothing where none is under way.
    ///
    /// It waits for as long as that takes. A wait of some time would end as well where the time is over, and then wgpu 30
    /// panics if another thread that polls has just found the queue empty.
    pub fn wait_for_oldest(&self, device: &wgpu::Device) -> Result<(), wgpu::PollError> {
        let oldest = {
            let mut runs = lock(&self.0);
            forget_told(&mut runs);
            runs.front().map(|(submission, _)| submission.clone())
        };
        let Some(submission_index) = oldest else { return Ok(()) };
        let wait = wgpu::PollType::Wait { submission_index: Some(submission_index), timeout: None };
        device.poll(wait).map(|_| ())
    }
}

fn forget_told(runs: &mut VecDeque<(wgpu::SubmissionIndex, Arc<Mapping>)>) {
    while runs.front().is_some_and(|(_, mapping)| mapping.is_told()) {
        runs.pop_front();
    }
}
