//! Descriptor sets: for each dispatch the buffers that it is bound to.

use super::layouts::{Layouts, descriptor_type};
use super::objects::Owned;
use super::vulkan::{self, Vulkan, raw};
use crate::device::gpu::backend::{BoundDispatch, Work};
use crate::device::gpu::context::Context;
use crate::device::gpu::shader::Declaration;
use crate::error::Result;
use ash::prelude::VkResult;
use ash::vk;
use std::sync::Arc;

/// A set for each dispatch, and the pool that they come from.
pub(super) struct Descriptors {
    pub sets: Vec<vk::DescriptorSet>,
    pub pool: Owned<vk::DescriptorPool>,
}

impl Descriptors {
    pub fn new(context: &Context, vulkan: &Arc<Vulkan>, layouts: &Layouts, work: &Work) -> Result<Self> {
        let descriptors = allocate(vulkan, layouts, work).map_err(|result| vulkan::error(context, result))?;
        for (dispatch, set) in work.dispatches.iter().zip(&descriptors.sets) {
            write(context, vulkan, dispatch, *set)?;
        }
        Ok(descriptors)
    }
}

fn allocate(vulkan: &Arc<Vulkan>, layouts: &Layouts, work: &Work) -> VkResult<Descriptors> {
    let layout = |dispatch: &BoundDispatch| layouts[dispatch.signature()].set.raw;
    let layouts: Vec<vk::DescriptorSetLayout> = work.dispatches.iter().map(layout).collect();
    let count = layouts.len() as u32;
    let bindings: usize = work.dispatches.iter().map(|dispatch| dispatch.bindings.len()).sum();
    let size = |kind, count| vk::DescriptorPoolSize::default().ty(kind).descriptor_count(count);
    // Each has one uniform; the others are storage.
    let sizes = [
        size(vk::DescriptorType::UNIFORM_BUFFER, count),
        size(vk::DescriptorType::STORAGE_BUFFER, bindings as u32 - count),
    ];
    let pool = Owned::descriptor_pool(vulkan, count, &sizes)?;
    let info = vk::DescriptorSetAllocateInfo::default().descriptor_pool(pool.raw).set_layouts(&layouts);
    // SAFETY: 1, 2; 3, for nobody else has the pool yet.
    let sets = unsafe { vulkan.raw.allocate_descriptor_sets(&info) }?;
    Ok(Descriptors { sets, pool })
}

/// Binds a dispatch's buffers.
fn write(context: &Context, vulkan: &Vulkan, dispatch: &BoundDispatch, set: vk::DescriptorSet) -> Result<()> {
    let mut buffers = Vec::with_capacity(dispatch.bindings.len());
    for binding in &dispatch.bindings {
        let buffer = raw(context, &binding.buffer)?;
        buffers.push(vk::DescriptorBufferInfo { buffer, offset: binding.offset, range: binding.size });
    }
    let declarations = dispatch.signature().bindings();
    let write = |(info, Declaration { binding, kind, .. })| {
        vk::WriteDescriptorSet::default()
            .dst_set(set)
            .dst_binding(binding)
            .descriptor_type(descriptor_type(kind))
            .buffer_info(std::slice::from_ref(info))
    };
    let writes: Vec<vk::WriteDescriptorSet> = buffers.iter().zip(declarations).map(write).collect();
    // SAFETY: 1, 2, 6 and 7; 3 and 4, for no commands use the set yet.
    unsafe { vulkan.raw.update_descriptor_sets(&writes, &[]) };
    Ok(())
}
