//! How threads wait: they spin for as long as it takes to wake one, then sleep.

use crate::device::clock::Stopwatch;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a thread spins before it sleeps. Waking one takes about as long.
const SPIN: Duration = Duration::from_micros(50);

/// Spins while `waiting` holds, but not for long. Returns whether it still holds.
pub(super) fn spin_while(waiting: impl Fn() -> bool) -> bool {
    let mut began = None;
    loop {
        for _ in 0..32 {
            if !waiting() {
                return false;
            }
            std::hint::spin_loop();
        }
        if began.get_or_insert_with(Stopwatch::start).elapsed() > SPIN {
            return true;
        }
    }
}

/// A panic while one of these locks was held leaves nothing half done, so poison is no concern.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
