//! The layers that come after a network's features, where people put others than it was published with: a dropout before
//! the fully connected layer, two of them, one without a bias, or one outside of the network.

use super::families::LastLayer;
use super::sequential::{self, Chain};
use super::{MOST, Network, NotThis};
use crate::checkpoint::prefix::unwrapped;
use crate::checkpoint::{Module, StateDict};
use crate::graph::{Activation, BatchNorm2d, Builder, Head, Linear, Op, Value};
use crate::tensor::Tensor;

/// Where layers are looked for that take the features of a network without any of its own: `head.fc` in mmpretrain,
/// and what people call theirs.
const OUTSIDE: [&str; 5] = ["head", "fc", "classifier", "linear", "cls_head"];

/// Layers after the features, by their names.
pub(super) struct LastLayers<'s> {
    /// The module that they are in.
    within: &'s str,
    /// Whether it is no part of the network, but beside it.
    outside: bool,
    layers: Vec<Layer<'s>>,
    /// Whether their order is that of their numbers in a Sequential.
    numbered: bool,
}

/// One layer with parameters.
#[derive(Clone, Copy)]
struct Layer<'s> {
    name: &'s str,
    kind: Kind,
    weight: &'s Tensor,
    bias: Option<&'s Tensor>,
}

#[derive(Clone, Copy)]
enum Kind {
    Linear(Linear),
    Norm(BatchNorm2d),
}

/// The layers of `part` after its features, where they are not those of `stock` in number, name and bias.
pub(super) fn find<'s>(
    stock: &LastLayer,
    part: &'s StateDict,
    named: &'s StateDict,
    prefix: &str,
) -> Option<LastLayers<'s>> {
    if !part.shapes_known() {
        return None;
    }
    let own = gather(part, stock.within);
    if !own.is_empty() {
        let names = stock.before.map(|(name, _)| name).into_iter().chain([stock.name]);
        let usual = own.iter().map(|layer| layer.name).eq(names) && own.iter().all(|layer| layer.bias.is_some());
        // Its last layer is absent, and the one before that is none.
        let cut_off = matches!(own[..], [layer] if layer.is_before(stock));
        // Megvii's has no bias as it was published.
        let published = stock.name == "classifier.0" && own.len() == 1 && own[0].name == stock.name;
        return (!usual && !published && !cut_off).then(|| LastLayers::of(stock.within, own, false));
    }
    let beside = |root: &&str| *root != stock.within && !format!("{root}.").starts_with(prefix) || prefix.is_empty();
    let found: Vec<_> = OUTSIDE
        .into_iter()
        .filter(beside)
        .map(|root| (root, gather(named, root)))
        .filter(|(_, l)| !l.is_empty())
        .collect();
    match <[_; 1]>::try_from(found) {
        Ok([(root, layers)]) => Some(LastLayers::of(root, layers, true)),
        Err(_) => None,
    }
}

/// The layers with parameters within a module, or that it is, in the order of their numbers or else of the file.
fn gather<'s>(state: &'s StateDict, root: &str) -> Vec<Layer<'s>> {
    let within = |module: &str| module.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    let layer = |(name, tensor): (&'s str, &'s Tensor)| {
        let (module, last) = name.rsplit_once('.')?;
        let sized = |sizes: &[usize]| sizes.iter().all(|n| (1..=MOST).contains(n));
        let bias = state.get(&format!("{module}.bias"));
        let kind = match (last, tensor.shape()) {
            ("weight", &[out_features, in_features]) if sized(&[out_features, in_features]) => {
                Kind::Linear(Linear { in_features, out_features, bias: bias.is_some() })
            }
            ("running_mean", &[channels]) if sized(&[channels]) => Kind::Norm(BatchNorm2d::new(channels)),
            _ => return None,
        };
        Some(Layer { name: module, kind, weight: tensor, bias })
    };
    // Asked first of what costs nothing: a file can have a million names.
    let inside = state.iter().filter(|(name, _)| name.rsplit_once('.').is_some_and(|(module, _)| within(module)));
    let mut layers: Vec<Layer> = inside.filter_map(layer).collect();
    if layers.iter().all(|layer| numbers(root, layer.name).is_some()) {
        layers.sort_by_key(|layer| numbers(root, layer.name));
    }
    layers
}

/// The numbers that lead from a Sequential called `root` to the module called `name`.
fn numbers(root: &str, name: &str) -> Option<Vec<u32>> {
    let rest = name.strip_prefix(root)?;
    rest.split('.').filter(|part| !part.is_empty()).map(|part| part.parse().ok()).collect()
}

impl Layer<'_> {
    /// Whether it is the layer before the last that a network was published with.
    fn is_before(&self, stock: &LastLayer) -> bool {
        let gives = match self.kind {
            Kind::Linear(linear) => linear.out_features,
            Kind::Norm(_) => 0,
        };
        stock.before.is_some_and(|(name, sizes)| self.name == name && sizes.contains(&gives))
    }
}

impl<'s> LastLayers<'s> {
    fn of(root: &'s str, layers: Vec<Layer<'s>>, outside: bool) -> Self {
        let numbered = layers.iter().all(|layer| numbers(root, layer.name).is_some());
        Self { within: root, outside, layers, numbered }
    }

    /// The last weight and its bias under the name of the layer that a network was published with.
    pub fn last_as(&self, name: &str) -> Vec<(String, Tensor)> {
        let last = self.layers.iter().rev().find(|layer| matches!(layer.kind, Kind::Linear(_)));
        let bias = last.and_then(|last| Some((".bias", last.bias?)));
        let tensors = last.map(|last| (".weight", last.weight)).into_iter().chain(bias);
        tensors.map(|(part, tensor)| (format!("{name}{part}"), tensor.clone())).collect()
    }

    /// `network` with these layers in the place of its own.
    pub fn put_on(
        &self,
        mut network: Network,
        stock: &LastLayer,
        state: &StateDict,
        prefix: &str,
    ) -> Result<Network, NotThis> {
        let not = |reason: String| NotThis { closeness: 1.0, reason };
        let is_own = |name: &str| name.strip_prefix(stock.within).is_some_and(|r| r.is_empty() || r.starts_with('.'));
        let features = network.graph.nodes().iter().find_map(|node| match node.op {
            Op::Linear { linear, .. } if is_own(&node.name) => Some(linear.in_features),
            _ => None,
        });
        self.chain_from(features.unwrap_or(0)).map_err(not)?;
        let mut notes = Vec::new();
        if self.outside {
            notes.push(format!(
                "took `{}` for the layers that follow on the mean of {}'s features",
                self.within, network.name
            ));
        }
        if let [layer] = self.layers[..]
            && layer.name == stock.name
            && layer.bias.is_none()
        {
            notes.push(format!("took `{}` for a layer without a bias, which the checkpoint does not have", layer.name));
        }
        let mut made = None;
        let mut head = network.head;
        let graph = network.graph.rewritten(|g, node, inputs| match (&made, inputs) {
            (None, &[x]) if is_own(&node.name) && matches!(node.op, Op::Linear { .. }) => {
                made = Some(self.add(g, x, stock, state, prefix, &mut notes, &mut head));
                match &made {
                    Some(Ok(end)) => Some(*end),
                    _ => Some(x),
                }
            }
            (Some(_), &[x]) if is_own(&node.name) => Some(x),
            _ => None,
        });
        match made {
            Some(Err(reason)) => Err(not(reason)),
            _ => {
                network.notes.extend(notes);
                Ok(Network { graph, head, ..network })
            }
        }
    }

    /// Whether each layer takes as many numbers as the one before gives, and the first as many as there are features.
    fn chain_from(&self, features: usize) -> Result<(), String> {
        let mut width = features;
        for Layer { name, kind, .. } in &self.layers {
            let (takes, gives) = match kind {
                Kind::Linear(linear) => (linear.in_features, linear.out_features),
                Kind::Norm(norm) => (norm.channels, norm.channels),
            };
            if takes != width {
                return Err(format!("{name} takes {takes} features, and what comes before gives {width}"));
            }
            width = gives;
        }
        Ok(())
    }

    /// Adds all layers to `g` after `x`: as the modules say, or by their names with ReLU where something is between two.
    #[expect(clippy::too_many_arguments)]
    fn add(
        &self,
        g: &mut Builder,
        x: Value,
        stock: &LastLayer,
        state: &StateDict,
        prefix: &str,
        notes: &mut Vec<String>,
        head: &mut Head,
    ) -> Result<Value, String> {
        if let Some(mut modules) = self.modules(state, prefix) {
            if let Some(made) = sequential::last(&mut modules) {
                *head = made;
            }
            let mut chain = Chain::after(std::mem::take(g), x);
            let added = modules.iter().try_for_each(|module| {
                chain.add(module).map_err(|reason| format!("its module `{}`: {reason}", module.called()))
            });
            let (builder, end) = chain.parts();
            *g = builder;
            return added.map(|()| end);
        }
        notes.extend(self.room_before());
        let mut x = x;
        let mut before: Option<&Layer> = None;
        let mut pending = false;
        for layer in &self.layers {
            if let Some(before) = before.filter(|_| pending)
                && let Some(module) = self.between(before, layer)
            {
                let known = before.is_before(stock);
                if !known {
                    notes.push(format!(
                        "assumed ReLU between `{}` and `{}`, which their names do not tell",
                        before.name, layer.name
                    ));
                }
                let activation = if known { Activation::HardSwish } else { Activation::Relu };
                x = g.scope(&module, |g| g.activation(x, activation));
                pending = false;
            }
            x = match layer.kind {
                Kind::Linear(linear) => {
                    pending = true;
                    g.linear(layer.name, x, linear)
                }
                Kind::Norm(norm) => g.batch_norm2d(layer.name, x, norm),
            };
            before = Some(layer);
        }
        Ok(x)
    }

    /// What is assumed where the number of the first layer leaves room for more than a dropout before it.
    fn room_before(&self) -> Option<String> {
        let first = self.layers.first()?;
        let room = numbers(self.within, first.name)?.into_iter().max().filter(|&number| number > 1)?;
        Some(format!(
            "assumed nothing that computes between the pool and `{}`, whose number leaves room for {room} modules",
            first.name
        ))
    }

    /// What a module between two layers would be called, where their numbers leave room for one.
    fn between(&self, before: &Layer, after: &Layer) -> Option<String> {
        if !self.numbered {
            return Some(before.name.to_owned());
        }
        let (parent, last) = before.name.rsplit_once('.')?;
        let next = last.parse::<u32>().ok()?.checked_add(1)?;
        let next = format!("{parent}.{next}");
        (after.name != next && !after.name.starts_with(&format!("{next}."))).then_some(next)
    }

    /// The modules that these layers are among, in their order, where all that holds them is a Sequential.
    fn modules(&self, state: &StateDict, prefix: &str) -> Option<Vec<Module>> {
        let root = if self.outside { self.within.to_owned() } else { format!("{prefix}{}", self.within) };
        let tree = state.modules().filter(|tree| !tree.scripted())?;
        let module = tree.modules().iter().find(|module| unwrapped(&module.path) == root)?;
        let layers = match module.torch_class()? {
            "Sequential" => sequential::layers(tree, module).ok()?,
            _ => vec![module],
        };
        let local = |path: &str| {
            let path = unwrapped(path).into_owned();
            if self.outside { path } else { path.strip_prefix(prefix).unwrap_or(&path).to_owned() }
        };
        Some(layers.into_iter().map(|module| Module { path: local(&module.path), ..module.clone() }).collect())
    }
}
