//! The operators, under PyTorch's names and with its meaning.

use super::window::windowed;
use super::{Activation, Padding, ParameterId, Window};

/// An operator. Values are images of shape `[channels, height, width]`; the batch is implied.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Op {
    /// `nn.Conv2d`, with its weight `[out, in / groups, height, width]` and, if it has one, its bias `[out]`.
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
    /// A function of each number by itself.
    Activation(Activation),
    /// `nn.MaxPool2d`; padding never wins.
    MaxPool2d(MaxPool2d),
    /// `nn.AvgPool2d`.
    AvgPool2d(AvgPool2d),
    /// `a + b`, of one shape; or `b` has one pixel, whose numbers go to all pixels of their channels.
    Add,
    /// `a * b`, likewise.
    Mul,
    /// Part `index` of `torch.chunk(x, count, dim=1)`.
    Chunk {
        /// Which part.
        index: usize,
        /// How many equal parts there are.
        count: usize,
    },
    /// `torch.narrow(x, 1, start, length)`: some channels.
    Narrow {
        /// The first.
        start: usize,
        /// How many.
        length: usize,
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
    /// `torch.softmax(x, dim=1)`, pixel by pixel.
    Softmax,
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

/// The geometry of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Conv2d {
    /// Channels read.
    pub in_channels: usize,
    /// Channels written.
    pub out_channels: usize,
    /// The kernel, and where it is applied. Padding is zeros.
    pub window: Window,
    /// Channels are split into so many groups that do not see each other.
    pub groups: usize,
    /// Whether a bias is added.
    pub bias: bool,
}

windowed!(Conv2d);

impl Conv2d {
    /// A dense convolution of a square kernel with stride 1, no padding and a bias.
    pub const fn new(in_channels: usize, out_channels: usize, kernel: usize) -> Self {
        Self { in_channels, out_channels, window: Window::square(kernel), groups: 1, bias: true }
    }

    /// A convolution that keeps channels apart, with stride 1, no padding and a bias.
    pub const fn depthwise(channels: usize, kernel: usize) -> Self {
        Self::new(channels, channels, kernel).groups(channels)
    }

    /// Sets the kernel's taps `dilation` pixels apart.
    pub const fn dilation(mut self, dilation: usize) -> Self {
        self.window.dilation = [dilation; 2];
        self
    }

    /// `padding="same"`: surrounds the image by as many pixels as keep its size at stride 1, an odd one below and to the
    /// right. To be called once kernel and dilation are set.
    pub const fn padding_same(mut self) -> Self {
        let Window { kernel: [down, across], dilation, .. } = self.window;
        let rows = down.saturating_sub(1).saturating_mul(dilation[0]);
        let columns = across.saturating_sub(1).saturating_mul(dilation[1]);
        let (top, left) = (rows / 2, columns / 2);
        self.window.padding = Padding { top, left, bottom: rows - top, right: columns - left };
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
        let [height, width] = self.window.kernel;
        [self.out_channels, self.in_channels / self.groups.max(1), height, width]
    }

    /// Whether each channel is convolved by itself.
    pub fn is_depthwise(&self) -> bool {
        self.groups == self.in_channels && self.groups == self.out_channels
    }

    /// Whether it is a matrix product over channels, pixel by pixel.
    pub fn is_pointwise(&self) -> bool {
        self.window.is_pixel() && self.groups == 1
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

    /// Adds `eps` to the variance.
    pub const fn eps(mut self, eps: f32) -> Self {
        self.eps = eps;
        self
    }
}

/// The geometry of a max pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MaxPool2d {
    /// The window. Its padding never wins, and is less than its extent.
    pub window: Window,
    /// Whether a last window that juts out counts.
    pub ceil_mode: bool,
}

windowed!(MaxPool2d);

impl MaxPool2d {
    /// Square windows side by side.
    pub const fn new(kernel: usize) -> Self {
        Self { window: Window::square(kernel), ceil_mode: false }.stride(kernel)
    }

    /// Counts a last window that juts out.
    pub const fn ceil_mode(mut self) -> Self {
        self.ceil_mode = true;
        self
    }
}

/// The geometry of an average pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AvgPool2d {
    /// The window. Its padding is zeros, and less than its extent.
    pub window: Window,
    /// Whether a last window that juts out counts.
    pub ceil_mode: bool,
    /// Whether sums are divided by the taps that lie in the padded image, or by those in the image alone.
    pub count_include_pad: bool,
}

windowed!(AvgPool2d);

impl AvgPool2d {
    /// Square windows side by side; padding counts, as PyTorch has it.
    pub const fn new(kernel: usize) -> Self {
        Self { window: Window::square(kernel), ceil_mode: false, count_include_pad: true }.stride(kernel)
    }

    /// Counts a last window that juts out.
    pub const fn ceil_mode(mut self) -> Self {
        self.ceil_mode = true;
        self
    }
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

    /// Leaves the bias out.
    pub const fn no_bias(mut self) -> Self {
        self.bias = false;
        self
    }
}
