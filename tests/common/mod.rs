//! What tests share: where ../shared is, which devices to run on, and how logits are compared.
#![allow(dead_code)]

use pretrained::{CpuOptions, Device, DeviceChoice, DeviceKind, InstructionSet, StateDict};
use std::io::Write;
use std::path::PathBuf;

/// Whether `PRETRAINED_REQUIRE`, a comma-separated list, contains `what`.
pub fn required(what: &str) -> bool {
    std::env::var("PRETRAINED_REQUIRE").is_ok_and(|list| list.split(',').any(|item| item.trim() == what))
}

/// Says that a test skips. Not by `eprintln`, which the test runner swallows.
pub fn skipped(why: &str) {
    let thread = std::thread::current();
    let _ = writeln!(std::io::stderr(), "skipped: {} {why}", thread.name().unwrap_or("a test"));
}

/// The folder of fixtures, or none, and a visible line, where it is absent and not required.
pub fn shared() -> Option<PathBuf> {
    let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared"));
    let folder = std::env::var_os("PRETRAINED_SHARED").map_or_else(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(!required("shared"), "{} is absent, and PRETRAINED_REQUIRE asks for it", folder.display());
    skipped(&format!("needs the fixtures in {}", folder.display()));
    None
}

/// The folder of checkpoints that `PRETRAINED_CASES` names, or none, and a visible line, where it names none and none is
/// required.
pub fn cases() -> Option<PathBuf> {
    let folder = std::env::var_os("PRETRAINED_CASES").map(PathBuf::from).filter(|folder| folder.is_dir());
    if folder.is_none() {
        assert!(
            !required("cases"),
            "PRETRAINED_CASES names no folder, and PRETRAINED_REQUIRE asks for its checkpoints"
        );
        skipped("needs the checkpoints of ../shared/cases/checkpoints/make.sh in the folder PRETRAINED_CASES");
    }
    folder
}

/// Every adapter, or those that `PRETRAINED_ADAPTERS`, a comma-separated list of parts of names, asks for.
pub fn gpus() -> Vec<Device> {
    let all = Device::list();
    let names: Vec<String> = match std::env::var("PRETRAINED_ADAPTERS") {
        Ok(list) => list.split(',').map(|name| name.trim().to_owned()).collect(),
        Err(_) => all.iter().filter(|info| info.kind != DeviceKind::Cpu).map(|info| info.name.clone()).collect(),
    };
    if names.is_empty() {
        assert!(!required("gpu"), "there is no adapter, and PRETRAINED_REQUIRE asks for one");
        skipped("on no GPU: needs one, or a software adapter such as lavapipe");
    }
    names.into_iter().map(|name| Device::open(&DeviceChoice::Named(name)).unwrap()).collect()
}

/// Whether wgpu encodes each run's commands on Vulkan too.
pub fn encoded() -> bool {
    std::env::var("PRETRAINED_COMMANDS").is_ok_and(|how| how == "encoded")
}

/// The CPU with each instruction set that this machine has.
pub fn cpus() -> Vec<Device> {
    let with = |set| Device::cpu_with(CpuOptions { instruction_set: Some(set), ..CpuOptions::default() }).unwrap();
    InstructionSet::available().into_iter().map(with).collect()
}

/// The GPUs and the CPUs.
pub fn devices() -> Vec<Device> {
    gpus().into_iter().chain(cpus()).collect()
}

/// The values of one tensor.
pub fn values(state: &StateDict, name: &str) -> Vec<f32> {
    state.get(name).unwrap_or_else(|| panic!("the fixture lacks {name}")).to_f32_vec()
}

/// The largest absolute difference as a share of the largest absolute value expected.
pub fn relative_error(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    assert!(found.iter().all(|v| v.is_finite()), "a result is not finite");
    let largest = expected.iter().fold(0f32, |a, v| a.max(v.abs()));
    let error = found.iter().zip(expected).fold(0f32, |a, (x, y)| a.max((x - y).abs()));
    error / largest.max(f32::MIN_POSITIVE)
}
