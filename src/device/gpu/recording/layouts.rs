//! Layouts of bindings.

use super::objects::Owned;
use super::vulkan::Vulkan;
use crate::device::gpu::shader::{BySignature, Declaration, Signature};
use ash::prelude::VkResult;
use ash::vk;
use std::sync::Arc;

/// Those that shaders share.
pub(super) type Layouts = BySignature<BindingLayout>;

/// A set of bindings, and the same as pipelines take it.
#[derive(Debug)]
pub(super) struct BindingLayout {
    pub set: Owned<vk::DescriptorSetLayout>,
    pub pipeline: Owned<vk::PipelineLayout>,
}

impl BindingLayout {
    pub fn new(vulkan: &Arc<Vulkan>, signature: Signature) -> VkResult<Self> {
        let binding = |Declaration { binding, kind, .. }| {
            vk::DescriptorSetLayoutBinding::default()
                .binding(binding)
                .descriptor_type(descriptor_type(kind))
                .descriptor_count(1)
                .stage_flags(vk::ShaderStageFlags::COMPUTE)
        };
        let bindings: Vec<vk::DescriptorSetLayoutBinding> = signature.bindings().map(binding).collect();
        let set = Owned::set_layout(vulkan, &bindings)?;
        let pipeline = Owned::pipeline_layout(vulkan, &set)?;
        Ok(Self { set, pipeline })
    }
}

pub(super) fn descriptor_type(kind: wgpu::BufferBindingType) -> vk::DescriptorType {
    match kind {
        wgpu::BufferBindingType::Uniform => vk::DescriptorType::UNIFORM_BUFFER,
        wgpu::BufferBindingType::Storage { .. } => vk::DescriptorType::STORAGE_BUFFER,
    }
}
