//! Room for one batch: buffers that wgpu maps while no run is under way, and the commands of the next run.

use super::mapping::Mapping;
use super::work::{EncodedDispatch, EncodedWork};
use crate::device::batch::Batch;
use crate::device::gpu::context::Context;
use crate::device::gpu::lock::lock;
use crate::device::gpu::ports::Ports;
use crate::device::program::Slot;
use crate::error::Result;
use std::sync::{Arc, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

/// What it takes to time the steps of a pass.
pub(in crate::device::gpu) const TIMESTAMPS: wgpu::Features =
    wgpu::Features::TIMESTAMP_QUERY.union(wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES);

/// How long a finished run waits for its callback before it polls again.
const CALLBACK_WAIT: Duration = Duration::from_millis(10);

/// Buffers that wgpu maps while no batch is under way.
#[derive(Debug)]
pub(super) struct EncodedSlot {
    work: Arc<EncodedWork>,
    ports: Ports,
    /// Whether the batch that was written is of levels.
    levels: bool,
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
    /// Whether they are levels.
    levels: bool,
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
    pub fn new(work: Arc<EncodedWork>, ports: Ports) -> Self {
        Self { work, ports, levels: false, next: None, run: None }
    }

    /// All that the device does for a batch of `count` images, such as the one that was written.
    fn encode(&self, count: usize) -> Commands {
        let levels = self.levels;
        let EncodedWork { context, dispatches, work, .. } = &*self.work;
        let mut encoder = context.device.create_command_encoder(&Default::default());
        self.copy_in(&mut encoder, count);
        let mut pass = encoder.begin_compute_pass(&Default::default());
        let mut pipeline = None;
        for dispatch in dispatches {
            let its = dispatch.pipelines.of(levels);
            if pipeline != Some(its) {
                pass.set_pipeline(its);
                pipeline = Some(its);
            }
            dispatch.dispatch(&mut pass, count);
        }
        drop(pass);
        let size = work.output.bytes(count);
        encoder.copy_buffer_to_buffer(&work.output.buffer, 0, &self.ports.readback, 0, size);
        let mapping = Arc::new(Mapping::of_slot());
        let (uploaded, told) = (mapping.clone(), mapping.clone());
        encoder.map_buffer_on_submit(&self.ports.upload, wgpu::MapMode::Write, .., move |result| uploaded.tell(result));
        encoder
            .map_buffer_on_submit(&self.ports.readback, wgpu::MapMode::Read, 0..size, move |result| told.tell(result));
        Commands { count, levels, commands: encoder.finish(), mapping }
    }

    /// Copies the batch that was written to where dispatches read it.
    fn copy_in(&self, encoder: &mut wgpu::CommandEncoder, count: usize) {
        let input = &self.work.work.input;
        let size = input.bytes_of(count, self.levels);
        encoder.copy_buffer_to_buffer(&self.ports.upload, 0, &input.buffer, 0, size);
    }

    /// Times by the device's own clock, in one pass.
    fn stamped(&self, count: usize) -> Result<Vec<Duration>> {
        let EncodedWork { context, dispatches, .. } = &*self.work;
        let Context { device, queue, .. } = &**context;
        let stamps = dispatches.len() as u32 + 1;
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
        for (index, dispatch) in (1..).zip(dispatches) {
            dispatch.encode(&mut pass, count, self.levels);
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

    /// Times by the host's clock, a submit a dispatch.
    fn clocked(&self, count: usize) -> Result<Vec<Duration>> {
        let EncodedWork { context, dispatches, .. } = &*self.work;
        context.wait()?;
        let time = |dispatch: &EncodedDispatch| {
            let began = Instant::now();
            let mut encoder = context.device.create_command_encoder(&Default::default());
            dispatch.encode(&mut encoder.begin_compute_pass(&Default::default()), count, self.levels);
            context.submit(encoder.finish());
            context.wait()?;
            Ok(began.elapsed())
        };
        dispatches.iter().map(time).collect()
    }
}

impl Slot for EncodedSlot {
    fn write(&mut self, batch: &Batch) -> Result<()> {
        self.levels = matches!(batch, Batch::Levels(_));
        self.ports.write(&self.work.context, &self.work.work.input, batch)
    }

    fn read(&mut self, count: usize) -> Result<Vec<f32>> {
        self.ports.read(&self.work.context, &self.work.work.output, count)
    }

    fn submit(&mut self, count: usize) -> Result<()> {
        let work = self.work.clone();
        let _open = work.context.hold()?;
        self.ports.upload.unmap();
        if self.run.take().is_some() {
            self.ports.readback.unmap();
        }
        let ahead = self.next.take().filter(|next| (next.count, next.levels) == (count, self.levels));
        let Commands { commands, mapping, .. } = ahead.unwrap_or_else(|| self.encode(count));
        let (submission, order) = self.work.context.submit(commands);
        self.work.in_flight.add(submission.clone(), mapping.clone());
        self.run = Some(Run { submission, mapping, watched: false, order });
        // The device is busy now. The next batch is mostly as large as this one.
        self.next = Some(self.encode(count));
        Ok(())
    }

    fn wait(&mut self) -> Result<()> {
        let Some(Run { submission, mapping, .. }) = &self.run else { return Ok(()) };
        let context = &self.work.context;
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
        let Some(Run { mapping, watched, order, .. }) = &mut self.run else { return true };
        if !mapping.is_told() && waker.is_none() {
            // wgpu calls back only while somebody polls. What it says of the device, waiting says too.
            let _ = self.work.context.device.poll(wgpu::PollType::Poll);
        }
        let mut state = lock(&mapping.state);
        if state.pending == 0 {
            return true;
        }
        let Some(waker) = waker else { return false };
        state.waker = Some(waker.clone());
        drop(state);
        if !std::mem::replace(watched, true) {
            let context = &self.work.context;
            let (device, mapping, in_flight) = (context.device.clone(), mapping.clone(), self.work.in_flight.clone());
            let watch = move |_| {
                // Whoever is woken finds out what went wrong.
                if !mapping.is_told() && in_flight.wait_for_oldest(&device).is_err() {
                    (0..2).for_each(|_| mapping.tell(Err(wgpu::BufferAsyncError)));
                }
                mapping.is_told()
            };
            context.watcher.watch(*order, Box::new(watch));
        }
        false
    }

    fn profile(self: Box<Self>, count: usize) -> Result<(usize, Vec<Duration>)> {
        let context = &self.work.context;
        let _open = context.hold()?;
        self.ports.upload.unmap();
        let mut encoder = context.device.create_command_encoder(&Default::default());
        self.copy_in(&mut encoder, count);
        context.submit(encoder.finish());
        let stamped = context.device.features().contains(TIMESTAMPS);
        Ok((count, if stamped { self.stamped(count) } else { self.clocked(count) }?))
    }
}
