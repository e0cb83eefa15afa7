//! Every shader parses, validates, and translates to SPIR-V, MSL and HLSL; no GPU is needed.

use naga::back::{hlsl, msl, pipeline_constants::process_overrides, spv};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use std::path::Path;

/// Name and text of every file in shaders/.
fn shaders() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let wgsl = files.filter(|path| path.extension().is_some_and(|e| e == "wgsl"));
    wgsl.map(|path| (path.display().to_string(), std::fs::read_to_string(&path).unwrap())).collect()
}

/// Parses and validates with no capability beyond the core of WebGPU, but for subgroup operations and numbers of 64 bits
/// where a shader has them, and hands the result on once for each value that an override may take.
fn each(check: impl Fn(&str, &naga::Module, &ModuleInfo)) {
    let shaders = shaders();
    assert!(shaders.len() >= 15, "found only {} shaders", shaders.len());
    for (name, source) in shaders {
        let module = naga::front::wgsl::parse_str(&source)
            .unwrap_or_else(|e| panic!("{}", e.emit_to_string_with_path(&source, &name)));
        let mut capabilities = Capabilities::empty();
        capabilities.set(Capabilities::SUBGROUP, source.contains("subgroup"));
        capabilities.set(Capabilities::SHADER_INT64, source.contains("u64"));
        let mut validator = Validator::new(ValidationFlags::all(), capabilities);
        validator.subgroup_stages(naga::valid::ShaderStages::COMPUTE);
        validator.subgroup_operations(naga::valid::SubgroupOperationSet::all());
        let info =
            validator.validate(&module).unwrap_or_else(|e| panic!("{}", e.emit_to_string_with_path(&source, &name)));
        for constants in variants(&module) {
            let name = format!("{name} with {constants:?}");
            let constants = constants.into_iter().collect();
            let (module, info) = process_overrides(&module, &info, None, &constants).unwrap();
            check(&name, &module, &info);
        }
    }
}

/// The defaults, and each override by itself at each value that kernels.rs gives it.
fn variants(module: &naga::Module) -> Vec<Vec<(String, f64)>> {
    let mut variants = vec![Vec::new()];
    for (_, constant) in module.overrides.iter() {
        let name = constant.name.clone().unwrap();
        let values: &[f64] = match name.as_str() {
            "ADD" | "GROUPED" | "SHARED" | "DENSE" | "PAIRS" | "ODD" => &[0.0, 1.0],
            "ACTIVATION" => &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            "OPERATION" => &[0.0, 1.0, 2.0],
            "KERNEL" | "KERNEL_X" | "KERNEL_Y" => &[1.0, 2.0, 3.0, 5.0],
            "STRIDE" => &[1.0, 2.0, 3.0],
            "WORKGROUP" => &[8.0, 64.0],
            _ => panic!("no values are known for {name}"),
        };
        variants.extend(values.iter().map(|value| vec![(name.clone(), *value)]));
    }
    variants
}

#[test]
fn translate_to_spirv() {
    each(|name, module, info| {
        let words = spv::write_vec(module, info, &spv::Options::default(), None).unwrap();
        assert_eq!(words[0], 0x0723_0203, "{name}");
    });
}

#[test]
fn translate_to_msl() {
    each(|name, module, info| {
        let (source, _) = msl::write_string(module, info, &msl_options(), &Default::default()).unwrap();
        assert!(source.contains("kernel void main_"), "{name}: {source}");
    });
}

/// Metal needs to know where the lengths of arrays come from.
fn msl_options() -> msl::Options {
    msl::Options { lang_version: (2, 0), fake_missing_bindings: true, ..Default::default() }
}

#[test]
fn translate_to_hlsl() {
    each(|name, module, info| {
        let mut source = String::new();
        let options =
            hlsl::Options { shader_model: hlsl::ShaderModel::V6_0, fake_missing_bindings: true, ..Default::default() };
        hlsl::Writer::new(&mut source, &options, &Default::default()).write(module, info, None).unwrap();
        assert!(source.contains("void main("), "{name}: {source}");
    });
}

/// A file states its formula and its dispatch before anything else.
#[test]
fn every_shader_opens_with_its_formula() {
    for (name, source) in shaders() {
        let head: String = source.lines().take_while(|line| line.starts_with("//")).collect();
        assert!(head.contains("Dispatch:") && (head.contains("y[")), "{name}");
    }
}

/// One uniform serves all kernels, so that each must declare it alike, as `Params` in gpu/shader.rs has it; and each
/// activation is the same everywhere.
#[test]
fn every_shader_declares_the_same_parameters_and_activations() {
    let part = |source: &str, from: &str, to: &str| {
        let from = source.find(from)?;
        Some(source[from..from + source[from..].find(to)?].to_owned())
    };
    let shaders = shaders();
    let of = |from: &str, to: &str| -> Vec<(String, String)> {
        shaders.iter().filter_map(|(name, source)| Some((name.clone(), part(source, from, to)?))).collect()
    };
    let (params, activations) = (of("struct Params {", "}"), of("fn act(", "\n}"));
    assert_eq!(params.len(), shaders.len());
    assert!(activations.len() >= 10, "found only {}", activations.len());
    for (name, text) in &params {
        assert_eq!(*text, params[0].1, "{name}");
    }
    for (name, text) in &activations {
        assert_eq!(*text, activations[0].1, "{name}");
    }
}
