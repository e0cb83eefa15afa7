//! An open GPU: the engine that makes plans ready to run on it.

use super::adapter::{Adapter, describe};
use super::backend::Backend;
use super::context::Context;
use super::encoding::{Encoding, TIMESTAMPS};
use super::family::Family;
use super::program;
use super::shelf::Shelf;
use crate::compile::{Layout, Plan};
use crate::device::Device;
use crate::device::precision::Precision;
use crate::device::program::{Engine, Program, Terms};
use crate::error::{Error, Result};
use std::path::Path;
use std::sync::Arc;

/// The variable of the environment that, set to `encoded`, has wgpu encode each run's commands on Vulkan too.
const COMMANDS: &str = "PRETRAINED_COMMANDS";

/// Storage buffers that a kernel binds, at most.
const MOST_BUFFERS: u32 = 6;

/// An adapter that is open, shared by the sessions that run on it.
#[derive(Debug)]
pub(in crate::device) struct Gpu {
    context: Arc<Context>,
    family: Family,
    backend: Box<dyn Backend>,
    shelf: Shelf,
    /// Whether the device is the program's own, which closes it, and hears of its errors.
    borrowed: bool,
}

impl Adapter {
    pub async fn open(&self) -> Result<Device> {
        Ok(Device(Arc::new(Gpu::open(self).await?)))
    }
}

impl Gpu {
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
        let required_features = family.features() | adapter.adapter.features() & TIMESTAMPS;
        let label = Some("pretrained");
        let descriptor = wgpu::DeviceDescriptor { label, required_features, required_limits, ..Default::default() };
        let opened = adapter.adapter.request_device(&descriptor).await;
        let (device, queue) =
            opened.map_err(|error| Error::unsupported(format!("{name} cannot be opened: {error}")))?;
        let context = Context::new(name, device, queue);
        context.listen();
        let backend = backend(&context);
        Ok(Self { context: Arc::new(context), family, backend, shelf: Shelf::default(), borrowed: false })
    }

    /// A device that the caller has opened, and goes on using.
    pub fn borrowed(device: wgpu::Device, queue: wgpu::Queue) -> Result<Self> {
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
            return Err(Error::unsupported(format!(
                "{name}: it was opened with {limit} {found}, and kernels need {least}"
            )));
        }
        let family = Family::of(&info, device.features());
        // Commands of our own would need the caller's queue for themselves, which wgpu guards for its own alone.
        let backend = Box::new(Encoding::new(&device));
        Ok(Self {
            context: Arc::new(Context::new(name, device, queue)),
            family,
            backend,
            shelf: Shelf::default(),
            borrowed: true,
        })
    }
}

/// The backend that suits a device: commands are recorded where that can be.
fn backend(context: &Context) -> Box<dyn Backend> {
    let encoded = std::env::var(COMMANDS).is_ok_and(|how| how == "encoded");
    let recording = (!encoded).then(|| recording(context)).flatten();
    recording.unwrap_or_else(|| Box::new(Encoding::new(&context.device)))
}

#[cfg(any(windows, target_os = "linux", target_os = "android", target_os = "freebsd"))]
fn recording(context: &Context) -> Option<Box<dyn Backend>> {
    let recording = super::recording::Recording::new(&context.device, &context.queue)?;
    Some(Box::new(recording))
}

#[cfg(not(any(windows, target_os = "linux", target_os = "android", target_os = "freebsd")))]
fn recording(_: &Context) -> Option<Box<dyn Backend>> {
    None
}

impl Engine for Gpu {
    /// What the adapter calls itself, and its backend.
    fn name(&self) -> String {
        self.context.name.clone()
    }

    fn layout(&self) -> Layout {
        self.family.layout()
    }

    fn stores(&self, _: Precision) -> Result<()> {
        Ok(())
    }

    fn takes_levels(&self) -> bool {
        self.family.takes_levels()
    }

    fn program(self: Arc<Self>, plan: Plan, terms: &Terms) -> Result<Arc<dyn Program>> {
        program::program(&self.context, &*self.backend, &self.shelf, self.family, plan, terms)
    }

    fn keep_kernels(&self, folder: &Path) {
        if let Some(key) = wgpu::util::pipeline_cache_key(&self.context.device.adapter_info()) {
            self.backend.keep_pipelines(folder, &key);
        }
    }

    /// Gives the device back to the driver, whatever still runs on it. A borrowed one stays open, and is used no more.
    fn close(&self) {
        self.context.close(|| {
            if self.borrowed {
                return false;
            }
            self.backend.finish();
            true
        });
    }
}
