//! What runs the steps of sessions on a device: wgpu, which encodes them for every run, or Vulkan, which records them once.

use super::context::Context;
use super::encoding::Encoding;
use super::ports::Ports;
use super::shader::Pipeline;
use crate::compile::Target;
use crate::device::StepTime;
use crate::device::program::Program;
use crate::error::Result;
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

/// The variable of the environment that, set to `encoded`, has wgpu encode each run's commands on Vulkan too.
const COMMANDS: &str = "PRETRAINED_COMMANDS";

/// The one that suits a device: commands are recorded where that can be.
pub(super) fn of(device: &wgpu::Device, queue: &wgpu::Queue) -> Box<dyn Backend> {
    let encoded = std::env::var(COMMANDS).is_ok_and(|how| how == "encoded");
    let recording = (!encoded).then(|| recording(device, queue)).flatten();
    recording.unwrap_or_else(|| Box::new(Encoding::new(device)))
}

#[cfg(any(windows, target_os = "linux", target_os = "android", target_os = "freebsd"))]
fn recording(device: &wgpu::Device, queue: &wgpu::Queue) -> Option<Box<dyn Backend>> {
    super::recording::Recording::new(device, queue).map(|recording| Box::new(recording) as Box<dyn Backend>)
}

#[cfg(not(any(windows, target_os = "linux", target_os = "android", target_os = "freebsd")))]
fn recording(_: &wgpu::Device, _: &wgpu::Queue) -> Option<Box<dyn Backend>> {
    None
}

/// A way to run steps, with the pipelines that it has compiled.
pub(super) trait Backend: Debug + Send + Sync {
    /// Makes all that `work` needs. Pipelines that are not there yet are built all at once.
    fn program(&self, context: &Arc<Context>, work: Work) -> Result<Arc<dyn Program>>;

    /// See [`crate::Device::keep_kernels`]. `key` names the adapter.
    fn keep_pipelines(&self, _folder: &Path, _key: &str) {}

    /// Writes down what was compiled.
    fn save_pipelines(&self) {}

    /// Blocks until nothing runs that wgpu does not know of. Nobody may submit meanwhile.
    fn finish(&self) {}
}

/// The steps of a session, and the memory that they work on.
#[derive(Debug)]
pub(super) struct Work {
    /// In order.
    pub steps: Vec<Step>,
    /// Where a batch is copied to before they run.
    pub input: Port,
    /// Where results are copied from behind them.
    pub output: Port,
    /// The most images of a batch.
    pub max_batch: usize,
    /// What a profile says of each step, but for its time.
    pub profile: Vec<StepTime>,
    /// See [`crate::Session::activation_bytes`].
    pub activation_bytes: u64,
}

/// A buffer in which images lie one behind the other.
#[derive(Debug)]
pub(super) struct Port {
    pub buffer: wgpu::Buffer,
    /// How they lie there.
    pub at: Target,
}

/// One dispatch.
#[derive(Debug)]
pub(super) struct Step {
    pub name: String,
    pub pipeline: Pipeline,
    pub bindings: Vec<Binding>,
    /// In x and y; z is the batch.
    pub workgroups: [u32; 2],
    /// Whether it uses what a step wrote, or writes what one used, since the last that waits.
    #[allow(dead_code, reason = "wgpu's encoder orders dispatches by itself")]
    pub waits: bool,
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
    /// Buffers for one more slot.
    pub fn ports(&self, device: &wgpu::Device) -> Ports {
        Ports::new(device, [&self.input, &self.output], self.max_batch)
    }
}

impl Port {
    /// Bytes of `count` images.
    pub fn bytes(&self, count: usize) -> u64 {
        (self.at.image_stride * size_of::<f32>() * count) as u64
    }
}
