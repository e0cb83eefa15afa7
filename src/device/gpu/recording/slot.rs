//! Room for one batch: buffers that stay mapped, and commands that run it as often as one likes.

use super::commands::{Commands, Recorder};
use super::objects::Owned;
use super::vulkan::{self, raw};
use super::work::RecordedWork;
use crate::device::batch::Batch;
use crate::device::gpu::lock::lock;
use crate::device::gpu::ports::Ports;
use crate::device::program::Slot;
use crate::device::wake::wake;
use crate::error::Result;
use ash::prelude::VkResult;
use ash::vk;
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(super) struct RecordedSlot {
    work: Arc<RecordedWork>,
    ports: Ports,
    commands: Commands,
    /// Whether the batch that was written is of levels.
    levels: bool,
    /// How many images the commands are recorded for, and whether those are levels.
    recorded: Option<(usize, bool)>,
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
    pub fn new(work: Arc<RecordedWork>) -> Result<Self> {
        let (context, vulkan) = (&work.context, &work.vulkan);
        let ports = work.work.ports(&context.device);
        // wgpu does not know of runs, and leaves mapped what it was asked to map. What it gives for mapping is coherent.
        ports.readback.map_async(wgpu::MapMode::Read, .., |_| {});
        context.wait()?;
        let made = || Ok((Commands::new(vulkan)?, Owned::fence(vulkan)?));
        let (commands, fence) = made().map_err(|result| vulkan::error(context, result))?;
        let fence = Arc::new(fence);
        Ok(Self { work, ports, commands, levels: false, recorded: None, fence, running: false, order: 0, watch: None })
    }

    /// Has the commands recorded by `record`.
    fn record(&mut self, record: impl FnOnce(&Recorder)) -> VkResult<()> {
        self.recorded = None;
        self.finish()?;
        // SAFETY: 4, for the slot has just waited; 1, for it keeps its work.
        unsafe { self.commands.record(&self.work, self.levels, record) }
    }

    /// Lets the device run what is recorded.
    fn start(&mut self) -> VkResult<()> {
        self.finish()?;
        let vulkan = &self.work.vulkan;
        match Arc::get_mut(&mut self.fence) {
            // SAFETY: 4, for the slot has just waited; 3, for no thread has the fence.
            Some(fence) => unsafe { fence.reset() }?,
            None => self.fence = Arc::new(Owned::fence(vulkan)?),
        }
        let _alone = self.work.context.alone();
        // SAFETY: 1, for the slot keeps all that the commands use; 3, for it submits alone; 4, for it waits for the fence
        // before it lets go of them, and the fence was reset or is new.
        unsafe { vulkan.submit(self.commands.raw, self.fence.raw) }?;
        self.order = self.work.context.next();
        (self.running, self.watch) = (true, None);
        Ok(())
    }

    /// Waits for the run under way, if there is one.
    fn finish(&mut self) -> VkResult<()> {
        if self.running {
            self.fence.wait()?;
            self.running = false;
        }
        Ok(())
    }

    fn run(&mut self) -> VkResult<()> {
        self.start()?;
        self.finish()
    }

    /// Times by the device's own clock.
    fn stamped(&mut self, upload: vk::Buffer, count: usize) -> VkResult<Vec<Duration>> {
        let vulkan = self.work.vulkan.clone();
        let count_of_stamps = Recorder::stamps(&self.work);
        let queries = Owned::timestamps(&vulkan, count_of_stamps)?;
        self.record(|recorder| {
            recorder.copy_in(upload, count);
            recorder.stamped(&queries, count);
        })?;
        self.run()?;
        let stamps = queries.stamps(count_of_stamps)?;
        Ok(stamps.windows(2).map(|pair| vulkan.time(pair[0], pair[1])).collect())
    }

    /// Times by the host's clock, a run a dispatch.
    fn clocked(&mut self, upload: vk::Buffer, count: usize) -> VkResult<Vec<Duration>> {
        self.record(|recorder| recorder.copy_in(upload, count))?;
        self.run()?;
        let dispatches = self.work.dispatches.len();
        let time = |index| {
            self.record(|recorder| recorder.dispatch(index..index + 1, count))?;
            let began = Instant::now();
            self.run()?;
            Ok(began.elapsed())
        };
        (0..dispatches).map(time).collect()
    }
}

impl Slot for RecordedSlot {
    fn write(&mut self, batch: &Batch) -> Result<()> {
        self.levels = matches!(batch, Batch::Levels(_));
        self.ports.write(&self.work.context, &self.work.work.input, batch)
    }

    fn read(&mut self, count: usize) -> Result<Vec<f32>> {
        self.ports.read(&self.work.context, &self.work.work.output, count)
    }

    fn submit(&mut self, count: usize) -> Result<()> {
        let context = self.work.context.clone();
        self.work.holds(count)?;
        let _open = context.hold()?;
        if self.recorded != Some((count, self.levels)) {
            let (upload, readback) = (raw(&context, &self.ports.upload)?, raw(&context, &self.ports.readback)?);
            let dispatches = self.work.dispatches.len();
            let recorded = self.record(|recorder| {
                recorder.copy_in(upload, count);
                recorder.dispatch(0..dispatches, count);
                recorder.copy_out(readback, count);
            });
            recorded.map_err(|result| vulkan::error(&context, result))?;
            self.recorded = Some((count, self.levels));
        }
        self.start().map_err(|result| vulkan::error(&context, result))
    }

    fn wait(&mut self) -> Result<()> {
        self.finish().map_err(|result| vulkan::error(&self.work.context, result))
    }

    fn poll(&mut self, waker: Option<&Waker>) -> bool {
        if !self.running {
            return true;
        }
        if let (Some(watch), Some(waker)) = (&self.watch, waker) {
            *lock(watch) = Some(waker.clone());
        }
        // Where the device is lost, waiting says so.
        if self.fence.signalled() != Ok(false) {
            return true;
        }
        if let (None, Some(waker)) = (&self.watch, waker) {
            let watch = Arc::new(Mutex::new(Some(waker.clone())));
            self.watch = Some(watch.clone());
            let mut fence = Some(self.fence.clone());
            let watch = move |patience| {
                // Whoever is woken finds out what went wrong, if anything did.
                if fence.as_ref().is_some_and(|fence| fence.wait_for(patience) == Ok(false)) {
                    return false;
                }
                fence = None;
                let waker = lock(&watch).take();
                wake(waker);
                true
            };
            self.work.context.watcher.watch(self.order, Box::new(watch));
        }
        false
    }

    fn profile(mut self: Box<Self>, count: usize) -> Result<(usize, Vec<Duration>)> {
        let context = self.work.context.clone();
        self.work.holds(count)?;
        let _open = context.hold()?;
        let upload = raw(&context, &self.ports.upload)?;
        let stamped = self.work.vulkan.tick.is_some();
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
