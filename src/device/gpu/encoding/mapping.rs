//! Whether the buffers of a slot are mapped yet.

use crate::device::gpu::lock::lock;
use crate::device::wake::wake;
use std::sync::{Condvar, Mutex};
use std::task::Waker;

/// What the driver said of a slot's buffers, and who wants to know.
#[derive(Debug)]
pub(super) struct Mapping {
    pub state: Mutex<State>,
    pub told: Condvar,
}

#[derive(Debug)]
pub(super) struct State {
    /// Buffers of which nothing was said yet.
    pub pending: usize,
    pub failed: bool,
    pub waker: Option<Waker>,
}

impl Mapping {
    /// Waits for both buffers of a slot.
    pub fn of_slot() -> Self {
        Self { state: Mutex::new(State { pending: 2, failed: false, waker: None }), told: Condvar::new() }
    }

    /// Whether the driver has said of both.
    pub fn is_told(&self) -> bool {
        lock(&self.state).pending == 0
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
            wake(waker);
        }
    }
}
