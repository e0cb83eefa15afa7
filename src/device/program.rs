//! The seam between sessions and devices: what a device does with a plan, and with each batch.
//!
//! The CPU, commands that Vulkan recorded and commands that wgpu encodes fill it. All else in `device/` goes through it.

use super::batch::Batch;
use super::precision::Precision;
use super::profile::StepTime;
use crate::checkpoint::Limits;
use crate::compile::{Budget, Layout, Plan};
use crate::error::Result;
use crate::vision::Normalisation;
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

/// A device that is open: it makes plans ready to run.
pub(crate) trait Engine: Debug + Send + Sync {
    /// What people call it.
    fn name(&self) -> String;

    /// How plans for it are laid out.
    fn layout(&self) -> Layout;

    /// Refuses a width of numbers that it does not store.
    ///
    /// # Errors
    /// [`Error::Device`](crate::Error::Device).
    fn stores(&self, precision: Precision) -> Result<()>;

    /// Packs the weights of `plan`, of which each goes when it is packed, and makes all else that runs share.
    ///
    /// # Errors
    /// As [`Session::new`](crate::Session::new).
    fn program(self: Arc<Self>, plan: Plan, terms: &Terms) -> Result<Arc<dyn Program>>;

    /// Whether its programs take levels, where a plan allows it.
    fn takes_levels(&self) -> bool {
        false
    }

    /// The threads that share a run, on the `cpu` device.
    fn threads(&self) -> Option<usize> {
        None
    }

    /// See [`Device::keep_kernels`](crate::Device::keep_kernels).
    fn keep_kernels(&self, _folder: &Path) {}

    /// See [`Device::close`](crate::Device::close).
    fn close(&self) {}
}

/// On what terms a plan is made ready.
#[derive(Debug)]
pub(crate) struct Terms<'a> {
    pub max_batch: usize,
    /// One that the device [stores](Engine::stores).
    #[cfg_attr(not(feature = "gpu"), allow(dead_code, reason = "the CPU stores one"))]
    pub precision: Precision,
    /// What normalises levels, where the program had better take them: one scale and one shift for each channel of the input.
    #[cfg_attr(not(feature = "gpu"), allow(dead_code, reason = "the CPU takes numbers"))]
    pub levels: Option<&'a Normalisation>,
    pub limits: &'a Limits,
    /// What is left of the memory that a plan may take.
    pub budget: &'a Budget,
}

/// A plan that is ready to run, shared by all runs.
pub(crate) trait Program: Debug + Send + Sync {
    /// Makes room for one more batch.
    ///
    /// # Errors
    /// [`Error::Device`](crate::Error::Device) where there is no memory left.
    fn slot(self: Arc<Self>) -> Result<Box<dyn Slot>>;

    /// What each step does, for a batch of one; the times are zero.
    fn steps(&self) -> &[StepTime];

    /// See [`Session::activation_bytes`](crate::Session::activation_bytes).
    fn activation_bytes(&self) -> u64;

    /// Whether its slots take levels besides numbers.
    fn takes_levels(&self) -> bool {
        false
    }

    /// Whether a first run finishes what compiling left undone.
    fn warms_up(&self) -> bool {
        false
    }

    /// Called after that run.
    fn warmed_up(&self) {}
}

/// Room for one batch: it takes the batch to the device, runs all steps on it, and brings the results. Between runs it is
/// idle. It keeps what it needs of its program and its device.
pub(crate) trait Slot: Debug + Send {
    /// Copies a batch to where the steps read it: levels only where the program [takes](Program::takes_levels) them. The slot
    /// must be idle.
    ///
    /// # Errors
    /// Here and below [`Error::Device`](crate::Error::Device), where the device fails or is closed.
    fn write(&mut self, batch: &Batch) -> Result<()>;

    /// Begins to run the steps over `count` images that were written. The slot must be idle.
    fn submit(&mut self, count: usize) -> Result<()>;

    /// Whether no run is under way; if one is, `waker` is called when it is over.
    fn poll(&mut self, waker: Option<&Waker>) -> bool;

    /// Blocks until the run is over.
    fn wait(&mut self) -> Result<()>;

    /// The results of `count` images, after the run.
    fn read(&mut self, count: usize) -> Result<Vec<f32>>;

    /// Does all of this over a batch of `count` images, which the device may read where it is.
    fn run(&mut self, batch: &Batch, count: usize) -> Result<Vec<f32>> {
        self.write(batch)?;
        self.submit(count)?;
        self.wait()?;
        self.read(count)
    }

    /// The same on the calling thread alone, where the device's threads are the caller's to share out.
    fn run_alone(&mut self, batch: &Batch, count: usize) -> Result<Vec<f32>> {
        self.run(batch, count)
    }

    /// Runs the steps one by one over `count` images that were written, and returns how long each took, and over how many
    /// of the images. The slot is not used again.
    fn profile(self: Box<Self>, count: usize) -> Result<(usize, Vec<Duration>)>;
}
