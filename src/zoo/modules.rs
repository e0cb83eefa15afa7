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
use std::collections::HashMap;

/// Classes that are no layers of PyTorch's and do nothing, or what their name says, when they are not trained.
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
    for module in tree.modules() {
        let path = unwrapped(&module.path);
        let inside = path.strip_prefix(prefix).or_else(|| (path == outer).then_some(""));
        // What is around the network, or beside it, is called or not: its layers are leftovers.
        let Some(path) = inside.or_else(|| nodes.contains_key(&*path).then_some(&*path)) else {
            if altered(module) && (path.is_empty() || outer.starts_with(&format!("{path}."))) {
                found.differ(module, "functions are hooked into it, which are not run");
            }
            continue;
        };
        found.module(module, path, &network.graph, nodes.get(path).map_or(&[], Vec::as_slice), tree.scripted());
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
    if let Some(class) = code(tree, prefix) {
        notes.push(format!(
            "took the model, a {class}, for a {}: its parameters have the names, but what its forward does is code, which \
             was not run",
            network.name
        ));
    }
    let input = sized(&graph, network.input);
    Ok(Network { graph, notes, input, ..network })
}

/// The class of the model, where it is not one of torchvision's.
fn code<'t>(tree: &'t ModuleTree, prefix: &str) -> Option<&'t str> {
    let outer = prefix.trim_end_matches('.');
    let model = tree.modules().iter().find(|module| unwrapped(&module.path) == outer)?;
    (!model.class.starts_with("torchvision.models.")).then_some(model.class.as_str())
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

    /// Holds one module against the `nodes` of its path.
    fn module(&mut self, module: &Module, path: &str, graph: &Graph, nodes: &[&Node], scripted: bool) {
        if altered(module) {
            return self.differ(module, "functions are hooked into it or put in its place, which are not run");
        }
        let Some(node) = nodes.iter().find(|node| is_layer(node) || !path.is_empty() && module.children.is_empty())
        else {
            return self.without_node(module, graph, scripted);
        };
        match if scripted { of_class(module, node) } else { operator(module, node) } {
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
    }

    /// A module of whose name the graph has no operator.
    fn without_node(&mut self, module: &Module, graph: &Graph, scripted: bool) {
        let has_parameters = !module.parameters.is_empty();
        if has_parameters || !module.children.is_empty() || harmless(module) {
            return;
        }
        let Some(class) = module.torch_class() else {
            return self.differ(module, "what it does is code, which is not run");
        };
        let reason = match plain(module) {
            _ if matches!(class, "Flatten" | "Softmax" | "LogSoftmax" | "Sequential" | "ModuleList" | "ModuleDict") => {
                return;
            }
            Ok(None) => return,
            Ok(Some(operator)) if graph.nodes().iter().any(|node| node.op == operator) => return,
            Ok(Some(_)) => "the network calls no such layer".to_owned(),
            Err(_) if scripted && graph.nodes().iter().any(|node| of_class(module, node).is_ok()) => return,
            Err(reason) => reason,
        };
        self.differ(module, reason);
    }

    /// What is made of a node in the new graph.
    fn stands_for(&self, g: &mut Builder, node: &Node, inputs: &[Value]) -> Option<Value> {
        let (operator, &[x]) = (self.operators.get(&node.name)?, inputs) else { return None };
        if !is_layer(node) && !matches!(node.op, Op::Activation(_) | Op::MaxPool2d(_) | Op::AvgPool2d(_) | Op::Mean) {
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
    module.parameters.is_empty() && (torch || (module.torch_class().is_none() && HARMLESS.contains(&class)))
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
