//! Makes the state dict of what was pickled, and says what else there was.

use super::choose::{self, Choice};
use super::keys::{self, Key, MAX_NAME_BYTES};
use super::left::{Left, remember};
use super::module::{self, Tree};
use super::optimizer;
use super::tensors::{self, Fetch, is_tensor};
use crate::checkpoint::pickle::{Id, Pickle};
use crate::checkpoint::source::{Source, short};
use crate::checkpoint::{Format, StateDict};
use crate::error::Result;
use std::collections::{HashMap, HashSet};

/// Refuses a pickle that would harm whoever let Python load it. To be asked before storages are looked at.
pub(super) fn refuse(source: &Source, pickle: &Pickle) -> Result<()> {
    match pickle.harm().reason() {
        Some(reason) => Err(source.fault(reason)),
        None => Ok(()),
    }
}

/// Makes the state dict that `pickle` holds, with bytes from `fetch`.
pub(super) fn state_dict(
    source: &Source,
    pickle: &Pickle,
    format: Format,
    tree: Tree,
    fetch: &mut Fetch,
) -> Result<StateDict> {
    let mut dict = StateDict::of(format, source.path);
    let Choice { at, levels } = choose::choose(source, pickle, tree, &mut dict)?;
    // Optimizers lie beside the parameters, or beside what leads to them.
    let mut apart: HashSet<Id> = levels.iter().map(|level| level.taken).collect();
    let class = module::class(pickle, at, tree);
    let beside = levels.iter().map(|level| level.container).chain(class.is_none().then_some(at));
    for container in beside.collect::<Vec<_>>() {
        if let Some(optimizer) = optimizer::read(source, pickle, container, &mut dict, fetch)? {
            apart.insert(optimizer);
            break;
        }
    }
    if let Some(class) = class {
        dict.note(format!("named the parameters as the modules within {class} hold them; its code was not run"));
        module::read(source, pickle, at, tree, &mut dict, fetch)?;
        if dict.is_empty() {
            return Err(source.fault(format!(
                "holds a module of class {class} without parameters{}; was it frozen? Save the module before that",
                unread(&dict)
            )));
        }
    } else {
        let dict = &mut dict;
        Flat { source, pickle, apart: &apart, dict, looked: HashMap::new(), work: 0 }.read(at, fetch)?;
        if dict.is_empty() {
            return Err(source.unread(format!("holds no tensor that is read{}", unread(dict))));
        }
    }
    let mut ignored = Left::default();
    for level in &levels {
        for (key, value) in choose::entries(pickle, level.container) {
            if apart.contains(&value) {
                continue;
            }
            let name = match key {
                Ok(key) => keys::words(pickle, key),
                Err(index) => index.to_string(),
            };
            let name = format!("{}{name}", level.prefix);
            match tensors::scalar(source, pickle, value, &name, fetch) {
                Some(text) if !dict.metadata().contains_key(&name) => dict.describe(name, text),
                _ => ignored.mention(&name, &tensors::kind(pickle, value)),
            }
        }
    }
    ignored.note(&mut dict, "left out");
    Ok(dict)
}

/// What was not read, for an error about a file of which nothing was.
fn unread(dict: &StateDict) -> String {
    const SHOWN: usize = 8;
    let all = dict.left_out();
    let mut shown: Vec<String> =
        all.iter().take(SHOWN).map(|(name, reason)| format!("`{}` ({reason})", short(name))).collect();
    if all.len() > SHOWN {
        shown.push(format!("{} more", all.len() - SHOWN));
    }
    if shown.is_empty() { String::new() } else { format!(": {}", shown.join(", ")) }
}

/// Reads a dict of tensors, and the dicts of tensors within it, whose keys go before the names.
struct Flat<'a, 's> {
    source: &'a Source<'s>,
    pickle: &'a Pickle,
    /// What is not to be read: the optimizer's state.
    apart: &'a HashSet<Id>,
    dict: &'a mut StateDict,
    /// Whether values that were looked into are dicts with tensors.
    looked: HashMap<Id, bool>,
    work: u64,
}

/// What was found in the dicts so far.
#[derive(Default)]
struct Passed {
    other: Left,
    unread: Left,
    unnamed: Left,
    bytes: usize,
}

impl Flat<'_, '_> {
    /// How deep dicts may lie within each other.
    const MAX_DEPTH: usize = 8;

    fn read(mut self, at: Id, fetch: &mut Fetch) -> Result<()> {
        let mut passed = Passed::default();
        let mut steps = vec![(at, String::new(), 0)];
        // Dicts come in the place where they stand: the last step is the next.
        while let Some((id, prefix, depth)) = steps.pop() {
            let items = self.pickle.dict(id).unwrap_or_default();
            self.work = self.work.saturating_add(1 + items.len() as u64);
            let limit = self.source.limits.pickle_opcodes;
            if self.work > limit {
                let what = "the number of entries in its dicts within dicts (Limits::pickle_opcodes)";
                return Err(self.source.over(what, self.work, limit));
            }
            let mut within = Vec::new();
            for &(key, value) in items {
                if self.apart.contains(&value) {
                    continue;
                }
                let Some(Key { name, bytes }) = keys::key(self.source, self.pickle, key)? else {
                    let words = format!("{prefix}{}", keys::words(self.pickle, key));
                    let what = format!("{} whose key is {}", tensors::kind(self.pickle, value), self.pickle.kind(key));
                    passed.unnamed.tensor(self.source, self.dict, &words, format!("it is {what}"))?;
                    continue;
                };
                let name = self.within(&prefix, name)?;
                if is_tensor(self.pickle, value) {
                    self.tensor(name, bytes, value, &mut passed, fetch)?;
                } else if depth < Self::MAX_DEPTH && self.holds_tensors(value) {
                    let prefix = self.within(&name, ".".into())?;
                    within.push((value, prefix, depth + 1));
                } else {
                    self.other(name, value, &mut passed, fetch)?;
                }
            }
            steps.extend(within.into_iter().rev());
        }
        passed.other.note(self.dict, "left out what is no tensor");
        passed.unread.note(self.dict, "left out what is not read");
        passed.unnamed.note(self.dict, "left out what has no text for a name");
        if passed.bytes > 0 {
            self.dict.note(format!("took {} names that are bytes as the text that they spell", passed.bytes));
        }
        Ok(())
    }

    /// `name` behind `prefix`. Such names are made here and not in the file: one long key can stand before a million.
    fn within(&self, prefix: &str, name: String) -> Result<String> {
        if prefix.is_empty() {
            return Ok(name);
        }
        let name = format!("{prefix}{name}");
        if name.len() > MAX_NAME_BYTES {
            let what = "the length in bytes of a parameter's name, that of all keys around it included,";
            return Err(self.source.over(what, name.len() as u64, MAX_NAME_BYTES as u64));
        }
        let bytes = (2 * name.len() + size_of::<String>()) as u64;
        self.source.expand(|| format!("the name `{}`", short(&name)), bytes)?;
        Ok(name)
    }

    /// Whether the value is a dict with tensors in it, at once or a level below, and not an optimizer's state.
    fn holds_tensors(&mut self, id: Id) -> bool {
        /// More dicts are not looked into for tensors a level below.
        const BELOW: usize = 64;
        let pickle = self.pickle;
        let items = pickle.dict(id).unwrap_or_default();
        !optimizer::is_one(pickle, id)
            && (self.has_tensors(id) || items.iter().take(BELOW).any(|(_, value)| self.has_tensors(*value)))
    }

    /// Whether there are tensors in the dict itself. Each is looked through once.
    fn has_tensors(&mut self, id: Id) -> bool {
        let any = || self.pickle.dict(id).unwrap_or_default().iter().any(|(_, value)| is_tensor(self.pickle, *value));
        *self.looked.entry(id).or_insert_with(any)
    }

    fn tensor(&mut self, name: String, bytes: bool, id: Id, passed: &mut Passed, fetch: &mut Fetch) -> Result<()> {
        let tensor = match tensors::tensor(self.source, self.pickle, id, &name, fetch)? {
            Ok(tensor) => tensor,
            Err(reason) => {
                return passed.unread.tensor(self.source, self.dict, &name, reason);
            }
        };
        if self.dict.contains(&name) {
            return Err(self.source.fault(format!(
                "has two tensors that would both be called `{}`; save it with names that differ as text",
                short(&name)
            )));
        }
        passed.bytes += usize::from(bytes);
        self.dict.insert(name, tensor);
        Ok(())
    }

    fn other(&mut self, name: String, id: Id, passed: &mut Passed, fetch: &mut Fetch) -> Result<()> {
        match tensors::scalar(self.source, self.pickle, id, &name, fetch) {
            Some(text) if !self.dict.metadata().contains_key(&name) => {
                self.dict.describe(name, text);
                Ok(())
            }
            // The weight and bias of a quantised layer, in a form that only its device knows.
            _ if name.ends_with("_packed_params") => {
                let reason = format!("it is the packed weight of a quantised layer; {}", module::FLOATS);
                if let Some(layer) = name.strip_suffix("_packed_params._packed_params") {
                    remember(self.source, self.dict, &format!("{layer}weight"), reason.clone())?;
                }
                passed.unread.tensor(self.source, self.dict, &name, reason)
            }
            _ => passed.other.other(self.source, self.dict, &name, &tensors::kind(self.pickle, id)),
        }
    }
}
