//! Where modules are: their paths within a network, and which module calls which.

use super::classes::is_sequential;
use crate::checkpoint::prefix::unwrapped;
use crate::checkpoint::{Module, ModuleTree};

/// The modules of a tree, as seen from the network that has its parameters behind a prefix.
pub(super) struct Places<'t> {
    pub tree: &'t ModuleTree,
    prefix: &'t str,
    /// Of each module, without what wrappers add.
    paths: Vec<String>,
    /// By the place of a module, the place of the one that it is directly within.
    parents: Vec<Option<usize>>,
    /// The last module that has parameters.
    last: usize,
}

/// Where a module is called.
pub(super) struct Call<'p> {
    pub caller: &'p str,
    /// Whether the caller calls all that it has, one after another.
    pub chained: bool,
    /// Whether it is the model, or what wraps it.
    pub is_model: bool,
    /// Whether it stands behind all parameters.
    pub last: bool,
}

impl<'t> Places<'t> {
    pub fn new(tree: &'t ModuleTree, prefix: &'t str) -> Self {
        let modules = tree.modules();
        let paths = modules.iter().map(|module| place(&module.path)).collect();
        let last = modules.iter().rposition(|module| !module.parameters.is_empty()).unwrap_or(0);
        Self { tree, prefix, paths, parents: parents(tree), last }
    }

    /// The path of a module in the file.
    pub fn path(&self, at: usize) -> &str {
        &self.paths[at]
    }

    /// The path of a module in the network, if it is in there.
    pub fn inside(&self, at: usize) -> Option<&str> {
        let path = self.path(at);
        path.strip_prefix(self.prefix).or_else(|| (path == self.network()).then_some(""))
    }

    /// All paths in the network at which there is a module.
    pub fn all_inside(&self) -> impl Iterator<Item = &str> {
        (0..self.paths.len()).filter_map(|at| self.inside(at))
    }

    /// The chain of modules at `path` in the network, if one is there.
    pub fn chain(&self, path: &str) -> Option<&'t Module> {
        let modules = self.tree.modules();
        let chain = (0..self.paths.len()).find(|at| self.inside(*at) == Some(path) && is_sequential(&modules[*at]));
        chain.map(|at| &modules[at])
    }

    /// Whether a module is around the network.
    pub fn surrounds(&self, at: usize) -> bool {
        surrounds(self.path(at), self.network())
    }

    /// The module that calls this one: a list does not call what it holds, and timm's pool stands for what it holds.
    pub fn caller(&self, at: usize) -> Option<usize> {
        let holds = |at: &usize| {
            let module = &self.tree.modules()[*at];
            module.class == "timm.layers.adaptive_avgmax_pool.SelectAdaptivePool2d"
                || matches!(module.torch_class(), Some("ModuleList" | "ModuleDict"))
        };
        std::iter::successors(self.parents[at], |at| self.parents[*at]).find(|at| !holds(at))
    }

    /// Where a module is called.
    pub fn call(&self, at: usize) -> Call<'_> {
        let caller = self.caller(at);
        Call {
            caller: caller.and_then(|caller| self.inside(caller)).unwrap_or_default(),
            chained: caller.is_some_and(|caller| is_sequential(&self.tree.modules()[caller])),
            is_model: self.inside(at) == Some(""),
            last: at > self.last,
        }
    }

    /// The classes of the model and of what is around it, where they are not PyTorch's or torchvision's.
    pub fn code(&self) -> Vec<&'t str> {
        let network = self.network();
        let modules = self.tree.modules().iter().zip(&self.paths);
        let around = modules.filter(|(_, path)| *path == network || surrounds(path, network));
        let classes = around.map(|(module, _)| module.class.as_str());
        classes.filter(|class| !["torchvision.models.", "torch."].iter().any(|own| class.starts_with(own))).collect()
    }

    /// The path of the module that the network is.
    fn network(&self) -> &'t str {
        self.prefix.trim_end_matches('.')
    }
}

/// Whether what is at `path` is around what is at `inner`, or the whole.
fn surrounds(path: &str, inner: &str) -> bool {
    path.is_empty() || inner.starts_with(&format!("{path}."))
}

/// Where a module is, without what wrappers add.
fn place(path: &str) -> String {
    let below = format!("{path}.weight");
    let below = unwrapped(if path.is_empty() { "weight" } else { &below });
    below.strip_suffix("weight").unwrap_or(path).trim_end_matches('.').to_owned()
}

/// By the place of a module, the place of the one that it is directly within.
fn parents(tree: &ModuleTree) -> Vec<Option<usize>> {
    let mut parents = vec![None; tree.modules().len()];
    for (at, module) in tree.modules().iter().enumerate() {
        for child in &module.children {
            if let Some(parent) = parents.get_mut(*child) {
                *parent = Some(at);
            }
        }
    }
    parents
}
