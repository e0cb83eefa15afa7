//! The layer that a module of PyTorch's means, and what that takes.

use crate::checkpoint::Module;
use crate::graph::{Activation, AvgPool2d, BatchNorm2d, Builder, Conv2d, Linear, MaxPool2d, Value};
use crate::zoo::settings;

/// What modules of a class mean.
pub(super) struct Meaning {
    pub takes: Takes,
    /// The layer with the module's settings, which may depend on whether it is given a vector.
    pub layer: fn(&Module, bool) -> Result<Layer, String>,
}

/// What a layer takes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Takes {
    Image,
    Vector,
    /// Either, of which it makes a vector.
    Flattened,
    /// Either, as it is.
    Any,
}

/// A layer in a chain.
pub(super) enum Layer {
    Convolution(Conv2d),
    Linear(Linear),
    Norm(BatchNorm2d),
    MaxPool(MaxPool2d),
    AvgPool(AvgPool2d),
    Mean,
    Softmax,
    Activation(Activation),
    /// One that changes no number outside of training.
    Nothing,
}

/// By class; [`meaning`] knows the identities and activations as well.
const MEANINGS: [(&str, Meaning); 9] = [
    ("AdaptiveAvgPool2d", Meaning { takes: Takes::Image, layer: mean }),
    ("AvgPool2d", Meaning { takes: Takes::Image, layer: avg_pool }),
    ("BatchNorm1d", Meaning { takes: Takes::Vector, layer: norm }),
    ("BatchNorm2d", Meaning { takes: Takes::Image, layer: norm }),
    ("Conv2d", Meaning { takes: Takes::Image, layer: convolution }),
    ("Flatten", Meaning { takes: Takes::Flattened, layer: flatten }),
    ("Linear", Meaning { takes: Takes::Vector, layer: linear }),
    ("MaxPool2d", Meaning { takes: Takes::Image, layer: max_pool }),
    ("Softmax", Meaning { takes: Takes::Any, layer: softmax }),
];

/// What `module` means by its class.
pub(super) fn meaning(module: &Module) -> &'static Meaning {
    const NOTHING: Meaning = Meaning { takes: Takes::Any, layer: nothing };
    const ACTIVATION: Meaning = Meaning { takes: Takes::Any, layer: activation };
    let class = module.torch_class().unwrap_or_default();
    match MEANINGS.iter().find(|(name, _)| *name == class) {
        Some((_, meaning)) => meaning,
        None if settings::is_identity(class) => &NOTHING,
        None => &ACTIVATION,
    }
}

/// `nn.Conv2d`
fn convolution(module: &Module, _: bool) -> Result<Layer, String> {
    settings::conv2d(module).map(Layer::Convolution)
}

/// `nn.Linear`
fn linear(module: &Module, _: bool) -> Result<Layer, String> {
    settings::linear(module).map(Layer::Linear)
}

/// `nn.BatchNorm2d` and `nn.BatchNorm1d`
fn norm(module: &Module, _: bool) -> Result<Layer, String> {
    settings::batch_norm(module).map(Layer::Norm)
}

/// `nn.MaxPool2d`
fn max_pool(module: &Module, _: bool) -> Result<Layer, String> {
    plain(module, settings::max_pool2d(module).map(Layer::MaxPool))
}

/// `nn.AvgPool2d`
fn avg_pool(module: &Module, _: bool) -> Result<Layer, String> {
    plain(module, settings::avg_pool2d(module).map(Layer::AvgPool))
}

/// `nn.AdaptiveAvgPool2d(1)`
fn mean(module: &Module, _: bool) -> Result<Layer, String> {
    plain(module, settings::is_mean(module).map(|()| Layer::Mean))
}

/// `nn.Flatten`, which is done once the layer has what it takes
fn flatten(module: &Module, _: bool) -> Result<Layer, String> {
    plain(module, settings::flattens(module).map(|()| Layer::Nothing))
}

/// `nn.Softmax`
fn softmax(module: &Module, vector: bool) -> Result<Layer, String> {
    plain(module, settings::is_over_channels(module, vector).map(|()| Layer::Softmax))
}

/// `nn.ReLU` and other functions of each number
fn activation(module: &Module, _: bool) -> Result<Layer, String> {
    let activation = settings::activation(module).ok_or("no graph has such a layer")?;
    plain(module, activation.map(Layer::Activation))
}

/// `nn.Identity`, `nn.Dropout`
fn nothing(module: &Module, _: bool) -> Result<Layer, String> {
    plain(module, Ok(Layer::Nothing))
}

/// `layer`, if `module` has no parameters, as its class has none.
fn plain(module: &Module, layer: Result<Layer, String>) -> Result<Layer, String> {
    let layer = layer?;
    settings::no_parameters(module).map(|()| layer)
}

impl Layer {
    /// How many channels or features it takes, if it says so.
    pub fn width(&self) -> Option<usize> {
        match self {
            Self::Convolution(conv) => Some(conv.in_channels),
            Self::Linear(linear) => Some(linear.in_features),
            Self::Norm(norm) => Some(norm.channels),
            _ => None,
        }
    }

    /// Adds it to `g` after `x`, with its parameters under `path`.
    pub fn build(self, g: &mut Builder, path: &str, x: Value) -> Value {
        match self {
            Self::Convolution(conv) => g.conv2d(path, x, conv),
            Self::Linear(linear) => g.linear(path, x, linear),
            Self::Norm(norm) => g.batch_norm2d(path, x, norm),
            Self::MaxPool(pool) => g.max_pool2d(x, pool),
            Self::AvgPool(pool) => g.avg_pool2d(x, pool),
            Self::Mean => g.mean(x),
            Self::Softmax => g.softmax(x),
            Self::Activation(activation) => g.activation(x, activation),
            Self::Nothing => x,
        }
    }
}
