//! A plan on the GPU: buffers and bind groups made once, then one pass, one submit and one wait a run.

use super::context::Context;
use super::kernels::{self, Dispatch};
use crate::compile::{Plan, Target};
use crate::error::Result;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// How long a finished run waits for its callback before it polls again.
const CALLBACK_WAIT: Duration = Duration::from_millis(10);

/// A compiled network in GPU memory.
#[derive(Debug)]
pub struct Session {
    context: Arc<Context>,
    steps: Vec<Step>,
    buffers: Vec<wgpu::Buffer>,
    readback: wgpu::Buffer,
    input: Target,
    output: Target,
    /// The batch, laid out as the input buffer has it.
    staged: Vec<f32>,
}

#[derive(Debug)]
struct Step {
    pipeline: wgpu::ComputePipeline,
    bindings: wgpu::BindGroup,
    workgroups: [u32; 2],
}

impl Session {
    /// Uploads the weights of `plan`, and takes memory for batches of up to `max_batch`.
    pub(in crate::device) fn new(context: Arc<Context>, plan: &Plan, max_batch: usize) -> Result<Self> {
        let limits = context.device.limits();
        let bytes = |elements: usize| elements.saturating_mul(max_batch).saturating_mul(size_of::<f32>()) as u64;
        let largest = plan.buffers.iter().copied().max().unwrap_or(0);
        // Shaders count elements in 32 bits.
        let binding = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size).min(u64::from(u32::MAX));
        if bytes(largest) > binding {
            let fits = binding / ((largest * size_of::<f32>()) as u64).max(1);
            let reason = format!(
                "a batch of {max_batch} takes a buffer of {} bytes, and {binding} is its limit; {} would fit",
                bytes(largest),
                if fits == 0 { "no batch".to_owned() } else { format!("a batch of {fits}") }
            );
            return Err(context.error(reason));
        }
        let dispatches: Vec<Dispatch> = plan.steps.iter().map(kernels::dispatch).collect();
        let most = limits.max_compute_workgroups_per_dimension as usize;
        if let Some(workgroups) = dispatches.iter().flat_map(|d| d.workgroups).chain([max_batch]).find(|n| *n > most) {
            return Err(context.error(format!("a step takes {workgroups} workgroups, and {most} is its limit")));
        }
        context.guarded(|| Self::build(context.clone(), plan, dispatches, max_batch))
    }

    fn build(context: Arc<Context>, plan: &Plan, dispatches: Vec<Dispatch>, max_batch: usize) -> Result<Self> {
        let device = &context.device;
        let buffer = |label, elements: usize, usage| {
            let size = (elements * size_of::<f32>()) as u64;
            device.create_buffer(&wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false })
        };
        let activations = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
        let buffers: Vec<wgpu::Buffer> =
            plan.buffers.iter().map(|elements| buffer("activations", elements * max_batch, activations)).collect();
        let readback = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let readback = buffer("readback", plan.output.image_stride * max_batch, readback);

        let mut constants = Constants::new(&device.limits());
        let ranges: Vec<Vec<Range>> = dispatches.iter().map(|dispatch| constants.add(dispatch)).collect();
        let constants = constants.upload(&context)?;

        let steps = plan.steps.iter().zip(&dispatches).zip(&ranges).map(|((step, dispatch), ranges)| {
            let whole = |index: usize| buffers[index].as_entire_binding();
            let part = |range: &Range| {
                wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer: &constants,
                    offset: range.offset,
                    size: std::num::NonZeroU64::new(range.size),
                })
            };
            let mut resources =
                vec![part(&ranges[0]), whole(step.source.buffer), part(&ranges[1]), whole(step.target.buffer)];
            resources.extend(ranges[2..].iter().map(part));
            let entries: Vec<wgpu::BindGroupEntry> =
                (0..).zip(resources).map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource }).collect();
            let layout = &context.layouts[usize::from(dispatch.pipeline.shader.weighted())];
            Step {
                pipeline: context.pipeline(&dispatch.pipeline),
                bindings: device.create_bind_group(&wgpu::BindGroupDescriptor {
                    label: Some(&step.name),
                    layout,
                    entries: &entries,
                }),
                workgroups: dispatch.workgroups.map(|n| n as u32),
            }
        });
        let steps = steps.collect();
        let (input, output) = (plan.input.clone(), plan.output.clone());
        Ok(Self { context, steps, buffers, readback, input, output, staged: Vec::new() })
    }

    /// Runs `count` images; see [`crate::Session::run`].
    pub(in crate::device) fn run(&mut self, batch: &[f32], count: usize) -> Result<Vec<f32>> {
        self.stage(batch);
        let context = &self.context;
        context.queue.write_buffer(&self.buffers[self.input.buffer], 0, bytemuck::cast_slice(&self.staged));
        let mut encoder = context.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        for step in &self.steps {
            pass.set_pipeline(&step.pipeline);
            pass.set_bind_group(0, &step.bindings, &[]);
            pass.dispatch_workgroups(step.workgroups[0], step.workgroups[1], count as u32);
        }
        drop(pass);
        let size = (count * self.output.image_stride * size_of::<f32>()) as u64;
        encoder.copy_buffer_to_buffer(&self.buffers[self.output.buffer], 0, &self.readback, 0, size);
        let (sender, mapped) = mpsc::channel();
        encoder.map_buffer_on_submit(&self.readback, wgpu::MapMode::Read, 0..size, move |result| {
            // The receiver is gone only when the run has failed already.
            let _ = sender.send(result);
        });
        let submission = context.queue.submit([encoder.finish()]);
        let waited = context.device.poll(wgpu::PollType::Wait { submission_index: Some(submission), timeout: None });
        context.check()?;
        waited.map_err(|error| context.error(error))?;
        // Another thread that polls the same device may have taken the callback on, and not have called it yet.
        let mapping = loop {
            match mapped.recv_timeout(CALLBACK_WAIT) {
                Ok(mapping) => break mapping,
                Err(RecvTimeoutError::Timeout) => {
                    context.device.poll(wgpu::PollType::Poll).map_err(|error| context.error(error))?;
                    context.check()?;
                }
                Err(RecvTimeoutError::Disconnected) => return Err(context.error("the results were not mapped")),
            }
        };
        mapping.map_err(|error| context.error(error))?;
        let view = self.readback.get_mapped_range(0..size).map_err(|error| context.error(error))?;
        let results = self.collect(bytemuck::cast_slice(&view));
        drop(view);
        self.readback.unmap();
        Ok(results)
    }

    /// Lays a batch out as the input buffer has it: planes at their stride, images at theirs.
    fn stage(&mut self, batch: &[f32]) {
        let Target { shape, image_stride, offset, .. } = self.input;
        let plane_stride = self.input.group_stride();
        self.staged.clear();
        for image in batch.chunks_exact(shape.elements()) {
            let start = self.staged.len();
            self.staged.resize(start + offset, 0.0);
            for plane in image.chunks_exact(shape.pixels()) {
                self.staged.extend_from_slice(plane);
                self.staged.resize(self.staged.len() + plane_stride - plane.len(), 0.0);
            }
            self.staged.resize(start + image_stride, 0.0);
        }
    }

    /// Takes the results out of the output buffer's layout.
    fn collect(&self, images: &[f32]) -> Vec<f32> {
        let Target { shape, image_stride, offset, .. } = self.output;
        let planes = |image: &[f32]| -> Vec<f32> {
            let planes = image[offset..].chunks(self.output.group_stride()).take(shape.channels);
            planes.flat_map(|plane| plane[..shape.pixels()].iter().copied()).collect()
        };
        images.chunks_exact(image_stride).flat_map(planes).collect()
    }
}

/// Bytes of a range of the constants' buffer.
struct Range {
    offset: u64,
    size: u64,
}

/// All that never changes: parameters, tables and weights of every step, in one buffer.
struct Constants {
    bytes: Vec<u8>,
    alignment: usize,
}

impl Constants {
    fn new(limits: &wgpu::Limits) -> Self {
        let alignment = limits.min_storage_buffer_offset_alignment.max(limits.min_uniform_buffer_offset_alignment);
        Self { bytes: Vec::new(), alignment: alignment as usize }
    }

    /// The ranges of parameters, planes and, where there are any, weight and bias.
    fn add(&mut self, dispatch: &Dispatch) -> Vec<Range> {
        let mut ranges = vec![self.push(bytemuck::bytes_of(&dispatch.params))];
        ranges.push(self.push(bytemuck::cast_slice(&dispatch.planes)));
        ranges.extend(dispatch.weights.iter().flatten().map(|weights| self.push(bytemuck::cast_slice(weights))));
        ranges
    }

    fn push(&mut self, bytes: &[u8]) -> Range {
        let offset = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        // A binding may not be empty, nor end within a vec4.
        self.bytes.resize(self.bytes.len().next_multiple_of(16), 0);
        let size = self.bytes.len() - offset;
        self.bytes.resize(self.bytes.len().next_multiple_of(self.alignment), 0);
        Range { offset: offset as u64, size: size as u64 }
    }

    fn upload(self, context: &Context) -> Result<wgpu::Buffer> {
        let limit = context.device.limits().max_buffer_size;
        if self.bytes.len() as u64 > limit {
            return Err(context.error(format!("{} bytes of weights are over its limit of {limit}", self.bytes.len())));
        }
        let buffer = context.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("constants"),
            size: self.bytes.len() as u64,
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        context.queue.write_buffer(&buffer, 0, &self.bytes);
        Ok(buffer)
    }
}
