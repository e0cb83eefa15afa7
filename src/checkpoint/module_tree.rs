//! The modules of a model that was saved whole, as inert data: which there are, in which order, and how they were set.

use super::source::short;
use std::collections::HashMap;
use std::fmt;

/// The modules of a model, as `torch.save(model)` pickled them: not code, but what `print(model)` shows.
///
/// Each stands before those within it. No class is ever looked up, so a class is only the name that the file has for it.
#[derive(Debug, Clone, PartialEq)]
pub struct ModuleTree {
    modules: Vec<Module>,
    scripted: bool,
}

/// One module.
#[derive(Debug, Clone, PartialEq)]
pub struct Module {
    /// What goes before the names of its parameters, such as `layers.0`; empty for the model itself.
    pub path: String,
    /// The name of its class, such as `torch.nn.modules.conv.Conv2d`.
    pub class: String,
    /// Its public attributes, such as `kernel_size`, in the file's order.
    pub attributes: Vec<(String, Attribute)>,
    /// The names of its own parameters and persistent buffers, such as `weight`.
    pub parameters: Vec<String>,
    /// Whether functions are hooked into its call, which are code and may change what it returns.
    pub hooked: bool,
    /// The places in [`ModuleTree::modules`] of the modules directly within it, in the order of their registration.
    pub children: Vec<usize>,
}

/// What an attribute is set to.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Attribute {
    /// `None`.
    None,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A short text, such as `same`.
    Text(String),
    /// A few integers, such as the height and width of a kernel.
    Ints(Vec<i64>),
    /// Anything else, which is not kept.
    Other,
}

impl fmt::Display for Attribute {
    /// As Python writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Bool(true) => f.write_str("True"),
            Self::Bool(false) => f.write_str("False"),
            Self::Int(number) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{number:?}"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Ints(numbers) => {
                let numbers: Vec<String> = numbers.iter().map(i64::to_string).collect();
                write!(f, "({})", numbers.join(", "))
            }
            Self::Other => f.write_str("neither a number nor a short text"),
        }
    }
}

impl ModuleTree {
    /// A tree that is to be given its model.
    pub(super) fn new() -> Self {
        Self { modules: Vec::new(), scripted: false }
    }

    /// Adds a module, within the one at `parent` unless it is the model, and returns its place.
    pub(super) fn add(&mut self, parent: Option<usize>, module: Module) -> usize {
        let place = self.modules.len();
        if let Some(parent) = parent.and_then(|parent| self.modules.get_mut(parent)) {
            parent.children.push(place);
        }
        self.modules.push(module);
        place
    }

    pub(super) fn module_mut(&mut self, place: usize) -> Option<&mut Module> {
        self.modules.get_mut(place)
    }

    /// Takes note that the tree is TorchScript's, and whether its layers have their settings.
    pub(super) fn of_script(&mut self) {
        let layer = |module: &Module| {
            matches!(module.torch_class(), Some("Conv2d" | "Linear" | "BatchNorm1d" | "BatchNorm2d" | "MaxPool2d"))
        };
        self.scripted = self.modules.iter().any(|module| layer(module) && module.attributes.is_empty());
    }

    pub(super) fn modules_mut(&mut self) -> &mut [Module] {
        &mut self.modules
    }

    /// Whether it is of a TorchScript archive whose code does not say how modules are set, as that of a traced model: then
    /// they have classes and no attributes.
    pub fn scripted(&self) -> bool {
        self.scripted
    }

    /// Takes `prefix` off the paths that have it, as it comes off the parameters' names.
    pub(super) fn strip_prefix(&mut self, prefix: &str) {
        for module in &mut self.modules {
            if let Some(rest) = module.path.strip_prefix(prefix) {
                module.path = rest.to_owned();
            } else if Some(module.path.as_str()) == prefix.strip_suffix('.') {
                module.path.clear();
            }
        }
    }

    /// Gives parameters other names, or takes them away, by their whole names.
    pub(super) fn replace_parameters(&mut self, changes: &HashMap<String, Option<String>>) {
        for module in &mut self.modules {
            let prefix = if module.path.is_empty() { String::new() } else { format!("{}.", module.path) };
            module.parameters.retain_mut(|parameter| match changes.get(&format!("{prefix}{parameter}")) {
                None => true,
                Some(None) => false,
                Some(Some(new)) => {
                    *parameter = new.strip_prefix(&prefix).unwrap_or(new).to_owned();
                    true
                }
            });
        }
    }

    /// The same modules by the paths that `rename`, which is given and gives names of parameters, makes of theirs.
    pub(super) fn renamed(&self, mut rename: impl FnMut(&str) -> String) -> Self {
        const PARAMETER: &str = "weight";
        let mut tree = self.clone();
        for module in tree.modules.iter_mut().filter(|module| !module.path.is_empty()) {
            let new = rename(&format!("{}.{PARAMETER}", module.path));
            if let Some(path) = new.strip_suffix(PARAMETER) {
                module.path = path.strip_suffix('.').unwrap_or(path).to_owned();
            }
        }
        tree
    }

    /// Every module, the model first. There is at least that one.
    pub fn modules(&self) -> &[Module] {
        &self.modules
    }
}

impl Module {
    /// What the attribute `name` is set to; `None` where it has none.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The last part of its class's name where the class is PyTorch's own, such as `Conv2d`.
    pub fn torch_class(&self) -> Option<&str> {
        let (module, class) = self.class.rsplit_once('.')?;
        module.starts_with("torch.nn.modules.").then_some(class)
    }

    /// What it is called in messages: its path, or that it is the model.
    pub(crate) fn called(&self) -> String {
        if self.path.is_empty() { "the model".into() } else { short(&self.path) }
    }

    /// Bytes of memory that it takes, but for the names of its parameters.
    pub(super) fn bytes(&self) -> usize {
        let text = |text: &String| size_of::<String>() + text.len();
        let value = |value: &Attribute| match value {
            Attribute::Text(text) => text.len(),
            Attribute::Ints(numbers) => size_of_val(&numbers[..]),
            _ => 0,
        };
        let attributes: usize =
            self.attributes.iter().map(|(name, set)| text(name) + size_of::<Attribute>() + value(set)).sum();
        // And its place among the children of another.
        size_of::<Self>() + size_of::<usize>() + self.path.len() + self.class.len() + attributes
    }
}
