//! Chooses which dict or module of a pickle holds the parameters.

use super::module::{self, Tree};
use super::tensors::{self, is_tensor};
use crate::checkpoint::StateDict;
use crate::checkpoint::pickle::{Id, Pickle, Value};
use crate::checkpoint::source::{Source, short};
use crate::error::{Error, Result};

/// Keys under which training checkpoints keep the model, in the order of preference.
const KEYS: [&str; 4] = ["state_dict", "model_state_dict", "model", "net"];

/// Most keys that a message names.
const SHOWN: usize = 12;

/// How deep the parameters may lie.
const MAX_LEVELS: usize = 8;

/// A container that was looked into, and what was taken of it.
pub(super) struct Level {
    pub container: Id,
    pub taken: Id,
    /// What goes before the names of what else it holds: nothing at the top, the keys that led to it below.
    pub prefix: String,
}

/// Where the parameters are.
pub(super) struct Choice {
    pub at: Id,
    /// The containers around it, the outermost first.
    pub levels: Vec<Level>,
}

/// The place of the dict or module that holds the parameters, which a note on `dict` tells.
pub(super) fn choose(source: &Source, pickle: &Pickle, tree: Tree, dict: &mut StateDict) -> Result<Choice> {
    let mut search = Search { pickle, tree, counts: Vec::new(), any: false };
    let floats = search.count(pickle.root());
    // Where nothing looks like a parameter, integers and single numbers will do.
    search.any = floats == 0;
    search.count(pickle.root());
    search.descend(source, dict)
}

/// An entry of a container: what leads to it, in words and as part of a name, and its place.
struct Entry {
    called: String,
    part: String,
    id: Id,
}

/// A value directly within another.
struct Child {
    id: Id,
    named: bool,
}

impl Entry {
    /// The entry of `container` that `key`, or the place in a list, leads to.
    fn of(pickle: &Pickle, container: Id, key: std::result::Result<Id, usize>, id: Id) -> Self {
        match key {
            Ok(key) => {
                let part = super::keys::words(pickle, key);
                Self { called: format!("the key `{}`", short(&part)), part, id }
            }
            Err(i) => Self { called: format!("item {i} of {}", pickle.kind(container)), part: i.to_string(), id },
        }
    }
}

struct Search<'p> {
    pickle: &'p Pickle,
    tree: Tree,
    /// How many parameters there are below each value; [`UNKNOWN`](Self::UNKNOWN) until that is known.
    counts: Vec<u32>,
    /// Whether every tensor counts, and not only those that look like parameters.
    any: bool,
}

impl Search<'_> {
    /// What a module that holds parameters counts for beside them: it goes before any loose tensors.
    const MODULE: u32 = 1 << 30;
    const UNKNOWN: u32 = u32::MAX;
    /// How deep parameters are looked for: further down than they are taken from.
    const MAX_DEPTH: usize = 4 * MAX_LEVELS;

    fn descend(&self, source: &Source, dict: &mut StateDict) -> Result<Choice> {
        let pickle = self.pickle;
        let mut levels: Vec<Level> = Vec::new();
        let (mut at, mut led, mut prefix) = (pickle.root(), Vec::<String>::new(), String::new());
        let mut others: Vec<String> = Vec::new();
        loop {
            if self.is_module(at) {
                break;
            }
            if pickle.dict(at).is_none() && sequence(pickle, at).is_none() {
                let what = if is_tensor(pickle, at) { "a single tensor".into() } else { pickle.kind(at) };
                return Err(source
                    .fault(format!("holds {what}, not a state dict; save one: torch.save(model.state_dict(), path)")));
            }
            if levels.len() == MAX_LEVELS {
                return Err(source.fault(format!(
                    "holds its tensors more than {MAX_LEVELS} keys deep; save the state dict alone: \
                     torch.save(model.state_dict(), path)"
                )));
            }
            let Some(taken) = self.next(source, at, &mut others, dict)? else { break };
            levels.push(Level { container: at, taken: taken.id, prefix: prefix.clone() });
            prefix = format!("{prefix}{}.", taken.part);
            (at, _) = (taken.id, led.push(taken.called));
        }
        if !led.is_empty() {
            let mut note = format!("read from {}", led.join(", in it "));
            if !others.is_empty() {
                note = format!("{note}, which goes before {}, also there", others.join(", "));
            }
            dict.note(note);
        }
        Ok(Choice { at, levels })
    }

    /// Which entry of the container `at` leads to the parameters; `None` where it holds them itself.
    fn next(&self, source: &Source, at: Id, others: &mut Vec<String>, dict: &mut StateDict) -> Result<Option<Entry>> {
        let pickle = self.pickle;
        let usual: Vec<Entry> = KEYS
            .iter()
            .filter_map(|key| {
                Some(Entry { called: format!("the key `{key}`"), part: (*key).into(), id: pickle.item(at, key)? })
            })
            .filter(|entry| entry.id != at && self.counted(entry.id) > 0)
            .collect();
        if !usual.is_empty() {
            let mut usual = usual.into_iter();
            let first = usual.next();
            let id = first.as_ref().map(|first| first.id);
            others.extend(usual.filter(|other| Some(other.id) != id).map(|other| format!("`{}`", short(&other.part))));
            return Ok(first);
        }
        // Not the usual keys: the one dict of parameters that there is. Tensors beside it may be no parameters but
        // numbers, such as a loss, so they count only where they are more.
        let own = pickle.dict(at).unwrap_or_default().iter().filter(|(_, id)| is_tensor(pickle, *id)).count();
        let within = |id: &Id| *id != at && !is_tensor(pickle, *id) && self.counted(*id) as usize > own;
        let below = entries(pickle, at).into_iter().filter(|(_, id)| within(id));
        let mut below: Vec<Entry> = below.map(|(key, id)| Entry::of(pickle, at, key, id)).collect();
        if below.len() > 1 && own == 0 {
            // Averages of the weights go behind the weights.
            let (averaged, plain): (Vec<Entry>, Vec<Entry>) =
                below.into_iter().partition(|entry| is_average(&entry.part));
            if plain.len() == 1 {
                others.extend(averaged.iter().map(|other| format!("`{}`", short(&other.part))));
                below = plain;
            } else {
                below = plain.into_iter().chain(averaged).collect();
            }
        }
        match below.len() {
            1 => Ok(below.pop()),
            _ if own > 0 => Ok(None),
            0 => Err(self.none(source, at)),
            _ if pickle.dict(at).is_some() && below.iter().all(|entry| pickle.dict(entry.id).is_some()) => {
                dict.note(format!(
                    "holds several dicts of tensors ({}): the key of each goes before the names of its parameters",
                    listed(&below, below.len())
                ));
                Ok(None)
            }
            _ => Err(source.fault(format!(
                "holds several models ({}) and none under one of {KEYS:?}; save the one that is meant",
                listed(&below, below.len())
            ))),
        }
    }

    fn is_module(&self, id: Id) -> bool {
        module::class(self.pickle, id, self.tree).is_some()
    }

    /// How many parameters lie below `id`, as [`count`](Self::count) found.
    fn counted(&self, id: Id) -> u32 {
        self.counts.get(id.place()).copied().filter(|count| *count != Self::UNKNOWN).unwrap_or(0)
    }

    /// Counts the parameters in dicts and modules below `root`, without recursion. Each value is looked into once, since a
    /// pickle can mention one large dict a million times.
    fn count(&mut self, root: Id) -> u32 {
        self.counts.clear();
        self.counts.resize(self.pickle.values().len(), Self::UNKNOWN);
        // What is being looked into: its place, what is left to look at, and the count so far.
        let mut open: Vec<(Id, std::vec::IntoIter<Child>, u32)> = Vec::new();
        let mut next = Some(root);
        loop {
            if let Some(id) = next.take() {
                // Until it is known: what holds itself counts once.
                self.counts[id.place()] = 0;
                open.push((id, self.children(id).into_iter(), 0));
            }
            let Some((id, children, count)) = open.last_mut() else { return self.counted(root) };
            let Some(child) = children.next() else {
                let module = *count > 0 && module::class(self.pickle, *id, self.tree).is_some();
                let count = count.saturating_add(if module { Self::MODULE } else { 0 }).min(Self::UNKNOWN - 1);
                self.counts[id.place()] = count;
                open.pop();
                if let Some((_, _, around)) = open.last_mut() {
                    *around = around.saturating_add(count);
                }
                continue;
            };
            if is_tensor(self.pickle, child.id) {
                *count = count.saturating_add(u32::from(
                    child.named && (self.any || tensors::is_parameter(self.pickle, child.id)),
                ));
            } else if self.counts[child.id.place()] != Self::UNKNOWN {
                *count = count.saturating_add(self.counts[child.id.place()]);
            } else if open.len() < Self::MAX_DEPTH {
                next = Some(child.id);
            }
        }
    }

    fn children(&self, id: Id) -> Vec<Child> {
        let pickle = self.pickle;
        let child = |named| move |id| Child { id, named };
        if let Some(members) = module::members(pickle, id, self.tree) {
            members.into_iter().map(child(true)).collect()
        } else if super::optimizer::is_one(pickle, id) {
            Vec::new()
        } else if let Some(items) = sequence(pickle, id) {
            // A tensor without a name is no parameter.
            items.iter().copied().map(child(false)).collect()
        } else {
            pickle.dict(id).unwrap_or_default().iter().map(|(_, id)| *id).map(child(true)).collect()
        }
    }

    fn none(&self, source: &Source, at: Id) -> Error {
        let pickle = self.pickle;
        if super::optimizer::is_one(pickle, at) {
            return source.fault("holds the state of an optimizer and no parameters; give the model's file");
        }
        let Some(items) = pickle.dict(at) else {
            let names = match sequence(pickle, at) {
                Some(items) if items.iter().any(|item| is_tensor(pickle, *item)) => " of tensors without names",
                _ => "",
            };
            return source.fault(format!(
                "holds {}{names}, not a state dict; save one: torch.save(model.state_dict(), path)",
                pickle.kind(at)
            ));
        };
        let keys = match items.is_empty() {
            true => "it is an empty dict".into(),
            false => {
                let keys = items.iter().map(|(key, id)| Entry::of(pickle, at, Ok(*key), *id));
                format!("its keys are {}", listed(&keys.take(SHOWN).collect::<Vec<_>>(), items.len()))
            }
        };
        source.fault(format!(
            "holds no tensors: {keys}; expected names with tensors, at the top or under one of {KEYS:?}"
        ))
    }
}

/// The items of the list or tuple at `id`.
fn sequence(pickle: &Pickle, id: Id) -> Option<&[Id]> {
    match pickle.get(id) {
        Value::List(items) | Value::Tuple(items) => Some(items),
        _ => None,
    }
}

/// The entries of the dict, list or tuple at `id`: key or place, and value.
pub(super) fn entries(pickle: &Pickle, id: Id) -> Vec<(std::result::Result<Id, usize>, Id)> {
    match sequence(pickle, id) {
        Some(items) => items.iter().enumerate().map(|(i, id)| (Err(i), *id)).collect(),
        None => pickle.dict(id).unwrap_or_default().iter().map(|(key, id)| (Ok(*key), *id)).collect(),
    }
}

/// Whether a key speaks of averaged weights, such as `model_ema`.
fn is_average(key: &str) -> bool {
    let mut parts = key.split(|c: char| !c.is_ascii_alphanumeric());
    parts.any(|part| ["ema", "swa", "averaged"].iter().any(|word| part.eq_ignore_ascii_case(word)))
}

/// The first few of `count` entries by their keys.
fn listed(entries: &[Entry], count: usize) -> String {
    let mut shown: Vec<String> = entries.iter().take(SHOWN).map(|entry| format!("`{}`", short(&entry.part))).collect();
    if count > SHOWN {
        shown.push(format!("{} more", count - SHOWN));
    }
    shown.join(", ")
}
