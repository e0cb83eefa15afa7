//! ShuffleNetV2 (Ma et al. 2018, arXiv:1807.11164) under torchvision's parameter names.

use crate::checkpoint::StateDict;
use crate::graph::{Builder, Conv2d, Graph, Linear, MaxPool2d, Shape, Value};
use crate::zoo::{Clues, Network, NotThis};

/// What tells one ShuffleNetV2 from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShuffleNetV2 {
    /// Units in stages 2, 3 and 4.
    pub stages_repeats: [usize; 3],
    /// Channels after conv1, stages 2, 3 and 4, and conv5.
    pub stages_out_channels: [usize; 5],
    /// Classes that the last layer tells apart.
    pub num_classes: usize,
}

/// torchvision's four widths.
const WIDTHS: [(&str, [usize; 5]); 4] = [
    ("shufflenetv2_x0_5", [24, 48, 96, 192, 1024]),
    ("shufflenetv2_x1_0", [24, 116, 232, 464, 1024]),
    ("shufflenetv2_x1_5", [24, 176, 352, 704, 1024]),
    ("shufflenetv2_x2_0", [24, 244, 488, 976, 2048]),
];
const REPEATS: [usize; 3] = [4, 8, 4];

impl ShuffleNetV2 {
    /// One of torchvision's: `shufflenetv2_x0_5`, `_x1_0`, `_x1_5` or `_x2_0`.
    pub fn by_name(name: &str, num_classes: usize) -> Option<Self> {
        let (_, stages_out_channels) = *WIDTHS.iter().find(|(known, _)| *known == name)?;
        Some(Self { stages_repeats: REPEATS, stages_out_channels, num_classes })
    }

    /// torchvision's name for this width, or `shufflenetv2` with its channels where it has none.
    pub fn name(&self) -> String {
        let known = WIDTHS.iter().find(|(_, c)| *c == self.stages_out_channels && self.stages_repeats == REPEATS);
        known.map_or_else(
            || format!("shufflenetv2_{}", self.stages_out_channels.map(|c| c.to_string()).join("-")),
            |(name, _)| (*name).to_owned(),
        )
    }

    /// The network, with the 224x224 pixels that it was designed for as its usual input.
    pub fn network(&self) -> Network {
        Network::new(self.name(), self.graph(), Shape::new(3, 224, 224))
    }

    /// `ShuffleNetV2.forward`.
    fn graph(&self) -> Graph {
        let [c1, .., c5] = self.stages_out_channels;
        let mut g = Builder::new();
        let x = Value::INPUT;
        let x = g
            .sequential("conv1", x)
            .conv2d(Conv2d::new(3, c1, 3).stride(2).padding(1).no_bias())
            .batch_norm2d(c1)
            .relu()
            .end();
        let mut x = g.scope("maxpool", |g| g.max_pool2d(x, MaxPool2d::new(3).stride(2).padding(1)));
        let mut input_channels = c1;
        for (i, &repeats) in self.stages_repeats.iter().enumerate() {
            let output_channels = self.stages_out_channels[i + 1];
            for unit in 0..repeats {
                let (inp, stride) = if unit == 0 { (input_channels, 2) } else { (output_channels, 1) };
                x = g.scope(&format!("stage{}.{unit}", i + 2), |g| {
                    inverted_residual(g, x, inp, output_channels, stride)
                });
            }
            input_channels = output_channels;
        }
        let x =
            g.sequential("conv5", x).conv2d(Conv2d::new(input_channels, c5, 1).no_bias()).batch_norm2d(c5).relu().end();
        let x = g.mean(x);
        let x = g.linear("fc", x, Linear::new(c5, self.num_classes));
        g.finish(x)
    }

    /// Reads repeats and widths off the names and shapes of a state dict.
    pub(super) fn recognise(state: &StateDict) -> Result<Network, NotThis> {
        let mut found = Clues::new(state);
        let c1 = found.dimension("conv1.0.weight", 0, 4);
        let mut stages_repeats = [0; 3];
        let mut out = [0; 3];
        for (i, (repeats, channels)) in stages_repeats.iter_mut().zip(&mut out).enumerate() {
            let unit = |n: usize| format!("stage{}.{n}.branch2.5.weight", i + 2);
            *channels = 2 * found.dimension(&unit(0), 0, 4);
            *repeats = found.units(unit);
        }
        let c5 = found.dimension("conv5.0.weight", 0, 4);
        let num_classes = found.dimension("fc.weight", 0, 2);
        found.verdict()?;
        let [c2, c3, c4] = out;
        Ok(Self { stages_repeats, stages_out_channels: [c1, c2, c3, c4, c5], num_classes }.network())
    }
}

/// `InvertedResidual.forward`.
fn inverted_residual(g: &mut Builder, x: Value, inp: usize, oup: usize, stride: usize) -> Value {
    let branch_features = oup / 2;
    let (x1, x2) = if stride == 1 { g.chunk2(x) } else { (x, x) };

    let branch1 = if stride > 1 {
        g.sequential("branch1", x1)
            .conv2d(Conv2d::depthwise(inp, 3).stride(stride).padding(1).no_bias())
            .batch_norm2d(inp)
            .conv2d(Conv2d::new(inp, branch_features, 1).no_bias())
            .batch_norm2d(branch_features)
            .relu()
            .end()
    } else {
        x1
    };

    let branch2 = g
        .sequential("branch2", x2)
        .conv2d(Conv2d::new(if stride > 1 { inp } else { branch_features }, branch_features, 1).no_bias())
        .batch_norm2d(branch_features)
        .relu()
        .conv2d(Conv2d::depthwise(branch_features, 3).stride(stride).padding(1).no_bias())
        .batch_norm2d(branch_features)
        .conv2d(Conv2d::new(branch_features, branch_features, 1).no_bias())
        .batch_norm2d(branch_features)
        .relu()
        .end();

    let out = g.concat(&[branch1, branch2]);
    g.channel_shuffle(out, 2)
}
