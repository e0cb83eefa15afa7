//! An open adapter: its device and queue, the backend that runs steps on it, and what went wrong with it.

use super::backend::{self, Backend};
use super::encoding;
use super::family::Family;
use crate::device::{DeviceInfo, DeviceKind};
use crate::error::{Error, Result};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard};

/// An adapter that could be opened.
pub(in crate::device) struct Adapter {
    pub info: DeviceInfo,
    adapter: wgpu::Adapter,
}

pub(in crate::device) fn adapters() -> Vec<Adapter> {
    let descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
    let instance = wgpu::Instance::new(descriptor);
    let mut found = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    found.retain(|adapter| adapter.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS));
    found.into_iter().map(|adapter| Adapter { info: describe(&adapter.get_info()), adapter }).collect()
}

fn describe(info: &wgpu::AdapterInfo) -> DeviceInfo {
    let backend = match info.backend {
        wgpu::Backend::Vulkan => "Vulkan",
        wgpu::Backend::Metal => "Metal",
        wgpu::Backend::Dx12 => "DX12",
        _ => "wgpu",
    };
    DeviceInfo {
        name: format!("{} ({backend})", info.name.trim()),
        kind: match info.device_type {
            wgpu::DeviceType::DiscreteGpu => DeviceKind::Discrete,
            wgpu::DeviceType::IntegratedGpu => DeviceKind::Integrated,
            wgpu::DeviceType::Cpu => DeviceKind::Software,
            wgpu::DeviceType::VirtualGpu | wgpu::DeviceType::Other => DeviceKind::Other,
        },
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
    }
}

/// Why a session cannot be built, or a batch not run.
pub(super) const NO_MEMORY: &str = "there is not enough memory left; drop other sessions, or take a smaller batch";

/// An adapter that is open, shared by the sessions that run on it.
#[derive(Debug)]
pub struct Context {
    name: String,
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) family: Family,
    pub(super) backend: Box<dyn Backend>,
    /// Whoever submits holds it, since Vulkan wants one at a time, and wgpu knows of its own submissions only.
    submitting: Mutex<()>,
    /// Held by whoever touches the memory of buffers, which goes when the device is closed.
    open: RwLock<()>,
    /// What went wrong since somebody last asked.
    failure: Arc<Mutex<Option<String>>>,
    /// Why the device is no more, which it stays.
    pub(super) loss: Arc<OnceLock<String>>,
}

impl Context {
    /// Opens an adapter with wgpu's default limits, but buffers as large as it can bind.
    pub(in crate::device) fn open(adapter: &Adapter) -> Result<Self> {
        let name = adapter.info.name.clone();
        let offered = adapter.adapter.limits();
        let required_limits = wgpu::Limits {
            max_storage_buffer_binding_size: offered.max_storage_buffer_binding_size,
            max_buffer_size: offered.max_buffer_size,
            ..wgpu::Limits::default()
        };
        let family = Family::of(&adapter.adapter.get_info(), adapter.adapter.features());
        let required_features = family.features() | adapter.adapter.features() & encoding::TIMESTAMPS;
        let label = Some("pretrained");
        let descriptor = wgpu::DeviceDescriptor { label, required_features, required_limits, ..Default::default() };
        let (device, queue) = pollster::block_on(adapter.adapter.request_device(&descriptor))
            .map_err(|error| Error::Device(format!("{name} cannot be opened: {error}")))?;
        let failure = Arc::new(Mutex::new(None));
        let report = failure.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            lock(&report).get_or_insert(error.to_string());
        }));
        let loss = Arc::new(OnceLock::new());
        let report = loss.clone();
        device.set_device_lost_callback(move |reason, message| {
            report.get_or_init(|| format!("the device was lost ({reason:?}): {message}; open it again"));
        });
        let backend = backend::of(&device, &queue);
        let (submitting, open) = Default::default();
        Ok(Self { name, device, queue, family, backend, submitting, open, failure, loss })
    }

    /// See [`crate::Device::keep_kernels`].
    pub(in crate::device) fn keep_pipelines(&self, folder: &Path) {
        if let Some(key) = wgpu::util::pipeline_cache_key(&self.device.adapter_info()) {
            self.backend.keep_pipelines(folder, &key);
        }
    }

    /// What the adapter calls itself, and its backend.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// An error that bears the device's name.
    pub(super) fn error(&self, reason: impl std::fmt::Display) -> Error {
        Error::Device(format!("{}: {reason}", self.name))
    }

    /// Gives the device back to the driver, whatever still runs on it.
    pub(in crate::device) fn close(&self) {
        let _touched = self.open.write().unwrap_or_else(PoisonError::into_inner);
        let _submitting = self.alone();
        self.backend.finish();
        self.device.destroy();
        // Brings the callback about that says so.
        let _ = self.device.poll(wgpu::PollType::Poll);
    }

    /// Keeps the device open, if it is, for as long as buffers are touched.
    pub(super) fn hold(&self) -> Result<RwLockReadGuard<'_, ()>> {
        let held = self.open.read().unwrap_or_else(PoisonError::into_inner);
        self.check()?;
        Ok(held)
    }

    /// Keeps others from submitting.
    pub(super) fn alone(&self) -> MutexGuard<'_, ()> {
        lock(&self.submitting)
    }

    pub(super) fn submit(&self, commands: wgpu::CommandBuffer) -> wgpu::SubmissionIndex {
        let _alone = self.alone();
        self.queue.submit([commands])
    }

    /// The device's loss, or what else the driver reported since the last check, if anything.
    pub(super) fn check(&self) -> Result<()> {
        if let Some(reason) = self.loss.get() {
            return Err(self.error(reason));
        }
        lock(&self.failure).take().map_or(Ok(()), |reason| Err(self.error(reason)))
    }

    /// Blocks until all that was submitted is done.
    pub(super) fn wait(&self) -> Result<()> {
        let waited = self.device.poll(wgpu::PollType::wait_indefinitely());
        self.check()?;
        waited.map(|_| ()).map_err(|error| self.error(error))
    }

    /// Runs `make`, and turns an invalid call or a lack of memory in it into an error.
    pub(super) fn guarded<T>(&self, make: impl FnOnce() -> Result<T>) -> Result<T> {
        let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let validity = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let made = make();
        let invalid = pollster::block_on(validity.pop());
        // What could not be had is invalid too, wherever it is used.
        match pollster::block_on(memory.pop()).or(invalid) {
            Some(wgpu::Error::OutOfMemory { .. }) => Err(self.error(NO_MEMORY)),
            Some(error) => Err(self.error(error)),
            None => made,
        }
    }
}

/// A panic while one of these locks was held leaves nothing half done, so poison is no concern.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
