//! Devices: which there are, which one is meant, and sessions that run a model on one.

mod choice;
#[cfg(feature = "gpu")]
pub mod gpu;
mod profile;
mod ticket;

pub use choice::{DeviceChoice, DeviceInfo, DeviceKind};
pub use profile::StepTime;
pub use ticket::Ticket;

use crate::error::{Error, Result};
use crate::graph::Shape;
use crate::model::Model;
use crate::reference;

/// A device that is open.
#[derive(Debug, Clone)]
pub struct Device(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Cpu,
    #[cfg(feature = "gpu")]
    Gpu(std::sync::Arc<gpu::Context>),
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
        choice::open(choice)
    }

    /// The `cpu` device.
    pub fn cpu() -> Self {
        Self(Kind::Cpu)
    }

    /// Gives the device back to its driver, with all memory that sessions hold there. Whatever they do from now on is an
    /// [`Error::Device`]; open the device again, and make new ones. The `cpu` device has nothing to give back.
    pub fn close(&self) {
        match &self.0 {
            Kind::Cpu => {}
            #[cfg(feature = "gpu")]
            Kind::Gpu(context) => context.close(),
        }
    }

    /// What people call it, such as `NVIDIA H200 (Vulkan)` or `cpu`.
    pub fn name(&self) -> String {
        match &self.0 {
            Kind::Cpu => choice::CPU.to_owned(),
            #[cfg(feature = "gpu")]
            Kind::Gpu(context) => context.name().to_owned(),
        }
    }
}

/// Bytes that one image's values may take on the CPU, where the reference loops keep them all.
const CPU_BYTES: usize = 4 << 30;

/// A model made ready on one device for one input size, and any batch up to a maximum.
#[derive(Debug)]
pub struct Session {
    runner: Runner,
    input: Shape,
    outputs: usize,
    max_batch: usize,
}

#[derive(Debug)]
enum Runner {
    /// The reference loops, until there is a native device for the CPU.
    Cpu(Box<Model>),
    #[cfg(feature = "gpu")]
    Gpu(Box<gpu::Session>),
}

impl Session {
    /// Compiles `model` for images of shape `input`, and puts it on `device`.
    ///
    /// # Errors
    /// [`Error::Usage`] where the shape does not fit the network or `max_batch` is 0; [`Error::Device`] where the
    /// device has not the memory, or where a buffer is over its limit.
    pub fn new(device: &Device, model: &Model, input: Shape, max_batch: usize) -> Result<Self> {
        if max_batch == 0 {
            return Err(Error::Usage("a batch holds at least one image".into()));
        }
        let graph = &model.network().graph;
        let shapes = graph.shapes(input)?;
        let outputs = shapes[graph.output().0].elements();
        let runner = match &device.0 {
            Kind::Cpu => {
                let bytes = shapes.iter().fold(0usize, |sum, shape| sum.saturating_add(shape.elements()));
                let bytes = bytes.saturating_mul(size_of::<f32>());
                if bytes > CPU_BYTES {
                    return Err(Error::Device(format!(
                        "{}: an input of {input} takes {bytes} bytes, and {CPU_BYTES} is its limit",
                        choice::CPU
                    )));
                }
                Runner::Cpu(Box::new(model.clone()))
            }
            #[cfg(feature = "gpu")]
            Kind::Gpu(context) => {
                let plan = crate::compile::compile(graph, model.weights(), input, gpu::LANES)?;
                Runner::Gpu(Box::new(gpu::Session::new(context.clone(), &plan, max_batch)?))
            }
        };
        Ok(Self { runner, input, outputs, max_batch })
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
        self.check(batch)?;
        match &mut self.runner {
            Runner::Cpu(model) => {
                let (graph, weights) = (&model.network().graph, model.weights());
                reference::run_batch(graph, weights, self.input, batch).map(Ticket::done)
            }
            #[cfg(feature = "gpu")]
            Runner::Gpu(session) => session.submit(batch, batch.len() / self.input.elements()).map(Ticket::gpu),
        }
    }

    /// Runs a batch, and says how long each step took. Steps are timed one by one, so that they take longer together than
    /// a run does.
    ///
    /// # Errors
    /// As [`run`](Self::run); [`Error::Usage`] where the device runs no plan.
    pub fn profile(&mut self, batch: &[f32]) -> Result<Vec<StepTime>> {
        self.check(batch)?;
        match &mut self.runner {
            Runner::Cpu(_) => Err(Error::Usage(format!("{} does not time its steps", choice::CPU))),
            #[cfg(feature = "gpu")]
            Runner::Gpu(session) => session.profile(batch, batch.len() / self.input.elements()),
        }
    }

    /// Whether a batch is a whole number of images, and not too many.
    fn check(&self, batch: &[f32]) -> Result<()> {
        let count = batch.len() / self.input.elements();
        if count == 0 || count > self.max_batch || count * self.input.elements() != batch.len() {
            return Err(Error::Usage(format!(
                "a batch of {} numbers is not 1 to {} images of {}",
                batch.len(),
                self.max_batch,
                self.input
            )));
        }
        Ok(())
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
}
