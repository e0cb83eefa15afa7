//! MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381) under torchvision's parameter names.

use crate::checkpoint::StateDict;
use crate::graph::{Activation, BatchNorm2d, Builder, Conv2d, Graph, Linear, Shape, Value};
use crate::zoo::{Clues, Network, NotThis, make_divisible};

/// What tells one MobileNetV2 from another: how wide it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MobileNetV2 {
    /// Channels of the first convolution.
    pub input_channel: usize,
    /// Channels of the seven stages of inverted residuals.
    pub output_channels: [usize; 7],
    /// Channels of the last convolution.
    pub last_channel: usize,
    /// Classes that the last layer tells apart.
    pub num_classes: usize,
}

/// torchvision's `inverted_residual_setting`: expansion, channels, units, and the first one's stride.
const STAGES: [(usize, usize, usize, usize); 7] =
    [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)];

impl MobileNetV2 {
    /// torchvision's `mobilenet_v2`.
    pub fn by_name(name: &str, num_classes: usize) -> Option<Self> {
        (name == "mobilenet_v2").then(|| Self::with_width(1.0, num_classes))
    }

    /// torchvision's `mobilenet_v2(width_mult=...)`.
    pub fn with_width(width_mult: f64, num_classes: usize) -> Self {
        Self {
            input_channel: make_divisible(32.0 * width_mult),
            output_channels: STAGES.map(|(_, c, ..)| make_divisible(c as f64 * width_mult)),
            last_channel: make_divisible(1280.0 * width_mult.max(1.0)),
            num_classes,
        }
    }

    /// `mobilenet_v2`, with its channels where they are not torchvision's.
    pub fn name(&self) -> String {
        if *self == Self::with_width(1.0, self.num_classes) {
            return "mobilenet_v2".into();
        }
        let widths = [self.input_channel].into_iter().chain(self.output_channels).chain([self.last_channel]);
        format!("mobilenet_v2_{}", widths.map(|c| c.to_string()).collect::<Vec<_>>().join("-"))
    }

    /// The network, with the 224x224 pixels that it was designed for as its usual input.
    pub fn network(&self) -> Network {
        Network::new(self.name(), self.graph(), Shape::new(3, 224, 224))
    }

    /// `MobileNetV2.forward`.
    fn graph(&self) -> Graph {
        let mut g = Builder::new();
        let mut x =
            conv_norm_activation(&mut g, "features.0", Value::INPUT, Conv2d::new(3, self.input_channel, 3).stride(2));
        let (mut input_channel, mut feature) = (self.input_channel, 1);
        for (&(t, _, n, s), &output_channel) in STAGES.iter().zip(&self.output_channels) {
            for unit in 0..n {
                let stride = if unit == 0 { s } else { 1 };
                x = g.scope(&format!("features.{feature}.conv"), |g| {
                    inverted_residual(g, x, input_channel, output_channel, stride, t)
                });
                input_channel = output_channel;
                feature += 1;
            }
        }
        let last = Conv2d::new(input_channel, self.last_channel, 1);
        let x = conv_norm_activation(&mut g, &format!("features.{feature}"), x, last);
        let x = g.mean(x);
        let x = g.sequential("classifier", x).dropout().linear(Linear::new(self.last_channel, self.num_classes)).end();
        g.finish(x)
    }

    /// Reads the widths off the shapes of a state dict.
    pub(super) fn recognise(state: &StateDict) -> Result<Network, NotThis> {
        let mut found = Clues::new(state);
        let input_channel = found.dimension("features.0.0.weight", 0, 4);
        let mut output_channels = [0; 7];
        let mut feature = 1;
        for (&(t, _, n, _), channels) in STAGES.iter().zip(&mut output_channels) {
            let projection = if t == 1 { 1 } else { 2 };
            *channels = found.dimension(&format!("features.{feature}.conv.{projection}.weight"), 0, 4);
            feature += n;
        }
        let last_channel = found.dimension(&format!("features.{feature}.0.weight"), 0, 4);
        let num_classes = found.dimension("classifier.1.weight", 0, 2);
        found.verdict()?;
        Ok(Self { input_channel, output_channels, last_channel, num_classes }.network())
    }
}

/// `InvertedResidual.forward`, within its `conv`.
fn inverted_residual(g: &mut Builder, x: Value, inp: usize, oup: usize, stride: usize, expand_ratio: usize) -> Value {
    let hidden_dim = inp * expand_ratio;
    let (expanded, layer) = match expand_ratio {
        1 => (x, 0),
        _ => (conv_norm_activation(g, "0", x, Conv2d::new(inp, hidden_dim, 1)), 1),
    };
    let depthwise = Conv2d::depthwise(hidden_dim, 3).stride(stride);
    let hidden = conv_norm_activation(g, &layer.to_string(), expanded, depthwise);
    let out = g.conv2d(&format!("{}", layer + 1), hidden, Conv2d::new(hidden_dim, oup, 1).no_bias());
    let out = g.batch_norm2d(&format!("{}", layer + 2), out, BatchNorm2d::new(oup));
    if stride == 1 && inp == oup { g.add(x, out) } else { out }
}

/// `Conv2dNormActivation(..., activation_layer=nn.ReLU6)`, which pads by half of its kernel.
fn conv_norm_activation(g: &mut Builder, name: &str, x: Value, conv: Conv2d) -> Value {
    let padding = (conv.window.kernel[0] - 1) / 2;
    g.sequential(name, x)
        .conv2d(conv.padding(padding).no_bias())
        .batch_norm2d(conv.out_channels)
        .activation(Activation::RELU6)
        .end()
}
