//! The operators, under PyTorch's names and with its meaning.

use super::ParameterId;

/// An operator. Values are images of shape `[channels, height, width]`; the batch is implied.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// `nn.Conv2d`, with its weight `[out, in / groups, kernel, kernel]` and, if it has one, its bias `[out]`.
    Conv2d {
        /// Geometry.
        conv: Conv2d,
        /// The kernel.
        weight: ParameterId,
        /// The bias.
        bias: Option<ParameterId>,
    },
    /// `nn.BatchNorm2d` as it runs after training: `(x - mean) / sqrt(var + eps) * weight + bias`, a channel at a time.
    BatchNorm2d {
        /// Geometry.
        norm: BatchNorm2d,
        /// Scale.
        weight: ParameterId,
        /// Offset.
        bias: ParameterId,
        /// Mean of the training data.
        running_mean: ParameterId,
        /// Variance of the training data.
        running_var: ParameterId,
    },
    /// `max(x, 0)`.
    Relu,
    /// `nn.MaxPool2d`; padding never wins.
    MaxPool2d(MaxPool2d),
    /// Part `index` of `torch.chunk(x, count, dim=1)`.
    Chunk {
        /// Which part.
        index: usize,
        /// How many equal parts there are.
        count: usize,
    },
    /// `torch.cat(inputs, dim=1)`.
    Concat,
    /// Channels as a `[groups, channels / groups]` matrix, transposed: ShuffleNet's shuffle.
    ChannelShuffle {
        /// Rows of that matrix.
        groups: usize,
    },
    /// `x.mean([2, 3])`: one number a channel.
    Mean,
    /// `torch.flatten(x, 1)`.
    Flatten,
    /// `nn.Linear`, with its weight `[out, in]` and, if it has one, its bias `[out]`.
    Linear {
        /// Geometry.
        linear: Linear,
        /// The matrix.
        weight: ParameterId,
        /// The bias.
        bias: Option<ParameterId>,
    },
}

/// The geometry of a square convolution; dilation is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Conv2d {
    /// Channels read.
    pub in_channels: usize,
    /// Channels written.
    pub out_channels: usize,
    /// Height and width of the kernel, in pixels.
    pub kernel: usize,
    /// Pixels between two applications.
    pub stride: usize,
    /// Zeros around the image, in pixels.
    pub padding: usize,
    /// Channels are split into so many groups that do not see each other.
    pub groups: usize,
    /// Whether a bias is added.
    pub bias: bool,
}

impl Conv2d {
    /// A dense convolution with stride 1, no padding and a bias.
    pub const fn new(in_channels: usize, out_channels: usize, kernel: usize) -> Self {
        Self { in_channels, out_channels, kernel, stride: 1, padding: 0, groups: 1, bias: true }
    }

    /// A convolution that keeps channels apart, with stride 1, no padding and a bias.
    pub const fn depthwise(channels: usize, kernel: usize) -> Self {
        Self::new(channels, channels, kernel).groups(channels)
    }

    /// Applies the kernel every `stride` pixels.
    pub const fn stride(mut self, stride: usize) -> Self {
        self.stride = stride;
        self
    }

    /// Surrounds the image by `padding` zeros.
    pub const fn padding(mut self, padding: usize) -> Self {
        self.padding = padding;
        self
    }

    /// Splits the channels into `groups`.
    pub const fn groups(mut self, groups: usize) -> Self {
        self.groups = groups;
        self
    }

    /// Leaves the bias out, as one does before a batch normalisation.
    pub const fn no_bias(mut self) -> Self {
        self.bias = false;
        self
    }

    /// The weight's shape.
    pub(crate) fn weight_shape(&self) -> [usize; 4] {
        [self.out_channels, self.in_channels / self.groups.max(1), self.kernel, self.kernel]
    }

    /// Whether each channel is convolved by itself.
    pub fn is_depthwise(&self) -> bool {
        self.groups == self.in_channels && self.groups == self.out_channels
    }

    /// Whether it is a matrix product over channels, pixel by pixel.
    pub fn is_pointwise(&self) -> bool {
        self.kernel == 1 && self.stride == 1 && self.padding == 0 && self.groups == 1
    }
}

/// The geometry of a batch normalisation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchNorm2d {
    /// Channels.
    pub channels: usize,
    /// What is added to the variance; PyTorch's default is 1e-5.
    pub eps: f32,
}

impl BatchNorm2d {
    /// PyTorch's default, with `eps` 1e-5.
    pub const fn new(channels: usize) -> Self {
        Self { channels, eps: 1e-5 }
    }
}

/// The geometry of a square max pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MaxPool2d {
    /// Height and width of the window, in pixels.
    pub kernel: usize,
    /// Pixels between two windows.
    pub stride: usize,
    /// Pixels around the image that never win; less than the kernel.
    pub padding: usize,
}

/// The geometry of a fully connected layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Linear {
    /// Numbers read.
    pub in_features: usize,
    /// Numbers written.
    pub out_features: usize,
    /// Whether a bias is added.
    pub bias: bool,
}

impl Linear {
    /// A layer with a bias.
    pub const fn new(in_features: usize, out_features: usize) -> Self {
        Self { in_features, out_features, bias: true }
    }
}
