//! Steps that wgpu encodes for every run: what each of its backends can do.

use super::backend::{Backend, Binding, BoundDispatch, Work};
use super::context::Context;
use super::lock::lock;
use super::pipelines::Pipelines;
use super::ports::Ports;
use super::shader::{BySignature, Declaration, Halves, Pipeline, Shader, Signature};
use crate::device::StepTime;
use crate::device::program::{Program, Slot};
use crate::error::Result;
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

/// What it takes to time the steps of a pass.
pub(super) const TIMESTAMPS: wgpu::Features =
    wgpu::Features::TIMESTAMP_QUERY.union(wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES);

/// How long a finished run waits for its callback before it polls again.
const CALLBACK_WAIT: Duration = Duration::from_millis(10);

/// wgpu's own pipelines.
#[derive(Debug)]
pub(super) struct Encoding {
    device: wgpu::Device,
    layouts: BySignature<wgpu::BindGroupLayout>,
    /// The same, as pipelines take them.
    pipeline_layouts: BySignature<wgpu::PipelineLayout>,
    modules: Mutex<HashMap<(Shader, Halves), wgpu::ShaderModule>>,
    pipelines: Pipelines<wgpu::ComputePipeline>,
}

impl Encoding {
    pub fn new(device: &wgpu::Device) -> Self {
        let layouts = BySignature::new(|signature| bind_group_layout(device, signature));
        let pipeline_layouts = BySignature::new(|signature| {
            device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: None,
                bind_group_layouts: &[Some(&layouts[signature])],
                ..Default::default()
            })
        });
        let (modules, pipelines) = Default::default();
        Self { device: device.clone(), layouts, pipeline_layouts, modules, pipelines }
    }

    fn pipeline(&self, key: &Pipeline) -> wgpu::ComputePipeline {
        let module = lock(&self.modules)
            .entry((key.shader, key.halves))
            .or_insert_with(|| {
                let source = wgpu::ShaderSource::Wgsl(key.shader.source(key.halves).into());
                let label = Some(key.shader.name());
                self.device.create_shader_module(wgpu::ShaderModuleDescriptor { label, source })
            })
            .clone();
        let constants: Vec<(&str, f64)> =
            key.constants.iter().map(|(name, value)| (*name, f64::from(*value))).collect();
        self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(key.shader.name()),
            layout: Some(&self.pipeline_layouts[key.shader.signature()]),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &constants,
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        })
    }

    fn bind_group(&self, dispatch: &BoundDispatch) -> wgpu::BindGroup {
        let entries = dispatch.bindings.iter().map(|&Binding { binding, ref buffer, offset, size }| {
            let size = wgpu::BufferSize::new(size);
            let resource = wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size });
            wgpu::BindGroupEntry { binding, resource }
        });
        let entries: Vec<wgpu::BindGroupEntry> = entries.collect();
        let layout = &self.layouts[dispatch.pipeline.shader.signature()];
        let label = Some(&*dispatch.name);
        self.device.create_bind_group(&wgpu::BindGroupDescriptor { label, layout, entries: &entries })
    }
}

fn bind_group_layout(device: &wgpu::Device, signature: Signature) -> wgpu::BindGroupLayout {
    let entry = |Declaration { binding, kind: ty, least }| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        // Without a least size wgpu compares sizes at every dispatch.
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: wgpu::BufferSize::new(least) },
        count: None,
    };
    let entries: Vec<wgpu::BindGroupLayoutEntry> = signature.bindings().map(entry).collect();
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries })
}

impl Backend for Encoding {
    fn program(&self, context: &Arc<Context>, work: Work) -> Result<Arc<dyn Program>> {
        let keys = work.dispatches.iter().map(|dispatch| &dispatch.pipeline);
        let pipelines = self.pipelines.get(keys, |key| Ok(self.pipeline(key)))?;
        // No scope sees what goes wrong on another thread.
        context.check()?;
        let steps = work.dispatches.iter().zip(pipelines).map(|(dispatch, pipeline)| Encoded {
            pipeline,
            bindings: self.bind_group(dispatch),
            workgroups: dispatch.workgroups,
        });
        let steps = steps.collect();
        Ok(Arc::new(EncodedProgram { context: context.clone(), steps, work }))
    }
}

/// A dispatch as wgpu takes it.
#[derive(Debug)]
struct Encoded {
    pipeline: wgpu::ComputePipeline,
    bindings: wgpu::BindGroup,
    workgroups: [u32; 2],
}

impl Encoded {
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

#[derive(Debug)]
struct EncodedProgram {
    context: Arc<Context>,
    steps: Vec<Encoded>,
    work: Work,
}

impl Program for EncodedProgram {
    fn slot(self: Arc<Self>) -> Result<Box<dyn Slot>> {
        let _open = self.context.hold()?;
        let ports = self.context.guarded(|| Ok(self.work.ports(&self.context.device)))?;
        Ok(Box::new(EncodedSlot { program: self.clone(), ports, next: None, run: None }))
    }

    fn steps(&self) -> &[StepTime] {
        &self.work.profile
    }

    fn activation_bytes(&self) -> u64 {
        self.work.activation_bytes
    }

    /// Drivers finish compiling at the first dispatch, which had better not be the first answer's.
    fn warms_up(&self) -> bool {
        true
    }
}

/// Buffers that wgpu maps while no batch is under way.
#[derive(Debug)]
struct EncodedSlot {
    program: Arc<EncodedProgram>,
    ports: Ports,
    /// Of the next batch, if it is as large as the last.
    next: Option<Commands>,
    /// The last run, whose results are mapped when it is over.
    run: Option<Run>,
}

/// What the device is to do for a batch that lies in a slot.
#[derive(Debug)]
struct Commands {
    /// Images.
    count: usize,
    commands: wgpu::CommandBuffer,
    mapping: Arc<Mapping>,
}

#[derive(Debug)]
struct Run {
    submission: wgpu::SubmissionIndex,
    mapping: Arc<Mapping>,
    /// Whether the device's watcher has it, on behalf of a waker.
    watched: bool,
    /// Its place among the device's runs.
    order: u64,
}

impl EncodedSlot {
    /// All that the device does for a batch of `count` images.
    fn encode(&self, count: usize) -> Commands {
        let EncodedProgram { context, steps, work } = &*self.program;
        let mut encoder = context.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(&self.ports.upload, 0, &work.input.buffer, 0, work.input.bytes(count));
        let mut pass = encoder.begin_compute_pass(&Default::default());
        let mut pipeline = None;
        for step in steps {
            if pipeline != Some(&step.pipeline) {
                pass.set_pipeline(&step.pipeline);
                pipeline = Some(&step.pipeline);
            }
            step.dispatch(&mut pass, count);
        }
        drop(pass);
        let size = work.output.bytes(count);
        encoder.copy_buffer_to_buffer(&work.output.buffer, 0, &self.ports.readback, 0, size);
        let mapping = Arc::new(Mapping::of_slot());
        let (uploaded, told) = (mapping.clone(), mapping.clone());
        encoder.map_buffer_on_submit(&self.ports.upload, wgpu::MapMode::Write, .., move |result| uploaded.tell(result));
        encoder
            .map_buffer_on_submit(&self.ports.readback, wgpu::MapMode::Read, 0..size, move |result| told.tell(result));
        Commands { count, commands: encoder.finish(), mapping }
    }

    /// Times by the device's own clock, in one pass.
    fn stamped(&self, count: usize) -> Result<Vec<Duration>> {
        let EncodedProgram { context, steps, .. } = &*self.program;
        let Context { device, queue, .. } = &**context;
        let stamps = steps.len() as u32 + 1;
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
        for (index, step) in (1..).zip(steps) {
            step.encode(&mut pass, count);
            pass.write_timestamp(&queries, index);
        }
        drop(pass);
        encoder.resolve_query_set(&queries, 0..stamps, &resolved, 0);
        encoder.copy_buffer_to_buffer(&resolved, 0, &readback, 0, bytes);
        encoder.map_buffer_on_submit(&readback, wgpu::MapMode::Read, .., |_| {});
        context.submit(encoder.finish());
        context.wait()?;
        let view = readback.get_mapped_range(..).map_err(|error| context.error(error))?;
        let ticks: &[u64] = bytemuck::cast_slice(&view);
        let period = f64::from(queue.get_timestamp_period());
        let time = |pair: &[u64]| Duration::from_nanos((pair[1].saturating_sub(pair[0]) as f64 * period) as u64);
        Ok(ticks.windows(2).map(time).collect())
    }

    /// Times by the host's clock, a submit a step.
    fn clocked(&self, count: usize) -> Result<Vec<Duration>> {
        let EncodedProgram { context, steps, .. } = &*self.program;
        context.wait()?;
        let time = |step: &Encoded| {
            let began = Instant::now();
            let mut encoder = context.device.create_command_encoder(&Default::default());
            step.encode(&mut encoder.begin_compute_pass(&Default::default()), count);
            context.submit(encoder.finish());
            context.wait()?;
            Ok(began.elapsed())
        };
        steps.iter().map(time).collect()
    }
}

impl Slot for EncodedSlot {
    fn write(&mut self, batch: &[f32]) -> Result<()> {
        self.ports.write(&self.program.context, &self.program.work.input, batch)
    }

    fn read(&mut self, count: usize) -> Result<Vec<f32>> {
        self.ports.read(&self.program.context, &self.program.work.output, count)
    }

    fn submit(&mut self, count: usize) -> Result<()> {
        let program = self.program.clone();
        let _open = program.context.hold()?;
        self.ports.upload.unmap();
        if self.run.take().is_some() {
            self.ports.readback.unmap();
        }
        let ahead = self.next.take().filter(|commands| commands.count == count);
        let Commands { commands, mapping, .. } = ahead.unwrap_or_else(|| self.encode(count));
        let (submission, order) = self.program.context.submit(commands);
        self.run = Some(Run { submission, mapping, watched: false, order });
        // The device is busy now. The next batch is mostly as large as this one.
        self.next = Some(self.encode(count));
        Ok(())
    }

    fn wait(&mut self) -> Result<()> {
        let Some(Run { submission, mapping, .. }) = &self.run else { return Ok(()) };
        let context = &self.program.context;
        let wait = wgpu::PollType::Wait { submission_index: Some(submission.clone()), timeout: None };
        let waited = context.device.poll(wait);
        context.check()?;
        waited.map_err(|error| context.error(error))?;
        // Another thread that polls the same device may have taken the callback on, and not have called it yet.
        let mut state = lock(&mapping.state);
        while state.pending > 0 {
            let (waited, timeout) =
                mapping.told.wait_timeout(state, CALLBACK_WAIT).unwrap_or_else(PoisonError::into_inner);
            state = waited;
            if timeout.timed_out() && state.pending > 0 {
                drop(state);
                context.device.poll(wgpu::PollType::Poll).map_err(|error| context.error(error))?;
                context.check()?;
                state = lock(&mapping.state);
            }
        }
        if state.failed { Err(context.error("the results cannot be read")) } else { Ok(()) }
    }

    fn poll(&mut self, waker: Option<&Waker>) -> bool {
        let Some(Run { submission, mapping, watched, order }) = &mut self.run else { return true };
        if lock(&mapping.state).pending > 0 && waker.is_none() {
            // wgpu calls back only while somebody polls. What it says of the device, waiting says too.
            let _ = self.program.context.device.poll(wgpu::PollType::Poll);
        }
        let mut state = lock(&mapping.state);
        if state.pending == 0 {
            return true;
        }
        let Some(waker) = waker else { return false };
        state.waker = Some(waker.clone());
        drop(state);
        if !std::mem::replace(watched, true) {
            let context = &self.program.context;
            let (device, mapping, submission) = (context.device.clone(), mapping.clone(), submission.clone());
            let watch = move |patience| {
                let wait = wgpu::PollType::Wait { submission_index: Some(submission.clone()), timeout: Some(patience) };
                match device.poll(wait) {
                    Err(wgpu::PollError::Timeout) => return false,
                    Err(_) => (0..2).for_each(|_| mapping.tell(Err(wgpu::BufferAsyncError))),
                    Ok(_) => {}
                }
                true
            };
            context.watcher.watch(*order, Box::new(watch));
        }
        false
    }

    fn profile(self: Box<Self>, count: usize) -> Result<(usize, Vec<Duration>)> {
        let EncodedProgram { context, work, .. } = &*self.program;
        let _open = context.hold()?;
        self.ports.upload.unmap();
        let mut encoder = context.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(&self.ports.upload, 0, &work.input.buffer, 0, work.input.bytes(count));
        context.submit(encoder.finish());
        let stamped = context.device.features().contains(TIMESTAMPS);
        Ok((count, if stamped { self.stamped(count) } else { self.clocked(count) }?))
    }
}

/// What the driver said of a slot's buffers, and who wants to know.
#[derive(Debug)]
struct Mapping {
    state: Mutex<State>,
    told: Condvar,
}

#[derive(Debug)]
struct State {
    /// Buffers of which nothing was said yet.
    pending: usize,
    failed: bool,
    waker: Option<Waker>,
}

impl Mapping {
    /// Waits for both buffers of a slot.
    fn of_slot() -> Self {
        Self { state: Mutex::new(State { pending: 2, failed: false, waker: None }), told: Condvar::new() }
    }

    /// Called by wgpu when a buffer is mapped, or cannot be.
    fn tell(&self, result: Result<(), wgpu::BufferAsyncError>) {
        let mut state = lock(&self.state);
        state.pending = state.pending.saturating_sub(1);
        state.failed |= result.is_err();
        if state.pending == 0 {
            let waker = state.waker.take();
            drop(state);
            self.told.notify_all();
            waker.into_iter().for_each(Waker::wake);
        }
    }
}
