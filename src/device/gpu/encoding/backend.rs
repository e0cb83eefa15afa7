//! The backend that encodes: wgpu's own pipelines and their layouts.

use super::in_flight::InFlight;
use super::program::EncodedProgram;
use super::work::{EncodedDispatch, EncodedWork};
use crate::device::gpu::backend::{Backend, Binding, BoundDispatch, Work};
use crate::device::gpu::context::Context;
use crate::device::gpu::lock::lock;
use crate::device::gpu::pipelines::Pipelines;
use crate::device::gpu::shader::{BySignature, Declaration, Narrow, Pipeline, Shader, Signature};
use crate::device::program::Program;
use crate::error::Result;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// wgpu's own pipelines.
#[derive(Debug)]
pub(in crate::device::gpu) struct Encoding {
    device: wgpu::Device,
    layouts: BySignature<wgpu::BindGroupLayout>,
    /// The same, as pipelines take them.
    pipeline_layouts: BySignature<wgpu::PipelineLayout>,
    modules: Mutex<HashMap<(Shader, Narrow), wgpu::ShaderModule>>,
    pipelines: Pipelines<wgpu::ComputePipeline>,
    in_flight: Arc<InFlight>,
}

impl Encoding {
    pub fn new(device: &wgpu::Device) -> Self {
        let layouts = BySignature::new(|signature| bind_group_layout(device, signature));
        let pipeline_layouts = BySignature::new(|signature| {
            device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: None,
                bind_group_layouts: &[Some(&layouts[signature])],
                ..Default::default()
            })
        });
        let (modules, pipelines, in_flight) = Default::default();
        Self { device: device.clone(), layouts, pipeline_layouts, modules, pipelines, in_flight }
    }

    fn pipeline(&self, key: &Pipeline) -> wgpu::ComputePipeline {
        let module = lock(&self.modules)
            .entry((key.shader, key.narrow))
            .or_insert_with(|| {
                let source = wgpu::ShaderSource::Wgsl(key.shader.source(key.narrow).into());
                module(&self.device, wgpu::ShaderModuleDescriptor { label: Some(key.shader.name()), source })
            })
            .clone();
        let constants: Vec<(&str, f64)> =
            key.constants.iter().map(|(name, value)| (*name, f64::from(*value))).collect();
        self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(key.shader.name()),
            layout: Some(&self.pipeline_layouts[key.shader.signature()]),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &constants,
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        })
    }

    fn bind_group(&self, dispatch: &BoundDispatch) -> wgpu::BindGroup {
        let entries = dispatch.bindings.iter().map(|&Binding { binding, ref buffer, offset, size }| {
            let size = wgpu::BufferSize::new(size);
            let resource = wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size });
            wgpu::BindGroupEntry { binding, resource }
        });
        let entries: Vec<wgpu::BindGroupEntry> = entries.collect();
        let layout = &self.layouts[dispatch.signature()];
        let label = Some(&*dispatch.name);
        self.device.create_bind_group(&wgpu::BindGroupDescriptor { label, layout, entries: &entries })
    }
}

/// A module whose loops end by themselves, so that wgpu need not count their rounds. Every other check stays.
#[allow(unsafe_code)]
fn module(device: &wgpu::Device, shader: wgpu::ShaderModuleDescriptor) -> wgpu::ShaderModule {
    let checks = wgpu::ShaderRuntimeChecks { force_loop_bounding: false, ..wgpu::ShaderRuntimeChecks::checked() };
    // SAFETY: every loop of shaders/ counts up to a parameter or a constant, as the file of each shows; plans keep parameters
    // within the limits of a device, which are far below where 32 bits overflow.
    unsafe { device.create_shader_module_trusted(shader, checks) }
}

fn bind_group_layout(device: &wgpu::Device, signature: Signature) -> wgpu::BindGroupLayout {
    let entry = |Declaration { binding, kind: ty, least }| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        // Without a least size wgpu compares sizes at every dispatch.
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: wgpu::BufferSize::new(least) },
        count: None,
    };
    let entries: Vec<wgpu::BindGroupLayoutEntry> = signature.bindings().map(entry).collect();
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries })
}

impl Backend for Encoding {
    fn program(&self, context: &Arc<Context>, work: Work) -> Result<Arc<dyn Program>> {
        let keys = work.dispatches.iter().map(|dispatch| &dispatch.pipelines);
        let pipelines = self.pipelines.get(keys, |key| Ok(self.pipeline(key)))?;
        // No scope sees what goes wrong on another thread.
        context.check()?;
        let dispatches = work.dispatches.iter().zip(pipelines).map(|(dispatch, pipelines)| EncodedDispatch {
            pipelines,
            bindings: self.bind_group(dispatch),
            workgroups: dispatch.workgroups,
        });
        let dispatches = dispatches.collect();
        let (context, in_flight) = (context.clone(), self.in_flight.clone());
        Ok(Arc::new(EncodedProgram(Arc::new(EncodedWork { context, in_flight, dispatches, work }))))
    }
}
