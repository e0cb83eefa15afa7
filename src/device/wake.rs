//! Waking whoever awaits a run.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

/// Calls a waker. It is the caller's code, and a panic of it must not end a thread that others wait for.
pub(super) fn wake(waker: Option<Waker>) {
    let _ = catch_unwind(AssertUnwindSafe(|| waker.into_iter().for_each(Waker::wake)));
}
