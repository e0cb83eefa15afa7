//! Kernels as DX12 takes them: HLSL of shader model 5.1, as wgpu writes it for a device without Microsoft's newer compiler.

use crate::Result;
use naga::back::{hlsl, pipeline_constants::process_overrides};
use naga::valid::{Capabilities, ValidationFlags, Validator};
use pretrained::gpu::PlannedPipeline;

/// The text of a pipeline's shader, whose entry point is `main`.
///
/// # Errors
/// Where the shader is wrong.
pub fn of(pipeline: &PlannedPipeline) -> Result<String> {
    let text = pipeline.wgsl();
    let module = naga::front::wgsl::parse_str(&text).map_err(|error| error.emit_to_string(&text))?;
    let mut validator = Validator::new(ValidationFlags::all(), Capabilities::SHADER_FLOAT16_IN_FLOAT32);
    let info = validator.validate(&module).map_err(|error| error.emit_to_string(&text))?;
    let constants = pipeline.constants().map(|(name, value)| (name.to_owned(), f64::from(value))).collect();
    let entry = (naga::ShaderStage::Compute, "main");
    let (module, info) = process_overrides(&module, &info, Some(entry), &constants)?;
    let options = hlsl::Options {
        shader_model: hlsl::ShaderModel::V5_1,
        fake_missing_bindings: true,
        zero_initialize_workgroup_memory: false,
        force_loop_bounding: false,
        ..Default::default()
    };
    let only = hlsl::PipelineOptions { entry_point: Some((entry.0, entry.1.to_owned())) };
    let mut text = String::new();
    hlsl::Writer::new(&mut text, &options, &only).write(&module, &info, None)?;
    Ok(text)
}
