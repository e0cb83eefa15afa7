//! The operator that a module is in the place of a node.

use super::classes::{harmless, is_sequential};
use super::words::{listed, told};
use crate::checkpoint::{Module, ModuleTree};
use crate::graph::{Node, Op};
use crate::printable::cut;
use crate::zoo::sequential::altered;
use crate::zoo::settings;

/// Whether a node has parameters, so that its name is a module's for sure.
pub(super) fn is_layer(node: &Node) -> bool {
    matches!(node.op, Op::Conv2d { .. } | Op::BatchNorm2d { .. } | Op::Linear { .. })
}

/// Whether a node has no parameters and may be a module.
pub(super) fn is_plain(node: &Node) -> bool {
    matches!(node.op, Op::Activation(_) | Op::MaxPool2d(_) | Op::AvgPool2d(_) | Op::Mean)
}

/// The operator that `module`, or the one module that does something in a chain, is in the place of `node`; none where nothing
/// does.
pub(super) fn in_place_of(module: &Module, tree: &ModuleTree, node: &Node) -> Result<Option<Op>, String> {
    let of = |module| if tree.scripted() { of_class(module, node) } else { operator(module, node) };
    match is_layer(node) || !is_sequential(module) && module.children.is_empty() {
        true => of(module),
        false => only(module, tree, node).and_then(|only| only.map_or(Ok(None), of)),
    }
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
pub(super) fn of_class(module: &Module, node: &Node) -> Result<Option<Op>, String> {
    let class = module.torch_class().unwrap_or_default();
    let same = match (&node.op, class) {
        (Op::Conv2d { .. }, "Conv2d")
        | (Op::Linear { .. }, "Linear" | "NonDynamicallyQuantizableLinear")
        | (Op::BatchNorm2d { .. }, "BatchNorm2d" | "BatchNorm1d" | "SyncBatchNorm")
        | (Op::MaxPool2d(_), "MaxPool2d")
        | (Op::AvgPool2d(_), "AvgPool2d")
        | (Op::Mean, "AdaptiveAvgPool2d") => true,
        (Op::Activation(activation), class) => activation.row().settings_of(class).is_some(),
        _ => false,
    };
    match same {
        true => Ok(Some(node.op.clone())),
        false if harmless(module) && !is_layer(node) => Ok(None),
        false => Err(format!("the network has {} there", told(&node.op))),
    }
}

/// The operator that a module without parameters is; none where it does nothing.
pub(super) fn plain(module: &Module) -> Result<Option<Op>, String> {
    settings::no_parameters(module)?;
    Ok(Some(match module.torch_class().unwrap_or_default() {
        "MaxPool2d" => Op::MaxPool2d(settings::max_pool2d(module)?),
        "AvgPool2d" => Op::AvgPool2d(settings::avg_pool2d(module)?),
        "AdaptiveAvgPool2d" => settings::is_mean(module).map(|()| Op::Mean)?,
        class if settings::is_identity(class) => return Ok(None),
        class => Op::Activation(settings::activation(module).ok_or_else(|| format!("no graph has a {class}"))??),
    }))
}

/// What may differ between two operators of one name, without the places of their parameters.
pub(super) fn settings_of(op: &Op) -> String {
    match op {
        Op::Conv2d { conv, .. } => format!("{conv:?}"),
        Op::BatchNorm2d { norm, .. } => format!("{norm:?}"),
        Op::Linear { linear, .. } => format!("{linear:?}"),
        op => format!("{op:?}"),
    }
}
