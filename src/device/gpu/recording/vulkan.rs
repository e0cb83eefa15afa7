//! The Vulkan device behind one of wgpu's, and objects made of it that go with their owner.

use super::super::context::{Context, NO_MEMORY};
use crate::error::Error;
use ash::prelude::VkResult;
use ash::{ext, vk};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;
use wgpu::hal;

/// A device and its queue. wgpu made them, and destroys them when nobody has the device any more.
pub(super) struct Vulkan {
    pub raw: ash::Device,
    queue: vk::Queue,
    /// The queue's.
    pub family: u32,
    /// Nanoseconds of its clock's ticks, and the bits in which they are counted; none where it has no clock.
    pub tick: Option<(f32, u32)>,
    /// Whether the device keeps every access to a buffer within its binding.
    pub robust: bool,
    /// Keeps `raw` alive.
    _device: wgpu::Device,
}

impl Vulkan {
    /// None where wgpu reached the device by something else than Vulkan 1.1.
    pub fn of(device: &wgpu::Device, queue: &wgpu::Queue) -> Option<Self> {
        // SAFETY: neither is destroyed here, and `_device` keeps both alive.
        let (hal, hal_queue) = unsafe { (device.as_hal::<hal::api::Vulkan>()?, queue.as_hal::<hal::api::Vulkan>()?) };
        let (instance, adapter) = (hal.shared_instance(), hal.raw_physical_device());
        // SAFETY: the adapter is the instance's.
        let properties = unsafe { instance.raw_instance().get_physical_device_properties(adapter) };
        if instance.instance_api_version().min(properties.api_version) < vk::API_VERSION_1_1 {
            return None;
        }
        let family = hal.queue_family_index();
        // SAFETY: as above.
        let families = unsafe { instance.raw_instance().get_physical_device_queue_family_properties(adapter) };
        let bits = families.get(family as usize)?.timestamp_valid_bits;
        let mut robustness = vk::PhysicalDeviceRobustness2FeaturesEXT::default();
        let mut features = vk::PhysicalDeviceFeatures2::default().push_next(&mut robustness);
        // SAFETY: as above, and Vulkan 1.1 has the call.
        unsafe { instance.raw_instance().get_physical_device_features2(adapter, &mut features) };
        Some(Self {
            raw: hal.raw_device().clone(),
            queue: hal_queue.as_raw(),
            family,
            tick: (bits > 0).then_some((properties.limits.timestamp_period, bits)),
            // wgpu enables the feature where it is, unless it distrusts the extension.
            robust: hal.enabled_device_extensions().contains(&ext::robustness2::NAME)
                && robustness.robust_buffer_access2 == vk::TRUE,
            _device: device.clone(),
        })
    }

    fn own<T: Copy>(self: &Arc<Self>, raw: T, destroy: Destroy<T>) -> Owned<T> {
        Owned { raw, vulkan: self.clone(), destroy }
    }

    pub fn set_layout(
        self: &Arc<Self>,
        bindings: &[vk::DescriptorSetLayoutBinding],
    ) -> VkResult<Owned<vk::DescriptorSetLayout>> {
        let info = vk::DescriptorSetLayoutCreateInfo::default().bindings(bindings);
        // SAFETY: the device is alive, and the description is whole. So it is below.
        let raw = unsafe { self.raw.create_descriptor_set_layout(&info, None) }?;
        Ok(self.own(raw, ash::Device::destroy_descriptor_set_layout))
    }

    pub fn pipeline_layout(
        self: &Arc<Self>,
        set: &Owned<vk::DescriptorSetLayout>,
    ) -> VkResult<Owned<vk::PipelineLayout>> {
        let info = vk::PipelineLayoutCreateInfo::default().set_layouts(std::slice::from_ref(&set.raw));
        // SAFETY: see `set_layout`.
        let raw = unsafe { self.raw.create_pipeline_layout(&info, None) }?;
        Ok(self.own(raw, ash::Device::destroy_pipeline_layout))
    }

    pub fn shader_module(self: &Arc<Self>, code: &[u32]) -> VkResult<Owned<vk::ShaderModule>> {
        let info = vk::ShaderModuleCreateInfo::default().code(code);
        // SAFETY: naga wrote the code, from a module that it had validated.
        let raw = unsafe { self.raw.create_shader_module(&info, None) }?;
        Ok(self.own(raw, ash::Device::destroy_shader_module))
    }

    pub fn pipeline(
        self: &Arc<Self>,
        layout: &Owned<vk::PipelineLayout>,
        module: &Owned<vk::ShaderModule>,
        cache: vk::PipelineCache,
    ) -> VkResult<Owned<vk::Pipeline>> {
        let stage = vk::PipelineShaderStageCreateInfo::default()
            .stage(vk::ShaderStageFlags::COMPUTE)
            .module(module.raw)
            .name(c"main");
        let info = vk::ComputePipelineCreateInfo::default().stage(stage).layout(layout.raw);
        // SAFETY: see `set_layout`; drivers may use a cache from several threads.
        let made = unsafe { self.raw.create_compute_pipelines(cache, &[info], None) };
        let raw = made.map_err(|(_, result)| result)?.into_iter().next().ok_or(vk::Result::ERROR_UNKNOWN)?;
        Ok(self.own(raw, ash::Device::destroy_pipeline))
    }

    pub fn pipeline_cache(self: &Arc<Self>, data: &[u8]) -> VkResult<Owned<vk::PipelineCache>> {
        let info = vk::PipelineCacheCreateInfo::default().initial_data(data);
        // SAFETY: see `set_layout`; the data is this driver's own (`Cache`).
        let raw = unsafe { self.raw.create_pipeline_cache(&info, None) }?;
        Ok(self.own(raw, ash::Device::destroy_pipeline_cache))
    }

    /// What a cache has, for [`pipeline_cache`](Self::pipeline_cache) in another process.
    pub fn cached(&self, cache: &Owned<vk::PipelineCache>) -> VkResult<Vec<u8>> {
        // SAFETY: the cache is alive.
        unsafe { self.raw.get_pipeline_cache_data(cache.raw) }
    }

    pub fn descriptor_pool(
        self: &Arc<Self>,
        sets: u32,
        sizes: &[vk::DescriptorPoolSize],
    ) -> VkResult<Owned<vk::DescriptorPool>> {
        let info = vk::DescriptorPoolCreateInfo::default().max_sets(sets).pool_sizes(sizes);
        // SAFETY: see `set_layout`.
        let raw = unsafe { self.raw.create_descriptor_pool(&info, None) }?;
        Ok(self.own(raw, ash::Device::destroy_descriptor_pool))
    }

    pub fn command_pool(self: &Arc<Self>) -> VkResult<Owned<vk::CommandPool>> {
        let info = vk::CommandPoolCreateInfo::default().queue_family_index(self.family);
        // SAFETY: see `set_layout`.
        let raw = unsafe { self.raw.create_command_pool(&info, None) }?;
        Ok(self.own(raw, ash::Device::destroy_command_pool))
    }

    pub fn fence(self: &Arc<Self>) -> VkResult<Owned<vk::Fence>> {
        // SAFETY: see `set_layout`.
        let raw = unsafe { self.raw.create_fence(&vk::FenceCreateInfo::default(), None) }?;
        Ok(self.own(raw, ash::Device::destroy_fence))
    }

    pub fn timestamps(self: &Arc<Self>, count: u32) -> VkResult<Owned<vk::QueryPool>> {
        let info = vk::QueryPoolCreateInfo::default().query_type(vk::QueryType::TIMESTAMP).query_count(count);
        // SAFETY: see `set_layout`.
        let raw = unsafe { self.raw.create_query_pool(&info, None) }?;
        Ok(self.own(raw, ash::Device::destroy_query_pool))
    }

    /// Lets the device run `commands`, and then signal `fence`.
    ///
    /// # Safety
    /// The commands are recorded, and all that they use lives until the fence is signalled. It is not signalled now. Nobody
    /// else submits.
    pub unsafe fn submit(&self, commands: vk::CommandBuffer, fence: vk::Fence) -> VkResult<()> {
        let info = vk::SubmitInfo::default().command_buffers(std::slice::from_ref(&commands));
        // SAFETY: the caller's.
        unsafe { self.raw.queue_submit(self.queue, &[info], fence) }
    }

    /// Blocks until `fence` is signalled, which it is bound to be.
    pub fn wait(&self, fence: &Owned<vk::Fence>) -> VkResult<()> {
        // SAFETY: the fence is alive.
        unsafe { self.raw.wait_for_fences(&[fence.raw], true, u64::MAX) }
    }

    /// The same for so long at most; whether it is signalled by then.
    pub fn wait_for(&self, fence: &Owned<vk::Fence>, most: Duration) -> VkResult<bool> {
        let most = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
        // SAFETY: the fence is alive.
        match unsafe { self.raw.wait_for_fences(&[fence.raw], true, most) } {
            Err(vk::Result::TIMEOUT) => Ok(false),
            waited => waited.map(|()| true),
        }
    }

    /// Blocks until nothing runs any more. Nobody may submit meanwhile.
    pub fn finish(&self) {
        // SAFETY: the device is alive. Where it is lost, nothing runs.
        let _ = unsafe { self.raw.device_wait_idle() };
    }

    /// The time between two stamps of the device's clock.
    pub fn time(&self, from: u64, to: u64) -> Duration {
        let (period, bits) = self.tick.unwrap_or((0.0, 64));
        let ticks = to.wrapping_sub(from) & u64::MAX >> (64 - bits);
        Duration::from_nanos((ticks as f64 * f64::from(period)) as u64)
    }
}

impl Debug for Vulkan {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("Vulkan").field("device", &self.raw.handle()).finish_non_exhaustive()
    }
}

type Destroy<T> = unsafe fn(&ash::Device, T, Option<&vk::AllocationCallbacks>);

/// An object that is destroyed with its owner, who lets go of it when the device does not use it any more.
pub(super) struct Owned<T: Copy> {
    pub raw: T,
    vulkan: Arc<Vulkan>,
    destroy: Destroy<T>,
}

impl<T: Copy> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: it was made by this device, and is not in use.
        unsafe { (self.destroy)(&self.vulkan.raw, self.raw, None) }
    }
}

impl<T: Copy + Debug> Debug for Owned<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        self.raw.fmt(f)
    }
}

/// What the driver's answer means to a caller.
pub(super) fn error(context: &Context, result: vk::Result) -> Error {
    match result {
        vk::Result::ERROR_OUT_OF_HOST_MEMORY | vk::Result::ERROR_OUT_OF_DEVICE_MEMORY => context.error(NO_MEMORY),
        vk::Result::ERROR_DEVICE_LOST => {
            context.loss.get_or_init(|| "the device was lost; open it again".to_owned());
            context.check().err().unwrap_or_else(|| context.error(result))
        }
        _ => context.error(result),
    }
}
