//! A plan on the GPU: buffers and bind groups made once, then one pass and one submit a run, whose commands are mostly
//! there before the batch is.

use super::constants::{Constants, Range};
use super::context::{Context, lock};
use super::kernels::{self, Dispatch};
use super::ticket::{Commands, Mapping, Pool, Slot, Ticket};
use crate::compile::{Plan, Target};
use crate::device::precision::Precision;
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
    /// What takes batches to the device and results from it, where no ticket has it.
    slots: Pool,
    max_batch: usize,
    input: Target,
    output: Target,
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
    pub(in crate::device) fn new(
        context: Arc<Context>,
        plan: &Plan,
        max_batch: usize,
        precision: Precision,
    ) -> Result<Self> {
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
        let last = plan.steps.len().saturating_sub(1);
        let dispatch = |(i, step)| kernels::dispatch(step, context.family, precision, i == last);
        let dispatches: Vec<Dispatch> = plan.steps.iter().enumerate().map(dispatch).collect();
        let most = limits.max_compute_workgroups_per_dimension as usize;
        if let Some(workgroups) = dispatches.iter().flat_map(|d| d.workgroups).chain([max_batch]).find(|n| *n > most) {
            return Err(context.error(format!("a step takes {workgroups} workgroups, and {most} is its limit")));
        }
        context.build_pipelines(dispatches.iter().map(|dispatch| &dispatch.pipeline))?;
        let mut session = context.guarded(|| Self::build(context.clone(), plan, dispatches, max_batch, precision))?;
        // Drivers finish compiling at the first dispatch, which had better not be the first answer's.
        session.submit(&vec![0.0; plan.input.shape.elements()], 1)?.wait()?;
        session.context.save_pipelines();
        Ok(session)
    }

    fn build(
        context: Arc<Context>,
        plan: &Plan,
        dispatches: Vec<Dispatch>,
        max_batch: usize,
        precision: Precision,
    ) -> Result<Self> {
        let device = &context.device;
        let activations = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
        let buffer = |(index, elements): (usize, &usize)| {
            // What comes and goes is f32, whatever else lies there at other times.
            let outer = [plan.input.buffer, plan.output.buffer].contains(&index);
            let bytes = if outer { Precision::F32.bytes() } else { precision.bytes() };
            // A binding may not end within two vectors that one load brings.
            let size = (elements * max_batch * bytes).next_multiple_of(32) as u64;
            let label = Some("activations");
            device.create_buffer(&wgpu::BufferDescriptor { label, size, usage: activations, mapped_at_creation: false })
        };
        let buffers: Vec<wgpu::Buffer> = plan.buffers.iter().enumerate().map(buffer).collect();
        // wgpu clears what was never written, and asks at every dispatch of a bind group that was made before.
        let mut encoder = device.create_command_encoder(&Default::default());
        buffers.iter().for_each(|buffer| encoder.clear_buffer(buffer, 0, None));
        context.queue.submit([encoder.finish()]);

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
            let mut resources: Vec<(u32, wgpu::BindingResource)> = (0..).zip(resources).collect();
            let shader = dispatch.pipeline.shader;
            if shader.paired() {
                // Where the step has no other, anything may stand there, and is not read.
                resources.push((6, step.other.as_ref().map_or(part(&ranges[1]), |other| whole(other.buffer))));
            }
            let entries = resources.into_iter().map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource });
            let entries: Vec<wgpu::BindGroupEntry> = entries.collect();
            let layout = &context.layouts[shader.layout()];
            Step {
                pipeline: context.pipeline(&dispatch.pipeline),
                bindings: device.create_bind_group(&wgpu::BindGroupDescriptor {
                    label: Some(&step.name),
                    layout,
                    entries: &entries,
                }),
                workgroups: dispatch.workgroups.map(|n| n as u32),
                profile: StepTime::of(step, shader.name(), precision),
            }
        });
        let steps = steps.collect();
        let (input, output) = (plan.input.clone(), plan.output.clone());
        Ok(Self { context, steps, buffers, slots: Pool::default(), max_batch, input, output })
    }

    /// Writes a batch of `count` images, and lets all steps run; see [`crate::Session::submit`].
    pub(in crate::device) fn submit(&mut self, batch: &[f32], count: usize) -> Result<Ticket> {
        self.context.check()?;
        let mut slot = self.slot()?;
        self.write(&slot, batch)?;
        let ahead = slot.next.take().filter(|commands| commands.count == count);
        let Commands { commands, mapping, .. } = ahead.unwrap_or_else(|| self.encode(&slot, count));
        let submission = self.context.queue.submit([commands]);
        // The device is busy now. The next batch is mostly as large as this one.
        slot.next = Some(self.encode(&slot, count));
        let (context, pool, output) = (self.context.clone(), self.slots.clone(), self.output.clone());
        Ok(Ticket { context, submission, mapping, slot, pool, output, count, watched: false })
    }

    /// All that the device does for a batch of `count` images in `slot`.
    fn encode(&self, slot: &Slot, count: usize) -> Commands {
        let (written, size) = (bytes(&self.input, count), bytes(&self.output, count));
        let mut encoder = self.context.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(&slot.upload, 0, &self.buffers[self.input.buffer], 0, written);
        let mut pass = encoder.begin_compute_pass(&Default::default());
        let mut pipeline = None;
        for step in &self.steps {
            if pipeline != Some(&step.pipeline) {
                pass.set_pipeline(&step.pipeline);
                pipeline = Some(&step.pipeline);
            }
            step.dispatch(&mut pass, count);
        }
        drop(pass);
        encoder.copy_buffer_to_buffer(&self.buffers[self.output.buffer], 0, &slot.readback, 0, size);
        let mapping = Arc::new(Mapping::of_slot());
        let (uploaded, told) = (mapping.clone(), mapping.clone());
        encoder.map_buffer_on_submit(&slot.upload, wgpu::MapMode::Write, .., move |result| uploaded.tell(result));
        encoder.map_buffer_on_submit(&slot.readback, wgpu::MapMode::Read, 0..size, move |result| told.tell(result));
        Commands { count, commands: encoder.finish(), mapping }
    }

    /// Runs `count` images step by step, and says how long each step took; see [`crate::Session::profile`].
    pub(in crate::device) fn profile(&mut self, batch: &[f32], count: usize) -> Result<Vec<StepTime>> {
        self.context.check()?;
        let slot = self.slot()?;
        self.write(&slot, batch)?;
        let mut encoder = self.context.device.create_command_encoder(&Default::default());
        let written = bytes(&self.input, count);
        encoder.copy_buffer_to_buffer(&slot.upload, 0, &self.buffers[self.input.buffer], 0, written);
        self.context.queue.submit([encoder.finish()]);
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

    /// A slot that is free, or a new one.
    fn slot(&self) -> Result<Slot> {
        let free = lock(&self.slots).pop();
        free.map_or_else(|| self.context.guarded(|| Ok(self.new_slot())), Ok)
    }

    fn new_slot(&self) -> Slot {
        let buffer = |label, usage, at: &Target, mapped_at_creation| {
            let size = bytes(at, self.max_batch).next_multiple_of(16);
            let label = Some(label);
            self.context.device.create_buffer(&wgpu::BufferDescriptor { label, size, usage, mapped_at_creation })
        };
        let upload = wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC;
        let readback = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        Slot {
            upload: buffer("upload", upload, &self.input, true),
            readback: buffer("readback", readback, &self.output, false),
            next: None,
        }
    }

    /// Lays a batch out as the input's buffer has it, planes at their stride and images at theirs.
    fn write(&self, slot: &Slot, batch: &[f32]) -> Result<()> {
        let Target { shape, image_stride, .. } = self.input;
        let size = bytes(&self.input, batch.len() / shape.elements());
        let mut view = slot.upload.get_mapped_range_mut(0..size).map_err(|error| self.context.error(error))?;
        if image_stride == shape.elements() {
            view.copy_from_slice(bytemuck::cast_slice(batch));
        } else {
            let planes = batch.chunks_exact(shape.pixels());
            for (index, plane) in planes.enumerate() {
                let (image, channel) = (index / shape.channels, index % shape.channels);
                let start = (image * image_stride + self.input.plane(channel)) * size_of::<f32>();
                let plane: &[u8] = bytemuck::cast_slice(plane);
                view.slice(start..start + plane.len()).copy_from_slice(plane);
            }
        }
        drop(view);
        slot.upload.unmap();
        Ok(())
    }
}

/// Bytes of `count` images.
fn bytes(target: &Target, count: usize) -> u64 {
    (target.image_stride * count * size_of::<f32>()) as u64
}

impl Step {
    fn encode(&self, pass: &mut wgpu::ComputePass, count: usize) {
        pass.set_pipeline(&self.pipeline);
        self.dispatch(pass, count);
    }

    /// For a pass that has the pipeline.
    fn dispatch(&self, pass: &mut wgpu::ComputePass, count: usize) {
        pass.set_bind_group(0, &self.bindings, &[]);
        pass.dispatch_workgroups(self.workgroups[0], self.workgroups[1], count as u32);
    }
}
