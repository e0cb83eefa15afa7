//! The steps of a session, each with its pipeline and a descriptor set, and the commands that run them.

use super::super::backend::{Step, Work};
use super::super::context::Context;
use super::slot::RecordedSlot;
use super::vulkan::{self, Owned, Vulkan};
use super::{Recording, descriptor_type};
use crate::device::StepTime;
use crate::device::gpu::shader::Declaration;
use crate::device::program::{Program, Slot};
use crate::error::Result;
use ash::prelude::VkResult;
use ash::vk;
use std::ops::Range;
use std::sync::Arc;
use wgpu::hal;

/// What never changes from run to run.
#[derive(Debug)]
pub(super) struct RecordedProgram {
    pub context: Arc<Context>,
    pub vulkan: Arc<Vulkan>,
    pub work: Work,
    steps: Vec<Recorded>,
    input: vk::Buffer,
    output: vk::Buffer,
    /// Has the steps' sets.
    _descriptors: Owned<vk::DescriptorPool>,
}

/// A step as commands take it.
#[derive(Debug)]
struct Recorded {
    pipeline: Arc<Owned<vk::Pipeline>>,
    layout: vk::PipelineLayout,
    bindings: vk::DescriptorSet,
    workgroups: [u32; 2],
    waits: bool,
}

pub(super) fn program(
    recording: &Recording,
    context: &Arc<Context>,
    work: Work,
    pipelines: Vec<Arc<Owned<vk::Pipeline>>>,
) -> Result<Arc<dyn Program>> {
    let failed = |result| vulkan::error(context, result);
    let vulkan = &recording.vulkan;
    let (descriptors, sets) = descriptor_sets(recording, &work).map_err(failed)?;
    for (step, set) in work.steps.iter().zip(&sets) {
        write_set(context, vulkan, step, *set)?;
    }
    let steps = work.steps.iter().zip(pipelines).zip(sets).map(|((step, pipeline), bindings)| Recorded {
        pipeline,
        layout: recording.layouts[step.pipeline.shader.signature()].pipeline.raw,
        bindings,
        workgroups: step.workgroups,
        waits: step.waits,
    });
    let program = RecordedProgram {
        steps: steps.collect(),
        input: raw(context, &work.input.buffer)?,
        output: raw(context, &work.output.buffer)?,
        context: context.clone(),
        vulkan: vulkan.clone(),
        work,
        _descriptors: descriptors,
    };
    Ok(Arc::new(program))
}

/// A set for every step, yet to be written, and the pool that they come from.
fn descriptor_sets(
    recording: &Recording,
    work: &Work,
) -> VkResult<(Owned<vk::DescriptorPool>, Vec<vk::DescriptorSet>)> {
    let layouts: Vec<vk::DescriptorSetLayout> =
        work.steps.iter().map(|step| recording.layouts[step.pipeline.shader.signature()].set.raw).collect();
    let steps = layouts.len() as u32;
    let bindings: usize = work.steps.iter().map(|step| step.bindings.len()).sum();
    let size = |kind, count| vk::DescriptorPoolSize::default().ty(kind).descriptor_count(count);
    // Each has one uniform; the others are storage.
    let sizes = [
        size(vk::DescriptorType::UNIFORM_BUFFER, steps),
        size(vk::DescriptorType::STORAGE_BUFFER, bindings as u32 - steps),
    ];
    let pool = recording.vulkan.descriptor_pool(steps, &sizes)?;
    let info = vk::DescriptorSetAllocateInfo::default().descriptor_pool(pool.raw).set_layouts(&layouts);
    // SAFETY: pool and layouts are alive, and nobody else has the pool.
    let sets = unsafe { recording.vulkan.raw.allocate_descriptor_sets(&info) }?;
    Ok((pool, sets))
}

/// Binds a step's buffers.
fn write_set(context: &Context, vulkan: &Vulkan, step: &Step, set: vk::DescriptorSet) -> Result<()> {
    let mut buffers = Vec::with_capacity(step.bindings.len());
    for binding in &step.bindings {
        let buffer = raw(context, &binding.buffer)?;
        buffers.push(vk::DescriptorBufferInfo { buffer, offset: binding.offset, range: binding.size });
    }
    let kinds = step.pipeline.shader.signature().bindings();
    let write = |(info, Declaration { binding, kind, .. })| {
        vk::WriteDescriptorSet::default()
            .dst_set(set)
            .dst_binding(binding)
            .descriptor_type(descriptor_type(kind))
            .buffer_info(std::slice::from_ref(info))
    };
    let writes: Vec<vk::WriteDescriptorSet> = buffers.iter().zip(kinds).map(write).collect();
    // SAFETY: set and buffers are alive, and no commands use the set yet.
    unsafe { vulkan.raw.update_descriptor_sets(&writes, &[]) };
    Ok(())
}

/// The buffer behind one of wgpu's, which must outlive its use.
pub(super) fn raw(context: &Context, buffer: &wgpu::Buffer) -> Result<vk::Buffer> {
    // SAFETY: it is not destroyed here.
    let hal = unsafe { buffer.as_hal::<hal::api::Vulkan>() };
    // SAFETY: as above.
    hal.map(|hal| unsafe { hal.raw_handle() }).ok_or_else(|| context.error("a buffer is gone; open the device again"))
}

impl Program for RecordedProgram {
    fn slot(self: Arc<Self>) -> Result<Box<dyn Slot>> {
        let _open = self.context.hold()?;
        self.context.guarded(|| Ok(Box::new(RecordedSlot::new(self.clone())?) as Box<dyn Slot>))
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

    fn warmed_up(&self) {
        self.context.backend.save_pipelines();
    }
}

/// What is done, and whose writes are seen, before what may begin.
struct Barrier {
    before: (vk::PipelineStageFlags, vk::AccessFlags),
    after: (vk::PipelineStageFlags, vk::AccessFlags),
}

const SHADER: vk::PipelineStageFlags = vk::PipelineStageFlags::COMPUTE_SHADER;
const COPY: vk::PipelineStageFlags = vk::PipelineStageFlags::TRANSFER;
const SHADER_AND_COPY: vk::PipelineStageFlags = vk::PipelineStageFlags::from_raw(SHADER.as_raw() | COPY.as_raw());
const SHADER_WRITE: vk::AccessFlags = vk::AccessFlags::SHADER_WRITE;
const COPY_WRITE: vk::AccessFlags = vk::AccessFlags::TRANSFER_WRITE;
const SHADER_ACCESS: vk::AccessFlags =
    vk::AccessFlags::from_raw(vk::AccessFlags::SHADER_READ.as_raw() | SHADER_WRITE.as_raw());

/// An earlier batch has done with the session's buffers before this one overwrites them.
const BATCHES: Barrier = Barrier {
    before: (SHADER_AND_COPY, vk::AccessFlags::from_raw(SHADER_WRITE.as_raw() | COPY_WRITE.as_raw())),
    after: (SHADER_AND_COPY, vk::AccessFlags::from_raw(SHADER_ACCESS.as_raw() | COPY_WRITE.as_raw())),
};
/// Steps read what was copied in, and may write there later.
const COPIED_IN: Barrier = Barrier { before: (COPY, COPY_WRITE), after: (SHADER, SHADER_ACCESS) };
const STEPS: Barrier = Barrier { before: (SHADER, SHADER_WRITE), after: (SHADER, SHADER_ACCESS) };
const COMPUTED: Barrier = Barrier { before: (SHADER, SHADER_WRITE), after: (COPY, vk::AccessFlags::TRANSFER_READ) };
const COPIED_OUT: Barrier =
    Barrier { before: (COPY, COPY_WRITE), after: (vk::PipelineStageFlags::HOST, vk::AccessFlags::HOST_READ) };

/// Commands that are being recorded.
pub(super) struct Recorder<'p> {
    program: &'p RecordedProgram,
    commands: vk::CommandBuffer,
}

impl<'p> Recorder<'p> {
    /// Begins anew.
    ///
    /// # Safety
    /// The commands are the only ones of `pool`, and the device does not run them.
    pub unsafe fn begin(
        program: &'p RecordedProgram,
        pool: &Owned<vk::CommandPool>,
        commands: vk::CommandBuffer,
    ) -> VkResult<Self> {
        let device = &program.vulkan.raw;
        // SAFETY: the caller's.
        unsafe {
            device.reset_command_pool(pool.raw, vk::CommandPoolResetFlags::empty())?;
            device.begin_command_buffer(commands, &vk::CommandBufferBeginInfo::default())?;
        }
        let recorder = Self { program, commands };
        recorder.barrier(&BATCHES);
        Ok(recorder)
    }

    /// Copies `count` images from `upload` to where the steps read them.
    pub fn copy_in(&self, upload: vk::Buffer, count: usize) {
        let input = &self.program.work.input;
        self.copy(upload, self.program.input, input.bytes(count));
        self.barrier(&COPIED_IN);
    }

    /// Copies what the steps computed of `count` images to `readback`.
    pub fn copy_out(&self, readback: vk::Buffer, count: usize) {
        self.barrier(&COMPUTED);
        self.copy(self.program.output, readback, self.program.work.output.bytes(count));
        self.barrier(&COPIED_OUT);
    }

    fn copy(&self, from: vk::Buffer, to: vk::Buffer, size: u64) {
        let regions = [vk::BufferCopy { src_offset: 0, dst_offset: 0, size }];
        // SAFETY: the commands are being recorded, and the buffers are alive and large enough.
        unsafe { self.program.vulkan.raw.cmd_copy_buffer(self.commands, from, to, &regions) }
    }

    /// Runs some of the steps over `count` images.
    pub fn steps(&self, steps: Range<usize>, count: usize) {
        let mut pipeline = vk::Pipeline::null();
        let device = &self.program.vulkan.raw;
        for step in &self.program.steps[steps] {
            if step.waits {
                self.barrier(&STEPS);
            }
            let [x, y] = step.workgroups;
            // SAFETY: see `copy`; the device has been asked whether it takes so many workgroups.
            unsafe {
                if pipeline != step.pipeline.raw {
                    pipeline = step.pipeline.raw;
                    device.cmd_bind_pipeline(self.commands, vk::PipelineBindPoint::COMPUTE, pipeline);
                }
                let (point, sets) = (vk::PipelineBindPoint::COMPUTE, [step.bindings]);
                device.cmd_bind_descriptor_sets(self.commands, point, step.layout, 0, &sets, &[]);
                device.cmd_dispatch(self.commands, x, y, count as u32);
            }
        }
    }

    /// Runs all steps over `count` images, one after the other, with a stamp before, between and behind them.
    pub fn stamped(&self, queries: &Owned<vk::QueryPool>, count: usize) {
        let device = &self.program.vulkan.raw;
        let stamps = self.program.steps.len() as u32 + 1;
        // SAFETY: see `copy`; there are as many queries.
        let stamp = |index| unsafe { device.cmd_write_timestamp(self.commands, SHADER, queries.raw, index) };
        // SAFETY: as above.
        unsafe { device.cmd_reset_query_pool(self.commands, queries.raw, 0, stamps) };
        stamp(0);
        for (index, stamped) in (0..self.program.steps.len()).zip(1..) {
            self.steps(index..index + 1, count);
            self.barrier(&STEPS);
            stamp(stamped);
        }
    }

    pub fn end(self) -> VkResult<()> {
        // SAFETY: see `copy`.
        unsafe { self.program.vulkan.raw.end_command_buffer(self.commands) }
    }

    fn barrier(&self, barrier: &Barrier) {
        let (stages, access) = barrier.before;
        let memory = [vk::MemoryBarrier::default().src_access_mask(access).dst_access_mask(barrier.after.1)];
        let none = vk::DependencyFlags::empty();
        let device = &self.program.vulkan.raw;
        // SAFETY: see `copy`.
        unsafe { device.cmd_pipeline_barrier(self.commands, stages, barrier.after.0, none, &memory, &[], &[]) }
    }
}
