//! What a step of a session does and how long it takes.

use super::precision::Precision;
use crate::compile::{Kernel, Step};
use crate::graph::Shape;
use std::time::Duration;

/// One step of a session, for a batch that ran.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct StepTime {
    /// The layer that it comes from, such as `stage2.0.branch1.0`; empty for layers without parameters.
    pub name: String,
    /// The device's own name of what computes it.
    pub kernel: String,
    /// What it reads of one image. Of a value whose channels lie apart, those that it reads.
    pub input: Shape,
    /// What it writes of one image.
    pub output: Shape,
    /// Images.
    pub batch: usize,
    /// How long it took.
    pub time: Duration,
    /// Multiplications and additions, for the batch; comparisons count as additions.
    pub operations: u64,
    /// Bytes that it must read and write at least: values of the batch, and weights once.
    pub bytes: u64,
    /// Of these, what each further image of a batch adds.
    image_bytes: u64,
}

impl StepTime {
    /// What is known of `step` before it runs, for a batch of one.
    pub(super) fn of(step: &Step, kernel: &str, precision: Precision) -> Self {
        let input = Shape::new(step.source.planes.len(), step.source.height, step.source.width);
        let output = step.target.shape;
        let results = step.pool.map_or(output, |pool| pool.of).elements();
        let compared = step.pool.map_or(0, |pool| output.elements() * pool.pool.window.taps());
        let (per_output, weights) = match &step.kernel {
            Kernel::Conv2d { weight, bias, .. } | Kernel::Linear { weight, bias, .. } => {
                (2 * weight.len() / output.channels.max(1), weight.len() + bias.len())
            }
            Kernel::MaxPool2d(pool) => (pool.window.taps(), 0),
            Kernel::AvgPool2d(pool) => (pool.window.taps(), 0),
            Kernel::Mean => (input.pixels(), 0),
            Kernel::Softmax => (3, 0),
            Kernel::Add | Kernel::Mul => (1, 0),
            Kernel::Copy => (0, 0),
        };
        let values = input.elements() + output.elements();
        let values = values + step.other.as_ref().map_or(0, |other| other.planes.len() * other.height * other.width);
        Self {
            name: step.name.clone(),
            kernel: kernel.to_owned(),
            input,
            output,
            batch: 1,
            time: Duration::ZERO,
            operations: (results * per_output + compared) as u64,
            bytes: ((values + weights) * precision.bytes()) as u64,
            image_bytes: (values * precision.bytes()) as u64,
        }
    }

    /// Of this step and the `next`, which alone reads its results, where both are computed as one.
    #[cfg_attr(not(feature = "gpu"), allow(dead_code, reason = "the CPU computes one at a time"))]
    pub(super) fn and(self, next: Self, precision: Precision) -> Self {
        let passed = ((self.output.elements() + next.input.elements()) * precision.bytes()) as u64;
        Self {
            name: format!("{} {}", self.name, next.name),
            input: self.input,
            operations: self.operations + next.operations,
            bytes: (self.bytes + next.bytes).saturating_sub(passed),
            image_bytes: (self.image_bytes + next.image_bytes).saturating_sub(passed),
            ..next
        }
    }

    /// The same for a batch of `count`, which took `time`.
    pub(super) fn of_batch(mut self, count: usize, time: Duration) -> Self {
        self.bytes += self.image_bytes * (count as u64 - 1);
        self.operations *= count as u64;
        Self { batch: count, time, ..self }
    }

    /// Operations a second, in billions.
    pub fn gflops(&self) -> f64 {
        self.operations as f64 / self.time.as_secs_f64().max(1e-9) / 1e9
    }

    /// Bytes a second, in billions.
    pub fn gigabytes(&self) -> f64 {
        self.bytes as f64 / self.time.as_secs_f64().max(1e-9) / 1e9
    }
}
