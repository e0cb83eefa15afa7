//! What a run takes on a GPU, step by step.

use crate::Result;
use crate::cache::{Moved, moved};
use crate::gpus::Gpu;
use crate::kernel::{Kernel, Walked};
use crate::walk::Count;
use pretrained::gpu::{PlannedStep, Touched};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// What a step's time is: the largest of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// Of waves one after the other, each of which takes as long as it would alone.
    Latency,
    /// Of the vector units.
    Vector,
    /// Of the caches beside them.
    L0,
    /// Of the shared memories.
    Shared,
    /// Of the last cache.
    Cache,
    /// Of the memory.
    Memory,
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(match self {
            Self::Latency => "latency",
            Self::Vector => "vector",
            Self::L0 => "l0",
            Self::Shared => "shared",
            Self::Cache => "cache",
            Self::Memory => "memory",
        })
    }
}

/// What a step takes.
#[derive(Debug, Clone, Serialize)]
pub struct StepEstimate {
    /// The layer that it comes from.
    pub name: String,
    /// The shader.
    pub kernel: &'static str,
    /// What it reads and writes of an image.
    pub shape: String,
    /// Workgroups of the batch.
    pub workgroups: usize,
    /// Invocations of the batch.
    pub invocations: usize,
    /// Billions of operations that the batch needs, comparisons included.
    pub gigaoperations: f64,
    /// Bytes that the batch moves, each once.
    pub bytes: f64,
    /// Of these, what memory moves where the last cache keeps what it can.
    pub memory_bytes: f64,
    /// Vector registers.
    pub registers: u64,
    /// Waves that a vector unit holds.
    pub waves: usize,
    /// Instructions for each multiplication, of the innermost loop and of all; none where nothing is multiplied.
    pub instructions: Option<[f64; 2]>,
    /// Those of the vector units, likewise.
    pub vectors: Option<[f64; 2]>,
    /// What is computed for each that is needed.
    pub ratio: f64,
    /// Cycles of a wave that is alone.
    pub latency: f64,
    /// Whether it waits for the steps before it.
    pub waits: bool,
    /// Microseconds.
    pub time: f64,
    /// What they are spent on.
    pub bound: Bound,
    /// Microseconds where the last cache keeps nothing.
    pub uncached: f64,
}

/// What a run takes.
#[derive(Debug, Clone, Serialize)]
pub struct Estimate {
    /// The GPU.
    pub gpu: &'static str,
    /// Images of the batch.
    pub images: usize,
    /// In order.
    pub steps: Vec<StepEstimate>,
    /// Steps that wait.
    pub waits: usize,
    /// Microseconds that these take besides.
    pub wait_time: f64,
    /// Microseconds of all steps.
    pub run_time: f64,
    /// The same where the last cache keeps nothing.
    pub uncached_run_time: f64,
    /// Images a second.
    pub rate: f64,
    /// Trillions of operations a second.
    pub teraoperations: f64,
    /// Percent of the GPU's peak.
    pub peak: f64,
    /// Microseconds by kernel.
    pub kernels: BTreeMap<&'static str, f64>,
    /// Microseconds by what they are spent on.
    pub bounds: BTreeMap<Bound, f64>,
}

/// A run of `steps` over `images` images, which come to `input`; `kernels` has one for each step.
///
/// # Errors
/// As [`Kernel::walk`].
pub fn estimate(
    gpu: &Gpu,
    steps: &[PlannedStep],
    kernels: &[&Kernel],
    input: &Touched,
    images: usize,
) -> Result<Estimate> {
    let moved = moved(steps, input, images, gpu.cache);
    let parts = steps.iter().zip(kernels).zip(moved);
    let estimated = parts.map(|((step, kernel), moved)| {
        Ok(of_step(gpu, step, kernel, &kernel.walk(step, images, &gpu.costs)?, moved, images))
    });
    let steps: Vec<StepEstimate> = estimated.collect::<Result<_>>()?;
    let waits = steps.iter().filter(|step| step.waits).count();
    let wait_time = waits as f64 * gpu.wait;
    let run_time: f64 = steps.iter().map(|step| step.time).sum();
    let microseconds = run_time + wait_time;
    let teraoperations = steps.iter().map(|step| step.gigaoperations).sum::<f64>() * 1e3 / microseconds;
    let (mut by_kernel, mut bounds) = (BTreeMap::new(), BTreeMap::new());
    for step in &steps {
        *by_kernel.entry(step.kernel).or_default() += step.time;
        *bounds.entry(step.bound).or_default() += step.time;
    }
    Ok(Estimate {
        gpu: gpu.name,
        images,
        waits,
        wait_time,
        run_time,
        uncached_run_time: steps.iter().map(|step| step.uncached).sum(),
        rate: images as f64 / microseconds * 1e6,
        teraoperations,
        peak: teraoperations * 1e5 / gpu.peak(),
        kernels: by_kernel,
        bounds,
        steps,
    })
}

fn of_step(
    gpu: &Gpu,
    step: &PlannedStep,
    kernel: &Kernel,
    walked: &Walked,
    moved: Moved,
    images: usize,
) -> StepEstimate {
    let counts = &walked.counts;
    let workgroups = Kernel::workgroups(step, images);
    let waves = workgroups * kernel.waves() * gpu.waves;
    let held = gpu.held(kernel.registers, kernel.shared, kernel.waves());
    let microseconds = |cycles: f64| cycles / gpu.ghz / 1e3;
    let each = |units: usize, count| microseconds(waves.div_ceil(units) as f64 * counts[count]);
    let computing = [
        (Bound::Latency, each(gpu.simds * held, Count::Latency)),
        (Bound::Vector, each(gpu.simds, Count::Vector)),
        (Bound::L0, each(gpu.units, Count::L0)),
        (Bound::Shared, each(gpu.units, Count::Shared)),
    ];
    let moving = [(Bound::Cache, moved.all / gpu.cached / 1e3), (Bound::Memory, moved.memory / gpu.memory / 1e3)];
    let largest = |times: &[(Bound, f64)]| {
        times.iter().copied().fold((Bound::Latency, 0.0), |most, one| if one.1 > most.1 { one } else { most })
    };
    let (bound, time) = largest(&[&computing[..], &moving].concat());
    let per_multiplication = |count| {
        let of = |counts: &crate::walk::Counts| counts[count] / counts[Count::Multiplied];
        (step.weight_bytes > 0).then(|| [of(&walked.innermost), of(counts)])
    };
    let (input, output) = (step.input, step.output);
    StepEstimate {
        name: step.name.clone(),
        kernel: step.pipeline.shader(),
        shape: format!("{input} > {output}"),
        workgroups,
        invocations: workgroups * kernel.invocations,
        gigaoperations: (step.operations * images as u64) as f64 / 1e9,
        bytes: moved.all,
        memory_bytes: moved.memory,
        registers: kernel.registers,
        waves: held,
        instructions: per_multiplication(Count::Instructions),
        vectors: per_multiplication(Count::Vectors),
        ratio: walked.ratio,
        latency: counts[Count::Latency],
        waits: step.waits,
        time,
        bound,
        uncached: largest(&computing).1.max(moved.all / gpu.memory / 1e3),
    }
}
