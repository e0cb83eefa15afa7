//! LeNet as OneFlow's page on loading and saving models trains it on MNIST, under its names: two 5x5 convolutions with
//! `SAME` padding, each with ReLU and a pool, and two fully connected layers.

use crate::checkpoint::StateDict;
use crate::graph::{Builder, Conv2d, Graph, Linear, MaxPool2d, Shape, Value};
use crate::zoo::{Clues, Network, NotThis};

/// What a checkpoint does not say.
const UNTOLD: &str = "assumed convolutions with padding, ReLU and max pools of 2x2: names and shapes do not tell";

/// What tells one such LeNet from another; the page's has 28x28 grey pixels, 32 and 64 channels, 512 units and 10 classes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeNet {
    /// Channels of the image, which is square.
    pub in_channels: usize,
    /// Pixels of its side; a multiple of 4, as each pool halves it.
    pub side: usize,
    /// Channels of `conv1` and `conv2`.
    pub channels: [usize; 2],
    /// Units of `dense1`.
    pub hidden: usize,
    /// Classes that `dense2` tells apart.
    pub num_classes: usize,
}

impl LeNet {
    /// The network. Its pixels lie between 0 and 1.
    pub fn network(&self) -> Network {
        let input = Shape::new(self.in_channels, self.side, self.side);
        let notes = vec![UNTOLD.into()];
        Network { notes, ..Network::new("lenet", self.graph(), input) }
    }

    fn graph(&self) -> Graph {
        let [c1, c2] = self.channels;
        let mut g = Builder::new();
        let x = g.conv2d("conv1", Value::INPUT, Conv2d::new(self.in_channels, c1, 5).padding(2));
        let x = g.relu(x);
        let x = g.max_pool2d(x, MaxPool2d::new(2));
        let x = g.conv2d("conv2", x, Conv2d::new(c1, c2, 5).padding(2));
        let x = g.relu(x);
        let x = g.max_pool2d(x, MaxPool2d::new(2));
        let x = g.flatten(x);
        let x = g.linear("dense1", x, Linear::new(c2 * (self.side / 4).pow(2), self.hidden));
        let x = g.relu(x);
        let x = g.linear("dense2", x, Linear::new(self.hidden, self.num_classes));
        g.finish(x)
    }

    /// Reads the sizes off biases and off the number of weights, which OneFlow's oldest layout has too, though it has
    /// no shapes.
    pub(super) fn recognise(state: &StateDict) -> Result<Network, NotThis> {
        let mut found = Clues::new(state);
        let [c1, c2, hidden, num_classes] =
            ["conv1", "conv2", "dense1", "dense2"].map(|layer| found.dimension(&format!("{layer}.bias"), 0, 1));
        let [pixels, features] = ["conv1", "dense1"].map(|layer| found.elements(&format!("{layer}.weight")));
        found.verdict()?;
        let in_channels = pixels / 25 / c1;
        let side = 4 * (features / hidden / c2).isqrt();
        let lenet = Self { in_channels, side, channels: [c1, c2], hidden, num_classes };
        if lenet.weights() == Some([pixels, features]) {
            return Ok(lenet.network());
        }
        let reason = format!(
            "conv1.weight has {pixels} elements and dense1.weight {features}, which is no 5x5 kernel and no square image"
        );
        Err(NotThis { closeness: 1.0, reason })
    }

    /// Elements of the weights of `conv1` and `dense1`, where these are any.
    fn weights(&self) -> Option<[usize; 2]> {
        let [c1, c2] = self.channels;
        let pixels = (25 * c1).checked_mul(self.in_channels)?;
        let features = (self.side / 4).pow(2).checked_mul(c2)?.checked_mul(self.hidden)?;
        (pixels > 0 && features > 0).then_some([pixels, features])
    }
}
