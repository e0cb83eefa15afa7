//! Reads safetensors that are split over several files, which one `*.index.json` lists.

use super::beside::locate;
use super::source::{Opening, short};
use super::{Format, Limits, StateDict, safetensors};
use crate::error::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// `{"metadata": {...}, "weight_map": {"name": "file"}}`, as Hugging Face libraries write it.
#[derive(serde::Deserialize)]
struct Index {
    #[serde(default)]
    metadata: BTreeMap<String, serde_json::Value>,
    weight_map: BTreeMap<String, String>,
}

/// The one index in the folder at `path`, if any.
pub(super) fn index(path: &Path) -> Result<Option<PathBuf>> {
    let io = |e| Error::io(path, e);
    let mut index: Option<PathBuf> = None;
    for entry in std::fs::read_dir(path).map_err(io)? {
        let file = entry.map_err(io)?.path();
        if !file.file_name().unwrap_or_default().to_string_lossy().ends_with(".index.json") {
            continue;
        }
        if let Some(other) = &index {
            return Err(Error::checkpoint(
                path,
                format!("holds several indexes, {} and {}; give one of them", other.display(), file.display()),
            ));
        }
        index = Some(file);
    }
    Ok(index)
}

/// Reads the checkpoint whose index is `opening`.
pub(super) fn open_index(opening: Opening, limits: &Limits) -> Result<StateDict> {
    let path = opening.path;
    if opening.len() > limits.header_bytes {
        return Err(Error::Limit {
            path: path.to_owned(),
            what: "the index's size in bytes (Limits::header_bytes)".into(),
            found: opening.len(),
            limit: limits.header_bytes,
        });
    }
    let index = opening.load()?;
    let index: Index = serde_json::from_slice(&index.bytes).map_err(|error| {
        Error::checkpoint(path, format!("is JSON, but no index of sharded safetensors with a weight_map: {error}"))
    })?;
    let mut shards: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, file) in &index.weight_map {
        shards.entry(file).or_default().insert(name);
    }

    let mut dict = StateDict::of(Format::ShardedSafetensors, path);
    for (key, value) in &index.metadata {
        dict.describe(key, value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    let mut left = limits.clone();
    for (file, names) in shards {
        let shard_path = locate(path, "shard", file)?;
        let source = Opening::new(&shard_path, &left)?.load()?;
        let shard = safetensors::open(&source)?;
        left.file_bytes = left.file_bytes.saturating_sub(source.bytes.len() as u64);
        if let Some(missing) = names.iter().find(|name| !shard.contains(name)) {
            return Err(Error::checkpoint(
                path,
                format!("its weight_map puts `{}` into {file}, which has no such tensor", short(missing)),
            ));
        }
        let unlisted = shard.names().filter(|name| !names.contains(name)).count();
        if unlisted > 0 {
            dict.note(format!("left out {unlisted} tensors of {file} that the index does not list there"));
        }
        for (name, tensor) in shard.iter().filter(|(name, _)| names.contains(name)) {
            dict.insert(name, tensor.clone());
        }
        for (key, value) in shard.metadata() {
            dict.describe(key, value);
        }
    }
    Ok(dict)
}
