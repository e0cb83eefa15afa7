//! A batch on its way through a device: wait for it, or await it.

use crate::error::{Error, Result};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

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
    pub(super) fn done(results: Vec<f32>) -> Self {
        Self(State::Done(results))
    }

    #[cfg(feature = "gpu")]
    pub(super) fn gpu(ticket: super::gpu::Ticket) -> Self {
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
