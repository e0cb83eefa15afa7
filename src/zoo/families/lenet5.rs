//! LeNet-5 (LeCun et al. 1998) as MindSpore's model zoo and tutorials train it, with ReLU and max pools, under the names
//! that PyTorch's tutorial has too: `conv1`, `conv2`, `fc1`, `fc2`, `fc3`.

use crate::checkpoint::StateDict;
use crate::graph::{Builder, Conv2d, Graph, Linear, MaxPool2d, Shape, Value};
use crate::zoo::{Clues, Network, NotThis};

/// What a checkpoint does not say.
const UNTOLD: &str = "assumed convolutions without padding, ReLU and max pools of 2x2: names and shapes do not tell";

/// What tells one LeNet-5 from another; LeCun's has 32x32 grey pixels, 6 and 16 channels, 120 and 84 units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeNet5 {
    /// Channels of the image, which is square.
    pub in_channels: usize,
    /// Pixels of its side.
    pub side: usize,
    /// Channels of `conv1` and `conv2`.
    pub channels: [usize; 2],
    /// Whether these add a bias: PyTorch's do, MindSpore's do not.
    pub bias: bool,
    /// Units of `fc1` and `fc2`.
    pub hidden: [usize; 2],
    /// Classes that `fc3` tells apart.
    pub num_classes: usize,
}

impl LeNet5 {
    /// The network. That of MindSpore was trained on MNIST, which is the preset `mnist32`.
    pub fn network(&self) -> Network {
        let preset = (!self.bias && self.in_channels == 1 && self.side == 32).then_some("mnist32");
        let input = Shape::new(self.in_channels, self.side, self.side);
        let notes = vec![UNTOLD.into()];
        Network { preset, notes, ..Network::new("lenet5", self.graph(), input) }
    }

    /// `LeNet5.construct`.
    fn graph(&self) -> Graph {
        let ([c1, c2], [h1, h2]) = (self.channels, self.hidden);
        let mut g = Builder::new();
        let mut x = Value::INPUT;
        for (name, conv) in [("conv1", Conv2d::new(self.in_channels, c1, 5)), ("conv2", Conv2d::new(c1, c2, 5))] {
            x = g.conv2d(name, x, Conv2d { bias: self.bias, ..conv });
            x = g.relu(x);
            x = g.max_pool2d(x, MaxPool2d::new(2));
        }
        let x = g.flatten(x);
        let x = g.linear("fc1", x, Linear::new(c2 * flat_side(self.side).pow(2), h1));
        let x = g.relu(x);
        let x = g.linear("fc2", x, Linear::new(h1, h2));
        let x = g.relu(x);
        let x = g.linear("fc3", x, Linear::new(h2, self.num_classes));
        g.finish(x)
    }

    /// Reads the sizes off the shapes of a state dict.
    pub(super) fn recognise(state: &StateDict) -> Result<Network, NotThis> {
        let mut found = Clues::new(state);
        let in_channels = found.dimension("conv1.weight", 1, 4);
        let channels = ["conv1.weight", "conv2.weight"].map(|name| found.dimension(name, 0, 4));
        let hidden = ["fc1.weight", "fc2.weight"].map(|name| found.dimension(name, 0, 2));
        let features = found.dimension("fc1.weight", 1, 2);
        let num_classes = found.dimension("fc3.weight", 0, 2);
        found.verdict()?;
        let side = 4 * (features / channels[1]).isqrt() + 12;
        if channels[1] * flat_side(side).pow(2) != features {
            let reason =
                format!("fc1.weight takes {features} features, which are no square image of {} channels", channels[1]);
            return Err(NotThis { closeness: 1.0, reason });
        }
        Ok(Self { in_channels, side, channels, bias: state.contains("conv1.bias"), hidden, num_classes }.network())
    }
}

/// What two convolutions of 5x5 and two pools leave of a side.
fn flat_side(side: usize) -> usize {
    (side.saturating_sub(4) / 2).saturating_sub(4) / 2
}
