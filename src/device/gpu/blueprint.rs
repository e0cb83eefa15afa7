//! What a session on a GPU would run, told without a GPU: the pipeline of each step, its workgroups, and what it moves.
//! `benches/gpu_model` compiles and counts it.

use super::dispatch::Dispatch;
use super::family::{Family, full};
use super::packed::Packed;
use super::shader::{Narrow, Pipeline};
use super::spirv::Modules;
use super::workgroups::Workgroups;
use crate::checkpoint::Limits;
use crate::compile::{Budget, Plan, Source, Target, compile_within};
use crate::device::precision::Precision;
use crate::device::program::Terms;
use crate::error::{Error, Result};
use crate::graph::Shape;
use crate::load::Weights;
use crate::model::Model;
use std::ops::Range;

/// Which of the kernels that suit any GPU run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kernels {
    /// As if every step had few results.
    Few,
    /// As if every step had many.
    Many,
    /// Those that an integrated GPU gets.
    Integrated,
    /// Those that a GPU of its own gets.
    Discrete,
}

impl Kernels {
    fn family(self) -> Family {
        let full = match self {
            Self::Few => usize::MAX,
            Self::Many => 0,
            Self::Integrated => full(wgpu::DeviceType::IntegratedGpu),
            Self::Discrete => full(wgpu::DeviceType::DiscreteGpu),
        };
        Family::Plain { full }
    }
}

/// A model that is planned for GPUs, for images of one shape.
#[derive(Debug)]
pub struct Blueprint {
    plan: Plan,
    weights: Weights,
}

impl Blueprint {
    /// Plans `model` as a session on a GPU of its own does, within the default [`Limits`].
    ///
    /// # Errors
    /// As [`crate::Session::new`], but for those of a device.
    pub fn new(model: &Model, input: Shape) -> Result<Self> {
        let (graph, weights, limits) = (&model.network().graph, model.weights(), Limits::default());
        let budget = Budget::new(&limits, weights);
        let layout = Kernels::Discrete.family().layout();
        let plan = compile_within(graph, weights, &graph.shapes(input)?, layout, &limits, &budget)?;
        Ok(Self { plan, weights: weights.clone() })
    }

    /// Where a batch is copied to before the steps run.
    pub fn input(&self) -> Touched {
        Touched::written(&self.plan.input, Precision::F32.bytes())
    }

    /// The steps in order, for batches of up to `max_batch` images.
    ///
    /// # Errors
    /// [`Error::Limit`](crate::Error::Limit) where packed weights would take too much memory;
    /// [`Error::Device`](crate::Error::Device) where a step counts to more than 32 bits.
    pub fn steps(&self, kernels: Kernels, precision: Precision, max_batch: usize) -> Result<Vec<PlannedStep>> {
        let (limits, budget) = (&Limits::default(), &Budget::new(&Limits::default(), &self.weights));
        let terms = Terms { max_batch, precision, levels: None, limits, budget };
        let packed = Packed::all(self.plan.steps.clone(), kernels.family(), &terms)?;
        Ok(packed.into_iter().map(PlannedStep::of).collect())
    }
}

/// A step as it would be dispatched.
#[derive(Debug, Clone)]
pub struct PlannedStep {
    /// The layer that it comes from; empty for layers without parameters.
    pub name: String,
    /// What runs.
    pub pipeline: PlannedPipeline,
    /// What runs in its place over images that come as levels, where it takes them.
    pub levels: Option<PlannedPipeline>,
    /// Whether it waits for the steps before it.
    pub waits: bool,
    /// What it reads of one image. Of a value whose channels lie apart, those that it reads.
    pub input: Shape,
    /// What it writes of one image.
    pub output: Shape,
    /// Groups or channels that an output is made of.
    pub inputs: usize,
    /// Runs of groups that they lie in.
    pub runs: usize,
    /// Rows that an invocation computes.
    pub rows: usize,
    /// Numbers of 32 bits in its table.
    pub table: usize,
    /// Bytes of its packed weight and bias.
    pub weight_bytes: u64,
    /// Multiplications and additions, an image; comparisons count as additions.
    pub operations: u64,
    /// The parts of buffers that it reads, besides its table and its weights.
    pub reads: Vec<Touched>,
    /// The part of a buffer that it writes.
    pub writes: Touched,
    workgroups: Workgroups,
}

impl PlannedStep {
    fn of(step: Packed) -> Self {
        let Packed { dispatch, profile, source, other, target, waits } = step;
        let Dispatch { pipeline, params, table, weights, workgroups, .. } = &dispatch;
        let Narrow { x, y, other: paired, .. } = pipeline.narrow;
        let bytes = |half| if half { Precision::F16 } else { Precision::F32 }.bytes();
        let sources = [Some((&source, x)), other.as_ref().map(|source| (source, paired))];
        let reads = sources.into_iter().flatten().map(|(source, half)| Touched::read(source, bytes(half)));
        let bias = weights.as_ref().map_or(0, |[_, bias]| bias.len() * size_of::<f32>());
        Self {
            name: profile.name,
            waits,
            input: profile.input,
            output: profile.output,
            inputs: params.inputs as usize,
            runs: params.runs as usize,
            rows: params.rows as usize,
            table: table.len(),
            weight_bytes: dispatch.weight_bytes() + bias as u64,
            operations: profile.operations,
            reads: reads.collect(),
            writes: Touched::written(&target, bytes(y)),
            workgroups: *workgroups,
            pipeline: PlannedPipeline(dispatch.pipeline),
            levels: dispatch.levels.map(PlannedPipeline),
        }
    }

    /// Workgroups for a batch of `count` images.
    pub fn workgroups(&self, count: usize) -> [usize; 3] {
        self.workgroups.of(count)
    }
}

/// What one compiled pipeline is made of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PlannedPipeline(Pipeline);

/// A buffer as a pipeline binds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PlannedBinding {
    /// Its number.
    pub binding: u32,
    /// Whether it is a uniform buffer, and no storage buffer.
    pub uniform: bool,
}

impl PlannedPipeline {
    /// The name of the shader's file.
    pub fn shader(&self) -> &'static str {
        self.0.shader.name()
    }

    /// The shader, which arrays hold fewer than 32 bits a number, and the values of the shader's constants: no two pipelines have
    /// the same.
    pub fn name(&self) -> String {
        let Narrow { x, y, weights, other } = self.0.narrow;
        let arrays = [(x, 'x'), (y, 'y'), (weights, 'w'), (other, 'o')];
        let narrow: String = arrays.into_iter().filter_map(|(is_narrow, letter)| is_narrow.then_some(letter)).collect();
        let constants = self.0.constants.iter().map(|(name, value)| format!("-{name}{value}"));
        format!("{}.{narrow}{}", self.shader(), constants.collect::<String>())
    }

    /// The value of one of the shader's constants.
    pub fn constant(&self, name: &str) -> Option<u32> {
        self.0.constants.iter().find(|(found, _)| *found == name).map(|(_, value)| *value)
    }

    /// What it binds, in order.
    pub fn bindings(&self) -> Vec<PlannedBinding> {
        let bindings = self.0.shader.signature().bindings();
        let planned = |declared: super::shader::Declaration| PlannedBinding {
            binding: declared.binding,
            uniform: declared.kind == wgpu::BufferBindingType::Uniform,
        };
        bindings.map(planned).collect()
    }

    /// The values of the shader's constants.
    pub fn constants(&self) -> impl Iterator<Item = (&'static str, u32)> {
        self.0.constants.iter().copied()
    }

    /// The shader's text, whose constants have no values yet.
    pub fn wgsl(&self) -> String {
        self.0.shader.source(self.0.narrow)
    }

    /// The words that a Vulkan driver compiles on a device that itself keeps accesses within their buffers.
    ///
    /// # Errors
    /// [`Error::Device`] where the shader is wrong.
    pub fn spirv(&self) -> Result<Vec<u32>> {
        Modules::new(true).compile(&self.0).map_err(Error::device)
    }
}

/// What is read or written of each image in a buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    /// The number of the buffer.
    pub buffer: usize,
    /// Ranges of elements, in order, none of which overlap.
    pub elements: Vec<Range<usize>>,
    /// Bytes of an element.
    pub bytes: usize,
}

impl Touched {
    fn read(source: &Source, bytes: usize) -> Self {
        let shape = Shape::new(source.lanes, source.height, source.width);
        let mut starts: Vec<usize> = source.planes.iter().map(|plane| plane / source.lanes * source.lanes).collect();
        starts.sort_unstable();
        let mut elements: Vec<Range<usize>> = Vec::new();
        for start in starts {
            match elements.last_mut() {
                Some(last) if start <= last.end => last.end = last.end.max(start + shape.elements()),
                _ => elements.push(start..start + shape.elements()),
            }
        }
        Self { buffer: source.buffer, elements, bytes }
    }

    fn written(target: &Target, bytes: usize) -> Self {
        let groups = target.shape.channels.div_ceil(target.lanes);
        let elements = target.offset..target.offset + groups * target.group_stride();
        Self { buffer: target.buffer, elements: std::iter::once(elements).collect(), bytes }
    }

    /// Bytes of all of it, an image.
    pub fn size(&self) -> u64 {
        self.elements.iter().map(|range| (range.len() * self.bytes) as u64).sum()
    }
}
