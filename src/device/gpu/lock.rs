//! Mutexes whose poison is no concern.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks `mutex`. A panic while one of these locks was held leaves nothing half done.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
