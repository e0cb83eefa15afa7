//! Fully connected layers with ReLU between them, of any depth and width, under any layer names.

use super::{Network, NotThis};
use crate::checkpoint::{ModuleTree, StateDict};
use crate::graph::{Builder, Linear, Shape, Value};

/// A multilayer perceptron.
///
/// Its layers may be called `l1`, `fc1`, `layers.0`, `linear_relu_stack.0`, `dense1` or anything else: what makes
/// them a chain is that each takes as many features as the one before gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mlp {
    /// Name and geometry of each layer, from the input on.
    pub layers: Vec<(String, Linear)>,
}

impl Mlp {
    /// The network: the image flattened, then the layers with ReLU between them.
    pub fn network(&self) -> Network {
        let mut g = Builder::new();
        let mut x = g.flatten(Value::INPUT);
        for (i, (name, linear)) in self.layers.iter().enumerate() {
            if i > 0 {
                x = g.relu(x);
            }
            x = g.linear(name, x, *linear);
        }
        let features = self.layers.first().map_or(0, |(_, first)| first.in_features);
        Network::new(self.name(), g.finish(x), image_of(features))
    }

    /// `mlp_` and the widths, such as `mlp_784-128-64-10`.
    fn name(&self) -> String {
        let first = self.layers.iter().take(1).map(|(_, l)| l.in_features);
        let widths: Vec<String> =
            first.chain(self.layers.iter().map(|(_, l)| l.out_features)).map(|n| n.to_string()).collect();
        format!("mlp_{}", widths.join("-"))
    }

    /// Takes a checkpoint that holds matrices which chain, their biases, and nothing else.
    pub(super) fn recognise(state: &StateDict) -> Result<Network, NotThis> {
        let mut layers = Vec::new();
        let mut foreign = Vec::new();
        for (name, tensor) in state.iter() {
            let flat;
            let shape = match (tensor.shape(), name.strip_suffix(".weight")) {
                (&[weights], Some(layer)) if !state.shapes_known() => {
                    flat = matrix(state, layer, weights);
                    flat.as_ref().map_or(tensor.shape(), |shape| &shape[..])
                }
                (shape, _) => shape,
            };
            match (name.rsplit_once('.'), shape) {
                (Some((layer, "weight")), &[out_features, in_features]) if out_features > 0 && in_features > 0 => {
                    let bias = state.get(&format!("{layer}.bias")).is_some();
                    layers.push((layer.to_owned(), Linear { in_features, out_features, bias }));
                }
                (Some((layer, "bias")), &[_]) if state.get(&format!("{layer}.weight")).is_some() => {}
                _ => foreign.push(name),
            }
        }
        let not =
            |reason| NotThis { closeness: layers.len() as f64 / (layers.len() + foreign.len()).max(1) as f64, reason };
        if let Some(class) = state.modules().and_then(other_activation) {
            return Err(not(format!("its modules have a {class}, where an MLP has ReLU between its layers")));
        }
        if let Some(first) = foreign.first() {
            return Err(not(format!("{} parameters are no fully connected layer's, such as {first}", foreign.len())));
        }
        let mut sorted = layers.clone();
        sorted.sort_by_cached_key(|(name, _)| natural_key(name));
        match [sorted, layers.clone()].into_iter().find(|order| !order.is_empty() && chains(order)) {
            Some(layers) => Ok(Self { layers }.network()),
            None => Err(not(
                "its layers do not chain: some take another number of features than the one before gives".into()
            )),
        }
    }
}

/// The class of the first activation that is not ReLU, where the modules are known. Softmax ends a network.
fn other_activation(tree: &ModuleTree) -> Option<&str> {
    let mut classes = tree.modules().iter().filter_map(|m| m.class.strip_prefix("torch.nn.modules.activation."));
    classes.find(|class| !matches!(*class, "ReLU" | "Softmax" | "LogSoftmax"))
}

/// The matrix that so many weights in a row are, where the layer's bias tells how many features come out.
fn matrix(state: &StateDict, layer: &str, weights: usize) -> Option<[usize; 2]> {
    let out_features = state.get(&format!("{layer}.bias"))?.element_count();
    let in_features = weights.checked_div(out_features)?;
    (in_features * out_features == weights).then_some([out_features, in_features])
}

fn chains(layers: &[(String, Linear)]) -> bool {
    layers.windows(2).all(|pair| pair[0].1.out_features == pair[1].1.in_features)
}

/// The image that flattens to so many features: square and grey, square and coloured, or a bare vector.
pub(crate) fn image_of(features: usize) -> Shape {
    for channels in [1, 3] {
        let side = (features / channels).isqrt();
        if channels * side * side == features {
            return Shape::new(channels, side, side);
        }
    }
    Shape::vector(features)
}

/// A sort key that puts `layer10` after `layer9`.
fn natural_key(name: &str) -> Vec<(String, u64)> {
    let mut key = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (text, tail) = rest.split_at(digits);
        let end = tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len());
        let (number, tail) = tail.split_at(end);
        key.push((text.to_owned(), number.parse().unwrap_or(u64::MAX)));
        rest = tail;
    }
    key
}
