//! Networks on GPUs: what is asked for, planned, compiled once, and estimated.

use crate::Result;
use crate::compiler::{Compiled, Distinct, Outcome, compile};
use crate::estimate::{Estimate, estimate};
use crate::gpus::Gpu;
use crate::hlsl;
use crate::kernel::Kernel;
use crate::networks::blueprint;
use pretrained::Precision;
use pretrained::gpu::{PlannedStep, Touched};
use serde::Serialize;
use std::path::Path;

/// The family whose instructions stand for those of all GPUs.
pub const FAMILY: &str = "navi21";

/// What is to be estimated: each with each.
#[derive(Debug, Clone)]
pub struct Study {
    /// By name.
    pub networks: Vec<String>,
    /// Widths of stored numbers.
    pub precisions: Vec<Precision>,
    /// Images of a batch.
    pub batches: Vec<usize>,
    /// Where they run.
    pub gpus: Vec<Gpu>,
}

/// What came of one network at one width.
#[derive(Debug, Serialize)]
pub struct Studied {
    /// The network.
    pub network: String,
    /// `f32` or `f16`.
    pub precision: String,
    /// For each GPU one for each batch, in order.
    pub estimates: Vec<Estimate>,
}

impl Study {
    /// Compiles in a process of `program`, which is one of this package.
    ///
    /// # Errors
    /// Where a network is unknown, the driver is absent or fails, or what it made cannot be understood.
    pub fn run(&self, program: &Path) -> Result<Vec<Studied>> {
        let (planned, distinct) = self.plan()?;
        let compiled = compiled(program, &distinct)?;
        let kernels = distinct.sources.iter().zip(&compiled).map(|(source, compiled)| Kernel::of(source, compiled));
        let kernels: Vec<Kernel> = kernels.collect::<Result<_>>()?;
        let studied = planned.into_iter().map(|Planned { name, precision, input, runs }| {
            let mut estimates = Vec::new();
            for Run { gpu, images, steps, places } in runs {
                let kernels: Vec<&Kernel> = places.iter().map(|place| &kernels[*place]).collect();
                let estimate = estimate(gpu, &steps, &kernels, &input, images);
                estimates.push(estimate.map_err(|error| format!("{name}, {precision}, {}: {error}", gpu.name))?);
            }
            Ok(Studied { network: name.to_owned(), precision: precision.to_string(), estimates })
        });
        studied.collect()
    }

    /// The machine's instructions of each pipeline that [`run`](Self::run) counts, below its name.
    ///
    /// # Errors
    /// As there.
    pub fn listings(&self, program: &Path) -> Result<String> {
        let (_, distinct) = self.plan()?;
        let compiled = compiled(program, &distinct)?;
        let listings = distinct.pipelines.iter().zip(compiled);
        Ok(listings.map(|(pipeline, compiled)| format!("== {}\n{}\n", pipeline.name(), compiled.listing)).collect())
    }

    /// Each of those pipelines as files for other compilers: SPIR-V for Vulkan, HLSL for DX12.
    ///
    /// # Errors
    /// Where a network is unknown.
    pub fn modules(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let (_, Distinct { pipelines, sources, .. }) = self.plan()?;
        let mut files = Vec::new();
        for (pipeline, source) in pipelines.iter().zip(&sources) {
            files.push((pipeline.name() + ".spv", source.words.iter().flat_map(|word| word.to_le_bytes()).collect()));
            files.push((pipeline.name() + ".hlsl", hlsl::of(pipeline)?.into_bytes()));
        }
        Ok(files)
    }

    /// All runs, and their pipelines.
    fn plan(&self) -> Result<(Vec<Planned<'_>>, Distinct)> {
        let mut distinct = Distinct::default();
        let mut planned = Vec::new();
        for name in &self.networks {
            let blueprint = blueprint(name)?;
            for &precision in &self.precisions {
                let mut runs = Vec::new();
                for gpu in &self.gpus {
                    for &images in &self.batches {
                        let steps = blueprint.steps(gpu.kernels, precision, images)?;
                        let places = steps.iter().map(|step| distinct.place(&step.pipeline));
                        let places = places.collect::<Result<_>>()?;
                        runs.push(Run { gpu, images, steps, places });
                    }
                }
                planned.push(Planned { name, precision, input: blueprint.input(), runs });
            }
        }
        Ok((planned, distinct))
    }
}

/// A network at one width.
struct Planned<'s> {
    name: &'s str,
    precision: Precision,
    input: Touched,
    runs: Vec<Run<'s>>,
}

/// A batch on a GPU: its steps, and for each the place of its pipeline.
struct Run<'s> {
    gpu: &'s Gpu,
    images: usize,
    steps: Vec<PlannedStep>,
    places: Vec<usize>,
}

fn compiled(program: &Path, distinct: &Distinct) -> Result<Vec<Compiled>> {
    match compile(program, FAMILY, &distinct.sources)? {
        Outcome::Compiled(compiled) => Ok(compiled),
        Outcome::Absent(reason) => {
            Err(format!("there is no RADV, which Debian's mesa-vulkan-drivers has: {reason}").into())
        }
        Outcome::Failed(reason) => Err(format!("RADV failed: {reason}").into()),
    }
}
