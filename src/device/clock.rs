//! How long something takes, where there is a clock: `wasm32-unknown-unknown` has none, and std's panics there.

pub(crate) use system::Stopwatch;

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
mod system {
    use std::time::{Duration, Instant};

    /// Runs from its start.
    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Stopwatch(Instant);

    impl Stopwatch {
        pub fn start() -> Self {
            Self(Instant::now())
        }

        /// The time since its start.
        pub fn elapsed(self) -> Duration {
            self.0.elapsed()
        }
    }
}

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
mod system {
    use std::time::Duration;

    /// Stands still.
    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Stopwatch;

    impl Stopwatch {
        pub fn start() -> Self {
            Self
        }

        /// Zero.
        pub fn elapsed(self) -> Duration {
            Duration::ZERO
        }
    }
}
