//! What runs dispatches on a device: wgpu, which encodes them for every run, or Vulkan, which records them once.

use super::context::Context;
use super::pipelines::Variants;
use super::ports::{Port, Ports};
use super::shader::{Pipeline, Signature};
use super::shelf::Shelved;
use super::workgroups::Workgroups;
use crate::device::profile::StepTime;
use crate::device::program::Program;
use crate::error::Result;
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

/// A way to run steps, with the pipelines that it has compiled.
pub(super) trait Backend: Debug + Send + Sync {
    /// Makes all that `work` needs. Pipelines that are not there yet are built all at once.
    fn program(&self, context: &Arc<Context>, work: Work) -> Result<Arc<dyn Program>>;

    /// See [`crate::Device::keep_kernels`]. `key` names the adapter.
    fn keep_pipelines(&self, _folder: &Path, _key: &str) {}

    /// Blocks until nothing runs that wgpu does not know of. Nobody may submit meanwhile.
    fn finish(&self) {}
}

/// The dispatches of a session, and the memory that they work on.
#[derive(Debug)]
pub(super) struct Work {
    /// One for each step, in order.
    pub dispatches: Vec<BoundDispatch>,
    /// What they are bound to, for other programs to find.
    pub _weights: Vec<Arc<Shelved>>,
    /// Where a batch is copied to before they run.
    pub input: Port,
    /// Where results are copied from after them.
    pub output: Port,
    /// The most images of a batch.
    pub max_batch: usize,
    /// What a profile says of each step, but for its time.
    pub profile: Vec<StepTime>,
    /// See [`crate::Session::activation_bytes`].
    pub activation_bytes: u64,
}

/// A step that is ready to run: a pipeline, and the buffers that it is bound to.
#[derive(Debug)]
pub(super) struct BoundDispatch {
    pub name: String,
    /// They bind the same buffers.
    pub pipelines: Variants<Pipeline>,
    pub bindings: Vec<Binding>,
    pub workgroups: Workgroups,
    /// Whether it reads what an earlier one wrote, or writes what one used, since the last that waits.
    #[allow(dead_code, reason = "wgpu's encoder orders dispatches by itself")]
    pub waits: bool,
}

impl BoundDispatch {
    pub fn signature(&self) -> Signature {
        self.pipelines.numbers.shader.signature()
    }
}

/// What a shader finds at one of its bindings.
#[derive(Debug)]
pub(super) struct Binding {
    pub binding: u32,
    pub buffer: wgpu::Buffer,
    /// Bytes.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
}

impl Work {
    /// Whether batches may be of levels.
    pub fn takes_levels(&self) -> bool {
        self.dispatches.iter().any(|dispatch| dispatch.pipelines.levels.is_some())
    }

    /// Buffers for one more slot.
    pub fn ports(&self, device: &wgpu::Device) -> Ports {
        Ports::new(device, [&self.input, &self.output], self.max_batch)
    }
}
