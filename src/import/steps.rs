//! The list between the file's operators and the graph's: what is computed on images, with the numbers that it takes.

use super::constant::{Constant, Name};
use crate::graph::{Activation, BatchNorm2d, Conv2d, Linear, Op, Padding, ParameterId, Shape};

/// What a step reads: 0 is the image, `i + 1` what step `i` makes.
pub type Source = usize;

/// One operator.
#[derive(Debug, Clone)]
pub struct Step {
    pub kind: Kind,
    pub inputs: Vec<Source>,
    /// The file's name for the node.
    pub name: Name,
}

#[derive(Debug, Clone)]
pub enum Kind {
    Conv {
        conv: Conv2d,
        weight: Constant,
        bias: Option<Constant>,
    },
    Linear {
        linear: Linear,
        weight: Constant,
        bias: Option<Constant>,
    },
    /// Scale, offset, mean and variance.
    Norm {
        norm: BatchNorm2d,
        parameters: Box<[Constant; 4]>,
    },
    /// `scale * x + shift`.
    Affine {
        scale: PerChannel,
        shift: PerChannel,
    },
    /// The image surrounded by pixels of a value.
    Pad {
        padding: Padding,
        value: f32,
    },
    /// The logarithm of a softmax, which only the end of a network may be.
    LogSoftmax,
    /// An operator of the graph that takes no parameters.
    Plain(Op),
}

/// One number for all, or one a channel.
#[derive(Debug, Clone, PartialEq)]
pub enum PerChannel {
    All(f32),
    Each(Constant),
}

impl PerChannel {
    /// Whether it is this number for all channels.
    pub fn is(&self, value: f32) -> bool {
        *self == Self::All(value)
    }
}

impl Kind {
    pub fn activation(activation: Activation) -> Self {
        Self::Plain(Op::Activation(activation))
    }

    /// The shape that it gives.
    pub fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        // The parameters' places are of no consequence here.
        let any = ParameterId(0);
        let [x, ..] = *inputs else { return Err("it reads nothing".into()) };
        match self {
            Self::Conv { conv, .. } => Op::Conv2d { conv: *conv, weight: any, bias: None }.output_shape(inputs),
            Self::Linear { linear, .. } => Op::Linear { linear: *linear, weight: any, bias: None }.output_shape(inputs),
            Self::Norm { norm, .. } if norm.channels != x.channels => {
                Err(format!("it takes {} channels, found {x}", norm.channels))
            }
            Self::Norm { .. } | Self::Affine { .. } | Self::LogSoftmax => Ok(x),
            // As the convolution that it can be written as.
            Self::Pad { padding, .. } => {
                let conv = padded(x.channels, *padding);
                Op::Conv2d { conv, weight: any, bias: None }.output_shape(inputs)
            }
            Self::Plain(op) => op.output_shape(inputs),
        }
    }
}

/// The convolution that only surrounds an image by zeros.
pub fn padded(channels: usize, padding: Padding) -> Conv2d {
    let mut conv = Conv2d::depthwise(channels, 1).no_bias();
    conv.window.padding = padding;
    conv
}

/// All steps, in the order in which they run.
#[derive(Debug)]
pub struct Steps {
    pub list: Vec<Step>,
    /// Of the image, then of what each step makes.
    pub shapes: Vec<Shape>,
}

impl Steps {
    pub fn new(input: Shape) -> Self {
        Self { list: Vec::new(), shapes: vec![input] }
    }

    /// Adds a step, if its shapes fit.
    pub fn push(&mut self, kind: Kind, inputs: &[Source], name: &Name) -> Result<Source, String> {
        let shapes: Vec<Shape> = inputs.iter().map(|&source| self.shapes[source]).collect();
        self.shapes.push(kind.output_shape(&shapes)?);
        self.list.push(Step { kind, inputs: inputs.to_vec(), name: name.clone() });
        Ok(self.list.len())
    }

    /// For each source, whether `output` depends on it.
    pub fn live(&self, output: Source) -> Vec<bool> {
        let mut live = vec![false; self.shapes.len()];
        live[output] = true;
        for (at, step) in self.list.iter().enumerate().rev() {
            if live[at + 1] {
                step.inputs.iter().for_each(|&source| live[source] = true);
            }
        }
        live
    }

    /// The step that makes `source`; none makes the image.
    pub fn maker(&self, source: Source) -> Option<&Step> {
        self.list.get(source.checked_sub(1)?)
    }
}
