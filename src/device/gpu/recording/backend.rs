//! The backend that records: pipelines and their layouts, as Vulkan has them.

use super::cache::Cache;
use super::layouts::{BindingLayout, Layouts};
use super::objects::Owned;
use super::program::RecordedProgram;
use super::vulkan::{self, Vulkan};
use super::work::RecordedWork;
use crate::device::gpu::backend::{Backend, Work};
use crate::device::gpu::context::Context;
use crate::device::gpu::pipelines::Pipelines;
use crate::device::gpu::shader::{BySignature, Pipeline};
use crate::device::gpu::spirv::Modules;
use crate::device::program::Program;
use crate::error::Result;
use ash::vk;
use std::path::Path;
use std::sync::{Arc, OnceLock};

#[derive(Debug)]
pub(in crate::device::gpu) struct Recording {
    vulkan: Arc<Vulkan>,
    layouts: Arc<Layouts>,
    modules: Modules,
    pipelines: Pipelines<Arc<Owned<vk::Pipeline>>>,
    /// Where pipelines are kept, if they are.
    cache: Arc<OnceLock<Option<Cache>>>,
}

impl Recording {
    /// None where the device is not Vulkan's, or is too old.
    pub fn new(device: &wgpu::Device, queue: &wgpu::Queue) -> Option<Self> {
        let vulkan = Arc::new(Vulkan::of(device, queue)?);
        let layouts = BySignature::new(|signature| BindingLayout::new(&vulkan, signature).ok()).all()?;
        let modules = Modules::new(vulkan.robust);
        let (pipelines, cache) = Default::default();
        Some(Self { vulkan, layouts: Arc::new(layouts), modules, pipelines, cache })
    }

    fn pipeline(&self, context: &Context, key: &Pipeline) -> Result<Arc<Owned<vk::Pipeline>>> {
        let code = self.modules.compile(key).map_err(|reason| context.error(reason))?;
        let made = || {
            let module = Owned::shader_module(&self.vulkan, &code)?;
            let cache = self.cache.get().and_then(Option::as_ref).map_or(vk::PipelineCache::null(), Cache::raw);
            Owned::pipeline(&self.vulkan, &self.layouts[key.shader.signature()].pipeline, &module, cache)
        };
        made().map(Arc::new).map_err(|result| vulkan::error(context, result))
    }
}

impl Backend for Recording {
    fn program(&self, context: &Arc<Context>, work: Work) -> Result<Arc<dyn Program>> {
        let keys = work.dispatches.iter().map(|dispatch| &dispatch.pipelines);
        let pipelines = self.pipelines.get(keys, |key| self.pipeline(context, key))?;
        let work = RecordedWork::new(context, &self.vulkan, &self.layouts, work, pipelines)?;
        Ok(Arc::new(RecordedProgram::new(work, self.cache.clone())))
    }

    fn keep_pipelines(&self, folder: &Path, key: &str) {
        self.cache.get_or_init(|| Cache::open(&self.vulkan, folder, key));
    }

    fn finish(&self) {
        self.vulkan.finish();
    }
}
