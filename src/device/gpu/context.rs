//! A device and its queue, as all that runs there shares them: who may submit, what went wrong, and whether it is open.

use super::lock::lock;
use super::watcher::Watcher;
use crate::error::{Error, Result};
use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard};

/// A device, its queue, and what became of them.
#[derive(Debug)]
pub(super) struct Context {
    pub name: String,
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    /// Whoever submits holds it, since Vulkan wants one at a time, and wgpu knows of its own submissions only.
    submitting: Mutex<()>,
    /// Runs that were submitted so far.
    submitted: AtomicU64,
    pub watcher: Watcher,
    /// Held by whoever touches the memory of buffers, which goes when the device is closed.
    open: RwLock<()>,
    /// What went wrong since somebody last asked.
    failure: Arc<Mutex<Option<wgpu::Error>>>,
    /// Why the device is no more, which it stays.
    pub loss: Arc<OnceLock<String>>,
}

impl Context {
    /// A device that nobody has used yet.
    pub fn new(name: String, device: wgpu::Device, queue: wgpu::Queue) -> Self {
        let (submitting, submitted, watcher, open, failure, loss) = Default::default();
        Self { name, device, queue, submitting, submitted, watcher, open, failure, loss }
    }

    /// Hears of the device's errors and of its loss. A device that somebody else has opened tells its owner.
    pub fn listen(&self) {
        let report = self.failure.clone();
        self.device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            lock(&report).get_or_insert(error);
        }));
        let report = self.loss.clone();
        self.device.set_device_lost_callback(move |reason, message| {
            report.get_or_init(|| format!("the device was lost ({reason:?}): {message}; open it again"));
        });
    }

    /// A failure of the device, by its name.
    pub fn error(&self, reason: impl Display) -> Error {
        Error::device(format!("{}: {reason}", self.name))
    }

    /// The device has not enough memory left.
    pub fn out_of_memory(&self) -> Error {
        self.too_large("there is not enough memory left; drop other sessions, or take a smaller batch")
    }

    /// Something takes more than the device, or the caller's limits, allow.
    pub fn too_large(&self, reason: impl Display) -> Error {
        Error::out_of_memory(format!("{}: {reason}", self.name))
    }

    /// Something counts to more than the device can.
    pub fn unsupported(&self, reason: impl Display) -> Error {
        Error::unsupported(format!("{}: {reason}", self.name))
    }

    /// Keeps the device open, if it is, for as long as buffers are touched.
    pub fn hold(&self) -> Result<RwLockReadGuard<'_, ()>> {
        let held = self.open.read().unwrap_or_else(PoisonError::into_inner);
        self.check()?;
        Ok(held)
    }

    /// Keeps others from submitting.
    pub fn alone(&self) -> MutexGuard<'_, ()> {
        lock(&self.submitting)
    }

    /// Submits commands, and tells their place among all that were submitted.
    pub fn submit(&self, commands: wgpu::CommandBuffer) -> (wgpu::SubmissionIndex, u64) {
        let _alone = self.alone();
        (self.queue.submit([commands]), self.next())
    }

    /// The place of what is submitted now. Whoever submits holds [`alone`](Self::alone).
    pub fn next(&self) -> u64 {
        self.submitted.fetch_add(1, Relaxed)
    }

    /// The device's loss, or what else the driver reported since the last check, if anything.
    pub fn check(&self) -> Result<()> {
        if let Some(reason) = self.loss.get() {
            return Err(Error::lost(format!("{}: {reason}", self.name)));
        }
        match lock(&self.failure).take() {
            None => Ok(()),
            Some(wgpu::Error::OutOfMemory { source }) => Err(self.too_large(wgpu::Error::OutOfMemory { source })),
            Some(error) => Err(self.error(error)),
        }
    }

    /// A buffer with this content.
    pub fn buffer_of(&self, label: &str, bytes: &[u8], usage: wgpu::BufferUsages) -> Result<wgpu::Buffer> {
        let limit = self.device.limits().max_buffer_size;
        if bytes.len() as u64 > limit {
            return Err(self.too_large(format!("{} bytes of {label} are over its limit of {limit}", bytes.len())));
        }
        let (label, size) = (Some(label), bytes.len() as u64);
        let buffer =
            self.device.create_buffer(&wgpu::BufferDescriptor { label, size, usage, mapped_at_creation: false });
        self.queue.write_buffer(&buffer, 0, bytes);
        Ok(buffer)
    }

    /// Blocks until all that was submitted is done.
    pub fn wait(&self) -> Result<()> {
        let waited = self.device.poll(wgpu::PollType::wait_indefinitely());
        self.check()?;
        waited.map(|_| ()).map_err(|error| self.error(error))
    }

    /// Runs `make`, and turns an invalid call or a lack of memory in it into an error.
    pub fn guarded<T>(&self, make: impl FnOnce() -> Result<T>) -> Result<T> {
        let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let validity = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let made = make();
        let invalid = pollster::block_on(validity.pop());
        // What could not be had is invalid too, wherever it is used.
        match pollster::block_on(memory.pop()).or(invalid) {
            Some(wgpu::Error::OutOfMemory { .. }) => Err(self.out_of_memory()),
            Some(error) => Err(self.error(error)),
            None => made,
        }
    }

    /// Gives the device back to the driver when `give` says so, whatever still runs on it; without that it stays open, and
    /// is used no more. Nobody touches buffers or submits meanwhile.
    pub fn close(&self, give: impl FnOnce() -> bool) {
        let _touched = self.open.write().unwrap_or_else(PoisonError::into_inner);
        let _submitting = self.alone();
        if !give() {
            self.loss.get_or_init(|| "it was closed; open it again".to_owned());
            return;
        }
        self.device.destroy();
        // Brings the callback about that says so.
        let _ = self.device.poll(wgpu::PollType::Poll);
    }
}
