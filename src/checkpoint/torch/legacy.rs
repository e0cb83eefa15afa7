//! PyTorch's legacy stream: four pickles, a list of storage keys, then each storage as a count and raw elements.

use super::module::Tree;
use super::select;
use super::tensors::{self, Storage};
use crate::checkpoint::pickle::{self, Pickle, Value};
use crate::checkpoint::source::{Source, short};
use crate::checkpoint::{Format, StateDict};
use crate::error::Result;
use bytes::Bytes;
use std::collections::HashMap;

/// 0x1950a86a20f9469cfc6c in two's complement.
const MAGIC: &[u8] = &[0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const PROTOCOL: i64 = 1001;

/// Reads the checkpoint that `source` is.
pub(in crate::checkpoint) fn open(source: &Source) -> Result<StateDict> {
    let mut at = 0;
    let mut next = |what: &str| -> Result<Pickle> {
        let pickle = pickle::read(source, what, &source.bytes, at)?;
        at = pickle.end();
        Ok(pickle)
    };
    let magic = next("the magic number")?;
    if !matches!(magic.get(magic.root()), Value::Long(bytes) if bytes[..] == *MAGIC) {
        return Err(source.fault("does not begin with the magic number of PyTorch's legacy stream"));
    }
    let protocol = next("the protocol number")?;
    if protocol.int(protocol.root()) != Some(PROTOCOL) {
        let found = protocol.int(protocol.root()).map_or_else(|| protocol.kind(protocol.root()), |n| n.to_string());
        return Err(source.fault(format!("its protocol is {found}; only {PROTOCOL} is known")));
    }
    let system = next("the system's description")?;
    if let Some(little) = system.item(system.root(), "little_endian")
        && *system.get(little) != Value::Bool(true)
    {
        return Err(source.fault("was written on a big-endian machine; only little-endian checkpoints are read"));
    }
    let pickle = next("the pickled object")?;
    select::refuse(source, &pickle)?;
    let keys = next("the list of storages")?;
    let storages = storages(source, &pickle, &keys, at)?;

    let mut fetch = |storage: &Storage| {
        storages.get(storage.key).map(|(_, bytes)| bytes.clone()).ok_or_else(|| {
            source
                .fault(format!("has no storage {}, which its tensors need; the file is incomplete", short(storage.key)))
        })
    };
    select::state_dict(source, &pickle, Format::TorchLegacy, Tree::Pickled, &mut fetch)
}

/// The storages from `at` on by their keys, with what the pickle says of each.
fn storages<'p>(
    source: &Source,
    pickle: &'p Pickle,
    keys: &Pickle,
    mut at: usize,
) -> Result<HashMap<&'p str, (Storage<'p>, Bytes)>> {
    let Value::List(order) = keys.get(keys.root()) else {
        return Err(source.fault(format!("lists its storages in {}, not a list", keys.kind(keys.root()))));
    };
    let described = described(source, pickle)?;
    let mut found = HashMap::new();
    for key in order {
        let key = keys.str(*key).unwrap_or_default();
        let Some((&key, storage)) = described.get_key_value(key) else {
            return Err(source.fault(format!("lists a storage `{}` that no tensor describes", short(key))));
        };
        let fault = |reason: String| source.fault(format!("its storage {key} {reason}"));
        let cut = || fault("is cut off; was the download cut short?".into());
        let count = source.bytes.get(at..).and_then(|rest| rest.first_chunk()).ok_or_else(cut)?;
        let count = i64::from_le_bytes(*count);
        if usize::try_from(count).ok() != Some(storage.count) {
            return Err(fault(format!(
                "has {count} elements where {} were announced; the file is damaged",
                storage.count
            )));
        }
        let start = at + 8;
        let end = storage.count.checked_mul(storage.elements.size()).and_then(|len| start.checked_add(len));
        let end = end.filter(|&end| end <= source.bytes.len()).ok_or_else(cut)?;
        at = end;
        if found.insert(key, (storage.clone(), source.bytes.slice(start..end))).is_some() {
            return Err(fault("is listed twice".into()));
        }
    }
    Ok(found)
}

/// Every storage that the pickle mentions, by key, whatever mentions it. Those that mention one must agree on it.
fn described<'p>(source: &Source, pickle: &'p Pickle) -> Result<HashMap<&'p str, Storage<'p>>> {
    let mut described: HashMap<&str, Storage> = HashMap::new();
    for value in pickle.values() {
        let Value::Persistent(parts) = value else { continue };
        // Classes that come with their source text lie outside the pickle too.
        if !tensors::is_storage(pickle, *parts) {
            continue;
        }
        let storage = tensors::storage_of(pickle, *parts)
            .map_err(|fault| source.fault(format!("a tensor: {}", fault.reason())))?;
        let storage = Storage { window: None, ..storage };
        if let Some(before) = described.insert(storage.key, storage.clone())
            && before != storage
        {
            return Err(source.fault(format!("two tensors disagree on what storage {} holds", short(storage.key))));
        }
    }
    Ok(described)
}
