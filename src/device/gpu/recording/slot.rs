//! Room for one batch: buffers that stay mapped, and commands that run it as often as one likes.

use super::lock;
use super::program::{RecordedProgram, Recorder, raw};
use super::vulkan::{self, Owned};
use crate::device::gpu::ports::Ports;
use crate::device::program::Slot;
use crate::error::Result;
use ash::prelude::VkResult;
use ash::vk;
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(super) struct RecordedSlot {
    program: Arc<RecordedProgram>,
    ports: Ports,
    /// Has the commands only.
    pool: Owned<vk::CommandPool>,
    commands: vk::CommandBuffer,
    /// Images that the commands are recorded for.
    count: Option<usize>,
    /// Signalled when the run under way is over. A thread that waits for it may have it a little longer.
    fence: Arc<Owned<vk::Fence>>,
    /// Whether a run is under way, as far as is known.
    running: bool,
    /// Its place among the device's runs.
    order: u64,
    /// Whom the device's watcher wakes, if it has the run.
    watch: Option<Arc<Mutex<Option<Waker>>>>,
}

impl RecordedSlot {
    pub fn new(program: Arc<RecordedProgram>) -> Result<Self> {
        let (context, vulkan) = (&program.context, &program.vulkan);
        let ports = program.work.ports(&context.device);
        // wgpu does not know of runs, and leaves mapped what it was asked to map. What it gives for mapping is coherent.
        ports.readback.map_async(wgpu::MapMode::Read, .., |_| {});
        context.wait()?;
        let made = || {
            let (pool, fence) = (vulkan.command_pool()?, vulkan.fence()?);
            let info = vk::CommandBufferAllocateInfo::default().command_pool(pool.raw).command_buffer_count(1);
            // SAFETY: the pool is alive, and nobody else has it.
            let commands = unsafe { vulkan.raw.allocate_command_buffers(&info) }?;
            Ok((pool, commands[0], fence))
        };
        let (pool, commands, fence) = made().map_err(|result| vulkan::error(context, result))?;
        let (count, fence) = (None, Arc::new(fence));
        Ok(Self { program, ports, pool, commands, count, fence, running: false, order: 0, watch: None })
    }

    /// Has the commands recorded by `record`.
    fn record(&mut self, record: impl FnOnce(&Recorder)) -> VkResult<()> {
        self.count = None;
        // SAFETY: no run is under way whenever this is called, and nobody else has the pool.
        let recorder = unsafe { Recorder::begin(&self.program, &self.pool, self.commands) }?;
        record(&recorder);
        recorder.end()
    }

    /// Lets the device run what is recorded.
    fn start(&mut self) -> VkResult<()> {
        let vulkan = &self.program.vulkan;
        match Arc::get_mut(&mut self.fence) {
            // SAFETY: no run is under way, and no thread waits for the fence.
            Some(fence) => unsafe { vulkan.raw.reset_fences(&[fence.raw]) }?,
            None => self.fence = Arc::new(vulkan.fence()?),
        }
        let _alone = self.program.context.alone();
        // SAFETY: the slot has the buffers and the program, and waits for the fence before it lets go of them.
        unsafe { vulkan.submit(self.commands, self.fence.raw) }?;
        self.order = self.program.context.next();
        (self.running, self.watch) = (true, None);
        Ok(())
    }

    fn finish(&mut self) -> VkResult<()> {
        if std::mem::take(&mut self.running) {
            self.program.vulkan.wait(&self.fence)?;
        }
        Ok(())
    }

    fn run(&mut self) -> VkResult<()> {
        self.start()?;
        self.finish()
    }

    /// Times by the device's own clock.
    fn stamped(&mut self, upload: vk::Buffer, count: usize) -> VkResult<Vec<Duration>> {
        let vulkan = self.program.vulkan.clone();
        let steps = self.program.work.steps.len();
        let queries = vulkan.timestamps(steps as u32 + 1)?;
        self.record(|recorder| {
            recorder.copy_in(upload, count);
            recorder.stamped(&queries, count);
        })?;
        self.run()?;
        let mut stamps = vec![0u64; steps + 1];
        let flags = vk::QueryResultFlags::TYPE_64 | vk::QueryResultFlags::WAIT;
        // SAFETY: there are as many queries, each of which has its stamp.
        unsafe { vulkan.raw.get_query_pool_results(queries.raw, 0, &mut stamps, flags) }?;
        Ok(stamps.windows(2).map(|pair| vulkan.time(pair[0], pair[1])).collect())
    }

    /// Times by the host's clock, a run a step.
    fn clocked(&mut self, upload: vk::Buffer, count: usize) -> VkResult<Vec<Duration>> {
        self.record(|recorder| recorder.copy_in(upload, count))?;
        self.run()?;
        let steps = self.program.work.steps.len();
        let time = |step| {
            self.record(|recorder| recorder.steps(step..step + 1, count))?;
            let began = Instant::now();
            self.run()?;
            Ok(began.elapsed())
        };
        (0..steps).map(time).collect()
    }
}

impl Slot for RecordedSlot {
    fn write(&mut self, batch: &[f32]) -> Result<()> {
        self.ports.write(&self.program.context, &self.program.work.input, batch)
    }

    fn read(&mut self, count: usize) -> Result<Vec<f32>> {
        self.ports.read(&self.program.context, &self.program.work.output, count)
    }

    fn submit(&mut self, count: usize) -> Result<()> {
        let context = self.program.context.clone();
        let _open = context.hold()?;
        if self.count != Some(count) {
            let (upload, readback) = (raw(&context, &self.ports.upload)?, raw(&context, &self.ports.readback)?);
            let steps = self.program.work.steps.len();
            let recorded = self.record(|recorder| {
                recorder.copy_in(upload, count);
                recorder.steps(0..steps, count);
                recorder.copy_out(readback, count);
            });
            recorded.map_err(|result| vulkan::error(&context, result))?;
            self.count = Some(count);
        }
        self.start().map_err(|result| vulkan::error(&context, result))
    }

    fn wait(&mut self) -> Result<()> {
        self.finish().map_err(|result| vulkan::error(&self.program.context, result))
    }

    fn poll(&mut self, waker: Option<&Waker>) -> bool {
        if !self.running {
            return true;
        }
        if let (Some(watch), Some(waker)) = (&self.watch, waker) {
            *lock(watch) = Some(waker.clone());
        }
        // SAFETY: the fence is alive. Where the device is lost, waiting says so.
        if unsafe { self.program.vulkan.raw.get_fence_status(self.fence.raw) } != Ok(false) {
            return true;
        }
        if let (None, Some(waker)) = (&self.watch, waker) {
            let watch = Arc::new(Mutex::new(Some(waker.clone())));
            self.watch = Some(watch.clone());
            let (vulkan, fence) = (self.program.vulkan.clone(), self.fence.clone());
            let mut fence = Some(fence);
            let watch = move |patience| {
                // Whoever is woken finds out what went wrong, if anything did.
                if fence.as_ref().is_some_and(|fence| vulkan.wait_for(fence, patience) == Ok(false)) {
                    return false;
                }
                fence = None;
                let waker = lock(&watch).take();
                waker.into_iter().for_each(Waker::wake);
                true
            };
            self.program.context.watcher.watch(self.order, Box::new(watch));
        }
        false
    }

    fn profile(mut self: Box<Self>, count: usize) -> Result<(usize, Vec<Duration>)> {
        let context = self.program.context.clone();
        let _open = context.hold()?;
        let upload = raw(&context, &self.ports.upload)?;
        let stamped = self.program.vulkan.tick.is_some();
        let times = if stamped { self.stamped(upload, count) } else { self.clocked(upload, count) };
        Ok((count, times.map_err(|result| vulkan::error(&context, result))?))
    }
}

impl Drop for RecordedSlot {
    /// Waits for the device, which still uses the slot's memory.
    fn drop(&mut self) {
        // Where the device is lost, it uses nothing.
        let _ = self.finish();
    }
}
