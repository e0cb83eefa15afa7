//! SqueezeNet 1.0 and 1.1 (Iandola et al. 2016, arXiv:1602.07360) under torchvision's parameter names.

use crate::checkpoint::StateDict;
use crate::graph::{Builder, Conv2d, Graph, MaxPool2d, Shape, Value};
use crate::zoo::{Clues, Network, NotThis};

/// What tells one SqueezeNet from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqueezeNet {
    /// Whether it is version 1.1, with a smaller first convolution and earlier pools, not 1.0.
    pub v1_1: bool,
    /// Classes that the last layer tells apart.
    pub num_classes: usize,
}

/// What stands in `features` after the first convolution and its ReLU.
enum Layer {
    /// A max pool of 3x3, stride 2, whose last window may jut out.
    Pool,
    /// A Fire module: channels that it squeezes to, and those of each of the two convolutions that expand them.
    Fire(usize, usize),
}
use Layer::{Fire, Pool};

/// From `features.2` on.
const V1_0: [Layer; 11] = [
    Pool,
    Fire(16, 64),
    Fire(16, 64),
    Fire(32, 128),
    Pool,
    Fire(32, 128),
    Fire(48, 192),
    Fire(48, 192),
    Fire(64, 256),
    Pool,
    Fire(64, 256),
];
const V1_1: [Layer; 11] = [
    Pool,
    Fire(16, 64),
    Fire(16, 64),
    Pool,
    Fire(32, 128),
    Fire(32, 128),
    Pool,
    Fire(48, 192),
    Fire(48, 192),
    Fire(64, 256),
    Fire(64, 256),
];

impl SqueezeNet {
    /// torchvision's `squeezenet1_0` or `squeezenet1_1`.
    pub fn by_name(name: &str, num_classes: usize) -> Option<Self> {
        [false, true].map(|v1_1| Self { v1_1, num_classes }).into_iter().find(|known| known.name() == name)
    }

    /// torchvision's name for it.
    pub fn name(&self) -> &'static str {
        if self.v1_1 { "squeezenet1_1" } else { "squeezenet1_0" }
    }

    /// The network, with the 224x224 pixels that it was designed for as its usual input.
    pub fn network(&self) -> Network {
        Network::new(self.name(), self.graph(), Shape::new(3, 224, 224))
    }

    /// `SqueezeNet.forward`.
    fn graph(&self) -> Graph {
        let (mut inplanes, kernel) = if self.v1_1 { (64, 3) } else { (96, 7) };
        let mut g = Builder::new();
        let first = Conv2d::new(3, inplanes, kernel).stride(2);
        let mut x = g.sequential("features", Value::INPUT).conv2d(first).relu().end();
        for (i, layer) in self.layers().iter().enumerate() {
            x = match *layer {
                Pool => g.scope(&format!("features.{}", i + 2), |g| {
                    g.max_pool2d(x, MaxPool2d::new(3).stride(2).ceil_mode())
                }),
                Fire(squeeze, expand) => {
                    let out = g.scope(&format!("features.{}", i + 2), |g| fire(g, x, inplanes, squeeze, expand));
                    inplanes = 2 * expand;
                    out
                }
            };
        }
        let last = Conv2d::new(inplanes, self.num_classes, 1);
        let x = g.sequential("classifier", x).dropout().conv2d(last).relu().mean().end();
        g.finish(x)
    }

    fn layers(&self) -> &'static [Layer] {
        if self.v1_1 { &V1_1 } else { &V1_0 }
    }

    /// Tells the versions from the place of the second pool.
    pub(super) fn recognise(state: &StateDict) -> Result<Network, NotThis> {
        let mut found = Clues::new(state);
        found.dimension("features.0.weight", 0, 4);
        let num_classes = found.dimension("classifier.1.weight", 0, 4);
        let known = Self { v1_1: !state.contains("features.5.squeeze.weight"), num_classes };
        for (i, layer) in known.layers().iter().enumerate() {
            if let Fire(..) = layer {
                found.dimension(&format!("features.{}.squeeze.weight", i + 2), 0, 4);
            }
        }
        found.verdict()?;
        Ok(known.network())
    }
}

/// `Fire.forward`.
fn fire(g: &mut Builder, x: Value, inplanes: usize, squeeze: usize, expand: usize) -> Value {
    let x = g.conv2d("squeeze", x, Conv2d::new(inplanes, squeeze, 1));
    let x = g.scope("squeeze_activation", |g| g.relu(x));
    let one = g.conv2d("expand1x1", x, Conv2d::new(squeeze, expand, 1));
    let one = g.scope("expand1x1_activation", |g| g.relu(one));
    let three = g.conv2d("expand3x3", x, Conv2d::new(squeeze, expand, 3).padding(1));
    let three = g.scope("expand3x3_activation", |g| g.relu(three));
    g.concat(&[one, three])
}
