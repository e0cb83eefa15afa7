//! Whether there can be a GPU at all, told without loading a driver.

/// How files and folders in /dev are called that the kernel makes for GPUs: NVIDIA, NVIDIA's Tegra, WSL, Adreno, Mali,
/// PowerVR. What goes through the kernel's own DRM (AMD, Intel, Mesa's drivers) has a render node in /dev/dri.
#[cfg(target_os = "linux")]
const NAMES: [&str; 7] = ["nvidia", "nvgpu", "nvhost", "dxg", "kgsl", "mali", "pvr"];

/// Whether to look for hardware among the adapters.
///
/// Looking loads every Vulkan driver, software ones too: with lavapipe 30 ms and 50 MB, more than the rest of a short
/// run. No driver reaches hardware but through a file in /dev.
#[cfg(target_os = "linux")]
pub(in crate::device) fn possible() -> bool {
    use std::path::Path;
    let any = |folder: &str, prefixes: &[&str]| {
        // A folder that cannot be listed proves nothing, unless it is not there.
        let Ok(entries) = Path::new(folder).read_dir() else { return Path::new(folder).exists() };
        let mut names = entries.flatten().map(|entry| entry.file_name());
        names.any(|name| prefixes.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)))
    };
    any("/dev", &NAMES) || any("/dev/dri", &["renderD"])
}

/// Whether to look for hardware among the adapters. Here that is part of the system, and cheap.
#[cfg(not(target_os = "linux"))]
pub(in crate::device) fn possible() -> bool {
    true
}
