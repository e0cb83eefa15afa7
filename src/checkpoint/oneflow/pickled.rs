//! What `oneflow.save` writes: a pickle whose tensors are folders beside it or, since 0.9, NumPy arrays within it.

use super::folder::Folder;
use crate::checkpoint::pickle::{self, Id, Pickle, Value};
use crate::checkpoint::source::{Source, short};
use crate::checkpoint::{Format, Limits, StateDict, numpy};
use crate::error::{Error, Result};
use crate::file::directory::Directory;
use crate::file::enclosure::Enclosure;
use crate::tensor::Tensor;
use std::collections::HashMap;

/// Keys under which training programs keep the model, in the order of preference.
const KEYS: [&str; 4] = ["model", "state_dict", "model_state_dict", "net"];

/// The only version of the layout that there is.
const PROTOCOL: i64 = 1;

/// Longest name and longest text among the metadata; nothing honest comes near.
const MAX_TEXT_BYTES: usize = 4096;

/// Where a tensor comes from, given its state and what errors call it.
type Fetch<'f> = dyn FnMut(&Pickle, Id, &str) -> Result<Tensor> + 'f;

/// Reads `directory`: `pickled_data`, and for each tensor a folder that it names.
pub(in crate::checkpoint) fn open_folder(
    directory: &Directory,
    enclosure: Enclosure,
    limits: &Limits,
) -> Result<StateDict> {
    let path = directory.path();
    let mut folder = Folder::new(directory, enclosure, limits);
    let file = folder.locate("", "pickled_data")?;
    let file = file.ok_or_else(|| folder.fault("its file pickled_data is missing"))?;
    let bytes = folder.read(&file, |_| Ok(()))?;
    let source = Source::new(file.path(), bytes, limits);
    let mut fetch = |pickle: &Pickle, state: Id, name: &str| {
        let at = pickle.item(state, "path").and_then(|id| pickle.str(id));
        let fault = |reason: &str| Error::checkpoint(path, format!("parameter `{}`: {reason}", short(name)));
        let at = at.ok_or_else(|| fault("its state names no path to its values"))?;
        let meta = folder.meta(at, name)?;
        let meta = meta.ok_or_else(|| fault(&format!("{}/meta is missing; copy the whole folder again", short(at))))?;
        folder.tensor(at, name, meta.dtype, Some(&meta.shape))
    };
    state_dict(&source, StateDict::of(Format::OneFlowPickledData, path), &mut fetch)
}

/// Reads the file that `source` is, whose tensors are NumPy arrays.
pub(in crate::checkpoint) fn open_file(source: &Source) -> Result<StateDict> {
    let mut fetch = |pickle: &Pickle, state: Id, name: &str| {
        let fault = |reason: String| source.fault(format!("parameter `{}`: {reason}", short(name)));
        let data = pickle.item(state, "data").ok_or_else(|| fault("its state holds no data".into()))?;
        numpy::array(pickle, data).map_err(fault)
    };
    state_dict(source, StateDict::of(Format::OneFlowSingleFile, source.path), &mut fetch)
}

/// Fills `dict` from the pickle that `source` is.
fn state_dict(source: &Source, mut dict: StateDict, fetch: &mut Fetch) -> Result<StateDict> {
    let pickle = pickle::read(source, "the pickle", &source.bytes, 0)?;
    if let Some(reason) = pickle.harm().reason() {
        return Err(source.fault(reason));
    }
    let root = content(source, &pickle)?;
    let chosen = choose(source, &pickle, root, &mut dict)?;
    let mut left_out = Vec::new();
    for &(key, value) in pickle.dict(chosen).unwrap_or_default() {
        let name = name(source, &pickle, key)?;
        if let Some(state) = tensor_state(&pickle, value) {
            let tensor = fetch(&pickle, state, name)?;
            // A pickle can mention one tensor a million times, each time under a name of its own.
            let bytes = 128 + name.len() as u64 + 8 * tensor.shape().len() as u64;
            source.expand(|| format!("parameter `{}`", short(name)), bytes)?;
            dict.insert(name, tensor);
        } else {
            describe(source, &pickle, name, value, &mut dict, &mut left_out)?;
        }
    }
    if chosen != root {
        for &(key, value) in pickle.dict(root).unwrap_or_default().iter().filter(|(_, value)| *value != chosen) {
            describe(source, &pickle, name(source, &pickle, key)?, value, &mut dict, &mut left_out)?;
        }
    }
    if !left_out.is_empty() {
        dict.note(format!("left out: {}", left_out.join(", ")));
    }
    Ok(dict)
}

/// What was given to `oneflow.save`: under `data` beside a version, or in the first releases the pickle's whole.
fn content(source: &Source, pickle: &Pickle) -> Result<Id> {
    let root = pickle.root();
    let (Some(version), Some(data)) = (pickle.item(root, "protocol_version"), pickle.item(root, "data")) else {
        return Ok(root);
    };
    match pickle.int(version) {
        Some(PROTOCOL) => Ok(data),
        Some(other) => Err(source.fault(format!("its protocol_version is {other}; only {PROTOCOL} is known"))),
        None => Err(source.fault(format!("its protocol_version is {}; expected {PROTOCOL}", pickle.kind(version)))),
    }
}

/// The state of the tensor at `id`, where there is one.
fn tensor_state(pickle: &Pickle, id: Id) -> Option<Id> {
    let Value::Object { class, state: Some(state), .. } = pickle.get(id) else { return None };
    let (module, name) = pickle.global(*class)?;
    (module.starts_with("oneflow") && matches!(name, "Tensor" | "Parameter")).then_some(*state)
}

/// The dict that holds the parameters: `root`, one of [`KEYS`] in it, or the only one in it with tensors.
fn choose(source: &Source, pickle: &Pickle, root: Id, dict: &mut StateDict) -> Result<Id> {
    let Some(items) = pickle.dict(root) else {
        return Err(source.fault(format!(
            "holds {}, not a state dict; save one: oneflow.save(model.state_dict(), path)",
            pickle.kind(root)
        )));
    };
    // Each place looked at once: a pickle can mention one large dict a million times.
    let mut looked: HashMap<Id, bool> = HashMap::new();
    let mut has_tensors = |id: Id| {
        let any = || pickle.dict(id).unwrap_or_default().iter().any(|(_, v)| tensor_state(pickle, *v).is_some());
        *looked.entry(id).or_insert_with(any)
    };
    let text = |id: Id| pickle.str(id).map_or_else(|| pickle.kind(id), |text| format!("`{}`", short(text)));
    for key in KEYS {
        if let Some(id) = pickle.item(root, key).filter(|id| has_tensors(*id)) {
            dict.note(format!("read from the key `{key}`"));
            return Ok(id);
        }
    }
    if has_tensors(root) {
        return Ok(root);
    }
    let below: Vec<(Id, Id)> = items.iter().copied().filter(|(_, id)| has_tensors(*id)).collect();
    let keys = |items: &[(Id, Id)]| items.iter().take(12).map(|(key, _)| text(*key)).collect::<Vec<_>>().join(", ");
    match below[..] {
        [(key, id)] => {
            dict.note(format!("read from the key {}", text(key)));
            Ok(id)
        }
        [] => Err(source.fault(format!(
            "holds no tensors, at the top or one level below; its keys are {}",
            if items.is_empty() { "none".into() } else { keys(items) }
        ))),
        _ => Err(source.fault(format!(
            "holds several dicts of tensors ({}) and none under one of {KEYS:?}; save the one that is meant",
            keys(&below)
        ))),
    }
}

fn name<'p>(source: &Source, pickle: &'p Pickle, key: Id) -> Result<&'p str> {
    match pickle.get(key) {
        Value::Str(text) if text.len() <= MAX_TEXT_BYTES => Ok(text),
        Value::Str(text) => Err(source.over("the length of a name in bytes", text.len() as u64, MAX_TEXT_BYTES as u64)),
        _ => Err(source.fault(format!("has {} where a parameter's name should be", pickle.kind(key)))),
    }
}

/// Puts a number or short text among the metadata of `dict`, and anything else among what was left out.
fn describe(
    source: &Source,
    pickle: &Pickle,
    name: &str,
    value: Id,
    dict: &mut StateDict,
    left_out: &mut Vec<String>,
) -> Result<()> {
    const SHOWN: usize = 8;
    let text = match pickle.get(value) {
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => format!("{value:?}"),
        Value::Str(text) if text.len() <= MAX_TEXT_BYTES => text.clone(),
        _ => {
            if left_out.len() < SHOWN {
                left_out.push(format!("`{}` ({})", short(name), pickle.kind(value)));
            }
            return Ok(());
        }
    };
    source.expand(|| format!("`{}`", short(name)), 128 + (name.len() + text.len()) as u64)?;
    dict.describe(name, text);
    Ok(())
}
