//! What never changes from run to run: each dispatch with its pipeline and its descriptor set, and the session's buffers.

use super::descriptors::Descriptors;
use super::layouts::Layouts;
use super::objects::Owned;
use super::vulkan::{Vulkan, raw};
use crate::device::gpu::backend::Work;
use crate::device::gpu::context::Context;
use crate::device::gpu::pipelines::Variants;
use crate::device::gpu::workgroups::Workgroups;
use crate::error::Result;
use ash::vk;
use std::sync::Arc;

/// [`Work`] as commands take it.
#[derive(Debug)]
pub(super) struct RecordedWork {
    pub context: Arc<Context>,
    pub vulkan: Arc<Vulkan>,
    pub work: Work,
    pub dispatches: Vec<RecordedDispatch>,
    pub input: vk::Buffer,
    pub output: vk::Buffer,
    /// Has the dispatches' sets.
    _descriptors: Owned<vk::DescriptorPool>,
    /// Has the layouts that dispatches refer to.
    _layouts: Arc<Layouts>,
}

/// A dispatch as commands take it.
#[derive(Debug)]
pub(super) struct RecordedDispatch {
    pub pipelines: Variants<Arc<Owned<vk::Pipeline>>>,
    pub layout: vk::PipelineLayout,
    pub bindings: vk::DescriptorSet,
    pub workgroups: Workgroups,
    pub waits: bool,
}

impl RecordedWork {
    pub fn new(
        context: &Arc<Context>,
        vulkan: &Arc<Vulkan>,
        layouts: &Arc<Layouts>,
        work: Work,
        pipelines: Vec<Variants<Arc<Owned<vk::Pipeline>>>>,
    ) -> Result<Self> {
        let Descriptors { sets, pool } = Descriptors::new(context, vulkan, layouts, &work)?;
        let dispatches = work.dispatches.iter().zip(pipelines).zip(sets);
        let dispatches = dispatches.map(|((dispatch, pipelines), bindings)| RecordedDispatch {
            pipelines,
            layout: layouts[dispatch.signature()].pipeline.raw,
            bindings,
            workgroups: dispatch.workgroups,
            waits: dispatch.waits,
        });
        Ok(Self {
            dispatches: dispatches.collect(),
            input: raw(context, &work.input.buffer)?,
            output: raw(context, &work.output.buffer)?,
            context: context.clone(),
            vulkan: vulkan.clone(),
            work,
            _descriptors: pool,
            _layouts: layouts.clone(),
        })
    }

    /// Refuses more images than the buffers hold.
    pub fn holds(&self, count: usize) -> Result<()> {
        let most = self.work.max_batch;
        if count <= most {
            return Ok(());
        }
        Err(self.context.error(format!("a batch of {count} images is over its limit of {most}")))
    }
}
