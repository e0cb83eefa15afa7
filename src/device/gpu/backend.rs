//! What runs the steps of sessions on a device: wgpu, which encodes them for every run, or Vulkan, which records them once.

use super::context::Context;
use super::encoding::Encoding;
use super::shader::Pipeline;
use crate::error::Result;
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

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
    fn program(&self, context: &Arc<Context>, work: Work) -> Result<Box<dyn Program>>;

    /// See [`crate::Device::keep_kernels`]. `key` names the adapter.
    fn keep_pipelines(&self, _folder: &Path, _key: &str) {}

    /// Writes down what was compiled.
    fn save_pipelines(&self) {}

    /// Blocks until nothing runs that wgpu does not know of. Nobody may submit meanwhile.
    fn finish(&self) {}
}

/// The work of one session, ready to run.
pub(super) trait Program: Debug + Send + Sync {
    /// Makes room for one more batch under way.
    fn slot(&self) -> Result<Box<dyn Slot>>;
}

/// What takes a batch to the device, runs all steps on it, and brings its results. Between runs it is idle.
pub(super) trait Slot: Debug + Send {
    /// Where the batch goes; mapped while the slot is idle.
    fn upload(&self) -> &wgpu::Buffer;

    /// Where its results come; mapped from the end of a run to the next.
    fn readback(&self) -> &wgpu::Buffer;

    /// Runs the steps over `count` images that lie in `upload`. The slot must be idle.
    fn submit(&mut self, count: usize) -> Result<()>;

    /// Blocks until the run is over.
    fn wait(&mut self) -> Result<()>;

    /// Whether no run is under way; if one is, `waker` is called when it is over.
    fn is_ready(&mut self, waker: Option<&Waker>) -> bool;

    /// Runs the steps one by one over `count` images that lie in `upload`, and says how long each took.
    fn profile(self: Box<Self>, count: usize) -> Result<Vec<Duration>>;
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
}

/// A buffer in which images lie one behind the other.
#[derive(Debug)]
pub(super) struct Port {
    pub buffer: wgpu::Buffer,
    /// Bytes from one image to the next.
    pub image: u64,
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
    /// Two new buffers that take batches to the device, and results to the host; the first is mapped.
    pub fn ports(&self, device: &wgpu::Device) -> [wgpu::Buffer; 2] {
        let buffer = |label, usage, port: &Port, mapped_at_creation| {
            let size = port.bytes(self.max_batch).next_multiple_of(16);
            device.create_buffer(&wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation })
        };
        let upload = wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC;
        let readback = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        [buffer("upload", upload, &self.input, true), buffer("readback", readback, &self.output, false)]
    }
}

impl Port {
    /// Bytes of `count` images.
    pub fn bytes(&self, count: usize) -> u64 {
        self.image * count as u64
    }
}
