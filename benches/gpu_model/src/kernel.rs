//! A pipeline that was compiled, as the model takes it.

use crate::Result;
use crate::compiler::{Compiled, Source};
use crate::listing::{self, Node};
use crate::trips;
use crate::walk::{Costs, Count, Counts, innermost, walk};
use pretrained::gpu::PlannedStep;

/// Lanes of a wave, as the driver compiles for.
pub const LANES: usize = 64;

/// The least and the largest ratio of what a kernel computes and what its step needs that is believed.
const BELIEVED: std::ops::RangeInclusive<f64> = 0.9..=3.0;

/// A compiled kernel.
#[derive(Debug, Clone)]
pub struct Kernel {
    nodes: Vec<Node>,
    /// Vector registers of a lane.
    pub registers: u64,
    /// Bytes of shared memory of a workgroup.
    pub shared: u64,
    /// Invocations of a workgroup.
    pub invocations: usize,
}

/// What a wave of a step does.
#[derive(Debug, Clone, Copy)]
pub struct Walked {
    /// All of it.
    pub counts: Counts,
    /// One pass of the innermost loop.
    pub innermost: Counts,
    /// How much it computes for each that the step needs: multiplications, additions of a mean, results elsewhere. See
    /// [`Kernel::walk`].
    pub ratio: f64,
}

impl Kernel {
    /// # Errors
    /// Where the listing cannot be read.
    pub fn of(source: &Source, compiled: &Compiled) -> Result<Self> {
        Ok(Self {
            nodes: listing::read(&compiled.listing)?,
            registers: compiled.statistic("VGPRs")?,
            shared: compiled.statistic("LDS size")?,
            invocations: source.invocations().ok_or("the shader tells no size of its workgroups")? as usize,
        })
    }

    /// Waves of a workgroup.
    pub fn waves(&self) -> usize {
        self.invocations.div_ceil(LANES)
    }

    /// Workgroups of a batch of `images` that have work.
    pub fn workgroups(step: &PlannedStep, images: usize) -> usize {
        let [x, y, z] = step.workgroups(images);
        // The first of four images has a workgroup for all of them.
        x * y * if step.pipeline.shader() == "linear_sliced" { z.div_ceil(4) } else { z }
    }

    /// Walks a wave of `step` through the kernel, over a batch of `images`.
    ///
    /// What all invocations compute must be at least what the step needs. It is much more where many of them
    /// idle, so that the largest ratio is not of all invocations, where another is less: of what is computed for each number
    /// that is stored.
    ///
    /// # Errors
    /// Where the kernel has other loops than its text, or a ratio is absurd, by which a misread listing shows.
    pub fn walk(&self, step: &PlannedStep, images: usize, costs: &Costs) -> Result<Walked> {
        let wrong =
            |reason: &dyn std::fmt::Display| format!("step {:?} ({}): {reason}", step.name, step.pipeline.name());
        let trips = trips::of(step, images, &self.nodes).map_err(|error| wrong(&error))?;
        let counts = walk(&self.nodes, &trips, costs);
        // What an invocation computes of several images, several store.
        let several = if step.pipeline.shader() == "linear_sliced" { images.min(4) as f64 } else { 1.0 };
        let numbers = several * counts[Count::Stored] * (size_of::<f32>() / step.writes.bytes) as f64;
        let results = (step.output.elements() * images) as f64;
        let (computed, needed) = match step.pipeline.shader() {
            _ if step.weight_bytes > 0 => (counts[Count::Multiplied], (step.operations * images as u64) as f64 / 2.0),
            // Halves are added by what multiplies by one besides.
            shader if shader.starts_with("mean") => {
                (counts[Count::Added] + counts[Count::Multiplied], (step.input.elements() * images) as f64)
            }
            _ => (numbers, results),
        };
        let invocations = Self::workgroups(step, images) * self.invocations;
        let of_all = computed * invocations as f64 / needed;
        let of_stored = computed / numbers.max(1.0) / (needed / results);
        if of_all < *BELIEVED.start() || of_all.min(of_stored) > *BELIEVED.end() {
            let reason = format!(
                "its kernel computes {of_all:.2} times what the step needs, or {of_stored:.2} times by what it stores; \
                 trips.rs, or the reading of the listing, is wrong"
            );
            return Err(wrong(&reason).into());
        }
        Ok(Walked { counts, innermost: innermost(&self.nodes, &trips, costs), ratio: of_all })
    }
}
