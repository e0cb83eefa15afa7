//! Fully connected layers with ReLU between them, of any depth and width, under any layer names.

mod order;

use crate::checkpoint::{StateDict, prefix};
use crate::graph::{Builder, Linear, Shape, Value};
use crate::printable::cut;
use crate::zoo::{Network, NotThis};

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
        let mut network = Network::new(self.name(), g.finish(x), image_of(features));
        if self.layers.len() > 1 {
            network.notes.push("assumed ReLU between fully connected layers: names and shapes do not tell".into());
        }
        network
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
        if let Some(first) = foreign.first() {
            let (count, first) = (foreign.len(), cut(first, 60));
            return Err(not(format!("{count} of its parameters belong to other layers, such as {first}")));
        }
        let sorted = state.names().is_sorted();
        let Some((layers, note)) = order::of(layers.clone(), sorted) else {
            return Err(not(
                "its layers do not chain: some take another number of features than the one before gives".into()
            ));
        };
        if let Some(reason) = no_classifier(&layers) {
            return Err(not(reason));
        }
        let mut network = Self { layers }.network();
        network.notes.extend(note);
        Ok(network)
    }
}

/// Why matrices that chain are no classifier, where it shows.
fn no_classifier(layers: &[(String, Linear)]) -> Option<String> {
    /// Words for matrices that are applied to something other than the pixels of an image.
    const OTHERS: [&str; 12] = [
        "lora",
        "embed",
        "embedding",
        "embeddings",
        "attn",
        "attention",
        "qkv",
        "decoder",
        "decode",
        "generator",
        "lstm",
        "adapter",
    ];
    let (first, last) = (&layers.first()?.1, &layers.last()?.1);
    let other = layers.iter().find(|(name, _)| prefix::words(name).any(|word| OTHERS.contains(&&*word)));
    if let Some((name, _)) = other {
        return Some(format!("`{}` is by its name no layer of a classifier", cut(name, 60)));
    }
    if layers.len() == 1 && !first.bias {
        return Some("it is a single matrix without a bias, which may be anything".into());
    }
    let narrowest = layers.iter().map(|(_, layer)| layer.out_features).min()?;
    if layers.len() > 1 && first.in_features == last.out_features && narrowest < first.in_features {
        return Some(format!(
            "it gives back {} numbers, as many as it takes, as an autoencoder does",
            first.in_features
        ));
    }
    (last.out_features > first.in_features).then(|| {
        let (takes, gives) = (first.in_features, last.out_features);
        format!("it makes {gives} numbers of {takes}, where a classifier makes fewer than it takes")
    })
}

/// The matrix that so many weights in a row are, where the layer's bias tells how many features come out.
fn matrix(state: &StateDict, layer: &str, weights: usize) -> Option<[usize; 2]> {
    let out_features = state.get(&format!("{layer}.bias"))?.element_count();
    let in_features = weights.checked_div(out_features)?;
    (in_features * out_features == weights).then_some([out_features, in_features])
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
