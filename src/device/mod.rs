//! Devices: which there are, which one is meant, and sessions that run a model on one.

mod batch;
mod choice;
pub(crate) mod clock;
pub(crate) mod cpu;
mod fastest;
#[cfg_attr(not(feature = "gpu"), path = "no_gpu.rs")]
mod gpu;

mod info;
mod precision;
mod profile;
mod program;
mod session;
mod ticket;
mod wake;

pub(crate) use batch::Batch;
pub use choice::DeviceChoice;
#[cfg(all(feature = "gpu", any(windows, target_os = "linux", target_os = "android", target_os = "freebsd")))]
pub use gpu::blueprint;
pub use info::{DeviceInfo, DeviceKind};
pub use precision::Precision;
pub use profile::StepTime;
pub use session::{Session, SessionOptions};
pub use ticket::{Staged, Ticket};

use crate::error::Result;
use crate::graph::Shape;
use crate::model::Model;
use cpu::{Cpu, CpuOptions};
use program::Engine;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// A device that is open. A clone is the same device.
#[derive(Debug, Clone)]
pub struct Device(Arc<dyn Engine>);

impl Device {
    /// Every device of this machine. The `cpu` device is always there, and is the last.
    pub fn list() -> Vec<DeviceInfo> {
        pollster::block_on(choice::list())
    }

    /// Opens the device that is meant. Blocks until it is open.
    ///
    /// # Errors
    /// [`Error::Device`](crate::Error::Device) that lists what was found where nothing fits, or where the driver refuses.
    pub fn open(choice: &DeviceChoice) -> Result<Self> {
        Self::open_with(choice, CpuOptions::default())
    }

    /// As [`open`](Self::open); where the `cpu` device is meant, with these options.
    ///
    /// # Errors
    /// As [`open`](Self::open) and [`cpu_with`](Self::cpu_with); [`Error::Usage`](crate::Error::Usage) for
    /// [`DeviceChoice::Fastest`], which takes a model.
    pub fn open_with(choice: &DeviceChoice, cpu: CpuOptions) -> Result<Self> {
        pollster::block_on(Self::request(choice, cpu))
    }

    /// As [`open_with`](Self::open_with), for programs that await.
    ///
    /// # Errors
    /// As [`open_with`](Self::open_with).
    pub async fn request(choice: &DeviceChoice, cpu: CpuOptions) -> Result<Self> {
        choice::open(choice, cpu).await
    }

    /// A device that the program has opened with wgpu, and may go on using for other work. Sessions submit to `queue`.
    /// [`close`](Self::close) leaves it open. It should be opened with buffers as large as the adapter binds: `wgpu`'s
    /// default limits suffice for small networks only.
    ///
    /// # Errors
    /// [`Error::Device`](crate::Error::Device) where it was opened with less than kernels need.
    #[cfg(feature = "gpu")]
    pub fn from_wgpu(device: wgpu::Device, queue: wgpu::Queue) -> Result<Self> {
        Ok(Self(Arc::new(gpu::Gpu::borrowed(device, queue)?)))
    }

    /// The device that runs `model` on batches of `batch` images of shape `input` in the least time: the GPU that
    /// [`DeviceChoice::Gpu`] means, or the CPU. Where there is a GPU, both run a few batches, and the file `remembered`
    /// keeps the times for the next call on the same machine. A file that cannot be read or written is done without. Where
    /// `precision` is not f32, which is all that the CPU has, it is the GPU.
    ///
    /// # Errors
    /// As [`Session::new`] and [`Session::run`], where neither device runs the model; as [`open`](Self::open), where only a
    /// GPU can.
    pub fn fastest(
        model: &Model,
        input: Shape,
        batch: usize,
        precision: Precision,
        cpu: CpuOptions,
        remembered: Option<&Path>,
    ) -> Result<Self> {
        fastest::fastest(model, input, batch, precision, cpu, remembered)
    }

    /// The `cpu` device, with all threads that the process may use. Every call gives the same one, so that sessions
    /// share its threads.
    pub fn cpu() -> Self {
        static SHARED: OnceLock<Arc<Cpu>> = OnceLock::new();
        Self(SHARED.get_or_init(Arc::default).clone())
    }

    /// A `cpu` device of its own, with threads of its own.
    ///
    /// # Errors
    /// [`Error::Device`](crate::Error::Device) where the machine lacks the instruction set.
    pub fn cpu_with(options: CpuOptions) -> Result<Self> {
        Ok(Self(Arc::new(Cpu::new(options)?)))
    }

    /// The `cpu` device that everybody shares, unless something else than its defaults is wanted.
    fn cpu_for(options: CpuOptions) -> Result<Self> {
        if options == CpuOptions::default() { Ok(Self::cpu()) } else { Self::cpu_with(options) }
    }

    /// Takes compiled kernels from a file in `folder`, and keeps those there that sessions need from now on, so that the
    /// first session of the next process need not compile them. A file that is damaged, of another driver or of another
    /// version is replaced; one that cannot be read or written is done without, as is all of it where the backend gives no
    /// compiled kernels out (only Vulkan does) and on the `cpu` device. Only the first call counts.
    pub fn keep_kernels(&self, folder: &Path) {
        self.0.keep_kernels(folder);
    }

    /// Gives the device back to its driver, with all memory that sessions hold there. Whatever they do from now on is an
    /// [`Error::Device`](crate::Error::Device); open the device again, and make new ones. The `cpu` device has nothing to
    /// give back.
    pub fn close(&self) {
        self.0.close();
    }

    /// Whether it is the `cpu` device, which reads batches where they are.
    pub fn is_cpu(&self) -> bool {
        self.0.threads().is_some()
    }

    /// Whether it normalises images by itself, so that they had better come as levels.
    pub(crate) fn takes_levels(&self) -> bool {
        self.0.takes_levels()
    }

    /// What people call it, such as `NVIDIA H200 (Vulkan)` or `cpu`.
    pub fn name(&self) -> String {
        self.0.name()
    }

    /// What makes plans ready to run on it.
    fn engine(&self) -> &Arc<dyn Engine> {
        &self.0
    }
}
