//! ResNet-50, 101 and 152 as MindSpore's model zoo trains them (mindspore-ai/models, official/cv/ResNet, `resnet.py`
//! with its `ResidualBlock`), under the names in its checkpoints such as `resnet50-2_32.ckpt`.
//!
//! It is not torchvision's network under other names: convolutions and the pool are padded as `same` has it, which for
//! stride 2 is one pixel less above and to the left than below and to the right, and batch normalisations add 1e-4
//! to the variance. The stride lies in the 3x3 convolution of a block, as torchvision's does.

use crate::checkpoint::StateDict;
use crate::graph::{BatchNorm2d, Builder, Conv2d, Graph, Linear, MaxPool2d, Padding, Shape, Value, Window};
use crate::zoo::{Clues, Network, NotThis};

/// What tells one of the model zoo's ResNets from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MindSporeResNet {
    /// Blocks in layers 1 to 4.
    pub layer_nums: [usize; 4],
    /// Classes that the last layer tells apart.
    pub num_classes: usize,
}

/// The zoo's, by how deep they are.
const KNOWN: [(&str, [usize; 4]); 3] =
    [("resnet50", [3, 4, 6, 3]), ("resnet101", [3, 4, 23, 3]), ("resnet152", [3, 8, 36, 3])];

/// What is added to a variance.
const EPS: f32 = 1e-4;

impl MindSporeResNet {
    /// `mindspore_` and the zoo's name for this depth, or `resnet` with its blocks where it has none.
    pub fn name(&self) -> String {
        match KNOWN.iter().find(|(_, layer_nums)| *layer_nums == self.layer_nums) {
            Some((name, _)) => format!("mindspore_{name}"),
            None => format!("mindspore_resnet_{}", self.layer_nums.map(|n| n.to_string()).join("-")),
        }
    }

    /// The network, with the 224x224 pixels that it was designed for as its usual input. It takes others whose sides
    /// are multiples of 32.
    pub fn network(&self) -> Network {
        Network::new(self.name(), self.graph(), Shape::new(3, 224, 224))
    }

    /// `ResNet.construct`.
    fn graph(&self) -> Graph {
        let mut g = Builder::new();
        // What `same` pads depends on whether sides are even, and five times over they are.
        g.sides_multiple_of(32);
        let x = conv_bn(&mut g, ["conv1", "bn1"], Value::INPUT, [3, 64], 7, 2);
        let x = g.relu(x);
        let mut x = g.max_pool2d(x, MaxPool2d::new(3).window(same(3, 2)));
        let mut in_channel = 64;
        for (i, &blocks) in self.layer_nums.iter().enumerate() {
            let out_channel = 256 << i;
            for block in 0..blocks {
                let stride = if block == 0 && i > 0 { 2 } else { 1 };
                x = g.scope(&format!("layer{}.{block}", i + 1), |g| {
                    residual_block(g, x, in_channel, out_channel, stride)
                });
                in_channel = out_channel;
            }
        }
        let x = g.mean(x);
        let x = g.linear("end_point", x, Linear::new(in_channel, self.num_classes));
        g.finish(x)
    }

    /// Reads the number of blocks off the names of a state dict.
    pub(super) fn recognise(state: &StateDict) -> Result<Network, NotThis> {
        let mut found = Clues::new(state);
        found.dimension("conv1.weight", 0, 4);
        let mut layer_nums = [0; 4];
        for (i, blocks) in layer_nums.iter_mut().enumerate() {
            let unit = |n: usize| format!("layer{}.{n}.conv3.weight", i + 1);
            found.dimension(&unit(0), 0, 4);
            *blocks = found.units(unit);
        }
        found.dimension("layer1.0.down_sample_layer.0.weight", 0, 4);
        let num_classes = found.dimension("end_point.weight", 0, 2);
        found.verdict()?;
        Ok(Self { layer_nums, num_classes }.network())
    }
}

/// `ResidualBlock.construct`.
fn residual_block(g: &mut Builder, x: Value, in_channel: usize, out_channel: usize, stride: usize) -> Value {
    let channel = out_channel / 4;
    let out = conv_bn(g, ["conv1", "bn1"], x, [in_channel, channel], 1, 1);
    let out = g.relu(out);
    let out = conv_bn(g, ["conv2", "bn2"], out, [channel, channel], 3, stride);
    let out = g.relu(out);
    let out = conv_bn(g, ["conv3", "bn3"], out, [channel, out_channel], 1, 1);
    let identity = if stride != 1 || in_channel != out_channel {
        let names = ["down_sample_layer.0", "down_sample_layer.1"];
        conv_bn(g, names, x, [in_channel, out_channel], 1, stride)
    } else {
        x
    };
    let out = g.add(out, identity);
    g.relu(out)
}

/// `nn.Conv2d(..., pad_mode="same")`, which has no bias, and the `_bn` after it.
fn conv_bn(g: &mut Builder, names: [&str; 2], x: Value, channels: [usize; 2], kernel: usize, stride: usize) -> Value {
    let [conv, bn] = names;
    let [in_channel, out_channel] = channels;
    let x = g.conv2d(conv, x, Conv2d::new(in_channel, out_channel, kernel).no_bias().window(same(kernel, stride)));
    g.batch_norm2d(bn, x, BatchNorm2d { eps: EPS, ..BatchNorm2d::new(out_channel) })
}

/// `pad_mode="same"` on an image whose sides are multiples of the stride: as many outputs as strides fit, with an odd
/// pixel of padding below and to the right.
fn same(kernel: usize, stride: usize) -> Window {
    let pixels = kernel.saturating_sub(stride);
    let (before, after) = (pixels / 2, pixels.div_ceil(2));
    let padding = Padding { top: before, left: before, bottom: after, right: after };
    Window { stride: [stride; 2], padding, ..Window::square(kernel) }
}
