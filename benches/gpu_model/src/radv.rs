//! Debian's RADV without a GPU and without Vulkan's loader: pipelines go in, what the driver says of them comes out.
//!
//! # What the `unsafe` blocks rest on
//! 1. **Loaded.** The library is Mesa's driver, whose `vk_icdGetInstanceProcAddr` has the type that Vulkan gives it. It is
//!    never unloaded: `Radv` keeps it, and the process ends after it.
//! 2. **Alive.** Objects are used between their making and the end of the process, which frees what is left. A handle is
//!    passed only to the instance or the device that made it.
//! 3. **Whole.** A description is built in the function that passes it, from slices that outlive the call.
//! 4. **Valid code.** naga has validated the module that the words come from.
//! 5. **Sized.** Texts are read into memory of the size that the driver has just asked for.
#![allow(unsafe_code)]

use crate::Result;
use crate::compiler::{Compiled, Outcome, Source};
use ash::{ext, khr, vk};
use libloading::Library;
use std::collections::BTreeMap;

/// The file that Debian's mesa-vulkan-drivers installs.
const DRIVER: &str = "libvulkan_radeon.so";

/// Compiles all of them for the family that the environment names.
pub fn compile(sources: &[Source]) -> Outcome {
    // SAFETY: 1.
    let library = match unsafe { Library::new(DRIVER) } {
        Ok(library) => library,
        Err(error) => return Outcome::Absent(error.to_string()),
    };
    let compiled = || -> Result<Vec<Compiled>> {
        let radv = Radv::open(library)?;
        sources.iter().map(|source| radv.compile(source)).collect()
    };
    compiled().map_or_else(|error| Outcome::Failed(error.to_string()), Outcome::Compiled)
}

struct Radv {
    device: ash::Device,
    executables: khr::pipeline_executable_properties::Device,
    /// Has the code of all of them.
    _library: Library,
}

impl Radv {
    fn open(library: Library) -> Result<Self> {
        // SAFETY: 1.
        let entry = unsafe {
            let address = library.get::<vk::PFN_vkGetInstanceProcAddr>(b"vk_icdGetInstanceProcAddr\0")?;
            ash::Entry::from_static_fn(ash::StaticFn { get_instance_proc_addr: *address })
        };
        let application = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_3);
        let info = vk::InstanceCreateInfo::default().application_info(&application);
        // SAFETY: 3.
        let instance = unsafe { entry.create_instance(&info, None) }?;
        // SAFETY: 2.
        let adapters = unsafe { instance.enumerate_physical_devices() }?;
        let adapter = *adapters.first().ok_or("RADV knows no such family of GPUs")?;
        // As the product has the device, and with what tells of compiled pipelines.
        let mut told =
            vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR::default().pipeline_executable_info(true);
        let mut robust = vk::PhysicalDeviceRobustness2FeaturesEXT::default().robust_buffer_access2(true);
        let features = vk::PhysicalDeviceFeatures::default().robust_buffer_access(true);
        let extensions = [khr::pipeline_executable_properties::NAME.as_ptr(), ext::robustness2::NAME.as_ptr()];
        let queues = [vk::DeviceQueueCreateInfo::default().queue_priorities(&[1.0])];
        let info = vk::DeviceCreateInfo::default()
            .queue_create_infos(&queues)
            .enabled_extension_names(&extensions)
            .enabled_features(&features)
            .push_next(&mut told)
            .push_next(&mut robust);
        // SAFETY: 2 and 3.
        let device = unsafe { instance.create_device(adapter, &info, None) }?;
        let executables = khr::pipeline_executable_properties::Device::new(&instance, &device);
        Ok(Self { device, executables, _library: library })
    }

    fn compile(&self, source: &Source) -> Result<Compiled> {
        let pipeline = self.pipeline(source)?;
        let info = vk::PipelineExecutableInfoKHR::default().pipeline(pipeline);
        // SAFETY: 2 and 3.
        let statistics = unsafe { self.executables.get_pipeline_executable_statistics(&info) }?;
        let statistics = statistics.iter().map(|found| {
            // SAFETY: RADV counts everything in 64 bits without a sign.
            Ok((found.name_as_c_str()?.to_string_lossy().into_owned(), unsafe { found.value.u64 }))
        });
        let statistics = statistics.collect::<Result<BTreeMap<String, u64>>>()?;
        Ok(Compiled { statistics, listing: self.listing(&info)? })
    }

    fn pipeline(&self, source: &Source) -> Result<vk::Pipeline> {
        let binding = |&(binding, uniform): &(u32, bool)| {
            let kind = if uniform { vk::DescriptorType::UNIFORM_BUFFER } else { vk::DescriptorType::STORAGE_BUFFER };
            vk::DescriptorSetLayoutBinding::default()
                .binding(binding)
                .descriptor_type(kind)
                .descriptor_count(1)
                .stage_flags(vk::ShaderStageFlags::COMPUTE)
        };
        let bindings: Vec<_> = source.bindings.iter().map(binding).collect();
        let info = vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings);
        // SAFETY: 2 and 3.
        let set = unsafe { self.device.create_descriptor_set_layout(&info, None) }?;
        let sets = [set];
        let info = vk::PipelineLayoutCreateInfo::default().set_layouts(&sets);
        // SAFETY: 2 and 3.
        let layout = unsafe { self.device.create_pipeline_layout(&info, None) }?;
        let info = vk::ShaderModuleCreateInfo::default().code(&source.words);
        // SAFETY: 2, 3 and 4.
        let module = unsafe { self.device.create_shader_module(&info, None) }?;
        let stage = vk::PipelineShaderStageCreateInfo::default()
            .stage(vk::ShaderStageFlags::COMPUTE)
            .module(module)
            .name(c"main");
        let kept = vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR
            | vk::PipelineCreateFlags::CAPTURE_INTERNAL_REPRESENTATIONS_KHR;
        let info = vk::ComputePipelineCreateInfo::default().flags(kept).stage(stage).layout(layout);
        // SAFETY: 2, 3 and 4.
        let made = unsafe { self.device.create_compute_pipelines(vk::PipelineCache::null(), &[info], None) };
        let made = made.map_err(|(_, result)| result)?;
        Ok(*made.first().ok_or("RADV made no pipeline")?)
    }

    /// The instructions of the machine, which the driver calls the assembly.
    fn listing(&self, info: &vk::PipelineExecutableInfoKHR) -> Result<String> {
        // SAFETY: 2 and 3.
        let mut found = unsafe { self.executables.get_pipeline_executable_internal_representations(info) }?;
        let mut texts: Vec<Vec<u8>> = found.iter().map(|one| vec![0; one.data_size]).collect();
        found.iter_mut().zip(&mut texts).for_each(|(one, text)| one.p_data = text.as_mut_ptr().cast());
        let mut count = u32::try_from(found.len())?;
        let call = self.executables.fp().get_pipeline_executable_internal_representations_khr;
        // SAFETY: 2, 3 and 5.
        unsafe { call(self.device.handle(), info, &mut count, found.as_mut_ptr()) }.result()?;
        for (one, text) in found.iter().zip(&texts) {
            if one.name_as_c_str()?.to_bytes() == b"Assembly" {
                let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
                return Ok(String::from_utf8_lossy(&text[..end]).into_owned());
            }
        }
        Err("RADV shows no assembly".into())
    }
}
