//! Compiled pipelines in a file, where a driver gives them out and takes them back.

use super::objects::Owned;
use super::vulkan::Vulkan;
use crate::device::gpu::lock::lock;
use crate::file::memo;
use ash::vk;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// A larger file is not one that was written here.
const MOST_BYTES: u64 = 64 << 20;

/// Bytes of the header in which Vulkan has drivers say which driver and device the data after it is for. No pipeline is
/// as short.
const HEADER: usize = 32;

/// Bytes of the checksum at the file's end.
const CHECKSUM: usize = size_of::<u32>();

/// The pipelines of one adapter.
#[derive(Debug)]
pub(super) struct Cache {
    file: PathBuf,
    pipelines: Owned<vk::PipelineCache>,
    /// Bytes of what the file holds, as far as is known; none where it holds nothing of use.
    kept: Mutex<Option<usize>>,
}

impl Cache {
    /// Takes what `folder` holds for the adapter that `key` names and this version of the crate.
    pub fn open(vulkan: &Arc<Vulkan>, folder: &Path, key: &str) -> Option<Self> {
        let file = folder.join(format!("{key}_{}.bin", env!("CARGO_PKG_VERSION")));
        let empty = Owned::pipeline_cache(vulkan, &[]).ok()?;
        let header = empty.data().ok()?;
        let header = header.get(..HEADER)?;
        // Drivers look at the header too; not all of them bear what follows the header of another version.
        let kept = memo::read(&file, MOST_BYTES).and_then(unsealed).filter(|data| data.starts_with(header));
        let pipelines = kept.as_ref().and_then(|data| Owned::pipeline_cache(vulkan, data).ok());
        let bytes = kept.filter(|_| pipelines.is_some()).map(|data| data.len());
        Some(Self { file, pipelines: pipelines.unwrap_or(empty), kept: Mutex::new(bytes) })
    }

    pub fn raw(&self) -> vk::PipelineCache {
        self.pipelines.raw
    }

    /// Writes what the driver has, unless the file has it.
    pub fn save(&self) {
        let Ok(data) = self.pipelines.data() else { return };
        let mut kept = lock(&self.kept);
        // The same pipelines may come in another order, and SwiftShader adds a header to what it was given.
        if kept.is_none_or(|kept| data.len().abs_diff(kept) > HEADER) {
            memo::write(&self.file, &sealed(&data));
            *kept = Some(data.len());
        }
    }
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
