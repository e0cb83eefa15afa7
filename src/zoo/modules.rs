//! Holds a network that was recognised by its names against the modules of a model that was saved whole.
//!
//! A module's settings are the file's own word: strides, padding, eps, activations and pools are taken from it where a graph
//! has such an operator, and named where it has none. What a module of somebody's own class does is code, which is not run.

use super::sequential::altered;
use super::{Network, settings};
use crate::checkpoint::prefix::unwrapped;
use crate::checkpoint::{Module, ModuleTree, StateDict};
use crate::graph::{Activation, Builder, Graph, Node, Op, Shape, Value};
use crate::printable::cut;
use std::collections::{HashMap, HashSet};

/// Classes of the libraries' that are no layers in torch.nn and do nothing, or what their name says, when they are not trained.
const HARMLESS: [&str; 9] = [
    "DropPath",
    "StochasticDepth",
    "DropBlock2d",
    "DropBlock",
    "QuantStub",
    "DeQuantStub",
    "FloatFunctional",
    "Identity",
    "Dropout",
];

/// How many differences or changes are listed.
const SHOWN: usize = 16;

/// `network` with the settings of the modules that its nodes are named after, if the checkpoint has modules.
///
/// # Errors
/// Every module that is, or does, what no graph has.
pub(super) fn settle(network: Network, state: &StateDict, prefix: &str) -> Result<Network, String> {
    let Some(tree) = state.modules() else { return Ok(network) };
    let mut found = Settled::default();
    let mut nodes: HashMap<&str, Vec<&Node>> = HashMap::new();
    for node in network.graph.nodes() {
        nodes.entry(&node.name).or_default().push(node);
    }
    let outer = prefix.trim_end_matches('.');
    let parents = parents(tree);
    let paths: Vec<String> = tree.modules().iter().map(|module| place(&module.path)).collect();
    let inside = |at: usize| paths[at].strip_prefix(prefix).or_else(|| (paths[at] == outer).then_some(""));
    let known: HashSet<&str> = (0..paths.len()).filter_map(inside).collect();
    let around = Around::new(&network.graph, known, tree);
    let last = (0..paths.len()).rev().find(|at| !tree.modules()[*at].parameters.is_empty()).unwrap_or(0);
    // What is below a module that stands for one layer was seen with it.
    let mut seen: Option<String> = None;
    for (at, module) in tree.modules().iter().enumerate() {
        // The module that calls this one: a list does not call what it holds, and timm's pool stands for what it holds.
        let holds = |at: &usize| {
            let module = &tree.modules()[*at];
            module.class == "timm.layers.adaptive_avgmax_pool.SelectAdaptivePool2d"
                || matches!(module.torch_class(), Some("ModuleList" | "ModuleDict"))
        };
        let caller = std::iter::successors(parents[at], |at| parents[*at]).find(|at| !holds(at));
        let chained = caller.is_some_and(|caller| is_sequential(&tree.modules()[caller]));
        let within = Within {
            caller: caller.and_then(inside).unwrap_or_default(),
            chained,
            is_model: inside(at) == Some(""),
            last: at > last,
        };
        // What is around the network, or beside it, is called or not: its layers are leftovers.
        let path = &paths[at];
        let Some(path) = inside(at).or_else(|| (!path.is_empty() && nodes.contains_key(&**path)).then_some(&**path))
        else {
            let holds = |path: &str| path.is_empty() || outer.starts_with(&format!("{path}."));
            if holds(path) {
                if altered(module) {
                    found.differ(module, "functions are hooked into it, which are not run");
                }
            } else if chained && caller.is_some_and(|caller| holds(&paths[caller])) && module.children.is_empty() {
                found.without_node(module, &around, &within);
            }
            continue;
        };
        if seen.as_ref().is_some_and(|seen| path.starts_with(seen)) {
            continue;
        }
        let nodes = nodes.get(path).map_or(&[][..], Vec::as_slice);
        if found.module(module, path, nodes, &around, &within) {
            seen = Some(format!("{path}."));
        }
    }
    for node in network.graph.nodes() {
        let name = node.name.as_str();
        let Some((parent, _)) = name.rsplit_once('.').filter(|_| is_plain(node) && !around.above.contains(name)) else {
            continue;
        };
        let chain = (0..paths.len()).find(|at| inside(*at) == Some(parent) && is_sequential(&tree.modules()[*at]));
        if let Some(chain) = chain.filter(|_| !around.known.contains(name)) {
            let reason = format!("it has no `{}`, where the network has {}", cut(name, 60), told(&node.op));
            found.differ(&tree.modules()[chain], reason);
        }
    }
    if !found.differences.is_empty() {
        let what = listed(&found.differences);
        let name = &network.name;
        return Err(format!("its parameters are {name}'s, but its modules do what {name} does not: {what}"));
    }
    let graph = network.graph.rewritten(|g, node, inputs| found.stands_for(g, node, inputs));
    let mut notes = network.notes.clone();
    if !found.changes.is_empty() {
        notes.push(format!("other than in {}, as the modules say: {}", network.name, listed(&found.changes)));
    }
    for class in code(tree, &paths, outer) {
        let class = cut(class, 60);
        notes.push(format!(
            "took the model, a {class}, for a {}: its parameters have the names, but what its forward does is code, which \
             was not run",
            network.name
        ));
    }
    if tree.scripted() {
        notes.push(format!(
            "took the eps, strides, paddings, dilations and pools of {} for the model's: a traced model has none of them as \
             attributes of its modules",
            network.name
        ));
    }
    let input = sized(&graph, network.input);
    Ok(Network { graph, notes, input, ..network })
}

/// The classes of the model and of what is around it, at `outer` and above, where they are not PyTorch's or torchvision's.
fn code<'t>(tree: &'t ModuleTree, paths: &[String], outer: &str) -> Vec<&'t str> {
    let above = |path: &str| path.is_empty() || path == outer || outer.starts_with(&format!("{path}."));
    let modules = tree.modules().iter().zip(paths).filter(|(_, path)| above(path));
    let classes = modules.map(|(module, _)| module.class.as_str());
    classes.filter(|class| !["torchvision.models.", "torch."].iter().any(|own| class.starts_with(own))).collect()
}

/// Whether a class is of a library whose networks are the ones that are known here.
fn is_library(class: &str) -> bool {
    ["torch.", "torchvision.", "timm."].iter().any(|library| class.starts_with(library))
}

fn is_sequential(module: &Module) -> bool {
    module.torch_class() == Some("Sequential")
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

/// What a module is held against.
struct Around<'g> {
    graph: &'g Graph,
    /// The names of all that nodes are within.
    above: HashSet<&'g str>,
    /// The paths at which there is a module.
    known: HashSet<&'g str>,
    tree: &'g ModuleTree,
}

impl<'g> Around<'g> {
    fn new(graph: &'g Graph, known: HashSet<&'g str>, tree: &'g ModuleTree) -> Self {
        let dots = |name: &'g str| name.match_indices('.').map(move |(at, _)| &name[..at]);
        Self { graph, above: graph.nodes().iter().flat_map(|node| dots(&node.name)).collect(), known, tree }
    }

    /// The nodes that are no module of their own, which the forward of `caller` may have one for. A chain has no forward,
    /// but last layers were read off it without names for what is between them.
    fn unnamed(&self, caller: &str, chained: bool) -> impl Iterator<Item = &'g Node> {
        let below = format!("{caller}.");
        let mut nodes = self.graph.nodes().iter();
        let is_head =
            chained && nodes.any(|node| matches!(node.op, Op::Linear { .. }) && node.name.starts_with(&below));
        self.graph.nodes().iter().filter(move |node| {
            let name = node.name.as_str();
            let within = name.rsplit_once('.').map_or("", |(within, _)| within);
            let is_free = !self.above.contains(name) && !self.known.contains(name);
            match chained {
                true => is_head && (name.is_empty() || is_free),
                false => name == caller || within == caller && is_free,
            }
        })
    }
}

/// Where a module is called.
struct Within<'p> {
    caller: &'p str,
    /// Whether the caller calls all that it has, one after another.
    chained: bool,
    /// Whether it is the model, or what wraps it.
    is_model: bool,
    /// Whether it stands behind all parameters.
    last: bool,
}

/// The input for which `graph` works out, where that is not the `usual` one: a square of a common size, or near it.
fn sized(graph: &Graph, usual: Shape) -> Shape {
    const COMMON: [usize; 5] = [28, 32, 64, 96, 224];
    const FURTHEST: usize = 64;
    let square = |side| Shape::new(usual.channels, side, side);
    if graph.shapes(usual).is_ok() {
        return usual;
    }
    let near = (1..=FURTHEST.min(usual.height)).flat_map(|by| [usual.height - by, usual.height + by]);
    let side = COMMON.into_iter().chain(near).find(|side| *side > 0 && graph.shapes(square(*side)).is_ok());
    side.map_or(usual, square)
}

/// What the modules say of a network.
#[derive(Default)]
struct Settled {
    /// By a node's name, what is there in its place; none where nothing is.
    operators: HashMap<String, Option<Op>>,
    /// What is another setting.
    changes: Vec<String>,
    /// What no graph has.
    differences: Vec<String>,
}

impl Settled {
    fn differ(&mut self, module: &Module, reason: impl AsRef<str>) {
        let (path, class) = (module.called(), &module.class);
        self.differences.push(format!("`{}` ({}): {}", cut(&path, 60), cut(class, 60), reason.as_ref()));
    }

    /// Holds one module against the `nodes` of its path. Whether that was done with all that is in it.
    fn module(&mut self, module: &Module, path: &str, nodes: &[&Node], around: &Around, within: &Within) -> bool {
        if altered(module) {
            self.differ(module, "functions are hooked into it or put in its place, which are not run");
            return false;
        }
        let is_leaf = !path.is_empty() && !around.above.contains(path);
        let Some(node) = nodes.iter().find(|node| is_layer(node) || is_leaf && is_plain(node)) else {
            self.without_node(module, around, within);
            return false;
        };
        let of = |module| if around.tree.scripted() { of_class(module, node) } else { operator(module, node) };
        let is = match is_layer(node) || !is_sequential(module) && module.children.is_empty() {
            true => of(module),
            false => only(module, around.tree, node).and_then(|only| only.map_or(Ok(None), of)),
        };
        match is {
            Err(reason) => self.differ(module, reason),
            Ok(operator) => {
                let changed = operator.as_ref().map(settings_of) != Some(settings_of(&node.op));
                if changed {
                    let (is, was) = (operator.as_ref().map_or("nothing".into(), told), told(&node.op));
                    self.changes.push(format!("`{}` is {is}, not {was}", cut(path, 60)));
                    self.operators.insert(path.to_owned(), operator);
                }
            }
        }
        !is_layer(node)
    }

    /// A module of whose name the graph has no operator.
    fn without_node(&mut self, module: &Module, around: &Around, within: &Within) {
        if !module.children.is_empty() {
            // The model's own class is told in a note.
            if !within.is_model && !is_library(&module.class) {
                self.differ(module, "its forward is code, which is not run");
            }
            return;
        }
        if !module.parameters.is_empty() || harmless(module) {
            return;
        }
        let Some(class) = module.torch_class() else {
            return self.differ(module, "what it does is code, which is not run");
        };
        let mut candidates = around.unnamed(within.caller, within.chained);
        let reason = match plain(module) {
            _ if matches!(class, "Flatten" | "Sequential" | "ModuleList" | "ModuleDict") => return,
            _ if matches!(class, "Softmax" | "LogSoftmax") && (within.last || !within.chained) => return,
            Ok(None) => return,
            Ok(Some(operator)) if candidates.any(|node| node.op == operator) => return,
            Ok(Some(_)) => "the network calls no such layer".to_owned(),
            Err(_) if around.tree.scripted() && candidates.any(|node| of_class(module, node).is_ok()) => return,
            Err(reason) => reason,
        };
        self.differ(module, reason);
    }

    /// What is made of a node in the new graph.
    fn stands_for(&self, g: &mut Builder, node: &Node, inputs: &[Value]) -> Option<Value> {
        let (operator, &[x]) = (self.operators.get(&node.name)?, inputs) else { return None };
        if !is_layer(node) && !is_plain(node) {
            return None;
        }
        Some(match operator {
            None => x,
            Some(Op::Conv2d { conv, .. }) => g.conv2d(&node.name, x, *conv),
            Some(Op::BatchNorm2d { norm, .. }) => g.batch_norm2d(&node.name, x, *norm),
            Some(Op::Linear { linear, .. }) => g.linear(&node.name, x, *linear),
            Some(op) => g.scope(&node.name, |g| match *op {
                Op::Activation(activation) => g.activation(x, activation),
                Op::MaxPool2d(pool) => g.max_pool2d(x, pool),
                Op::AvgPool2d(pool) => g.avg_pool2d(x, pool),
                _ => g.mean(x),
            }),
        })
    }
}

/// Whether a node has parameters, so that its name is a module's for sure.
fn is_layer(node: &Node) -> bool {
    matches!(node.op, Op::Conv2d { .. } | Op::BatchNorm2d { .. } | Op::Linear { .. })
}

/// Whether a node has no parameters and may be a module.
fn is_plain(node: &Node) -> bool {
    matches!(node.op, Op::Activation(_) | Op::MaxPool2d(_) | Op::AvgPool2d(_) | Op::Mean)
}

/// The one module in a chain of them that does something, if any does, where the network has `node`.
fn only<'t>(module: &Module, tree: &'t ModuleTree, node: &Node) -> Result<Option<&'t Module>, String> {
    let expected = told(&node.op);
    if !is_sequential(module) {
        return Err(format!("the network has {expected} there, and what this does is code, which is not run"));
    }
    let mut found: Vec<&Module> = Vec::new();
    let mut left: Vec<usize> = module.children.iter().rev().copied().collect();
    while let Some(child) = left.pop().and_then(|at| tree.modules().get(at)) {
        if altered(child) {
            return Err(format!("functions are hooked into its `{}`, which are not run", cut(&child.path, 60)));
        }
        let passes = node.op == Op::Mean && child.torch_class() == Some("Flatten") && settings::flattens(child).is_ok();
        match is_sequential(child) {
            true => left.extend(child.children.iter().rev()),
            false if passes || harmless(child) => {}
            false => found.push(child),
        }
    }
    match found[..] {
        [] => Ok(None),
        [one] if one.children.is_empty() => Ok(Some(one)),
        _ => {
            let found: Vec<String> =
                found.iter().map(|m| format!("`{}` ({})", cut(&m.path, 60), cut(&m.class, 60))).collect();
            Err(format!("the network has {expected} there, and not {}", listed(&found)))
        }
    }
}

/// The operator that `module` is in the place of `node`; none where it does nothing.
fn operator(module: &Module, node: &Node) -> Result<Option<Op>, String> {
    let class = module.torch_class().unwrap_or_default();
    match (node.op.clone(), class) {
        (Op::Conv2d { weight, bias, .. }, "Conv2d") => {
            Ok(Some(Op::Conv2d { conv: settings::conv2d(module)?, weight, bias }))
        }
        (Op::Linear { weight, bias, .. }, "Linear" | "NonDynamicallyQuantizableLinear") => {
            Ok(Some(Op::Linear { linear: settings::linear(module)?, weight, bias }))
        }
        (
            Op::BatchNorm2d { weight, bias, running_mean, running_var, .. },
            "BatchNorm2d" | "BatchNorm1d" | "SyncBatchNorm",
        ) => Ok(Some(Op::BatchNorm2d { norm: settings::batch_norm(module)?, weight, bias, running_mean, running_var })),
        (Op::Conv2d { .. } | Op::Linear { .. } | Op::BatchNorm2d { .. }, _) => {
            Err("what it does with these parameters is code, which is not run".into())
        }
        _ if harmless(module) => Ok(None),
        _ if class.is_empty() => Err("what it does is code, which is not run".into()),
        _ => plain(module),
    }
}

/// The same by the class alone, of a module whose settings are not known: those of `node` are taken for them.
fn of_class(module: &Module, node: &Node) -> Result<Option<Op>, String> {
    let class = module.torch_class().unwrap_or_default();
    let same = match (&node.op, class) {
        (Op::Conv2d { .. }, "Conv2d")
        | (Op::Linear { .. }, "Linear" | "NonDynamicallyQuantizableLinear")
        | (Op::BatchNorm2d { .. }, "BatchNorm2d" | "BatchNorm1d" | "SyncBatchNorm")
        | (Op::MaxPool2d(_), "MaxPool2d")
        | (Op::AvgPool2d(_), "AvgPool2d")
        | (Op::Mean, "AdaptiveAvgPool2d")
        | (Op::Activation(Activation::Clamp { .. }), "ReLU6" | "Hardtanh") => true,
        (Op::Activation(activation), _) => settings::activation(module) == Some(Ok(*activation)),
        _ => false,
    };
    match same {
        true => Ok(Some(node.op.clone())),
        false if harmless(module) && !is_layer(node) => Ok(None),
        false => Err(format!("the network has {} there", told(&node.op))),
    }
}

/// The operator that a module without parameters is; none where it does nothing.
fn plain(module: &Module) -> Result<Option<Op>, String> {
    settings::no_parameters(module)?;
    Ok(Some(match module.torch_class().unwrap_or_default() {
        "MaxPool2d" => Op::MaxPool2d(settings::max_pool2d(module)?),
        "AvgPool2d" => Op::AvgPool2d(settings::avg_pool2d(module)?),
        "AdaptiveAvgPool2d" => settings::is_mean(module).map(|()| Op::Mean)?,
        class if settings::is_identity(class) => return Ok(None),
        class => Op::Activation(settings::activation(module).ok_or_else(|| format!("no graph has a {class}"))??),
    }))
}

/// Whether a module does nothing outside of training.
fn harmless(module: &Module) -> bool {
    let class = module.class.rsplit('.').next().unwrap_or_default();
    let torch = module.torch_class().is_some_and(settings::is_identity);
    module.parameters.is_empty()
        && (torch || (module.torch_class().is_none() && is_library(&module.class) && HARMLESS.contains(&class)))
}

/// What may differ between two operators of one name, without the places of their parameters.
fn settings_of(op: &Op) -> String {
    match op {
        Op::Conv2d { conv, .. } => format!("{conv:?}"),
        Op::BatchNorm2d { norm, .. } => format!("{norm:?}"),
        Op::Linear { linear, .. } => format!("{linear:?}"),
        op => format!("{op:?}"),
    }
}

/// An operator and its settings in a few words.
fn told(op: &Op) -> String {
    let pair = |[a, b]: [usize; 2]| if a == b { a.to_string() } else { format!("{a}x{b}") };
    match op {
        Op::Conv2d { conv, .. } => {
            let window = conv.window;
            let pad = window.padding;
            format!(
                "a {} convolution of stride {}, padding {}, dilation {} and {} groups{}",
                pair(window.kernel),
                pair(window.stride),
                pair([pad.top, pad.left]),
                pair(window.dilation),
                conv.groups,
                if conv.bias { " with a bias" } else { "" }
            )
        }
        Op::BatchNorm2d { norm, .. } => format!("a normalisation with eps {:?}", norm.eps),
        Op::Linear { linear, .. } => format!("a layer of {} to {}", linear.in_features, linear.out_features),
        Op::MaxPool2d(pool) => window(pool.window, pool.ceil_mode, "maximum"),
        Op::AvgPool2d(pool) => window(pool.window, pool.ceil_mode, "average"),
        Op::Activation(Activation::Clamp { low, high }) => format!("a clamp to {low}..{high}"),
        Op::Activation(activation) => format!("{activation:?}"),
        _ => "a mean over the image".into(),
    }
}

fn window(window: crate::graph::Window, ceil: bool, what: &str) -> String {
    format!(
        "the {what} of {}x{} pixels with stride {} and padding {}{}",
        window.kernel[0],
        window.kernel[1],
        window.stride[0],
        window.padding.top,
        if ceil { ", rounded up" } else { "" }
    )
}

fn listed(all: &[String]) -> String {
    let shown = all[..all.len().min(SHOWN)].join("; ");
    if all.len() > SHOWN { format!("{shown}; and {} more", all.len() - SHOWN) } else { shown }
}
