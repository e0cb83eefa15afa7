//! Every shader, joined with its parts in every width, parses, validates, and translates to SPIR-V, MSL and HLSL; no GPU is
//! needed.

#[allow(dead_code, reason = "the library uses the rest")]
#[path = "../../src/graph/activation/mod.rs"]
mod activation;
#[allow(dead_code, reason = "the library uses the rest")]
#[path = "../../src/device/gpu/shader/source.rs"]
mod source;

use activation::Activation;
use naga::back::{hlsl, msl, pipeline_constants::process_overrides, spv};
use naga::valid::{Capabilities, ModuleInfo, ShaderStages, SubgroupOperationSet, ValidationFlags, Validator};
use source::{Form, Narrow, Parts, Shader};
use std::collections::BTreeSet;
use std::path::Path;

/// Every way to store the arrays of a shader, those that it has not left out.
fn widths(shader: Shader) -> Vec<Narrow> {
    let Parts { x, y, weights, other, .. } = shader.parts();
    let either = |has: bool| if has { &[false, true][..] } else { &[false] };
    let mut widths = Vec::new();
    for &x in either(x.is_some()) {
        for &y in either(y.is_some()) {
            for &weights in either(weights.is_some()) {
                widths.extend(either(other.is_some()).iter().map(|&other| Narrow { x, y, weights, other }));
            }
        }
    }
    widths
}

/// Parses and validates with no capability beyond the core of WebGPU, but for subgroup operations, numbers of 64 bits and
/// conversions of halves where a shader has them.
fn valid(name: &str, source: &str) -> (naga::Module, ModuleInfo) {
    let module =
        naga::front::wgsl::parse_str(source).unwrap_or_else(|e| panic!("{}", e.emit_to_string_with_path(source, name)));
    let mut capabilities = Capabilities::empty();
    capabilities.set(Capabilities::SUBGROUP, source.contains("subgroup"));
    capabilities.set(Capabilities::SHADER_INT64, source.contains("u64"));
    capabilities.set(Capabilities::SHADER_FLOAT16_IN_FLOAT32, source.contains("pack2x16float"));
    let mut validator = Validator::new(ValidationFlags::all(), capabilities);
    validator.subgroup_stages(ShaderStages::COMPUTE).subgroup_operations(SubgroupOperationSet::all());
    let info = validator.validate(&module).unwrap_or_else(|e| panic!("{}", e.emit_to_string_with_path(source, name)));
    (module, info)
}

/// Hands every shader in every width on, once for each value that an override may take.
fn each(check: impl Fn(&str, &naga::Module, &ModuleInfo)) {
    assert!(Shader::ALL.len() >= 15, "found only {} shaders", Shader::ALL.len());
    for &shader in Shader::ALL {
        for narrow in widths(shader) {
            let name = format!("{} with {narrow:?}", shader.name());
            let (module, info) = valid(&name, &shader.source(narrow));
            for constants in variants(&module) {
                let name = format!("{name} and {constants:?}");
                let constants = constants.into_iter().collect();
                let (module, info) = process_overrides(&module, &info, None, &constants).unwrap();
                check(&name, &module, &info);
            }
        }
    }
}

/// The defaults, and each override by itself at each value that kernels.rs gives it.
fn variants(module: &naga::Module) -> Vec<Vec<(String, f64)>> {
    let mut variants = vec![Vec::new()];
    for (_, constant) in module.overrides.iter() {
        let name = constant.name.clone().unwrap();
        let values: Vec<u32> = match name.as_str() {
            "ADD" | "GROUPED" | "SHARED" | "DENSE" | "PAIRS" | "ODD" | "POINTWISE" => vec![0, 1],
            "ACTIVATION" | "INNER" => (0..).take(Activation::ROWS.len() + 1).collect(),
            "OPERATION" => vec![0, 1, 2],
            "KERNEL" | "KERNEL_X" | "KERNEL_Y" => vec![1, 2, 3, 5],
            "STRIDE" => vec![1, 2, 3],
            "SLICES" => vec![4, 16],
            "ROWS" => vec![1, 2],
            "TILE" => (1..=6).collect(),
            _ => panic!("no values are known for {name}"),
        };
        variants.extend(values.into_iter().map(|value| vec![(name.clone(), f64::from(value))]));
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

/// A kernel's file states its formula and its dispatch before anything else, and then what it is joined with.
#[test]
fn every_shader_opens_with_its_formula_and_its_parts() {
    for &shader in Shader::ALL {
        let lines = shader.kernel().lines().take_while(|line| line.starts_with("//"));
        let head: Vec<&str> = lines.collect();
        let text = head.concat();
        assert!(text.contains("Dispatch:") && text.contains("y["), "{}", shader.name());
        let Parts { x, y, weights, other, activations, slices } = shader.parts();
        let forms = [x, y, weights, other].into_iter().flatten().map(|form| form.name);
        let parts = ["params"].into_iter().chain(forms).chain(activations.iter().map(|applied| applied.name));
        let parts: Vec<&str> = parts.chain(slices.then_some("slices")).collect();
        let joined = format!("// Joined with: {}.", parts.join(", "));
        assert_eq!(*head.last().unwrap(), joined, "{}", shader.name());
    }
}

/// No file of shaders/ is left out.
#[test]
fn every_file_is_part_of_a_shader() {
    let names = |folder: &str| -> BTreeSet<String> {
        let files = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap();
        let files = files.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
        files.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("shaders"), Shader::ALL.iter().map(|shader| shader.name().to_owned()).collect());
    let forms = Shader::ALL
        .iter()
        .map(|shader| shader.parts())
        .flat_map(|parts| [parts.x, parts.y, parts.weights, parts.other].into_iter().flatten());
    let (levels, halves): (Vec<Form>, Vec<Form>) = forms.partition(|form| form.has_levels);
    let named = |forms: &[Form]| -> BTreeSet<String> { forms.iter().map(|form| form.name.to_owned()).collect() };
    assert_eq!(names("shaders/storage/levels"), named(&levels));
    assert_eq!(names("shaders/storage/f16"), named(&halves));
    assert_eq!(names("shaders/storage/f32"), named(&[levels, halves].concat()));
}

/// One uniform serves all kernels, and each activation is the same everywhere.
#[test]
fn every_shader_declares_the_same_parameters_and_activations_once() {
    for &shader in Shader::ALL {
        let source = shader.source(Narrow::default());
        let Parts { activations, .. } = shader.parts();
        assert_eq!(source.matches("struct Params {").count(), 1, "{}", shader.name());
        assert_eq!(source.matches("fn act").count(), activations.len(), "{}", shader.name());
    }
}
