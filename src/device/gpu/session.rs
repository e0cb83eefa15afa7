//! A plan on the GPU: buffers and bind groups made once, then one pass and one submit a run.

use super::constants::{Constants, Range};
use super::context::{Context, lock};
use super::kernels::{self, Dispatch};
use super::ticket::{Mapping, Pool, Ticket};
use crate::compile::{Plan, Target};
use crate::device::profile::StepTime;
use crate::error::Result;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A compiled network in GPU memory.
#[derive(Debug)]
pub struct Session {
    context: Arc<Context>,
    steps: Vec<Step>,
    buffers: Vec<wgpu::Buffer>,
    readbacks: Pool,
    readback_bytes: u64,
    input: Target,
    output: Target,
    /// The batch, laid out as the input buffer has it, where that is not how callers have it.
    staged: Vec<f32>,
}

#[derive(Debug)]
struct Step {
    pipeline: wgpu::ComputePipeline,
    bindings: wgpu::BindGroup,
    workgroups: [u32; 2],
    /// What a profile says of the step, but for its time.
    profile: StepTime,
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
        let dispatches: Vec<Dispatch> = plan.steps.iter().map(|step| kernels::dispatch(step, context.family)).collect();
        let most = limits.max_compute_workgroups_per_dimension as usize;
        if let Some(workgroups) = dispatches.iter().flat_map(|d| d.workgroups).chain([max_batch]).find(|n| *n > most) {
            return Err(context.error(format!("a step takes {workgroups} workgroups, and {most} is its limit")));
        }
        context.guarded(|| Self::build(context.clone(), plan, dispatches, max_batch))
    }

    fn build(context: Arc<Context>, plan: &Plan, dispatches: Vec<Dispatch>, max_batch: usize) -> Result<Self> {
        let device = &context.device;
        let activations = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
        let buffer = |elements: &usize| {
            // A binding may not end within a vector.
            let size = (elements * max_batch * size_of::<f32>()).next_multiple_of(16) as u64;
            let label = Some("activations");
            device.create_buffer(&wgpu::BufferDescriptor { label, size, usage: activations, mapped_at_creation: false })
        };
        let buffers: Vec<wgpu::Buffer> = plan.buffers.iter().map(buffer).collect();

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
                profile: StepTime::of(step, dispatch.pipeline.shader.name()),
            }
        });
        let steps = steps.collect();
        let (input, output) = (plan.input.clone(), plan.output.clone());
        let readback_bytes = (output.image_stride * max_batch * size_of::<f32>()) as u64;
        let (readbacks, staged) = Default::default();
        Ok(Self { context, steps, buffers, readbacks, readback_bytes, input, output, staged })
    }

    /// Writes a batch of `count` images, and lets all steps run; see [`crate::Session::submit`].
    pub(in crate::device) fn submit(&mut self, batch: &[f32], count: usize) -> Result<Ticket> {
        self.write(batch);
        let context = &self.context;
        let mut encoder = context.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        for step in &self.steps {
            step.encode(&mut pass, count);
        }
        drop(pass);
        let size = (count * self.output.image_stride * size_of::<f32>()) as u64;
        let readback = self.readback();
        encoder.copy_buffer_to_buffer(&self.buffers[self.output.buffer], 0, &readback, 0, size);
        let mapping = Arc::new(Mapping::default());
        let told = mapping.clone();
        encoder.map_buffer_on_submit(&readback, wgpu::MapMode::Read, 0..size, move |result| told.tell(result));
        let submission = context.queue.submit([encoder.finish()]);
        let (context, pool, output) = (self.context.clone(), self.readbacks.clone(), self.output.clone());
        Ok(Ticket { context, submission, mapping, readback, pool, output, count, watched: false })
    }

    /// Runs `count` images step by step, and says how long each step took; see [`crate::Session::profile`].
    pub(in crate::device) fn profile(&mut self, batch: &[f32], count: usize) -> Result<Vec<StepTime>> {
        self.write(batch);
        let times = if self.context.has_timestamps() { self.stamped(count)? } else { self.clocked(count)? };
        Ok(self.steps.iter().zip(times).map(|(step, time)| step.profile.clone().of_batch(count, time)).collect())
    }

    /// Times by the device's own clock, in one pass.
    fn stamped(&self, count: usize) -> Result<Vec<Duration>> {
        let Context { device, queue, .. } = &*self.context;
        let stamps = self.steps.len() as u32 + 1;
        let bytes = u64::from(stamps) * 8;
        let (label, ty) = (Some("timestamps"), wgpu::QueryType::Timestamp);
        let queries = device.create_query_set(&wgpu::QuerySetDescriptor { label, ty, count: stamps });
        let buffer = |usage| {
            device.create_buffer(&wgpu::BufferDescriptor { label, size: bytes, usage, mapped_at_creation: false })
        };
        let resolved = buffer(wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC);
        let readback = buffer(wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);
        let mut encoder = device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.write_timestamp(&queries, 0);
        for (index, step) in (1..).zip(&self.steps) {
            step.encode(&mut pass, count);
            pass.write_timestamp(&queries, index);
        }
        drop(pass);
        encoder.resolve_query_set(&queries, 0..stamps, &resolved, 0);
        encoder.copy_buffer_to_buffer(&resolved, 0, &readback, 0, bytes);
        encoder.map_buffer_on_submit(&readback, wgpu::MapMode::Read, .., |_| {});
        queue.submit([encoder.finish()]);
        self.context.wait()?;
        let view = readback.get_mapped_range(..).map_err(|error| self.context.error(error))?;
        let ticks: &[u64] = bytemuck::cast_slice(&view);
        let period = f64::from(queue.get_timestamp_period());
        let time = |pair: &[u64]| Duration::from_nanos((pair[1].saturating_sub(pair[0]) as f64 * period) as u64);
        Ok(ticks.windows(2).map(time).collect())
    }

    /// Times by the host's clock, a submit a step.
    fn clocked(&self, count: usize) -> Result<Vec<Duration>> {
        self.context.queue.submit([]);
        self.context.wait()?;
        let time = |step: &Step| {
            let began = Instant::now();
            let mut encoder = self.context.device.create_command_encoder(&Default::default());
            step.encode(&mut encoder.begin_compute_pass(&Default::default()), count);
            self.context.queue.submit([encoder.finish()]);
            self.context.wait()?;
            Ok(began.elapsed())
        };
        self.steps.iter().map(time).collect()
    }

    /// A buffer for results: one that is free, or a new one.
    fn readback(&self) -> wgpu::Buffer {
        lock(&self.readbacks).pop().unwrap_or_else(|| {
            self.context.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("readback"),
                size: self.readback_bytes,
                usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        })
    }

    /// Puts a batch into the input's buffer: planes at their stride, images at theirs.
    fn write(&mut self, batch: &[f32]) {
        let Target { shape, image_stride, .. } = self.input;
        let plane_stride = self.input.group_stride();
        let laid_out = if image_stride == shape.elements() {
            batch
        } else {
            self.staged.clear();
            for image in batch.chunks_exact(shape.elements()) {
                let start = self.staged.len();
                for plane in image.chunks_exact(shape.pixels()) {
                    self.staged.extend_from_slice(plane);
                    self.staged.resize(self.staged.len() + plane_stride - plane.len(), 0.0);
                }
                self.staged.resize(start + image_stride, 0.0);
            }
            &self.staged
        };
        self.context.queue.write_buffer(&self.buffers[self.input.buffer], 0, bytemuck::cast_slice(laid_out));
    }
}

impl Step {
    fn encode(&self, pass: &mut wgpu::ComputePass, count: usize) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bindings, &[]);
        pass.dispatch_workgroups(self.workgroups[0], self.workgroups[1], count as u32);
    }
}
