//! How long a download may take, and how fast it is.

use std::time::{Duration, Instant};

/// A moment that something must be over by.
#[derive(Clone, Copy)]
pub(super) struct Until {
    begun: Instant,
    time: Duration,
}

impl Until {
    pub fn after(time: Duration) -> Self {
        Self { begun: Instant::now(), time }
    }

    pub fn left(self) -> Duration {
        self.time.saturating_sub(self.begun.elapsed())
    }
}

/// The stretch of time over which a speed is measured, and what has come in it.
pub(super) struct Window {
    begun: Instant,
    bytes: u64,
}

impl Window {
    pub fn begin() -> Self {
        Self { begun: Instant::now(), bytes: 0 }
    }

    /// Counts `bytes`; where the window has lasted for `time`, gives its bytes a second and begins anew.
    pub fn take(&mut self, bytes: u64, time: Duration) -> Option<u64> {
        self.bytes = self.bytes.saturating_add(bytes);
        let lasted = self.begun.elapsed();
        if lasted < time {
            return None;
        }
        let speed = (self.bytes as f64 / lasted.as_secs_f64()) as u64;
        *self = Self::begin();
        Some(speed)
    }
}
