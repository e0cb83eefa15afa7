//! ShuffleNetV2 as its authors published it (megvii-model/ShuffleNet-Series), under their parameter names.
//!
//! It is not torchvision's network under other names. The channels are shuffled before a unit splits them, not after
//! it joins them; the first unit of a stage projects its input to as many channels as it has, where torchvision's takes
//! half of the unit's output, which is the same only for x0.5; and the classifier has no bias. So it is a network of
//! its own here, whose tensors mean what its authors' code makes of them, and no tensor is moved to fit another's.

use super::ShuffleNetV2;
use crate::checkpoint::StateDict;
use crate::graph::{Builder, Conv2d, Graph, Linear, MaxPool2d, Shape, Value};
use crate::zoo::{Clues, Network, NotThis};

/// What tells one of the authors' ShuffleNetV2 from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MegviiShuffleNetV2 {
    /// Units in stages 2, 3 and 4.
    pub stages_repeats: [usize; 3],
    /// Channels after first_conv, stages 2, 3 and 4, and conv_last.
    pub stages_out_channels: [usize; 5],
    /// Classes that the last layer tells apart.
    pub num_classes: usize,
}

impl MegviiShuffleNetV2 {
    /// `megvii_` and torchvision's name for this width.
    pub fn name(&self) -> String {
        let Self { stages_repeats, stages_out_channels, num_classes } = *self;
        format!("megvii_{}", ShuffleNetV2 { stages_repeats, stages_out_channels, num_classes }.name())
    }

    /// The network, with the 224x224 pixels that it was designed for as its usual input: blue, green and red from 0 to
    /// 255, which is the preset `megvii`.
    pub fn network(&self) -> Network {
        let input = Shape::new(3, 224, 224);
        Network { preset: Some("megvii"), ..Network::new(self.name(), self.graph(), input) }
    }

    /// `ShuffleNetV2.forward`. Its mean over 7x7 pixels is that over the whole image, as large as 224x224 pixels become.
    fn graph(&self) -> Graph {
        let [c1, .., c5] = self.stages_out_channels;
        let mut g = Builder::new();
        let x = g
            .sequential("first_conv", Value::INPUT)
            .conv2d(Conv2d::new(3, c1, 3).stride(2).padding(1).no_bias())
            .batch_norm2d(c1)
            .relu()
            .end();
        let mut x = g.scope("maxpool", |g| g.max_pool2d(x, MaxPool2d::new(3).stride(2).padding(1)));
        let mut input_channel = c1;
        let mut feature = 0;
        for (&repeats, &output_channel) in self.stages_repeats.iter().zip(&self.stages_out_channels[1..]) {
            for unit in 0..repeats {
                let (inp, stride) = if unit == 0 { (input_channel, 2) } else { (output_channel / 2, 1) };
                x = g.scope(&format!("features.{feature}"), |g| shuffle_v2_block(g, x, inp, output_channel, stride));
                input_channel = output_channel;
                feature += 1;
            }
        }
        let x = g
            .sequential("conv_last", x)
            .conv2d(Conv2d::new(input_channel, c5, 1).no_bias())
            .batch_norm2d(c5)
            .relu()
            .end();
        let x = g.mean(x);
        let x = g.linear("classifier.0", x, Linear { bias: false, ..Linear::new(c5, self.num_classes) });
        g.finish(x)
    }

    /// Reads repeats and widths off the names and shapes of a state dict. A stage begins where a unit has a projection.
    pub(super) fn recognise(state: &StateDict) -> Result<Network, NotThis> {
        let mut found = Clues::new(state);
        let c1 = found.dimension("first_conv.0.weight", 0, 4);
        let mut stages: Vec<(usize, usize)> = Vec::new();
        for feature in 0.. {
            let main = format!("features.{feature}.branch_main.5.weight");
            if feature > 0 && !state.contains(&main) {
                break;
            }
            let outputs = found.dimension(&main, 0, 4);
            let projects = state.contains(&format!("features.{feature}.branch_proj.2.weight"));
            match stages.last_mut() {
                Some((repeats, _)) if !projects => *repeats += 1,
                last => {
                    let input_channel = last.map_or(c1, |(_, channels)| *channels);
                    stages.push((1, input_channel + outputs));
                }
            }
        }
        let c5 = found.dimension("conv_last.0.weight", 0, 4);
        let num_classes = found.dimension("classifier.0.weight", 0, 2);
        found.verdict()?;
        let [(r2, c2), (r3, c3), (r4, c4)] = stages[..] else {
            let reason = format!("its features are {} stages, and three are known", stages.len());
            return Err(NotThis { closeness: 1.0, reason });
        };
        Ok(Self { stages_repeats: [r2, r3, r4], stages_out_channels: [c1, c2, c3, c4, c5], num_classes }.network())
    }
}

/// `ShuffleV2Block.forward`.
fn shuffle_v2_block(g: &mut Builder, x: Value, inp: usize, oup: usize, stride: usize) -> Value {
    let mid_channels = oup / 2;
    let outputs = oup.saturating_sub(inp);
    let (x_proj, x) = if stride == 1 {
        // Every other channel: rows of two, transposed to two rows.
        let shuffled = g.channel_shuffle(x, mid_channels);
        g.chunk2(shuffled)
    } else {
        (x, x)
    };

    let proj = if stride == 2 {
        g.sequential("branch_proj", x_proj)
            .conv2d(Conv2d::depthwise(inp, 3).stride(stride).padding(1).no_bias())
            .batch_norm2d(inp)
            .conv2d(Conv2d::new(inp, inp, 1).no_bias())
            .batch_norm2d(inp)
            .relu()
            .end()
    } else {
        x_proj
    };

    let main = g
        .sequential("branch_main", x)
        .conv2d(Conv2d::new(inp, mid_channels, 1).no_bias())
        .batch_norm2d(mid_channels)
        .relu()
        .conv2d(Conv2d::depthwise(mid_channels, 3).stride(stride).padding(1).no_bias())
        .batch_norm2d(mid_channels)
        .conv2d(Conv2d::new(mid_channels, outputs, 1).no_bias())
        .batch_norm2d(outputs)
        .relu()
        .end();

    g.concat(&[proj, main])
}
