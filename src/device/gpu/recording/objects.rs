//! Vulkan objects that go with their owner.

use super::vulkan::Vulkan;
use ash::prelude::VkResult;
use ash::vk;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

type Destroy<T> = unsafe fn(&ash::Device, T, Option<&vk::AllocationCallbacks>);

/// An object that is destroyed with its owner, who lets go of it when the device does not use it any more.
pub(super) struct Owned<T: Copy> {
    pub raw: T,
    vulkan: Arc<Vulkan>,
    destroy: Destroy<T>,
}

impl<T: Copy> Owned<T> {
    fn new(vulkan: &Arc<Vulkan>, raw: T, destroy: Destroy<T>) -> Self {
        Self { raw, vulkan: vulkan.clone(), destroy }
    }
}

impl<T: Copy> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: 1, for this device made it; 4.
        unsafe { (self.destroy)(&self.vulkan.raw, self.raw, None) }
    }
}

impl<T: Copy + Debug> Debug for Owned<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        self.raw.fmt(f)
    }
}

impl Owned<vk::DescriptorSetLayout> {
    pub fn set_layout(vulkan: &Arc<Vulkan>, bindings: &[vk::DescriptorSetLayoutBinding]) -> VkResult<Self> {
        let info = vk::DescriptorSetLayoutCreateInfo::default().bindings(bindings);
        // SAFETY: 1 and 2.
        let raw = unsafe { vulkan.raw.create_descriptor_set_layout(&info, None) }?;
        Ok(Self::new(vulkan, raw, ash::Device::destroy_descriptor_set_layout))
    }
}

impl Owned<vk::PipelineLayout> {
    pub fn pipeline_layout(vulkan: &Arc<Vulkan>, set: &Owned<vk::DescriptorSetLayout>) -> VkResult<Self> {
        let info = vk::PipelineLayoutCreateInfo::default().set_layouts(std::slice::from_ref(&set.raw));
        // SAFETY: 1 and 2.
        let raw = unsafe { vulkan.raw.create_pipeline_layout(&info, None) }?;
        Ok(Self::new(vulkan, raw, ash::Device::destroy_pipeline_layout))
    }
}

impl Owned<vk::ShaderModule> {
    pub fn shader_module(vulkan: &Arc<Vulkan>, code: &[u32]) -> VkResult<Self> {
        let info = vk::ShaderModuleCreateInfo::default().code(code);
        // SAFETY: 1, 2 and 8.
        let raw = unsafe { vulkan.raw.create_shader_module(&info, None) }?;
        Ok(Self::new(vulkan, raw, ash::Device::destroy_shader_module))
    }
}

impl Owned<vk::Pipeline> {
    pub fn pipeline(
        vulkan: &Arc<Vulkan>,
        layout: &Owned<vk::PipelineLayout>,
        module: &Owned<vk::ShaderModule>,
        cache: vk::PipelineCache,
    ) -> VkResult<Self> {
        let stage = vk::PipelineShaderStageCreateInfo::default()
            .stage(vk::ShaderStageFlags::COMPUTE)
            .module(module.raw)
            .name(c"main");
        let info = vk::ComputePipelineCreateInfo::default().stage(stage).layout(layout.raw);
        // SAFETY: 1, 2 and 8; drivers may use a cache from several threads.
        let made = unsafe { vulkan.raw.create_compute_pipelines(cache, &[info], None) };
        let raw = made.map_err(|(_, result)| result)?.into_iter().next().ok_or(vk::Result::ERROR_UNKNOWN)?;
        Ok(Self::new(vulkan, raw, ash::Device::destroy_pipeline))
    }
}

impl Owned<vk::PipelineCache> {
    /// A cache with `data` of this driver's own, which [`Cache`](super::cache::Cache) has compared.
    pub fn pipeline_cache(vulkan: &Arc<Vulkan>, data: &[u8]) -> VkResult<Self> {
        let info = vk::PipelineCacheCreateInfo::default().initial_data(data);
        // SAFETY: 1 and 2; the data bears this driver's header and a checksum.
        let raw = unsafe { vulkan.raw.create_pipeline_cache(&info, None) }?;
        Ok(Self::new(vulkan, raw, ash::Device::destroy_pipeline_cache))
    }

    /// What it has, for [`pipeline_cache`](Self::pipeline_cache) in another process.
    pub fn data(&self) -> VkResult<Vec<u8>> {
        // SAFETY: 1.
        unsafe { self.vulkan.raw.get_pipeline_cache_data(self.raw) }
    }
}

impl Owned<vk::DescriptorPool> {
    pub fn descriptor_pool(vulkan: &Arc<Vulkan>, sets: u32, sizes: &[vk::DescriptorPoolSize]) -> VkResult<Self> {
        let info = vk::DescriptorPoolCreateInfo::default().max_sets(sets).pool_sizes(sizes);
        // SAFETY: 1 and 2.
        let raw = unsafe { vulkan.raw.create_descriptor_pool(&info, None) }?;
        Ok(Self::new(vulkan, raw, ash::Device::destroy_descriptor_pool))
    }
}

impl Owned<vk::CommandPool> {
    pub fn command_pool(vulkan: &Arc<Vulkan>) -> VkResult<Self> {
        let info = vk::CommandPoolCreateInfo::default().queue_family_index(vulkan.family);
        // SAFETY: 1 and 2.
        let raw = unsafe { vulkan.raw.create_command_pool(&info, None) }?;
        Ok(Self::new(vulkan, raw, ash::Device::destroy_command_pool))
    }
}

impl Owned<vk::QueryPool> {
    pub fn timestamps(vulkan: &Arc<Vulkan>, count: u32) -> VkResult<Self> {
        let info = vk::QueryPoolCreateInfo::default().query_type(vk::QueryType::TIMESTAMP).query_count(count);
        // SAFETY: 1 and 2.
        let raw = unsafe { vulkan.raw.create_query_pool(&info, None) }?;
        Ok(Self::new(vulkan, raw, ash::Device::destroy_query_pool))
    }

    /// The stamps that a run has left in all of its `count` queries.
    pub fn stamps(&self, count: u32) -> VkResult<Vec<u64>> {
        let mut stamps = vec![0u64; count as usize];
        let flags = vk::QueryResultFlags::TYPE_64 | vk::QueryResultFlags::WAIT;
        // SAFETY: 1; there are as many queries, each of which has its stamp.
        unsafe { self.vulkan.raw.get_query_pool_results(self.raw, 0, &mut stamps, flags) }?;
        Ok(stamps)
    }
}

impl Owned<vk::Fence> {
    pub fn fence(vulkan: &Arc<Vulkan>) -> VkResult<Self> {
        // SAFETY: 1 and 2.
        let raw = unsafe { vulkan.raw.create_fence(&vk::FenceCreateInfo::default(), None) }?;
        Ok(Self::new(vulkan, raw, ash::Device::destroy_fence))
    }

    /// # Safety
    /// No run that would signal it is under way, as 4 has it.
    pub unsafe fn reset(&mut self) -> VkResult<()> {
        // SAFETY: 1; 3, for it is held alone; 4, which is the caller's promise.
        unsafe { self.vulkan.raw.reset_fences(&[self.raw]) }
    }

    pub fn signalled(&self) -> VkResult<bool> {
        // SAFETY: 1.
        unsafe { self.vulkan.raw.get_fence_status(self.raw) }
    }

    /// Blocks until it is signalled, which it is bound to be.
    pub fn wait(&self) -> VkResult<()> {
        // SAFETY: 1.
        unsafe { self.vulkan.raw.wait_for_fences(&[self.raw], true, u64::MAX) }
    }

    /// Blocks for `most` at most, and tells whether it is signalled by then.
    pub fn wait_for(&self, most: Duration) -> VkResult<bool> {
        let most = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
        // SAFETY: 1.
        match unsafe { self.vulkan.raw.wait_for_fences(&[self.raw], true, most) } {
            Err(vk::Result::TIMEOUT) => Ok(false),
            waited => waited.map(|()| true),
        }
    }
}
