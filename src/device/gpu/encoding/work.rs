//! What never changes from run to run: each dispatch with its pipeline and its bind group, and the session's buffers.

use super::in_flight::InFlight;
use crate::device::gpu::backend::Work;
use crate::device::gpu::context::Context;
use crate::device::gpu::pipelines::Variants;
use crate::device::gpu::workgroups::Workgroups;
use std::sync::Arc;

/// [`Work`] as wgpu takes it.
#[derive(Debug)]
pub(super) struct EncodedWork {
    pub context: Arc<Context>,
    pub in_flight: Arc<InFlight>,
    pub dispatches: Vec<EncodedDispatch>,
    pub work: Work,
}

/// A dispatch as wgpu takes it.
#[derive(Debug)]
pub(super) struct EncodedDispatch {
    pub pipelines: Variants<wgpu::ComputePipeline>,
    pub bindings: wgpu::BindGroup,
    pub workgroups: Workgroups,
}

impl EncodedDispatch {
    /// Over images that are numbers or `levels`.
    pub fn encode(&self, pass: &mut wgpu::ComputePass, count: usize, levels: bool) {
        pass.set_pipeline(self.pipelines.of(levels));
        self.dispatch(pass, count);
    }

    /// For a pass that has the pipeline.
    pub fn dispatch(&self, pass: &mut wgpu::ComputePass, count: usize) {
        pass.set_bind_group(0, &self.bindings, &[]);
        let [x, y, z] = self.workgroups.counts(count);
        pass.dispatch_workgroups(x, y, z);
    }
}
