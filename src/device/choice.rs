//! Which device is meant: `auto`, `fastest`, `cpu`, `gpu`, an index, or part of a name.

use super::gpu::{Adapter, adapters, possible};
use super::info::{DeviceInfo, DeviceKind};
use super::{CpuOptions, Device};
use crate::error::{Error, Result};
use std::convert::Infallible;
use std::str::FromStr;

/// The name of the device that needs no driver.
pub(super) const CPU: &str = "cpu";

/// Which device to open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum DeviceChoice {
    /// A discrete GPU, else an integrated one, else the CPU. Software adapters are passed over.
    #[default]
    Auto,
    /// The GPU that [`Gpu`](Self::Gpu) means or the CPU, whichever runs the model faster: see [`Device::fastest`].
    Fastest,
    /// The CPU.
    Cpu,
    /// A discrete GPU, else an integrated one, else an error.
    Gpu,
    /// The device at this place of [`Device::list`].
    Index(usize),
    /// The first device whose name contains this, whatever its case. The only way to a software adapter.
    Named(String),
}

impl FromStr for DeviceChoice {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "auto" => Self::Auto,
            "fastest" => Self::Fastest,
            CPU => Self::Cpu,
            "gpu" => Self::Gpu,
            other => other.parse().map_or_else(|_| Self::Named(text.to_owned()), Self::Index),
        })
    }
}

fn cpu_info() -> DeviceInfo {
    DeviceInfo { name: CPU.to_owned(), kind: DeviceKind::Cpu, driver: String::new() }
}

/// See [`Device::list`].
pub(super) async fn list() -> Vec<DeviceInfo> {
    let adapters = adapters().await;
    adapters.iter().map(|adapter| adapter.info.clone()).chain([cpu_info()]).collect()
}

/// See [`Device::request`].
pub(super) async fn open(choice: &DeviceChoice, cpu: CpuOptions) -> Result<Device> {
    let wanted = wanted();
    let found = match choice {
        DeviceChoice::Cpu | DeviceChoice::Fastest => Vec::new(),
        DeviceChoice::Auto if wanted.is_none() && !possible() => Vec::new(),
        _ => adapters().await,
    };
    let kinds: Vec<&DeviceInfo> = found.iter().map(|adapter| &adapter.info).collect();
    match pick(choice, wanted.as_deref(), &kinds)? {
        Some(index) => found[index].open().await,
        None => Device::cpu_for(cpu),
    }
}

/// The adapter that `gpu` means, if there is one.
pub(super) async fn best_gpu() -> Option<Adapter> {
    let wanted = wanted();
    if wanted.is_none() && !possible() {
        return None;
    }
    let mut found = adapters().await;
    let kinds: Vec<&DeviceInfo> = found.iter().map(|adapter| &adapter.info).collect();
    let index = pick(&DeviceChoice::Gpu, wanted.as_deref(), &kinds).ok()??;
    Some(found.swap_remove(index))
}

/// Part of an adapter's name, from the environment.
fn wanted() -> Option<String> {
    std::env::var("WGPU_ADAPTER_NAME").ok().filter(|name| !name.is_empty())
}

/// The index of the adapter that is meant; none for the CPU. `wanted` is part of an adapter's name from the
/// environment, which decides wherever the choice leaves it open.
fn pick(choice: &DeviceChoice, wanted: Option<&str>, adapters: &[&DeviceInfo]) -> Result<Option<usize>> {
    let named = |part: &str| {
        let part = part.trim().to_lowercase();
        // Nothing is part of every name, and asks for none.
        adapters.iter().position(|adapter| !part.is_empty() && adapter.name.to_lowercase().contains(&part))
    };
    let hardware = || {
        let real = adapters.iter().enumerate().filter(|(_, adapter)| adapter.kind < DeviceKind::Software);
        real.min_by_key(|(_, adapter)| adapter.kind).map(|(i, _)| i)
    };
    let (found, asked) = match (choice, wanted) {
        (DeviceChoice::Cpu, _) => return Ok(None),
        (DeviceChoice::Fastest, _) => {
            let reason = "which device is fastest depends on a model, and none is given here; choose auto, or a device";
            return Err(Error::Usage(reason.into()));
        }
        (DeviceChoice::Auto | DeviceChoice::Gpu, Some(name)) => {
            (named(name), format!("no adapter is called `{name}`, as WGPU_ADAPTER_NAME asks"))
        }
        (DeviceChoice::Auto, None) => return Ok(hardware()),
        (DeviceChoice::Gpu, None) => {
            (hardware(), "there is no GPU; a software adapter must be asked for by name".into())
        }
        (DeviceChoice::Index(index), _) if *index == adapters.len() => return Ok(None),
        (DeviceChoice::Index(index), _) => {
            (Some(*index).filter(|i| *i < adapters.len()), format!("there is no device {index}"))
        }
        (DeviceChoice::Named(name), _) => (named(name), format!("no device is called `{name}`")),
    };
    match found {
        Some(index) => Ok(Some(index)),
        None => {
            let cpu = cpu_info();
            let all = adapters.iter().copied().chain([&cpu]).enumerate();
            let list: String = all.map(|(i, info)| format!("\n  {i}: {info}")).collect();
            Err(Error::absent(format!("{asked}. Found:{list}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Vec<DeviceInfo> {
        let info = |name: &str, kind| DeviceInfo { name: name.into(), kind, driver: String::new() };
        vec![
            info("llvmpipe (Vulkan)", DeviceKind::Software),
            info("UHD 770 (Vulkan)", DeviceKind::Integrated),
            info("RTX 4090 (Vulkan)", DeviceKind::Discrete),
        ]
    }

    fn picked(choice: &str, wanted: Option<&str>, adapters: &[DeviceInfo]) -> Result<Option<usize>> {
        let Ok(choice) = choice.parse();
        pick(&choice, wanted, &adapters.iter().collect::<Vec<_>>())
    }

    #[test]
    fn auto_and_gpu_prefer_discrete_then_integrated() {
        let all = machine();
        assert_eq!(picked("auto", None, &all).unwrap(), Some(2));
        assert_eq!(picked("gpu", None, &all).unwrap(), Some(2));
        assert_eq!(picked("auto", None, &all[..2]).unwrap(), Some(1));
    }

    #[test]
    fn software_adapters_must_be_named() {
        let software = &machine()[..1];
        assert_eq!(picked("auto", None, software).unwrap(), None);
        let error = picked("gpu", None, software).unwrap_err().to_string();
        assert!(error.contains("0: llvmpipe (Vulkan) [software GPU]") && error.contains("1: cpu"), "{error}");
        assert_eq!(picked("LLVM", None, software).unwrap(), Some(0));
        assert_eq!(picked("auto", Some("llvm"), software).unwrap(), Some(0));
    }

    #[test]
    fn the_fastest_is_not_told_without_a_model() {
        assert!(picked("fastest", None, &machine()).unwrap_err().to_string().contains("depends on a model"));
    }

    #[test]
    fn an_index_counts_the_cpu_last() {
        let all = machine();
        assert_eq!(picked("0", None, &all).unwrap(), Some(0));
        assert_eq!(picked("3", None, &all).unwrap(), None);
        assert!(picked("4", None, &all).unwrap_err().to_string().starts_with("there is no device 4"));
    }

    #[test]
    fn an_empty_name_is_no_device() {
        for empty in ["", " ", "\t"] {
            let error = picked(empty, None, &machine()).unwrap_err().to_string();
            assert!(error.starts_with("no device is called") && error.contains("3: cpu"), "{error}");
        }
    }

    #[test]
    fn an_unknown_name_lists_what_was_found() {
        let error = picked("radeon", None, &machine()).unwrap_err().to_string();
        assert!(error.starts_with("no device is called `radeon`. Found:\n  0: llvmpipe"), "{error}");
    }
}
