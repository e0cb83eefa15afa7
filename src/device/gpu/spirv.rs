//! Shaders in the form that Vulkan takes.

use super::lock::lock;
use super::shader::{Narrow, Pipeline, Shader};
use naga::back::pipeline_constants::process_overrides;
use naga::back::spv;
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ModuleInfo, ShaderStages, SubgroupOperationSet, ValidationFlags, Validator};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// A shader before its constants have values.
type Parsed = Arc<(naga::Module, ModuleInfo)>;

/// Shaders that were parsed, and how they are written.
pub(super) struct Modules {
    parsed: Mutex<HashMap<(Shader, Narrow), Parsed>>,
    options: spv::Options<'static>,
}

impl Modules {
    /// For a device that itself keeps every access within its binding, if it is `robust`.
    pub fn new(robust: bool) -> Self {
        let checked = BoundsCheckPolicy::Restrict;
        let buffer = if robust { BoundsCheckPolicy::Unchecked } else { checked };
        let options = spv::Options {
            // What Vulkan 1.1 takes, with operations on subgroups.
            lang_version: (1, 3),
            flags: spv::WriterFlags::empty(),
            bounds_check_policies: BoundsCheckPolicies { index: checked, buffer, ..Default::default() },
            zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
            // The loops of shaders/ end.
            force_loop_bounding: false,
            ..Default::default()
        };
        Self { parsed: Mutex::default(), options }
    }

    /// The words of a pipeline's shader, or what is wrong with it.
    pub fn compile(&self, key: &Pipeline) -> Result<Vec<u32>, String> {
        let parsed = self.parsed(key)?;
        let constants = key.constants.iter().map(|(name, value)| ((*name).to_owned(), f64::from(*value))).collect();
        let entry = (naga::ShaderStage::Compute, "main");
        let (module, info) = process_overrides(&parsed.0, &parsed.1, Some(entry), &constants)
            .map_err(|error| format!("{}: {error}", key.shader.name()))?;
        let main = spv::PipelineOptions { shader_stage: entry.0, entry_point: entry.1.to_owned() };
        spv::write_vec(&module, &info, &self.options, Some(&main))
            .map_err(|error| format!("{}: {error}", key.shader.name()))
    }

    fn parsed(&self, key: &Pipeline) -> Result<Parsed, String> {
        let mut parsed = lock(&self.parsed);
        if let Some(module) = parsed.get(&(key.shader, key.narrow)) {
            return Ok(module.clone());
        }
        let text = key.shader.source(key.narrow);
        let module = naga::front::wgsl::parse_str(&text).map_err(|error| error.emit_to_string(&text))?;
        let capabilities =
            Capabilities::SUBGROUP | Capabilities::SHADER_FLOAT16_IN_FLOAT32 | Capabilities::SHADER_INT64;
        let info = Validator::new(ValidationFlags::all(), capabilities)
            .subgroup_stages(ShaderStages::COMPUTE)
            .subgroup_operations(SubgroupOperationSet::all())
            .validate(&module)
            .map_err(|error| error.emit_to_string(&text))?;
        let module = Arc::new((module, info));
        parsed.insert((key.shader, key.narrow), module.clone());
        Ok(module)
    }
}

impl std::fmt::Debug for Modules {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("Modules").finish_non_exhaustive()
    }
}
