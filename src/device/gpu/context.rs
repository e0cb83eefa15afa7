//! An open adapter: its device and queue, its pipelines, and what went wrong with it.

use super::cache::{self, Cache};
use super::family::Family;
use super::shader::{self, Halves, Pipeline, Shader};
use crate::device::{DeviceInfo, DeviceKind};
use crate::error::{Error, Result};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// What it takes to time the steps of a pass.
const TIMESTAMPS: wgpu::Features = wgpu::Features::TIMESTAMP_QUERY.union(wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES);

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

/// An adapter that is open, shared by the sessions that run on it.
#[derive(Debug)]
pub struct Context {
    name: String,
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) family: Family,
    /// By [`Shader::layout`].
    pub(super) layouts: [wgpu::BindGroupLayout; 4],
    /// The same, as pipelines take them. Between pipelines that share one, bindings stay.
    pipeline_layouts: [wgpu::PipelineLayout; 4],
    modules: Mutex<HashMap<(Shader, Halves), wgpu::ShaderModule>>,
    pipelines: Mutex<HashMap<Pipeline, wgpu::ComputePipeline>>,
    /// Where pipelines are kept, if they are.
    cache: OnceLock<Option<Cache>>,
    /// What went wrong since somebody last asked.
    failure: Arc<Mutex<Option<String>>>,
    /// Why the device is no more, which it stays.
    loss: Arc<OnceLock<String>>,
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
        let required_features = family.features() | adapter.adapter.features() & (TIMESTAMPS | cache::FEATURE);
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
        let layouts = shader::layouts(&device);
        let pipeline_layouts = [0, 1, 2, 3].map(|layout| {
            device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label,
                bind_group_layouts: &[Some(&layouts[layout])],
                ..Default::default()
            })
        });
        let (modules, pipelines, cache) = Default::default();
        Ok(Self { name, device, queue, family, layouts, pipeline_layouts, modules, pipelines, cache, failure, loss })
    }

    /// See [`crate::Device::keep_kernels`].
    pub(in crate::device) fn keep_pipelines(&self, folder: &Path) {
        self.cache.get_or_init(|| Cache::open(&self.device, &self.device.adapter_info(), folder));
    }

    fn cache(&self) -> Option<&Cache> {
        self.cache.get()?.as_ref()
    }

    /// Writes down what was compiled.
    pub(super) fn save_pipelines(&self) {
        self.cache().into_iter().for_each(Cache::save);
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
        self.device.destroy();
        // Brings the callback about that says so.
        let _ = self.device.poll(wgpu::PollType::Poll);
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

    /// Whether steps can be timed by the device's own clock.
    pub(super) fn has_timestamps(&self) -> bool {
        self.device.features().contains(TIMESTAMPS)
    }

    /// Runs `make`, and turns an invalid call or a lack of memory in it into an error.
    pub(super) fn guarded<T>(&self, make: impl FnOnce() -> Result<T>) -> Result<T> {
        let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let validity = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let made = make();
        let invalid = pollster::block_on(validity.pop());
        // What could not be had is invalid too, wherever it is used.
        match pollster::block_on(memory.pop()).or(invalid) {
            Some(wgpu::Error::OutOfMemory { .. }) => {
                Err(self.error("there is not enough memory left; drop other sessions, or take a smaller batch"))
            }
            Some(error) => Err(self.error(error)),
            None => made,
        }
    }

    /// Builds those pipelines that are not there yet, all at once.
    pub(super) fn build_pipelines<'p>(&self, keys: impl Iterator<Item = &'p Pipeline>) -> Result<()> {
        let missing: HashSet<&Pipeline> = {
            let built = lock(&self.pipelines);
            keys.filter(|key| !built.contains_key(*key)).collect()
        };
        std::thread::scope(|scope| {
            for key in missing {
                scope.spawn(|| self.pipeline(key));
            }
        });
        // No scope sees what goes wrong on another thread.
        self.check()
    }

    /// The pipeline for a shader and its constants, built at its first use.
    pub(super) fn pipeline(&self, key: &Pipeline) -> wgpu::ComputePipeline {
        if let Some(pipeline) = lock(&self.pipelines).get(key) {
            return pipeline.clone();
        }
        let module = lock(&self.modules)
            .entry((key.shader, key.halves))
            .or_insert_with(|| {
                let source = wgpu::ShaderSource::Wgsl(key.halves.source(key.shader).into());
                let label = Some(key.shader.name());
                self.device.create_shader_module(wgpu::ShaderModuleDescriptor { label, source })
            })
            .clone();
        let constants: Vec<(&str, f64)> =
            key.constants.iter().map(|(name, value)| (*name, f64::from(*value))).collect();
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(key.shader.name()),
            layout: Some(&self.pipeline_layouts[key.shader.layout()]),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &constants,
                zero_initialize_workgroup_memory: false,
            },
            cache: self.cache().map(|cache| &cache.pipelines),
        });
        lock(&self.pipelines).insert(key.clone(), pipeline.clone());
        pipeline
    }
}

/// A panic while one of these locks was held leaves nothing half done, so poison is no concern.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
