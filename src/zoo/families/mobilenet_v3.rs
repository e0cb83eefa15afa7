//! MobileNetV3, small and large (Howard et al. 2019, arXiv:1905.02244), under torchvision's parameter names.

use crate::checkpoint::StateDict;
use crate::graph::{Activation, BatchNorm2d, Builder, Conv2d, Graph, Linear, Shape, Value};
use crate::zoo::{Clues, Network, NotThis, make_divisible};

/// What tells one MobileNetV3 from another. Only torchvision's width of 1 is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MobileNetV3 {
    /// Whether it is `mobilenet_v3_large`, not `mobilenet_v3_small`.
    pub large: bool,
    /// Classes that the last layer tells apart.
    pub num_classes: usize,
}

/// torchvision's `InvertedResidualConfig`, without what follows from the block before.
struct Setting {
    kernel: usize,
    expanded_channels: usize,
    out_channels: usize,
    use_se: bool,
    activation: Activation,
    stride: usize,
}

const fn setting(
    kernel: usize,
    expanded_channels: usize,
    out_channels: usize,
    use_se: bool,
    activation: Activation,
    stride: usize,
) -> Setting {
    Setting { kernel, expanded_channels, out_channels, use_se, activation, stride }
}

const RE: Activation = Activation::Relu;
const HS: Activation = Activation::HardSwish;

const LARGE: [Setting; 15] = [
    setting(3, 16, 16, false, RE, 1),
    setting(3, 64, 24, false, RE, 2),
    setting(3, 72, 24, false, RE, 1),
    setting(5, 72, 40, true, RE, 2),
    setting(5, 120, 40, true, RE, 1),
    setting(5, 120, 40, true, RE, 1),
    setting(3, 240, 80, false, HS, 2),
    setting(3, 200, 80, false, HS, 1),
    setting(3, 184, 80, false, HS, 1),
    setting(3, 184, 80, false, HS, 1),
    setting(3, 480, 112, true, HS, 1),
    setting(3, 672, 112, true, HS, 1),
    setting(5, 672, 160, true, HS, 2),
    setting(5, 960, 160, true, HS, 1),
    setting(5, 960, 160, true, HS, 1),
];

const SMALL: [Setting; 11] = [
    setting(3, 16, 16, true, RE, 2),
    setting(3, 72, 24, false, RE, 2),
    setting(3, 88, 24, false, RE, 1),
    setting(5, 96, 40, true, HS, 2),
    setting(5, 240, 40, true, HS, 1),
    setting(5, 240, 40, true, HS, 1),
    setting(5, 120, 48, true, HS, 1),
    setting(5, 144, 48, true, HS, 1),
    setting(5, 288, 96, true, HS, 2),
    setting(5, 576, 96, true, HS, 1),
    setting(5, 576, 96, true, HS, 1),
];

impl MobileNetV3 {
    /// torchvision's `mobilenet_v3_small` or `mobilenet_v3_large`.
    pub fn by_name(name: &str, num_classes: usize) -> Option<Self> {
        [false, true].map(|large| Self { large, num_classes }).into_iter().find(|known| known.name() == name)
    }

    /// torchvision's name for it.
    pub fn name(&self) -> &'static str {
        if self.large { "mobilenet_v3_large" } else { "mobilenet_v3_small" }
    }

    /// The network, with the 224x224 pixels that it was designed for as its usual input.
    pub fn network(&self) -> Network {
        Network::new(self.name(), self.graph(), Shape::new(3, 224, 224))
    }

    /// `MobileNetV3.forward`.
    fn graph(&self) -> Graph {
        let (settings, hidden): (&[Setting], usize) = if self.large { (&LARGE, 1280) } else { (&SMALL, 1024) };
        let mut g = Builder::new();
        let mut channels = 16;
        let first = Conv2d::new(3, channels, 3).stride(2);
        let mut x = conv_norm_activation(&mut g, "features.0", Value::INPUT, first, Some(HS));
        for (i, setting) in settings.iter().enumerate() {
            x = g.scope(&format!("features.{}.block", i + 1), |g| inverted_residual(g, x, channels, setting));
            channels = setting.out_channels;
        }
        let (name, last) = (format!("features.{}", settings.len() + 1), 6 * channels);
        let x = conv_norm_activation(&mut g, &name, x, Conv2d::new(channels, last, 1), Some(HS));
        let x = g.scope("avgpool", |g| g.mean(x));
        let x = g
            .sequential("classifier", x)
            .linear(Linear::new(last, hidden))
            .activation(HS)
            .dropout()
            .linear(Linear::new(hidden, self.num_classes))
            .end();
        g.finish(x)
    }

    /// Tells the large from the small by the number of blocks.
    pub(super) fn recognise(state: &StateDict) -> Result<Network, NotThis> {
        let mut found = Clues::new(state);
        let large = state.contains(&format!("features.{}.block.0.0.weight", LARGE.len()));
        let blocks = if large { LARGE.len() } else { SMALL.len() };
        found.dimension("features.0.0.weight", 0, 4);
        for block in 1..=blocks {
            found.dimension(&format!("features.{block}.block.0.0.weight"), 0, 4);
        }
        found.dimension(&format!("features.{}.0.weight", blocks + 1), 0, 4);
        let num_classes = found.dimension("classifier.3.weight", 0, 2);
        found.verdict()?;
        Ok(Self { large, num_classes }.network())
    }
}

/// `InvertedResidual.forward`, within its `block`, whose layers are numbered as they are there.
fn inverted_residual(g: &mut Builder, x: Value, in_channels: usize, setting: &Setting) -> Value {
    let &Setting { kernel, expanded_channels, out_channels, use_se, activation, stride } = setting;
    let mut layers = (0..).map(|layer: usize| layer.to_string());
    let mut layer = || layers.next().unwrap_or_default();
    let mut out = x;
    if expanded_channels != in_channels {
        out = conv_norm_activation(g, &layer(), out, Conv2d::new(in_channels, expanded_channels, 1), Some(activation));
    }
    let depthwise = Conv2d::depthwise(expanded_channels, kernel).stride(stride);
    out = conv_norm_activation(g, &layer(), out, depthwise, Some(activation));
    if use_se {
        out = g.scope(&layer(), |g| squeeze_excitation(g, out, expanded_channels));
    }
    out = conv_norm_activation(g, &layer(), out, Conv2d::new(expanded_channels, out_channels, 1), None);
    if stride == 1 && in_channels == out_channels { g.add(out, x) } else { out }
}

/// `SqueezeExcitation.forward` with `scale_activation=nn.Hardsigmoid`.
fn squeeze_excitation(g: &mut Builder, x: Value, channels: usize) -> Value {
    let squeezed = make_divisible((channels / 4) as f64);
    let scale = g.scope("avgpool", |g| g.mean(x));
    let scale = g.conv2d("fc1", scale, Conv2d::new(channels, squeezed, 1));
    let scale = g.scope("activation", |g| g.relu(scale));
    let scale = g.conv2d("fc2", scale, Conv2d::new(squeezed, channels, 1));
    let scale = g.scope("scale_activation", |g| g.activation(scale, Activation::HARD_SIGMOID));
    g.mul(x, scale)
}

/// `Conv2dNormActivation`, which pads by half of its kernel, with MobileNetV3's batch normalisation.
fn conv_norm_activation(g: &mut Builder, name: &str, x: Value, conv: Conv2d, activation: Option<Activation>) -> Value {
    let norm = BatchNorm2d { eps: 1e-3, ..BatchNorm2d::new(conv.out_channels) };
    let padding = (conv.window.kernel[0] - 1) / 2;
    g.scope(name, |g| {
        let x = g.conv2d("0", x, conv.padding(padding).no_bias());
        let x = g.batch_norm2d("1", x, norm);
        activation.map_or(x, |activation| g.scope("2", |g| g.activation(x, activation)))
    })
}
