//! A plan on the GPU: buffers, and steps bound to them, made once; then a copy in, one submit and one wait a run.

use super::backend::{Backend, Binding, BoundDispatch, Work};
use super::constants::{Constants, Uploaded};
use super::content::Range;
use super::context::Context;
use super::dispatch::Dispatch;
use super::family::Family;
use super::packed::Packed;
use super::pipelines::Variants;
use super::ports::Port;
use super::shelf::Shelf;
use crate::compile::{Plan, Target};
use crate::device::precision::Precision;
use crate::device::program::{Program, Terms};
use crate::error::Result;
use std::sync::Arc;

/// Uploads the weights of `plan`, and takes memory for batches of up to `max_batch`.
pub(super) fn program(
    context: &Arc<Context>,
    backend: &dyn Backend,
    shelf: &Shelf,
    family: Family,
    plan: Plan,
    terms: &Terms,
) -> Result<Arc<dyn Program>> {
    let &Terms { max_batch, precision, limits: most, .. } = terms;
    let image = plan.buffers.iter().fold(0usize, |sum, elements| sum.saturating_add(*elements));
    let image = image.saturating_mul(size_of::<f32>()) as u64;
    if image > most.activation_bytes {
        let (input, most) = (plan.input.shape, most.activation_bytes);
        let reason = format!("an input of {input} takes {image} bytes, and {most} is its limit");
        return Err(context.too_large(format!("{reason} (`Limits::activation_bytes`)")));
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
        return Err(context.too_large(reason));
    }
    let Plan { input, steps, output, buffers } = plan;
    let steps = Packed::all(steps, family, terms)?;
    let most = limits.max_compute_workgroups_per_dimension as usize;
    let workgroups = |step: &Packed| step.dispatch.workgroups.of(max_batch);
    if let Some(workgroups) = steps.iter().flat_map(workgroups).find(|n| *n > most) {
        return Err(context.unsupported(format!("a step takes {workgroups} workgroups, and {most} is its limit")));
    }
    for step in &steps {
        let bytes = step.dispatch.weight_bytes();
        if bytes > binding {
            let name = &step.profile.name;
            let smaller = if precision == Precision::F32 { "half of it in f16; " } else { "" };
            let reason = format!(
                "the weights of {name} take {bytes} bytes, and {binding} is its limit: {smaller}the cpu has no such limit"
            );
            return Err(context.too_large(reason));
        }
    }
    let _open = context.hold()?;
    context.guarded(|| backend.program(context, work(context, shelf, [&input, &output], &buffers, steps, terms)?))
}

fn work(
    context: &Arc<Context>,
    shelf: &Shelf,
    ends: [&Target; 2],
    buffers: &[usize],
    mut steps: Vec<Packed>,
    terms: &Terms,
) -> Result<Work> {
    let &Terms { max_batch, precision, levels: normalisation, .. } = terms;
    let device = &context.device;
    let activations = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
    let buffer = |(index, elements): (usize, &usize)| {
        // What comes and goes is f32, whatever else lies there at other times.
        let outer = ends.iter().any(|end| end.buffer == index);
        let bytes = if outer { Precision::F32.bytes() } else { precision.bytes() };
        // A binding may not end within two vectors that one load brings.
        let size = (elements * max_batch * bytes).next_multiple_of(32) as u64;
        let label = Some("activations");
        device.create_buffer(&wgpu::BufferDescriptor { label, size, usage: activations, mapped_at_creation: false })
    };
    let buffers: Vec<wgpu::Buffer> = buffers.iter().enumerate().map(buffer).collect();
    let activation_bytes = buffers.iter().map(wgpu::Buffer::size).sum();
    let mut constants = Constants::new(&device.limits());
    for step in &mut steps {
        constants.add(&step.dispatch);
        // One by one, so that there are never two of all.
        if let Some(weights) = &mut step.dispatch.weights {
            weights.fill_with(Vec::new);
        }
    }
    let Uploaded { shapes, weights } = constants.upload(context, shelf)?;
    // wgpu clears what was never written, and asks at every dispatch of what was bound before.
    let mut encoder = device.create_command_encoder(&Default::default());
    buffers.iter().for_each(|buffer| encoder.clear_buffer(buffer, 0, None));
    context.submit(encoder.finish());
    context.wait()?;

    let profile = steps.iter().map(|step| step.profile.clone()).collect();
    let mut placed = weights.iter();
    let dispatches = steps.into_iter().zip(shapes.chunks_exact(2)).map(|(step, shapes)| {
        let Packed { dispatch, profile, source, target, other, waits } = step;
        let part = |binding, buffer: &wgpu::Buffer, range: &Range| Binding {
            binding,
            buffer: buffer.clone(),
            offset: range.start as u64,
            size: range.len() as u64,
        };
        let shape = |binding, index: usize| part(binding, &shapes[index].0, &shapes[index].1);
        let whole = |binding, index: usize| {
            let buffer = buffers[index].clone();
            Binding { binding, offset: 0, size: buffer.size(), buffer }
        };
        let mut bindings = vec![shape(0, 0), whole(1, source.buffer), shape(2, 1), whole(3, target.buffer)];
        if dispatch.weights.is_some() {
            let skipped = if dispatch.joined { 2 } else { 0 };
            let two = placed.by_ref().skip(skipped).take(2);
            bindings.extend((4..).zip(two).map(|(binding, (shelved, range))| part(binding, &shelved.buffer, range)));
        }
        if dispatch.pipeline.shader.signature().paired() {
            // Where the step has no other, anything may stand there, and is not read.
            bindings.push(other.map_or_else(|| shape(6, 1), |other| whole(6, other.buffer)));
        }
        let Dispatch { pipeline, levels, workgroups, .. } = dispatch;
        // Without a normalisation the table has none.
        let pipelines = Variants { numbers: pipeline, levels: levels.filter(|_| normalisation.is_some()) };
        BoundDispatch { name: profile.name, pipelines, bindings, workgroups, waits }
    });
    let dispatches = dispatches.collect();
    let weights = weights.into_iter().map(|(shelved, _)| shelved).collect();
    let port = |at: &Target| Port { buffer: buffers[at.buffer].clone(), at: at.clone() };
    let [input, output] = ends.map(port);
    Ok(Work { dispatches, _weights: weights, input, output, max_batch, profile, activation_bytes })
}
