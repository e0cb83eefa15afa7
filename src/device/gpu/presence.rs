//! Whether there can be a GPU at all, told without loading a driver.

/// Whether to look for hardware among the adapters.
///
/// Looking loads every Vulkan driver, software ones too: with lavapipe 30 ms and 50 MB, more than the rest of a short
/// run. No driver reaches hardware but through a file in /dev.
#[cfg(target_os = "linux")]
pub(in crate::device) fn possible() -> bool {
    linux::shows_in(std::path::Path::new("/dev"))
}

/// Whether to look for hardware among the adapters. Here that is part of the system, and cheap.
#[cfg(not(target_os = "linux"))]
pub(in crate::device) fn possible() -> bool {
    true
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io::ErrorKind;
    use std::path::Path;

    /// How the kernel's files for GPUs are called: NVIDIA, NVIDIA's Tegra, WSL, Adreno, Mali, PowerVR.
    const NAMES: [&str; 7] = ["nvidia", "nvgpu", "nvhost", "dxg", "kgsl", "mali", "pvr"];

    /// Whether a folder like /dev has a file of a GPU: one of those, or a render node of DRM (AMD, Intel, Mesa's drivers).
    pub fn shows_in(dev: &Path) -> bool {
        any(dev, &NAMES) || any(&dev.join("dri"), &["renderD"])
    }

    fn any(folder: &Path, prefixes: &[&str]) -> bool {
        match folder.read_dir() {
            Ok(entries) => entries.flatten().any(|entry| {
                let name = entry.file_name();
                prefixes.iter().any(|prefix| name.to_string_lossy().starts_with(prefix))
            }),
            // A folder that may not be listed proves nothing.
            Err(error) => error.kind() != ErrorKind::NotFound,
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use std::fs;

        #[test]
        fn a_gpu_shows_as_a_file_of_its_driver() {
            let dev = tempfile::tempdir().unwrap();
            let file = |name: &str| fs::write(dev.path().join(name), "").unwrap();
            // A display without a renderer, as servers have for their consoles.
            fs::create_dir(dev.path().join("dri")).unwrap();
            ["null", "fb0", "dri/card0", "nvme0n1"].into_iter().for_each(file);
            assert!(!shows_in(dev.path()));
            for name in ["nvidiactl", "dxg", "kgsl-3d0", "mali0", "dri/renderD128"] {
                file(name);
                assert!(shows_in(dev.path()), "{name}");
                fs::remove_file(dev.path().join(name)).unwrap();
            }
            assert!(!shows_in(dev.path()));
        }

        #[test]
        fn what_cannot_be_listed_may_hide_a_gpu() {
            let dev = tempfile::tempdir().unwrap();
            assert!(!shows_in(&dev.path().join("absent")));
            fs::write(dev.path().join("dri"), "").unwrap();
            assert!(shows_in(dev.path()));
        }
    }
}
