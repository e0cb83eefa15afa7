//! The Vulkan device behind one of wgpu's: its queue, its clock, and what it grants.

use crate::device::gpu::context::Context;
use crate::error::{Error, Result};
use ash::prelude::VkResult;
use ash::{ext, vk};
use std::fmt::Debug;
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
        // SAFETY: 1, by `_device`; neither is destroyed here.
        let (hal, hal_queue) = unsafe { (device.as_hal::<hal::api::Vulkan>()?, queue.as_hal::<hal::api::Vulkan>()?) };
        let (instance, adapter) = (hal.shared_instance(), hal.raw_physical_device());
        // SAFETY: 1; the adapter is the instance's.
        let properties = unsafe { instance.raw_instance().get_physical_device_properties(adapter) };
        if instance.instance_api_version().min(properties.api_version) < vk::API_VERSION_1_1 {
            return None;
        }
        let family = hal.queue_family_index();
        // SAFETY: 1; the adapter is the instance's.
        let families = unsafe { instance.raw_instance().get_physical_device_queue_family_properties(adapter) };
        let bits = families.get(family as usize)?.timestamp_valid_bits;
        let mut robustness = vk::PhysicalDeviceRobustness2FeaturesEXT::default();
        let mut features = vk::PhysicalDeviceFeatures2::default().push_next(&mut robustness);
        // SAFETY: 1 and 2; the adapter is the instance's, and Vulkan 1.1 has the call.
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

    /// Lets the device run `commands`, and then signal `fence`.
    ///
    /// # Safety
    /// The commands are recorded, as 5 has it, and all that they use lives until the fence is signalled, as 1 and 4 have
    /// it. The fence is not signalled now. Nobody else submits, as 3 has it.
    pub unsafe fn submit(&self, commands: vk::CommandBuffer, fence: vk::Fence) -> VkResult<()> {
        let info = vk::SubmitInfo::default().command_buffers(std::slice::from_ref(&commands));
        // SAFETY: 2; 1, 3, 4 and 5 are the caller's promise.
        unsafe { self.raw.queue_submit(self.queue, &[info], fence) }
    }

    /// Blocks until nothing runs any more. Nobody may submit meanwhile.
    pub fn finish(&self) {
        // SAFETY: 1; 3, which is the caller's promise. Where the device is lost, nothing runs.
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

/// What the driver's answer means to a caller.
pub(super) fn error(context: &Context, result: vk::Result) -> Error {
    match result {
        vk::Result::ERROR_OUT_OF_HOST_MEMORY | vk::Result::ERROR_OUT_OF_DEVICE_MEMORY => context.out_of_memory(),
        vk::Result::ERROR_DEVICE_LOST => {
            context.loss.get_or_init(|| "the device was lost; open it again".to_owned());
            context.check().err().unwrap_or_else(|| context.error(result))
        }
        _ => context.error(result),
    }
}

/// The buffer behind one of wgpu's, which must outlive its use.
pub(super) fn raw(context: &Context, buffer: &wgpu::Buffer) -> Result<vk::Buffer> {
    // SAFETY: 7, for it is not destroyed here.
    let hal = unsafe { buffer.as_hal::<hal::api::Vulkan>() };
    // SAFETY: 7.
    hal.map(|hal| unsafe { hal.raw_handle() }).ok_or_else(|| context.error("a buffer is gone; open the device again"))
}
