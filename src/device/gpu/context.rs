//! An open adapter: its device and queue, the backend that runs steps on it, and what went wrong with it.

use super::backend::{self, Backend};
use super::encoding::{self, Encoding};
use super::family::Family;
use super::program;
use super::watcher::Watcher;
use crate::compile::{Layout, Plan};
use crate::device::program::{Engine, Program, Terms};
use crate::device::{Device, DeviceInfo, DeviceKind, Precision};
use crate::error::{Error, Result};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard};

/// An adapter that could be opened.
pub(in crate::device) struct Adapter {
    pub info: DeviceInfo,
    adapter: wgpu::Adapter,
}

impl Adapter {
    pub async fn open(&self) -> Result<Device> {
        Ok(Device(Arc::new(Context::open(self).await?)))
    }
}

pub(in crate::device) async fn adapters() -> Vec<Adapter> {
    let descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
    let instance = wgpu::Instance::new(descriptor);
    let mut found = instance.enumerate_adapters(wgpu::Backends::all()).await;
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

/// Storage buffers that a kernel binds, at most.
const MOST_BUFFERS: u32 = 6;

/// Why a session cannot be built, or a batch not run.
pub(super) const NO_MEMORY: &str = "there is not enough memory left; drop other sessions, or take a smaller batch";

/// An adapter that is open, shared by the sessions that run on it.
#[derive(Debug)]
pub(in crate::device) struct Context {
    name: String,
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) family: Family,
    pub(super) backend: Box<dyn Backend>,
    /// Whoever submits holds it, since Vulkan wants one at a time, and wgpu knows of its own submissions only.
    submitting: Mutex<()>,
    /// Runs that were submitted so far.
    submitted: AtomicU64,
    pub(super) watcher: Watcher,
    /// Held by whoever touches the memory of buffers, which goes when the device is closed.
    open: RwLock<()>,
    /// What went wrong since somebody last asked.
    failure: Arc<Mutex<Option<String>>>,
    /// Why the device is no more, which it stays.
    pub(super) loss: Arc<OnceLock<String>>,
    /// Whether it is the program's own, which closes it, and hears of its errors.
    borrowed: bool,
}

impl Context {
    /// Opens an adapter with wgpu's default limits, but buffers as large as it can bind.
    async fn open(adapter: &Adapter) -> Result<Self> {
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
        let opened = adapter.adapter.request_device(&descriptor).await;
        let (device, queue) = opened.map_err(|error| Error::Device(format!("{name} cannot be opened: {error}")))?;
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
        Ok(Self { failure, loss, ..Self::of(name, device, queue, family, backend) })
    }

    /// A device that the caller has opened, and goes on using.
    pub(in crate::device) fn borrowed(device: wgpu::Device, queue: wgpu::Queue) -> Result<Self> {
        let info = device.adapter_info();
        let name = describe(&info).name;
        let (limits, least) = (device.limits(), wgpu::Limits::default());
        let pairs = [
            ("max_storage_buffers_per_shader_stage", limits.max_storage_buffers_per_shader_stage, MOST_BUFFERS),
            (
                "max_compute_invocations_per_workgroup",
                limits.max_compute_invocations_per_workgroup,
                least.max_compute_invocations_per_workgroup,
            ),
            ("max_compute_workgroup_size_x", limits.max_compute_workgroup_size_x, least.max_compute_workgroup_size_x),
            ("max_compute_workgroup_size_y", limits.max_compute_workgroup_size_y, least.max_compute_workgroup_size_y),
            (
                "max_compute_workgroup_storage_size",
                limits.max_compute_workgroup_storage_size,
                least.max_compute_workgroup_storage_size,
            ),
        ];
        if let Some((limit, found, least)) = pairs.into_iter().find(|(_, found, least)| found < least) {
            return Err(Error::Device(format!("{name}: it was opened with {limit} {found}, and kernels need {least}")));
        }
        let family = Family::of(&info, device.features());
        // Commands of our own would need the caller's queue for themselves, which wgpu guards for its own alone.
        let backend = Box::new(Encoding::new(&device));
        Ok(Self { borrowed: true, ..Self::of(name, device, queue, family, backend) })
    }

    fn of(name: String, device: wgpu::Device, queue: wgpu::Queue, family: Family, backend: Box<dyn Backend>) -> Self {
        let (submitting, submitted, watcher, open, failure, loss) = Default::default();
        let borrowed = false;
        Self { name, device, queue, family, backend, submitting, submitted, watcher, open, failure, loss, borrowed }
    }

    /// An error that bears the device's name.
    pub(super) fn error(&self, reason: impl std::fmt::Display) -> Error {
        Error::Device(format!("{}: {reason}", self.name))
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

    /// Submits commands, and tells their place among all that were submitted.
    pub(super) fn submit(&self, commands: wgpu::CommandBuffer) -> (wgpu::SubmissionIndex, u64) {
        let _alone = self.alone();
        (self.queue.submit([commands]), self.next())
    }

    /// The place of what is submitted now. Whoever submits holds [`alone`](Self::alone).
    pub(super) fn next(&self) -> u64 {
        self.submitted.fetch_add(1, Relaxed)
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

impl Engine for Context {
    /// What the adapter calls itself, and its backend.
    fn name(&self) -> String {
        self.name.clone()
    }

    fn layout(&self) -> Layout {
        super::kernels::LAYOUT
    }

    fn stores(&self, _: Precision) -> Result<()> {
        Ok(())
    }

    fn program(self: Arc<Self>, plan: &Plan, terms: &Terms) -> Result<Arc<dyn Program>> {
        program::program(&self, plan, terms)
    }

    fn keep_kernels(&self, folder: &Path) {
        if let Some(key) = wgpu::util::pipeline_cache_key(&self.device.adapter_info()) {
            self.backend.keep_pipelines(folder, &key);
        }
    }

    /// Gives the device back to the driver, whatever still runs on it. A borrowed one stays open, and is used no more.
    fn close(&self) {
        let _touched = self.open.write().unwrap_or_else(PoisonError::into_inner);
        let _submitting = self.alone();
        if self.borrowed {
            self.loss.get_or_init(|| "it was closed; open it again".to_owned());
            return;
        }
        self.backend.finish();
        self.device.destroy();
        // Brings the callback about that says so.
        let _ = self.device.poll(wgpu::PollType::Poll);
    }
}

/// A panic while one of these locks was held leaves nothing half done, so poison is no concern.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
