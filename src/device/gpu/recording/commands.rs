//! The commands of one slot, which are recorded for one size of batch, and run as often as one likes.

use super::barriers::{BATCHES, Barrier, COMPUTED, COPIED_IN, COPIED_OUT, DISPATCHES, SHADER};
use super::objects::Owned;
use super::vulkan::Vulkan;
use super::work::RecordedWork;
use ash::prelude::VkResult;
use ash::vk;
use std::ops::Range;
use std::sync::Arc;

/// A pool with one command buffer.
#[derive(Debug)]
pub(super) struct Commands {
    pub raw: vk::CommandBuffer,
    pool: Owned<vk::CommandPool>,
}

impl Commands {
    pub fn new(vulkan: &Arc<Vulkan>) -> VkResult<Self> {
        let pool = Owned::command_pool(vulkan)?;
        let info = vk::CommandBufferAllocateInfo::default().command_pool(pool.raw).command_buffer_count(1);
        // SAFETY: 1, 2; 3, for nobody else has the pool.
        let commands = unsafe { vulkan.raw.allocate_command_buffers(&info) }?;
        Ok(Self { raw: commands[0], pool })
    }

    /// Records anew what `record` does, for images that are numbers or `levels`.
    ///
    /// # Safety
    /// The device does not run the commands, as 4 has it, and `work` lives for as long as they can be run.
    pub unsafe fn record(&mut self, work: &RecordedWork, levels: bool, record: impl FnOnce(&Recorder)) -> VkResult<()> {
        let device = &work.vulkan.raw;
        // SAFETY: 1, 2; 3, for `self` is held alone; 4, which is the caller's promise.
        unsafe {
            device.reset_command_pool(self.pool.raw, vk::CommandPoolResetFlags::empty())?;
            device.begin_command_buffer(self.raw, &vk::CommandBufferBeginInfo::default())?;
        }
        let recorder = Recorder { work, levels, commands: self.raw };
        recorder.barrier(&BATCHES);
        record(&recorder);
        // SAFETY: 5.
        unsafe { device.end_command_buffer(self.raw) }
    }
}

/// Commands that are being recorded.
pub(super) struct Recorder<'w> {
    work: &'w RecordedWork,
    levels: bool,
    commands: vk::CommandBuffer,
}

impl Recorder<'_> {
    /// Copies `count` images from `upload` to where dispatches read them.
    pub fn copy_in(&self, upload: vk::Buffer, count: usize) {
        let input = &self.work.work.input;
        self.copy(upload, self.work.input, input.bytes_of(count, self.levels));
        self.barrier(&COPIED_IN);
    }

    /// Copies what was computed of `count` images to `readback`.
    pub fn copy_out(&self, readback: vk::Buffer, count: usize) {
        self.barrier(&COMPUTED);
        self.copy(self.work.output, readback, self.work.work.output.bytes(count));
        self.barrier(&COPIED_OUT);
    }

    fn copy(&self, from: vk::Buffer, to: vk::Buffer, size: u64) {
        let regions = [vk::BufferCopy { src_offset: 0, dst_offset: 0, size }];
        // SAFETY: 1, 2, 5, 6 and 7.
        unsafe { self.work.vulkan.raw.cmd_copy_buffer(self.commands, from, to, &regions) }
    }

    /// Runs some of the dispatches over `count` images.
    pub fn dispatch(&self, dispatches: Range<usize>, count: usize) {
        let mut pipeline = vk::Pipeline::null();
        let device = &self.work.vulkan.raw;
        for dispatch in &self.work.dispatches[dispatches] {
            if dispatch.waits {
                self.barrier(&DISPATCHES);
            }
            let [x, y, z] = dispatch.workgroups.counts(count);
            // SAFETY: 1, 2, 5, 6 and 8.
            unsafe {
                let its = dispatch.pipelines.of(self.levels).raw;
                if pipeline != its {
                    pipeline = its;
                    device.cmd_bind_pipeline(self.commands, vk::PipelineBindPoint::COMPUTE, pipeline);
                }
                let (point, sets) = (vk::PipelineBindPoint::COMPUTE, [dispatch.bindings]);
                device.cmd_bind_descriptor_sets(self.commands, point, dispatch.layout, 0, &sets, &[]);
                device.cmd_dispatch(self.commands, x, y, z);
            }
        }
    }

    /// Runs all dispatches over `count` images, one after the other, with a stamp before, between and after them.
    /// `queries` has [`stamps`](Self::stamps) queries.
    pub fn stamped(&self, queries: &Owned<vk::QueryPool>, count: usize) {
        let device = &self.work.vulkan.raw;
        let dispatches = self.work.dispatches.len();
        // SAFETY: 1 and 5; each index is below `stamps`.
        let stamp = |index| unsafe { device.cmd_write_timestamp(self.commands, SHADER, queries.raw, index) };
        // SAFETY: 1 and 5; there are as many queries.
        unsafe { device.cmd_reset_query_pool(self.commands, queries.raw, 0, Self::stamps(self.work)) };
        stamp(0);
        for (index, stamped) in (0..dispatches).zip(1..) {
            self.dispatch(index..index + 1, count);
            self.barrier(&DISPATCHES);
            stamp(stamped);
        }
    }

    /// Stamps of a run of `work`.
    pub fn stamps(work: &RecordedWork) -> u32 {
        work.dispatches.len() as u32 + 1
    }

    fn barrier(&self, barrier: &Barrier) {
        let (stages, access) = barrier.before;
        let memory = [vk::MemoryBarrier::default().src_access_mask(access).dst_access_mask(barrier.after.1)];
        let none = vk::DependencyFlags::empty();
        let device = &self.work.vulkan.raw;
        // SAFETY: 1, 2 and 5.
        unsafe { device.cmd_pipeline_barrier(self.commands, stages, barrier.after.0, none, &memory, &[], &[]) }
    }
}
