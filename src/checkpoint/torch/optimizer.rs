//! Keeps an optimizer's tensors apart from the weights, under names such as `state.0.exp_avg`.

use super::keys::key;
use super::tensors::{self, Fetch, is_tensor};
use crate::checkpoint::StateDict;
use crate::checkpoint::pickle::{Id, Pickle};
use crate::checkpoint::source::Source;
use crate::error::Result;

/// Most entries that an optimizer's state has; some libraries add one or two to its own two.
const MAX_ENTRIES: usize = 16;

/// Keys under which training checkpoints keep `optimizer.state_dict()`.
const KEYS: [&str; 5] = ["optimizer_state_dict", "optimizer", "optimizer_state", "optim_state_dict", "optim"];

/// Whether the dict at `id` is what an optimizer's `state_dict()` gives.
pub(super) fn is_one(pickle: &Pickle, id: Id) -> bool {
    pickle.dict(id).is_some_and(|items| items.len() <= MAX_ENTRIES)
        && pickle.item(id, "state").is_some()
        && pickle.item(id, "param_groups").is_some()
}

/// Reads `{'state': {0: {'exp_avg': tensor, ...}, ...}, 'param_groups': [...]}` (torch/optim/optimizer.py) from the
/// first of the usual keys of `root` that has one, and gives its place where there was any tensor. Numbers beside the tensors are left out.
pub(super) fn read(
    source: &Source,
    pickle: &Pickle,
    root: Id,
    dict: &mut StateDict,
    fetch: &mut Fetch,
) -> Result<Option<Id>> {
    let limit = source.limits.pickle_opcodes;
    let mut work = 0u64;
    let found = KEYS.iter().filter_map(|key| Some((*key, pickle.item(root, key)?)));
    let mut found = found.filter_map(|(key, id)| Some((key, id, pickle.dict(pickle.item(id, "state")?)?)));
    let Some((usual, id, state)) = found.next() else { return Ok(None) };
    let (mut count, mut left) = (0usize, 0usize);
    for &(parameter, slots) in state {
        let slots = pickle.dict(slots).unwrap_or_default();
        work = work.saturating_add(1 + slots.len() as u64);
        if work > limit {
            // One dict can stand for the slots of a million parameters.
            return Err(source.over("the number of its optimizer's slots (Limits::pickle_opcodes)", work, limit));
        }
        for &(slot, value) in slots.iter().filter(|(_, value)| is_tensor(pickle, *value)) {
            // Some programs have parameters themselves as keys, which are no names.
            let (Some(parameter), Some(slot)) = (key(source, pickle, parameter)?, key(source, pickle, slot)?) else {
                left += 1;
                continue;
            };
            let name = format!("state.{}.{}", parameter.name, slot.name);
            source.expand(|| "the names of its optimizer's slots".into(), name.len() as u64)?;
            match tensors::tensor(source, pickle, value, &name, fetch)? {
                Ok(tensor) if !dict.optimizer().contains_key(&name) => {
                    dict.insert_optimizer(name, tensor);
                    count += 1;
                }
                _ => left += 1,
            }
        }
    }
    if count == 0 {
        return Ok(None);
    }
    let left =
        if left > 0 { format!("; left out {left} without a name of their own or not read") } else { String::new() };
    dict.note(format!("kept the optimizer's state of `{usual}` apart: {count} tensors{left}"));
    Ok(Some(id))
}
