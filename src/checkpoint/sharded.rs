//! Reads checkpoints that are split over several files, which one `*.index.json` lists.

use super::source::{Opening, Source, short};
use super::{Format, StateDict, reparametrised, sniff};
use crate::error::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// `{"metadata": {...}, "weight_map": {"name": "file"}}`, as Hugging Face libraries write it.
#[derive(serde::Deserialize)]
struct Index {
    #[serde(default)]
    metadata: BTreeMap<String, serde_json::Value>,
    weight_map: BTreeMap<String, String>,
}

/// Reads the checkpoint whose index is `opening`.
pub(super) fn open_index(opening: Opening) -> Result<StateDict> {
    let (path, limits, enclosure) = (opening.path, opening.limits, opening.enclosure.clone());
    if opening.len() > limits.header_bytes {
        return Err(Error::Limit {
            path: path.to_owned(),
            what: "the index's size in bytes (Limits::header_bytes)".into(),
            found: opening.len(),
            limit: limits.header_bytes,
        });
    }
    let listing = opening.load()?.bytes;
    let index: Index = serde_json::from_slice(&listing).map_err(|error| {
        let reason = "is JSON, but not the index of a sharded checkpoint, which has a weight_map";
        Error::checkpoint(path, format!("{reason} ({}); give the file of weights itself", short(&error.to_string())))
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
        let found = enclosure
            .named(file)
            .map_err(|astray| Error::checkpoint(path, format!("its shard `{}` {}", short(file), astray.reason())))?;
        let opening = Opening::found(found.path(), &found, enclosure.clone(), &left)?;
        let format = format(found.path(), &opening.head)?;
        if format != Format::Safetensors {
            dict.set_format(Format::ShardedTorch);
        }
        let source = opening.load()?;
        let shard = super::decode(format, &source)?;
        let (bytes, expanded) = (source.bytes.len() as u64, source.expanded());
        left.file_bytes = left.file_bytes.saturating_sub(bytes);
        left.expanded_bytes = left.expanded_bytes.saturating_sub(expanded.saturating_sub(bytes));
        for (name, reason) in shard.left_out() {
            dict.leave_out(name, reason);
        }
        let is_there = |name: &str| shard.contains(name) || shard.left_out().contains_key(name);
        if let Some(missing) = names.iter().find(|name| !is_there(name)) {
            return Err(Error::checkpoint(
                path,
                format!("its weight_map puts `{}` into {}, which has no such tensor", short(missing), short(file)),
            ));
        }
        let unlisted = shard.names().filter(|name| !names.contains(name)).count();
        if unlisted > 0 {
            dict.note(format!("left out {unlisted} tensors of {} that the index does not list there", short(file)));
        }
        for (name, tensor) in shard.iter().filter(|(name, _)| names.contains(name)) {
            dict.insert(name, tensor.clone());
        }
        for (key, value) in shard.metadata() {
            dict.describe(key, value);
        }
        shard.notes().iter().for_each(|note| dict.note(format!("{}: {note}", short(file))));
    }
    // What belongs together may lie in two shards.
    reparametrised::fold(&Source::new(path, listing, &left), &mut dict)?;
    Ok(dict)
}

/// The format of the shard at `path`.
fn format(path: &Path, head: &[u8]) -> Result<Format> {
    match sniff::file(path, head)? {
        format @ (Format::Safetensors | Format::TorchZip | Format::TorchLegacy) => Ok(format),
        other => {
            Err(Error::foreign(path, format!("is a shard and should be safetensors or PyTorch's; it is: {other}")))
        }
    }
}
