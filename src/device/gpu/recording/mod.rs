//! Steps that Vulkan records once, so that a run costs one call: wgpu's devices, buffers and shaders, with commands of our
//! own, since those of wgpu run once.

#![allow(unsafe_code)]

mod cache;
mod program;
mod slot;
mod spirv;
mod vulkan;

use super::backend::{Backend, Work};
use super::context::{Context, lock};
use super::pipelines::Pipelines;
use super::shader::{BySignature, Declaration, Pipeline, Signature};
use crate::device::program::Program;
use crate::error::Result;
use ash::vk;
use cache::Cache;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use vulkan::{Owned, Vulkan};

/// Pipelines and their layouts, as Vulkan has them.
#[derive(Debug)]
pub(super) struct Recording {
    vulkan: Arc<Vulkan>,
    layouts: BySignature<Layout>,
    modules: spirv::Modules,
    pipelines: Pipelines<Arc<Owned<vk::Pipeline>>>,
    /// Where pipelines are kept, if they are.
    cache: OnceLock<Option<Cache>>,
}

/// A set of bindings, and the same as pipelines take it.
#[derive(Debug)]
struct Layout {
    set: Owned<vk::DescriptorSetLayout>,
    pipeline: Owned<vk::PipelineLayout>,
}

impl Recording {
    /// None where the device is not Vulkan's, or is too old.
    pub fn new(device: &wgpu::Device, queue: &wgpu::Queue) -> Option<Self> {
        let vulkan = Arc::new(Vulkan::of(device, queue)?);
        let layouts = BySignature::new(|signature| Layout::new(&vulkan, signature).ok()).all()?;
        let modules = spirv::Modules::new(vulkan.robust);
        let (pipelines, cache) = Default::default();
        Some(Self { vulkan, layouts, modules, pipelines, cache })
    }

    fn pipeline(&self, context: &Context, key: &Pipeline) -> Result<Arc<Owned<vk::Pipeline>>> {
        let code = self.modules.compile(key).map_err(|reason| context.error(reason))?;
        let made = || {
            let module = self.vulkan.shader_module(&code)?;
            let cache = self.cache.get().and_then(Option::as_ref).map_or(vk::PipelineCache::null(), Cache::raw);
            self.vulkan.pipeline(&self.layouts[key.shader.signature()].pipeline, &module, cache)
        };
        made().map(Arc::new).map_err(|result| vulkan::error(context, result))
    }
}

impl Layout {
    fn new(vulkan: &Arc<Vulkan>, signature: Signature) -> ash::prelude::VkResult<Self> {
        let binding = |Declaration { binding, kind, .. }| {
            vk::DescriptorSetLayoutBinding::default()
                .binding(binding)
                .descriptor_type(descriptor_type(kind))
                .descriptor_count(1)
                .stage_flags(vk::ShaderStageFlags::COMPUTE)
        };
        let bindings: Vec<vk::DescriptorSetLayoutBinding> = signature.bindings().map(binding).collect();
        let set = vulkan.set_layout(&bindings)?;
        let pipeline = vulkan.pipeline_layout(&set)?;
        Ok(Self { set, pipeline })
    }
}

fn descriptor_type(kind: wgpu::BufferBindingType) -> vk::DescriptorType {
    match kind {
        wgpu::BufferBindingType::Uniform => vk::DescriptorType::UNIFORM_BUFFER,
        wgpu::BufferBindingType::Storage { .. } => vk::DescriptorType::STORAGE_BUFFER,
    }
}

impl Backend for Recording {
    fn program(&self, context: &Arc<Context>, work: Work) -> Result<Arc<dyn Program>> {
        let keys = work.steps.iter().map(|step| &step.pipeline);
        let pipelines = self.pipelines.get(keys, |key| self.pipeline(context, key))?;
        program::program(self, context, work, pipelines)
    }

    fn keep_pipelines(&self, folder: &Path, key: &str) {
        self.cache.get_or_init(|| Cache::open(&self.vulkan, folder, key));
    }

    fn save_pipelines(&self) {
        self.cache.get().into_iter().flatten().for_each(Cache::save);
    }

    fn finish(&self) {
        self.vulkan.finish();
    }
}
