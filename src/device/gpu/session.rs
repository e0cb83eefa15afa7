//! A plan on the GPU: buffers, and steps bound to them, made once; then a copy in, one submit and one wait a run.

use super::backend::{Binding, Port, Program, Slot, Step, Work};
use super::constants::{Constants, Range};
use super::context::{Context, lock};
use super::kernels::{self, Dispatch};
use super::ticket::{Pool, Staged, Ticket};
use crate::checkpoint::Limits;
use crate::compile::{Budget, Plan, Target};
use crate::device::precision::Precision;
use crate::device::profile::StepTime;
use crate::error::Result;
use std::sync::Arc;

/// A compiled network in GPU memory.
#[derive(Debug)]
pub struct Session {
    context: Arc<Context>,
    program: Box<dyn Program>,
    /// What a profile says of each step, but for its time.
    profiles: Vec<StepTime>,
    slots: Pool,
    input: Target,
    output: Target,
    activation_bytes: u64,
}

impl Session {
    /// Uploads the weights of `plan`, and takes memory for batches of up to `max_batch`.
    pub(in crate::device) fn new(
        context: Arc<Context>,
        plan: &Plan,
        max_batch: usize,
        precision: Precision,
        most: &Limits,
        budget: &Budget,
    ) -> Result<Self> {
        let image = plan.buffers.iter().fold(0usize, |sum, elements| sum.saturating_add(*elements));
        let image = image.saturating_mul(size_of::<f32>()) as u64;
        if image > most.activation_bytes {
            let (input, most) = (plan.input.shape, most.activation_bytes);
            let reason = format!("an input of {input} takes {image} bytes, and {most} is its limit");
            return Err(context.error(format!("{reason} (`Limits::activation_bytes`)")));
        }
        let limits = context.device.limits();
        let bytes = |elements: usize| elements.saturating_mul(max_batch).saturating_mul(size_of::<f32>()) as u64;
        let largest = plan.buffers.iter().copied().max().unwrap_or(0);
        // Shaders count elements in 32 bits.
        let binding = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size).min(u64::from(u32::MAX));
        if bytes(largest) > binding {
            let fits = binding / (largest.saturating_mul(size_of::<f32>()) as u64).max(1);
            let reason = format!(
                "a batch of {max_batch} takes a buffer of {} bytes, and {binding} is its limit; {} would fit",
                bytes(largest),
                if fits == 0 { "no batch".to_owned() } else { format!("a batch of {fits}") }
            );
            return Err(context.error(reason));
        }
        let last = plan.steps.len().saturating_sub(1);
        let dispatch = |(i, step)| {
            let dispatch = kernels::dispatch(step, context.family, precision, i == last, budget)?;
            dispatch.ok_or_else(|| context.error("a step counts to more than 32 bits, which is the shaders' limit"))
        };
        let dispatches: Vec<Dispatch> = plan.steps.iter().enumerate().map(dispatch).collect::<Result<_>>()?;
        let most = limits.max_compute_workgroups_per_dimension as usize;
        if let Some(workgroups) = dispatches.iter().flat_map(|d| d.workgroups).chain([max_batch]).find(|n| *n > most) {
            return Err(context.error(format!("a step takes {workgroups} workgroups, and {most} is its limit")));
        }
        for (step, dispatch) in plan.steps.iter().zip(&dispatches) {
            let bytes = dispatch.weight_bytes();
            if bytes > binding {
                let reason = format!("the weights of {} take {bytes} bytes, and {binding} is its limit", step.name);
                return Err(context.error(reason));
            }
        }
        let open = context.hold()?;
        let mut session = context.guarded(|| Self::build(context.clone(), plan, dispatches, max_batch, precision))?;
        drop(open);
        // Drivers finish compiling at the first dispatch, which had better not be the first answer's.
        session.stage(&vec![0.0; plan.input.shape.elements()], 1)?.submit()?.wait()?;
        session.context.backend.save_pipelines();
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
        let activation_bytes = buffers.iter().map(wgpu::Buffer::size).sum();
        let mut constants = Constants::new(&device.limits());
        let ranges: Vec<Vec<Range>> = dispatches.iter().map(|dispatch| constants.add(dispatch)).collect();
        let constants = constants.upload(&context)?;
        // wgpu clears what was never written, and asks at every dispatch of what was bound before.
        let mut encoder = device.create_command_encoder(&Default::default());
        buffers.iter().for_each(|buffer| encoder.clear_buffer(buffer, 0, None));
        context.submit(encoder.finish());
        context.wait()?;

        let profiles = plan.steps.iter().zip(&dispatches);
        let profiles = profiles.map(|(step, dispatch)| StepTime::of(step, dispatch.pipeline.shader.name(), precision));
        let profiles = profiles.collect();
        let steps = plan.steps.iter().zip(dispatches).zip(ranges).zip(plan.waits());
        let steps = steps.map(|(((step, dispatch), ranges), waits)| {
            let part = |binding, range: &Range| Binding {
                binding,
                buffer: constants.clone(),
                offset: range.offset,
                size: range.size,
            };
            let whole = |binding, index: usize| {
                let buffer = buffers[index].clone();
                Binding { binding, offset: 0, size: buffer.size(), buffer }
            };
            let mut bindings = vec![
                part(0, &ranges[0]),
                whole(1, step.source.buffer),
                part(2, &ranges[1]),
                whole(3, step.target.buffer),
            ];
            bindings.extend((4..).zip(&ranges[2..]).map(|(binding, range)| part(binding, range)));
            if dispatch.pipeline.shader.paired() {
                // Where the step has no other, anything may stand there, and is not read.
                bindings.push(step.other.as_ref().map_or(part(6, &ranges[1]), |other| whole(6, other.buffer)));
            }
            let workgroups = dispatch.workgroups.map(|n| n as u32);
            Step { name: step.name.clone(), pipeline: dispatch.pipeline, bindings, workgroups, waits }
        });
        let steps = steps.collect();
        let port = |at: &Target| Port {
            buffer: buffers[at.buffer].clone(),
            image: (at.image_stride * size_of::<f32>()) as u64,
        };
        let work = Work { steps, input: port(&plan.input), output: port(&plan.output), max_batch };
        let program = context.backend.program(&context, work)?;
        let (input, output) = (plan.input.clone(), plan.output.clone());
        Ok(Self { context, program, profiles, slots: Pool::default(), input, output, activation_bytes })
    }

    /// Writes a batch of `count` images where a run finds it.
    pub(in crate::device) fn stage(&mut self, batch: &[f32], count: usize) -> Result<Staged> {
        let _open = self.context.hold()?;
        let slot = self.slot()?;
        self.write(&*slot, batch)?;
        let (context, pool, output) = (self.context.clone(), self.slots.clone(), self.output.clone());
        Ok(Staged(Ticket { context, slot: Some(slot), pool, output, count }))
    }

    /// See [`crate::Session::activation_bytes`].
    pub(in crate::device) fn activation_bytes(&self) -> u64 {
        self.activation_bytes
    }

    /// Runs `count` images step by step, and says how long each step took; see [`crate::Session::profile`].
    pub(in crate::device) fn profile(&mut self, batch: &[f32], count: usize) -> Result<Vec<StepTime>> {
        let _open = self.context.hold()?;
        let slot = self.slot()?;
        self.write(&*slot, batch)?;
        let times = slot.profile(count)?;
        Ok(self.profiles.iter().zip(times).map(|(profile, time)| profile.clone().of_batch(count, time)).collect())
    }

    /// A slot that is idle, or a new one.
    fn slot(&self) -> Result<Box<dyn Slot>> {
        let mut slots = lock(&self.slots);
        if let Some(idle) = slots.iter_mut().position(|slot| slot.is_ready(None)) {
            return Ok(slots.swap_remove(idle));
        }
        drop(slots);
        self.context.guarded(|| self.program.slot())
    }

    /// Lays a batch out as the input's buffer has it, planes at their stride and images at theirs.
    fn write(&self, slot: &dyn Slot, batch: &[f32]) -> Result<()> {
        let Target { shape, image_stride, .. } = self.input;
        let size = (batch.len() / shape.elements() * image_stride * size_of::<f32>()) as u64;
        let mut view = slot.upload().get_mapped_range_mut(0..size).map_err(|error| self.context.error(error))?;
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
        Ok(())
    }
}
