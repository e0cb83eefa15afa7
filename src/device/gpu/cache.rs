//! Compiled pipelines in a file, where the driver gives them out and takes them back: so does Vulkan.

use super::context::lock;
use crate::device::memo;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// What it takes.
pub(super) const FEATURE: wgpu::Features = wgpu::Features::PIPELINE_CACHE;

/// A larger file is not one that was written here.
const MOST_BYTES: u64 = 64 << 20;

/// Bytes of the header that Vulkan has drivers put before their data. No pipeline is as short.
const HEADER: usize = 32;

/// Bytes of the checksum at the file's end.
const CHECKSUM: usize = size_of::<u32>();

/// The pipelines of one adapter.
#[derive(Debug)]
pub(super) struct Cache {
    file: PathBuf,
    pub(super) pipelines: wgpu::PipelineCache,
    /// Bytes of what the file holds, as far as is known.
    kept: Mutex<usize>,
}

impl Cache {
    /// Takes what `folder` holds for this adapter and version; none where the backend has no such cache.
    pub fn open(device: &wgpu::Device, adapter: &wgpu::AdapterInfo, folder: &Path) -> Option<Self> {
        if !device.features().contains(FEATURE) {
            return None;
        }
        let key = wgpu::util::pipeline_cache_key(adapter)?;
        let file = folder.join(format!("{key}_{}.bin", env!("CARGO_PKG_VERSION")));
        let kept = memo::read(&file, MOST_BYTES).and_then(unsealed).unwrap_or_default();
        let data = Some(kept.as_slice()).filter(|data| !data.is_empty());
        let descriptor = wgpu::PipelineCacheDescriptor { label: Some("pretrained"), data, fallback: true };
        Some(Self { pipelines: create(device, &descriptor), file, kept: Mutex::new(kept.len()) })
    }

    /// Writes what the driver has, unless the file has it.
    pub fn save(&self) {
        let Some(data) = self.pipelines.get_data() else { return };
        let mut kept = lock(&self.kept);
        // The same pipelines may come in another order, and SwiftShader adds a header to what it was given.
        if data.len().abs_diff(*kept) > HEADER {
            memo::write(&self.file, &sealed(&data));
            *kept = data.len();
        }
    }
}

/// What [`Cache::save`] wrote for the same driver, or nothing.
#[allow(unsafe_code)]
fn create(device: &wgpu::Device, descriptor: &wgpu::PipelineCacheDescriptor) -> wgpu::PipelineCache {
    // SAFETY: the data came from `get_data`: the checksum tells damage, and wgpu another driver or version, and starts
    // anew. As with its downloads, the program trusts the cache folder of its own user.
    unsafe { device.create_pipeline_cache(descriptor) }
}

fn sealed(data: &[u8]) -> Vec<u8> {
    [data, &crc32fast::hash(data).to_le_bytes()].concat()
}

/// The data that was sealed, if nothing has happened to it since.
fn unsealed(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    let end = bytes.len().checked_sub(CHECKSUM)?;
    let whole = bytes[end..] == crc32fast::hash(&bytes[..end]).to_le_bytes();
    bytes.truncate(end);
    whole.then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_happens_to_the_data_shows() {
        let data = b"what a driver says";
        let bytes = sealed(data);
        assert_eq!(unsealed(bytes.clone()).as_deref(), Some(&data[..]));
        for end in 0..bytes.len() {
            assert_eq!(unsealed(bytes[..end].to_vec()), None, "{end}");
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(unsealed(damaged), None, "{at}");
        }
    }
}
