//! A batch on its way through a device: written there, submitted, then waited for or awaited.

use super::program::{Program, Slot};
use crate::error::{Error, Result};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

/// Idle slots that are kept for later batches; more were in flight at once, and may not be again.
const MOST_IDLE: usize = 8;

/// The slots of a session that no ticket has. Some may still run a batch whose ticket was dropped.
#[derive(Debug, Clone, Default)]
pub(super) struct IdleSlots(Arc<Mutex<Vec<Box<dyn Slot>>>>);

impl IdleSlots {
    fn lock(&self) -> MutexGuard<'_, Vec<Box<dyn Slot>>> {
        // A panic while it was held leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An idle slot, or else a new one of `program`.
    pub fn take(&self, program: &Arc<dyn Program>) -> Result<Lease> {
        // Wakers may run while a slot is asked, so the lock is not held meanwhile.
        let mut busy = Vec::new();
        let idle = loop {
            let Some(mut slot) = self.lock().pop() else { break None };
            if slot.poll(None) {
                break Some(slot);
            }
            busy.push(slot);
        };
        self.lock().extend(busy);
        let slot = idle.map_or_else(|| program.clone().slot(), Ok)?;
        Ok(Lease { slot: Some(slot), idle: self.clone() })
    }

    pub fn give(&self, mut slot: Box<dyn Slot>) {
        let is_idle = slot.poll(None);
        let mut slots = self.lock();
        // To drop a slot that runs may take as long as its run.
        if slots.len() < MOST_IDLE || !is_idle {
            slots.push(slot);
        }
    }
}

/// A slot in use. It goes back to its session when the lease ends.
#[derive(Debug)]
pub(super) struct Lease {
    slot: Option<Box<dyn Slot>>,
    idle: IdleSlots,
}

impl Lease {
    /// Lets `work` use the slot. A slot that failed is not used again.
    pub fn with<T>(&mut self, work: impl FnOnce(&mut dyn Slot) -> Result<T>) -> Result<T> {
        let mut slot = self.slot.take().ok_or_else(|| Error::Usage("the results were taken already".into()))?;
        let done = work(&mut *slot)?;
        self.slot = Some(slot);
        Ok(done)
    }

    /// The slot itself, which does not go back.
    pub fn into_slot(mut self) -> Option<Box<dyn Slot>> {
        self.slot.take()
    }

    /// Ends the lease early.
    fn end(&mut self) {
        if let Some(slot) = self.slot.take() {
            self.idle.give(slot);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.end();
    }
}

/// A batch that lies where the device reads it. One that is dropped is not run.
#[must_use = "the batch runs when it is submitted"]
#[derive(Debug)]
pub struct Staged {
    lease: Lease,
    count: usize,
}

impl Staged {
    pub(super) fn new(lease: Lease, count: usize) -> Self {
        Self { lease, count }
    }

    /// Begins to run the batch, and does not wait for its results.
    ///
    /// # Errors
    /// [`Error::Device`] where the device fails.
    pub fn submit(mut self) -> Result<Ticket> {
        self.lease.with(|slot| slot.submit(self.count))?;
        Ok(Ticket { lease: self.lease, count: self.count })
    }
}

/// A batch that was submitted to a [`Session`](crate::Session). A ticket that is dropped lets go of the results.
///
/// It is a future that works with any executor: one thread of each device wakes those who await.
#[must_use = "the results come by wait or await"]
#[derive(Debug)]
pub struct Ticket {
    lease: Lease,
    count: usize,
}

impl Ticket {
    /// Blocks until the results are there: as many numbers an image as [`Session::outputs`](crate::Session::outputs)
    /// says.
    ///
    /// # Errors
    /// [`Error::Device`] where the device fails; [`Error::Usage`] where the results were taken already.
    pub fn wait(mut self) -> Result<Vec<f32>> {
        self.take()
    }

    /// The results, if they are there; it never blocks.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn try_take(&mut self) -> Result<Option<Vec<f32>>> {
        match self.lease.with(|slot| Ok(slot.poll(None)))? {
            true => self.take().map(Some),
            false => Ok(None),
        }
    }

    /// Waits for the results, and gives the slot back.
    fn take(&mut self) -> Result<Vec<f32>> {
        let results = self.lease.with(|slot| {
            slot.wait()?;
            slot.read(self.count)
        })?;
        self.lease.end();
        Ok(results)
    }
}

/// What [`wait`](Ticket::wait) returns, without blocking.
impl Future for Ticket {
    type Output = Result<Vec<f32>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let ticket = self.get_mut();
        match ticket.lease.with(|slot| Ok(slot.poll(Some(cx.waker())))) {
            Ok(true) => Poll::Ready(ticket.take()),
            Ok(false) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}
