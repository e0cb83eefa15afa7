//! Devices: which there are, which one is meant, and sessions that run a model on one.

mod choice;
pub mod cpu;
#[cfg(feature = "gpu")]
mod fastest;
#[cfg(feature = "gpu")]
pub mod gpu;
#[cfg(feature = "gpu")]
mod memo;
mod precision;
mod profile;
mod ticket;

pub use choice::{DeviceChoice, DeviceInfo, DeviceKind};
pub use precision::Precision;
pub use profile::StepTime;
pub use ticket::{Staged, Ticket};

use crate::checkpoint::Limits;
use crate::compile::{Budget, compile_within};
use crate::error::{Error, Result};
use crate::graph::Shape;
use crate::model::Model;
use cpu::CpuOptions;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// A device that is open.
#[derive(Debug, Clone)]
pub struct Device(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Cpu(Arc<cpu::Context>),
    #[cfg(feature = "gpu")]
    Gpu(Arc<gpu::Context>),
}

impl Device {
    /// Every device of this machine. The `cpu` device is always there, and is the last.
    pub fn list() -> Vec<DeviceInfo> {
        choice::list()
    }

    /// Opens the device that is meant.
    ///
    /// # Errors
    /// [`Error::Device`] that lists what was found where nothing fits, or where the driver refuses.
    pub fn open(choice: &DeviceChoice) -> Result<Self> {
        Self::open_with(choice, CpuOptions::default())
    }

    /// As [`open`](Self::open); where the `cpu` device is meant, with these options.
    ///
    /// # Errors
    /// As [`open`](Self::open) and [`cpu_with`](Self::cpu_with); [`Error::Usage`] for [`DeviceChoice::Fastest`], which
    /// takes a model.
    pub fn open_with(choice: &DeviceChoice, cpu: CpuOptions) -> Result<Self> {
        choice::open(choice, cpu)
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
        choice::fastest(model, input, batch, precision, cpu, remembered)
    }

    /// The `cpu` device, with all threads that the process may use. Every call gives the same one, so that sessions
    /// share its threads.
    pub fn cpu() -> Self {
        static CONTEXT: OnceLock<Arc<cpu::Context>> = OnceLock::new();
        Self(Kind::Cpu(CONTEXT.get_or_init(|| Arc::new(cpu::Context::default())).clone()))
    }

    /// A `cpu` device of its own, with threads of its own.
    ///
    /// # Errors
    /// [`Error::Device`] where the machine lacks the instruction set.
    pub fn cpu_with(options: CpuOptions) -> Result<Self> {
        Ok(Self(Kind::Cpu(Arc::new(cpu::Context::new(options)?))))
    }

    /// Takes compiled kernels from a file in `folder`, and keeps those there that sessions need from now on, so that the
    /// first session of the next process need not compile them. A file that is damaged, of another driver or of another
    /// version is replaced; one that cannot be read or written is done without, as is all of it where the backend gives no
    /// compiled kernels out (only Vulkan does) and on the `cpu` device. Only the first call counts.
    #[cfg_attr(not(feature = "gpu"), allow(unused_variables))]
    pub fn keep_kernels(&self, folder: &Path) {
        match &self.0 {
            Kind::Cpu(_) => {}
            #[cfg(feature = "gpu")]
            Kind::Gpu(context) => context.keep_pipelines(folder),
        }
    }

    /// Gives the device back to its driver, with all memory that sessions hold there. Whatever they do from now on is an
    /// [`Error::Device`]; open the device again, and make new ones. The `cpu` device has nothing to give back.
    pub fn close(&self) {
        match &self.0 {
            Kind::Cpu(_) => {}
            #[cfg(feature = "gpu")]
            Kind::Gpu(context) => context.close(),
        }
    }

    /// Whether it is the `cpu` device, which needs no copies and computes while one submits.
    pub fn is_cpu(&self) -> bool {
        matches!(self.0, Kind::Cpu(_))
    }

    /// What people call it, such as `NVIDIA H200 (Vulkan)` or `cpu`.
    pub fn name(&self) -> String {
        match &self.0 {
            Kind::Cpu(context) => context.name(),
            #[cfg(feature = "gpu")]
            Kind::Gpu(context) => context.name().to_owned(),
        }
    }
}

/// The `cpu` device that everybody shares, unless something else than its defaults is wanted.
fn cpu_device(options: CpuOptions) -> Result<Device> {
    if options == CpuOptions::default() { Ok(Device::cpu()) } else { Device::cpu_with(options) }
}

/// A model made ready on one device for one input size, and any batch up to a maximum.
#[derive(Debug)]
pub struct Session {
    runner: Runner,
    input: Shape,
    outputs: usize,
    max_batch: usize,
    activation_bytes: u64,
}

#[derive(Debug)]
enum Runner {
    Cpu(Box<cpu::Session>),
    #[cfg(feature = "gpu")]
    Gpu(Box<gpu::Session>),
}

impl Session {
    /// Compiles `model` for images of shape `input`, and puts it on `device`.
    ///
    /// # Errors
    /// [`Error::Usage`] where the shape does not fit the network or `max_batch` is 0; [`Error::Limit`] where the plan would
    /// take more memory or work than the default [`Limits`] allow; [`Error::Device`] where the device has not the memory,
    /// or where a buffer is over its limit.
    pub fn new(device: &Device, model: &Model, input: Shape, max_batch: usize) -> Result<Self> {
        Self::with_precision(device, model, input, max_batch, Precision::F32)
    }

    /// As [`new`](Self::new), with numbers stored in another width.
    ///
    /// # Errors
    /// As [`new`](Self::new); [`Error::Device`] where the device has no such width.
    pub fn with_precision(
        device: &Device,
        model: &Model,
        input: Shape,
        max_batch: usize,
        precision: Precision,
    ) -> Result<Self> {
        Self::with_limits(device, model, input, max_batch, precision, &Limits::default())
    }

    /// As [`with_precision`](Self::with_precision), with other limits than the default ones of what the plan may take:
    /// [`Limits::plan_bytes`], [`Limits::activation_bytes`] and [`Limits::operations`].
    ///
    /// # Errors
    /// As [`with_precision`](Self::with_precision); [`Error::Limit`] where the plan is over them.
    pub fn with_limits(
        device: &Device,
        model: &Model,
        input: Shape,
        max_batch: usize,
        precision: Precision,
        limits: &Limits,
    ) -> Result<Self> {
        if max_batch == 0 {
            return Err(Error::Usage("a batch holds at least one image".into()));
        }
        let graph = &model.network().graph;
        let shapes = graph.shapes(input)?;
        let outputs = shapes[graph.output().0].elements();
        let budget = Budget::new(limits, model.weights());
        let compile = |layout| compile_within(graph, model.weights(), input, layout, limits, &budget);
        let (runner, activation_bytes) = match &device.0 {
            Kind::Cpu(_) if precision != Precision::F32 => {
                return Err(Error::Device(format!(
                    "cpu: it stores numbers as f32 only, not as {precision}; a GPU can"
                )));
            }
            Kind::Cpu(context) => {
                let plan = compile(context.layout())?;
                let session = cpu::Session::new(context.clone(), &plan, max_batch, limits, &budget)?;
                let bytes = session.activation_bytes();
                (Runner::Cpu(Box::new(session)), bytes)
            }
            #[cfg(feature = "gpu")]
            Kind::Gpu(context) => {
                let plan = compile(gpu::LAYOUT)?;
                let session = gpu::Session::new(context.clone(), &plan, max_batch, precision, limits, &budget)?;
                let bytes = session.activation_bytes();
                (Runner::Gpu(Box::new(session)), bytes)
            }
        };
        Ok(Self { runner, input, outputs, max_batch, activation_bytes })
    }

    /// Runs a batch: images one after the other, channels first, each of [`Session::input`]'s shape.
    /// Returns [`Session::outputs`] numbers an image, before any softmax.
    ///
    /// # Errors
    /// [`Error::Usage`] where the batch is empty, over the maximum, or not a whole number of images;
    /// [`Error::Device`] where the device fails.
    pub fn run(&mut self, batch: &[f32]) -> Result<Vec<f32>> {
        self.submit(batch)?.wait()
    }

    /// Begins to run a batch as [`run`](Self::run) would, and does not wait for its results. Several batches may be on
    /// their way at once; they run in the order in which they were submitted.
    ///
    /// # Errors
    /// As [`run`](Self::run); what goes wrong later, the ticket tells.
    pub fn submit(&mut self, batch: &[f32]) -> Result<Ticket> {
        self.stage(batch)?.submit()
    }

    /// Copies a batch to where the device reads it, while others may run, and does not run it yet. To submit it is then a
    /// matter of microseconds.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn stage<'s>(&'s mut self, batch: &'s [f32]) -> Result<Staged<'s>> {
        let count = self.images(batch)?;
        match &mut self.runner {
            Runner::Cpu(session) => Ok(Staged::cpu(session, batch, count)),
            #[cfg(feature = "gpu")]
            Runner::Gpu(session) => session.stage(batch, count).map(Staged::gpu),
        }
    }

    /// Runs a batch, and says how long each step took. Steps are timed one by one, so that they take longer together than
    /// a run does.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn profile(&mut self, batch: &[f32]) -> Result<Vec<StepTime>> {
        let count = self.images(batch)?;
        match &mut self.runner {
            Runner::Cpu(session) => session.profile(batch, count),
            #[cfg(feature = "gpu")]
            Runner::Gpu(session) => session.profile(batch, count),
        }
    }

    /// How many images a batch holds.
    fn images(&self, batch: &[f32]) -> Result<usize> {
        let count = batch.len() / self.input.elements();
        if count == 0 || count > self.max_batch || count * self.input.elements() != batch.len() {
            return Err(Error::Usage(format!(
                "a batch of {} numbers is not 1 to {} images of {}",
                batch.len(),
                self.max_batch,
                self.input
            )));
        }
        Ok(count)
    }

    /// The shape of one image.
    pub fn input(&self) -> Shape {
        self.input
    }

    /// Numbers that come out for one image.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// The largest batch.
    pub fn max_batch(&self) -> usize {
        self.max_batch
    }

    /// Bytes of the buffers in which values lie between steps. Values whose lives do not overlap share a buffer, so this is
    /// their peak; weights, and the way in and out, come on top. On a GPU it is for the largest batch; the `cpu` device
    /// runs a large batch a few images at a time, and has memory for those.
    pub fn activation_bytes(&self) -> u64 {
        self.activation_bytes
    }
}
