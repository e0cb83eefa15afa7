//! Finds the state dict within what was pickled, and says what else there was.

use super::module::{self, Tree};
use super::optimizer;
use super::tensors::{self, Fetch, is_tensor};
use crate::checkpoint::pickle::{Id, Pickle, Value};
use crate::checkpoint::source::{Source, short};
use crate::checkpoint::{Format, StateDict};
use crate::error::{Error, Result};
use std::collections::HashMap;

/// Keys under which training checkpoints keep the model, in the order of preference.
const KEYS: [&str; 4] = ["state_dict", "model_state_dict", "model", "net"];

/// Longest parameter name; nothing honest comes near.
pub(super) const MAX_NAME_BYTES: usize = 4096;

/// Refuses names outside the closed list. To be asked before storages are looked at.
///
/// A module may mention anything, such as the function that it applies: a name is not looked up and harms nobody. What
/// would be called is refused there too, because its result is not known and might have been a parameter.
pub(super) fn refuse(source: &Source, pickle: &Pickle, tree: Tree) -> Result<()> {
    let root = pickle.root();
    // The first few only: many objects can share one large state, and each look passes over all of it.
    let mut below = pickle.dict(root).unwrap_or_default().iter().map(|(_, value)| *value).take(64);
    let is_module = |id| module::class(pickle, id, tree).is_some();
    let refused = if is_module(root) || below.any(is_module) { pickle.called() } else { pickle.refused() };
    if refused.is_empty() {
        return Ok(());
    }
    Err(source.fault(format!(
        "refused {}: a checkpoint may only hold tensors, numbers, strings and containers; save the state_dict alone: \
         torch.save(model.state_dict(), path)",
        refused.list()
    )))
}

/// Makes the state dict that `pickle` holds, with bytes from `fetch`.
pub(super) fn state_dict(
    source: &Source,
    pickle: &Pickle,
    format: Format,
    tree: Tree,
    fetch: &mut Fetch,
) -> Result<StateDict> {
    let root = pickle.root();
    let mut dict = StateDict::of(format, source.path);
    let chosen = choose(source, pickle, tree, &mut dict)?;
    if let Some(class) = module::class(pickle, chosen, tree) {
        dict.note(format!("named the parameters as the modules within {class} hold them; its code was not run"));
        module::read(source, pickle, chosen, tree, &mut dict, fetch)?;
        if dict.is_empty() {
            return Err(source.fault(format!(
                "holds a module of class {class} without parameters; was it frozen? Save the module before that"
            )));
        }
    } else {
        flat(source, pickle, chosen, &mut dict, fetch)?;
    }
    if chosen != root {
        let optimizer = optimizer::read(source, pickle, root, &mut dict, fetch)?;
        let mut ignored = Left::default();
        let others = pickle.dict(root).unwrap_or_default().iter();
        for &(key, value) in others.filter(|(_, value)| *value != chosen && Some(*value) != optimizer) {
            let name = name(source, pickle, key)?;
            match tensors::scalar(source, pickle, value, &name, fetch) {
                Some(text) => dict.describe(name, text),
                None => ignored.add(pickle, &name, value),
            }
        }
        ignored.note(&mut dict, "left out");
    }
    Ok(dict)
}

/// Puts the tensors of the dict at `chosen` into `dict`.
fn flat(source: &Source, pickle: &Pickle, chosen: Id, dict: &mut StateDict, fetch: &mut Fetch) -> Result<()> {
    let mut skipped = Left::default();
    for &(key, value) in pickle.dict(chosen).unwrap_or_default() {
        let name = name(source, pickle, key)?;
        if is_tensor(pickle, value) {
            let tensor = tensors::tensor(source, pickle, value, &name, fetch)?;
            dict.insert(name, tensor);
        } else if let Some(text) = tensors::scalar(source, pickle, value, &name, fetch) {
            dict.describe(name, text);
        } else {
            skipped.add(pickle, &name, value);
        }
    }
    skipped.note(dict, "left out what is no tensor");
    Ok(())
}

/// The place of the dict or module that holds the parameters.
fn choose(source: &Source, pickle: &Pickle, tree: Tree, dict: &mut StateDict) -> Result<Id> {
    let root = pickle.root();
    if module::class(pickle, root, tree).is_some() {
        return Ok(root);
    }
    let Some(items) = pickle.dict(root) else {
        let what = if is_tensor(pickle, root) { "a single tensor".into() } else { pickle.kind(root) };
        return Err(
            source.fault(format!("holds {what}, not a state dict; save one: torch.save(model.state_dict(), path)"))
        );
    };
    // Each place counted once: a pickle can mention one large dict a million times.
    let mut counted: HashMap<Id, usize> = HashMap::new();
    let mut tensors = |id: Id| {
        let count = || match module::class(pickle, id, tree) {
            // How many a module holds shows only when it is walked; it goes before any loose tensors.
            Some(_) => usize::MAX,
            None => pickle.dict(id).unwrap_or_default().iter().filter(|(_, value)| is_tensor(pickle, *value)).count(),
        };
        *counted.entry(id).or_insert_with(count)
    };
    let under: Vec<(&str, Id)> = KEYS.iter().filter_map(|key| Some((*key, pickle.item(root, key)?))).collect();
    let under: Vec<(&str, Id)> = under.into_iter().filter(|(_, id)| tensors(*id) > 0).collect();
    if let Some(((key, id), others)) = under.split_first() {
        let others: Vec<String> = others.iter().map(|(key, _)| format!("`{key}`")).collect();
        dict.note(match others.is_empty() {
            true => format!("read from the key `{key}`"),
            false => format!("read from the key `{key}`, which goes before {}, also there", others.join(", ")),
        });
        return Ok(*id);
    }
    // Not the usual keys: the one dict of tensors that there is. Optimizers keep theirs one level deeper. Tensors at
    // the top may be no parameters but numbers, such as a loss, so they count only where they are more.
    let at_top = tensors(root);
    let below: Vec<(Id, Id)> = items.iter().copied().filter(|(_, id)| *id != root && tensors(*id) > at_top).collect();
    match below[..] {
        [(key, id)] => {
            dict.note(format!("read from the key {}", names(pickle, &[(key, id)])));
            Ok(id)
        }
        _ if at_top > 0 => Ok(root),
        [] => Err(none(source, names(pickle, items))),
        _ => Err(source.fault(format!(
            "holds several dicts of tensors ({}) and none under one of {KEYS:?}; save the one that is meant",
            names(pickle, &below)
        ))),
    }
}

fn none(source: &Source, keys: String) -> Error {
    let keys = if keys.is_empty() { "it is an empty dict".into() } else { format!("its keys are {keys}") };
    source.fault(format!("holds no tensors: {keys}; expected names with tensors, at the top or under one of {KEYS:?}"))
}

fn names(pickle: &Pickle, items: &[(Id, Id)]) -> String {
    const SHOWN: usize = 12;
    let key = |id: Id| pickle.str(id).map_or_else(|| pickle.kind(id), |text| format!("`{}`", short(text)));
    let mut shown: Vec<String> = items.iter().take(SHOWN).map(|(id, _)| key(*id)).collect();
    if items.len() > SHOWN {
        shown.push(format!("{} more", items.len() - SHOWN));
    }
    shown.join(", ")
}

pub(super) fn name(source: &Source, pickle: &Pickle, key: Id) -> Result<String> {
    match pickle.get(key) {
        Value::Str(text) if text.len() <= MAX_NAME_BYTES => Ok(text.clone()),
        Value::Str(text) => Err(source.over("the length of a name in bytes", text.len() as u64, MAX_NAME_BYTES as u64)),
        Value::Int(number) => Ok(number.to_string()),
        _ => Err(source.fault(format!("has {} where a parameter's name should be", pickle.kind(key)))),
    }
}

/// Entries that were left out; the first few, and how many more.
#[derive(Default)]
pub(super) struct Left {
    names: Vec<String>,
    more: usize,
}

impl Left {
    pub fn add(&mut self, pickle: &Pickle, name: &str, value: Id) {
        const SHOWN: usize = 8;
        if self.names.len() < SHOWN {
            self.names.push(format!("`{}` ({})", short(name), pickle.kind(value)));
        } else {
            self.more += 1;
        }
    }

    pub fn note(self, dict: &mut StateDict, what: &str) {
        let names = self.names.join(", ");
        match (self.names.is_empty(), self.more) {
            (true, _) => {}
            (false, 0) => dict.note(format!("{what}: {names}")),
            (false, more) => dict.note(format!("{what}: {names} and {more} more")),
        }
    }
}
