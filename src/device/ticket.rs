//! A batch on its way through a device: written there, submitted, then waited for or awaited.

use super::cpu;
use crate::error::{Error, Result};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A batch that lies where the device reads it. One that is dropped is not run.
#[must_use = "the batch runs when it is submitted"]
#[derive(Debug)]
pub struct Staged<'s>(Stage<'s>);

#[derive(Debug)]
enum Stage<'s> {
    /// The CPU reads a batch where the caller has it.
    Cpu { session: &'s mut cpu::Session, batch: &'s [f32], count: usize },
    #[cfg(feature = "gpu")]
    Gpu(Box<super::gpu::Staged>),
}

impl<'s> Staged<'s> {
    pub(super) fn cpu(session: &'s mut cpu::Session, batch: &'s [f32], count: usize) -> Self {
        Self(Stage::Cpu { session, batch, count })
    }

    #[cfg(feature = "gpu")]
    pub(super) fn gpu(staged: super::gpu::Staged) -> Self {
        Self(Stage::Gpu(Box::new(staged)))
    }

    /// Begins to run the batch, and does not wait for its results.
    ///
    /// # Errors
    /// [`Error::Device`](crate::Error::Device) where the device fails.
    pub fn submit(self) -> Result<Ticket> {
        match self.0 {
            Stage::Cpu { session, batch, count } => session.run(batch, count).map(Ticket::done),
            #[cfg(feature = "gpu")]
            Stage::Gpu(staged) => staged.submit().map(Ticket::gpu),
        }
    }
}

/// A batch that was submitted to a [`Session`](crate::Session). A ticket that is dropped lets go of the results.
#[must_use = "the results come by wait or await"]
#[derive(Debug)]
pub struct Ticket(State);

#[derive(Debug)]
enum State {
    /// The results, from a device that computes while one submits.
    Done(Vec<f32>),
    #[cfg(feature = "gpu")]
    Gpu(Box<super::gpu::Ticket>),
    /// An awaited ticket that gave its results.
    Taken,
}

impl Ticket {
    fn done(results: Vec<f32>) -> Self {
        Self(State::Done(results))
    }

    #[cfg(feature = "gpu")]
    fn gpu(ticket: super::gpu::Ticket) -> Self {
        Self(State::Gpu(Box::new(ticket)))
    }

    /// Blocks until the results are there: as many numbers an image as [`Session::outputs`](crate::Session::outputs)
    /// says.
    ///
    /// # Errors
    /// [`Error::Device`](crate::Error::Device) where the device fails.
    pub fn wait(self) -> Result<Vec<f32>> {
        match self.0 {
            State::Done(results) => Ok(results),
            #[cfg(feature = "gpu")]
            State::Gpu(ticket) => ticket.wait(),
            State::Taken => Err(taken()),
        }
    }
}

fn taken() -> Error {
    Error::Usage("the results of this ticket were taken already".into())
}

/// What [`wait`](Ticket::wait) returns, without blocking. It works with any executor.
impl Future for Ticket {
    type Output = Result<Vec<f32>>;

    #[cfg_attr(not(feature = "gpu"), allow(unused_variables))]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let state = &mut self.get_mut().0;
        #[cfg(feature = "gpu")]
        if let State::Gpu(ticket) = state
            && !ticket.is_ready(cx.waker())
        {
            return Poll::Pending;
        }
        Poll::Ready(match std::mem::replace(state, State::Taken) {
            State::Done(results) => Ok(results),
            #[cfg(feature = "gpu")]
            State::Gpu(ticket) => ticket.wait(),
            State::Taken => Err(taken()),
        })
    }
}
