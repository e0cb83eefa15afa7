//! Names the parameters of a pickled module tree as its `state_dict()` would, and keeps what the modules are; no class of
//! the tree is ever looked up.
//!
//! A module's attributes hold `_parameters`, `_buffers` and `_modules` (torch/nn/modules/module.py); in a TorchScript
//! archive, tensors and submodules are attributes of their own.

use super::keys::{MAX_NAME_BYTES, name};
use super::left::{Left, remember};
use super::tensors::{self, Fetch, is_tensor};
use crate::checkpoint::pickle::{Id, Pickle, Value};
use crate::checkpoint::source::{Source, short};
use crate::checkpoint::{Attribute, Module, ModuleTree, StateDict};
use crate::error::Result;
use std::collections::HashSet;
use std::rc::Rc;

/// What to do about a quantised model.
pub(super) const FLOATS: &str = "save the state_dict of the float model, before it is quantised";

/// How modules hold their parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tree {
    /// As `torch.save(model)` pickles them.
    Pickled,
    /// As `torch.jit.save` does.
    Script,
}

/// Attributes among which `_parameters` and `_modules` must be: `Module.__init__` makes them before others. Not all are
/// asked, because a million objects can share one large dict of attributes.
const FIRST: usize = 256;

/// The class of the module at `id`; `None` where there is no module.
pub(super) fn class(pickle: &Pickle, id: Id, tree: Tree) -> Option<String> {
    let (module, name) = pickle.class(id)?;
    let attributes = pickle.attributes(id)?;
    match tree {
        Tree::Pickled => {
            let first = pickle.dict(attributes)?.iter().take(FIRST);
            let is = |name: &str| first.clone().any(|(key, _)| pickle.str(*key) == Some(name));
            if !is("_parameters") || !is("_modules") {
                return None;
            }
        }
        Tree::Script => {
            pickle.dict(attributes)?;
            if module != "__torch__" && !module.starts_with("__torch__.") {
                return None;
            }
        }
    }
    Some(short(&format!("{module}.{name}")))
}

/// What one module holds, in the order of its `state_dict()`.
#[derive(Default)]
struct Members {
    tensors: Vec<(Id, Id)>,
    modules: Vec<(Id, Id)>,
}

impl Members {
    fn of(pickle: &Pickle, id: Id, tree: Tree) -> Option<Self> {
        class(pickle, id, tree)?;
        let attributes = pickle.attributes(id)?;
        let part = |name: &str| pickle.item(attributes, name).and_then(|id| pickle.dict(id)).unwrap_or_default();
        if tree == Tree::Script {
            let of = |keep: &dyn Fn(Id) -> bool| -> Vec<(Id, Id)> {
                let all = pickle.dict(attributes).unwrap_or_default();
                all.iter().copied().filter(|(_, id)| keep(*id)).collect()
            };
            return Some(Self {
                tensors: of(&|id| is_tensor(pickle, id)),
                modules: of(&|id| class(pickle, id, tree).is_some()),
            });
        }
        let passing: HashSet<&str> =
            match pickle.item(attributes, "_non_persistent_buffers_set").map(|id| pickle.get(id)) {
                Some(Value::Set(names) | Value::List(names)) => names.iter().filter_map(|id| pickle.str(*id)).collect(),
                // Modules from before PyTorch 1.5 have none.
                _ => HashSet::new(),
            };
        let buffers =
            part("_buffers").iter().filter(|(key, _)| pickle.str(*key).is_none_or(|key| !passing.contains(key)));
        let there = |(_, id): &&(Id, Id)| *pickle.get(*id) != Value::None;
        Some(Self {
            tensors: part("_parameters").iter().chain(buffers).filter(there).copied().collect(),
            modules: part("_modules").iter().filter(there).copied().collect(),
        })
    }

    /// How many values [`of`](Self::of) looks at.
    fn cost(pickle: &Pickle, id: Id) -> usize {
        let Some(attributes) = pickle.attributes(id) else { return 0 };
        let len = |id: Id| match pickle.get(id) {
            Value::Dict(items) => items.len(),
            Value::Set(items) | Value::List(items) => items.len(),
            _ => 0,
        };
        let parts = ["_parameters", "_buffers", "_modules", "_non_persistent_buffers_set"];
        let parts: usize = parts.iter().filter_map(|name| pickle.item(attributes, name)).map(len).sum();
        len(attributes) + parts
    }
}

/// The parameters, buffers and modules directly within the module at `id`; `None` where there is no module.
pub(super) fn members(pickle: &Pickle, id: Id, tree: Tree) -> Option<Vec<Id>> {
    let Members { tensors, modules } = Members::of(pickle, id, tree)?;
    Some(tensors.into_iter().chain(modules).map(|(_, id)| id).collect())
}

/// What is left to do in the walk over a tree, the next last.
enum Step {
    /// Look at the module or whatever else is at `id`, which its parent calls `key`. `within` is the parent's place.
    Enter { id: Id, parent: Rc<str>, key: Option<Id>, within: Option<usize> },
    /// All below the module was seen.
    Leave(Id),
}

/// Puts every parameter and persistent buffer of the module at `root` into `dict`; a pickled tree also as it is.
pub(super) fn read(
    source: &Source,
    pickle: &Pickle,
    root: Id,
    tree: Tree,
    dict: &mut StateDict,
    fetch: &mut Fetch,
) -> Result<()> {
    let limit = source.limits.pickle_opcodes;
    let mut work = 0u64;
    let (mut left, mut unread, mut plain) = (Left::default(), Left::default(), Left::default());
    // Modules that the walk is inside of: one below itself would have no end. One under two names is honest.
    let mut open: HashSet<Id> = HashSet::new();
    let mut kept = ModuleTree::new();
    let mut steps = vec![Step::Enter { id: root, parent: "".into(), key: None, within: None }];
    while let Some(step) = steps.pop() {
        let (id, parent, key, within) = match step {
            Step::Enter { id, parent, key, within } => (id, parent, key, within),
            Step::Leave(id) => {
                open.remove(&id);
                continue;
            }
        };
        let path = match key {
            Some(key) => join(source, pickle, &parent, key)?,
            None => String::new(),
        };
        // To look at a module takes as long as some opcodes do.
        work = work.saturating_add((8 + path.len() / 64 + Members::cost(pickle, id)) as u64);
        if work > limit {
            let what = "the number of modules and members of its module tree (Limits::pickle_opcodes)";
            return Err(source.over(what, work, limit));
        }
        let place = match tree {
            Tree::Pickled => {
                let module = described(pickle, id, &path);
                source.expand(|| format!("the module `{}`", short(&path)), module.bytes() as u64)?;
                Some(kept.add(within, module))
            }
            // Its modules keep their settings as constants in its code.
            Tree::Script => {
                let module = scripted(pickle, id, &path);
                source.expand(|| format!("the module `{}`", short(&path)), module.bytes() as u64)?;
                Some(kept.add(within, module))
            }
        };
        if pickle.class(id).is_some_and(|(module, _)| module.split('.').any(|part| part == "quantized")) {
            unread.tensor(
                source,
                dict,
                &path,
                format!("it is a quantised layer, whose weights are packed; {FLOATS}"),
            )?;
            remember(source, dict, &format!("{path}.weight"), format!("its layer is quantised; {FLOATS}"))?;
            if class(pickle, id, tree).is_none() {
                continue;
            }
        }
        let Some(members) = Members::of(pickle, id, tree) else {
            left.other(source, dict, &path, &tensors::kind(pickle, id))?;
            continue;
        };
        if !open.insert(id) {
            return Err(
                source.fault(format!("its module `{}` contains itself; no such module can be run", short(&path)))
            );
        }
        if tree == Tree::Pickled {
            for name in loose(pickle, id, &members) {
                let name = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
                plain.other(source, dict, &name, "an attribute of its module and neither parameter nor buffer")?;
            }
        }
        let prefix: Rc<str> = if key.is_some() { format!("{path}.").into() } else { "".into() };
        for (key, value) in members.tensors {
            let name = join(source, pickle, &prefix, key)?;
            if !is_tensor(pickle, value) {
                left.other(source, dict, &name, &pickle.kind(value))?;
                continue;
            }
            // Names are made here and not in the file: one long path can stand before a million of them.
            source.expand(|| format!("the name `{}`", short(&name)), (2 * name.len() + size_of::<String>()) as u64)?;
            let tensor = match tensors::tensor(source, pickle, value, &name, fetch)? {
                Ok(tensor) => tensor,
                Err(reason) => {
                    unread.tensor(source, dict, &name, reason)?;
                    continue;
                }
            };
            if let Some(module) = place.and_then(|place| kept.module_mut(place)) {
                module.parameters.push(name[prefix.len()..].to_owned());
            }
            let told = short(&name);
            if dict.insert(name, tensor).is_some() {
                return Err(
                    source.fault(format!("its modules give two parameters the name `{told}`; the file is damaged"))
                );
            }
        }
        steps.push(Step::Leave(id));
        let below = members.modules.into_iter().rev();
        steps.extend(below.map(|(key, id)| Step::Enter { id, parent: prefix.clone(), key: Some(key), within: place }));
    }
    dict.keep_modules(kept);
    left.note(dict, "left out what is no tensor and no module");
    unread.note(dict, "left out what is not read");
    plain.note(dict, "left out tensors that no state_dict has");
    Ok(())
}

/// Tensors among the first attributes of the module at `id` that are not computed of its parameters.
fn loose<'p>(pickle: &'p Pickle, id: Id, members: &Members) -> impl Iterator<Item = &'p str> {
    let attributes = pickle.attributes(id).and_then(|id| pickle.dict(id)).unwrap_or_default();
    let parameters: HashSet<&str> = members.tensors.iter().filter_map(|(key, _)| pickle.str(*key)).collect();
    // Pruning and weight norm put what they compute beside what they compute it of.
    let computed = move |name: &str| {
        ["_orig", "_v"].iter().any(|end| parameters.iter().any(|p| p.strip_suffix(end) == Some(name)))
    };
    let tensors = attributes.iter().take(FIRST).filter(|(_, value)| is_tensor(pickle, *value));
    let names = tensors.filter_map(|(key, _)| pickle.str(*key)).filter(|name| name.len() <= MAX_NAME_BYTES);
    names.filter(move |name| !computed(name))
}

/// The module at `id`, or whatever else stands where a module should; its parameters are not listed yet.
fn described(pickle: &Pickle, id: Id, path: &str) -> Module {
    /// No honest module has more attributes or longer names.
    const ATTRIBUTES: usize = 64;
    let class = class(pickle, id, Tree::Pickled).unwrap_or_else(|| pickle.kind(id));
    let all = pickle.attributes(id).and_then(|id| pickle.dict(id)).unwrap_or_default();
    let hooked = ["_forward_hooks", "_forward_pre_hooks"].iter().any(|name| {
        let hooks = pickle.attributes(id).and_then(|id| pickle.item(id, name));
        hooks.is_some_and(|id| pickle.dict(id).is_none_or(|hooks| hooks.iter().any(|(_, hook)| changes(pickle, *hook))))
    });
    let public = all.iter().filter_map(|(name, value)| Some((pickle.str(*name)?, *value)));
    let public = public.filter(|(name, _)| !name.starts_with('_') && name.len() <= ATTRIBUTES);
    let attributes = public.take(ATTRIBUTES).map(|(name, value)| (name.to_owned(), attribute(pickle, value))).collect();
    Module { path: path.to_owned(), class, attributes, parameters: Vec::new(), hooked, children: Vec::new() }
}

/// Whether a hook may change what a module computes. Those that compute its weight anew each time do not, since the
/// weight is computed of their parameters once ([`reparametrised`](crate::checkpoint::reparametrised)).
fn changes(pickle: &Pickle, hook: Id) -> bool {
    let class = pickle.class(hook);
    !class.is_some_and(|(module, _)| {
        matches!(module, "torch.nn.utils.weight_norm" | "torch.nn.utils.spectral_norm" | "torch.nn.utils.prune")
    })
}

/// The module at `id` of a TorchScript archive, with the class that its [code](super::script) has.
fn scripted(pickle: &Pickle, id: Id, path: &str) -> Module {
    let class = class(pickle, id, Tree::Script).unwrap_or_else(|| pickle.kind(id));
    let path = path.to_owned();
    Module { path, class, attributes: Vec::new(), parameters: Vec::new(), hooked: false, children: Vec::new() }
}

/// The Python name of a class of TorchScript's, `__torch__.torch.nn.modules.activation.___torch_mangle_3.Tanh`.
pub(super) fn unmangled(class: &str) -> String {
    let added = |part: &&str| *part == "__torch__" || part.starts_with("___torch_mangle_");
    class.split('.').filter(|part| !added(part)).collect::<Vec<_>>().join(".")
}

fn attribute(pickle: &Pickle, id: Id) -> Attribute {
    const MAX_TEXT_BYTES: usize = 64;
    const MAX_INTS: usize = 4;
    match pickle.get(id) {
        Value::None => Attribute::None,
        Value::Bool(value) => Attribute::Bool(*value),
        Value::Int(value) => Attribute::Int(*value),
        Value::Float(value) => Attribute::Float(*value),
        Value::Str(text) if text.len() <= MAX_TEXT_BYTES => Attribute::Text(text.clone()),
        Value::Tuple(items) | Value::List(items) if items.len() <= MAX_INTS => {
            items.iter().map(|item| pickle.int(*item)).collect::<Option<_>>().map_or(Attribute::Other, Attribute::Ints)
        }
        _ => Attribute::Other,
    }
}

fn join(source: &Source, pickle: &Pickle, prefix: &str, key: Id) -> Result<String> {
    let full = format!("{prefix}{}", name(source, pickle, key)?);
    match full.len() <= MAX_NAME_BYTES {
        true => Ok(full),
        false => Err(source.over(
            "the length in bytes of a parameter's name, that of all modules around it included,",
            full.len() as u64,
            MAX_NAME_BYTES as u64,
        )),
    }
}
