//! ResNet (He et al. 2015, arXiv:1512.03385) under torchvision's parameter names; ResNeXt and wide ResNets are the same
//! with other widths. The bottleneck has its stride in the 3x3 convolution, as torchvision has it.

use crate::checkpoint::StateDict;
use crate::graph::{BatchNorm2d, Builder, Conv2d, Graph, Linear, MaxPool2d, Shape, Value};
use crate::zoo::{Clues, Network, NotThis};

/// What a ResNet is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Block {
    /// Two 3x3 convolutions: ResNet-18 and 34.
    Basic,
    /// A 3x3 convolution between two of 1x1, the last of which has four times as many channels.
    Bottleneck,
}

impl Block {
    const fn expansion(self) -> usize {
        match self {
            Self::Basic => 1,
            Self::Bottleneck => 4,
        }
    }
}

/// What tells one ResNet from another, under torchvision's words for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResNet {
    /// The kind of block.
    pub block: Block,
    /// Blocks in layers 1 to 4.
    pub layers: [usize; 4],
    /// Groups of the 3x3 convolutions of bottlenecks; more than 1 in ResNeXt.
    pub groups: usize,
    /// Channels of one of these groups in layer 1; twice as many in each layer after it.
    pub width_per_group: usize,
    /// Classes that the last layer tells apart.
    pub num_classes: usize,
}

/// torchvision's: block, layers, groups, width of a group.
const KNOWN: [(&str, Block, [usize; 4], usize, usize); 10] = [
    ("resnet18", Block::Basic, [2, 2, 2, 2], 1, 64),
    ("resnet34", Block::Basic, [3, 4, 6, 3], 1, 64),
    ("resnet50", Block::Bottleneck, [3, 4, 6, 3], 1, 64),
    ("resnet101", Block::Bottleneck, [3, 4, 23, 3], 1, 64),
    ("resnet152", Block::Bottleneck, [3, 8, 36, 3], 1, 64),
    ("resnext50_32x4d", Block::Bottleneck, [3, 4, 6, 3], 32, 4),
    ("resnext101_32x8d", Block::Bottleneck, [3, 4, 23, 3], 32, 8),
    ("resnext101_64x4d", Block::Bottleneck, [3, 4, 23, 3], 64, 4),
    ("wide_resnet50_2", Block::Bottleneck, [3, 4, 6, 3], 1, 128),
    ("wide_resnet101_2", Block::Bottleneck, [3, 4, 23, 3], 1, 128),
];

impl ResNet {
    /// One of torchvision's, such as `resnet50`, `resnext50_32x4d` or `wide_resnet50_2`.
    pub fn by_name(name: &str, num_classes: usize) -> Option<Self> {
        let (_, block, layers, groups, width_per_group) = *KNOWN.iter().find(|(known, ..)| *known == name)?;
        Some(Self { block, layers, groups, width_per_group, num_classes })
    }

    /// torchvision's name for it, or `resnet` with its blocks, groups and their width where it has none.
    pub fn name(&self) -> String {
        let Self { block, layers, groups, width_per_group, .. } = *self;
        match KNOWN
            .iter()
            .find(|known| (known.1, known.2, known.3, known.4) == (block, layers, groups, width_per_group))
        {
            Some((name, ..)) => (*name).to_owned(),
            None => format!("resnet_{}_{groups}x{width_per_group}d", layers.map(|n| n.to_string()).join("-")),
        }
    }

    /// The network, with the 224x224 pixels that it was designed for as its usual input.
    pub fn network(&self) -> Network {
        Network::new(self.name(), self.graph(), Shape::new(3, 224, 224))
    }

    /// `ResNet.forward`.
    fn graph(&self) -> Graph {
        let mut g = Builder::new();
        let x = g.conv2d("conv1", Value::INPUT, Conv2d::new(3, 64, 7).stride(2).padding(3).no_bias());
        let x = g.batch_norm2d("bn1", x, BatchNorm2d::new(64));
        let x = g.scope("relu", |g| g.relu(x));
        let mut x = g.scope("maxpool", |g| g.max_pool2d(x, MaxPool2d::new(3).stride(2).padding(1)));
        let mut inplanes = 64;
        for (i, &blocks) in self.layers.iter().enumerate() {
            let planes = 64 << i;
            for block in 0..blocks {
                let stride = if block == 0 && i > 0 { 2 } else { 1 };
                x = g.scope(&format!("layer{}.{block}", i + 1), |g| self.block(g, x, inplanes, planes, stride));
                inplanes = planes * self.block.expansion();
            }
        }
        let x = g.scope("avgpool", |g| g.mean(x));
        let x = g.linear("fc", x, Linear::new(inplanes, self.num_classes));
        g.finish(x)
    }

    /// `BasicBlock.forward` or `Bottleneck.forward`.
    fn block(&self, g: &mut Builder, x: Value, inplanes: usize, planes: usize, stride: usize) -> Value {
        let outputs = planes * self.block.expansion();
        let out = match self.block {
            Block::Basic => {
                let out = g.conv2d("conv1", x, Conv2d::new(inplanes, planes, 3).stride(stride).padding(1).no_bias());
                let out = g.batch_norm2d("bn1", out, BatchNorm2d::new(planes));
                let out = g.scope("relu", |g| g.relu(out));
                let out = g.conv2d("conv2", out, Conv2d::new(planes, planes, 3).padding(1).no_bias());
                g.batch_norm2d("bn2", out, BatchNorm2d::new(planes))
            }
            Block::Bottleneck => {
                let width = planes * self.width_per_group / 64 * self.groups;
                let out = g.conv2d("conv1", x, Conv2d::new(inplanes, width, 1).no_bias());
                let out = g.batch_norm2d("bn1", out, BatchNorm2d::new(width));
                let out = g.scope("relu", |g| g.relu(out));
                let conv2 = Conv2d::new(width, width, 3).stride(stride).padding(1).groups(self.groups).no_bias();
                let out = g.conv2d("conv2", out, conv2);
                let out = g.batch_norm2d("bn2", out, BatchNorm2d::new(width));
                let out = g.scope("relu", |g| g.relu(out));
                let out = g.conv2d("conv3", out, Conv2d::new(width, outputs, 1).no_bias());
                g.batch_norm2d("bn3", out, BatchNorm2d::new(outputs))
            }
        };
        let identity = if stride > 1 || inplanes != outputs {
            g.sequential("downsample", x)
                .conv2d(Conv2d::new(inplanes, outputs, 1).stride(stride).no_bias())
                .batch_norm2d(outputs)
                .end()
        } else {
            x
        };
        let out = g.add(out, identity);
        g.scope("relu", |g| g.relu(out))
    }

    /// Reads blocks and widths off the names and shapes of a state dict.
    pub(super) fn recognise(state: &StateDict) -> Result<Network, NotThis> {
        let mut found = Clues::new(state);
        found.dimension("conv1.weight", 0, 4);
        let mut layers = [0; 4];
        for (i, blocks) in layers.iter_mut().enumerate() {
            let unit = |n: usize| format!("layer{}.{n}.conv2.weight", i + 1);
            found.dimension(&unit(0), 0, 4);
            *blocks = found.units(unit);
        }
        let width = found.dimension("layer1.0.conv2.weight", 0, 4);
        let width_per_group = found.dimension("layer1.0.conv2.weight", 1, 4);
        found.dimension("layer2.0.downsample.0.weight", 0, 4);
        let num_classes = found.dimension("fc.weight", 0, 2);
        let block = if state.contains("layer1.0.conv3.weight") { Block::Bottleneck } else { Block::Basic };
        found.verdict()?;
        let groups = width / width_per_group;
        Ok(Self { block, layers, groups, width_per_group, num_classes }.network())
    }
}
