//! The compiled form of a network: a flat list of steps over a few buffers.

use crate::graph::{Conv2d, Linear, MaxPool2d, Shape};

/// What a device runs, image by image: write the input, run the steps in order, read the output.
///
/// Sizes and offsets count `f32` elements and hold for one image; a device that runs a batch places image `n` at `n`
/// times the stride of its [`Source`] or [`Target`].
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Where the input goes.
    pub input: Target,
    /// What runs, in order.
    pub steps: Vec<Step>,
    /// Where the output is when all have run.
    pub output: Target,
    /// Elements of each buffer, an image.
    pub buffers: Vec<usize>,
}

impl Plan {
    /// Bytes of all buffers for a batch of `batch`.
    pub fn activation_bytes(&self, batch: usize) -> usize {
        self.buffers.iter().sum::<usize>() * batch * size_of::<f32>()
    }
}

/// One kernel applied once.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The layer that it comes from, such as `stage2.0.branch1.0`; empty for layers without parameters.
    pub name: String,
    /// What is computed.
    pub kernel: Kernel,
    /// What is read. Never the buffer that is written.
    pub source: Source,
    /// What is written.
    pub target: Target,
}

/// What a step computes, with its weights in the framework's own order: packing is each device's affair.
#[derive(Debug, Clone, PartialEq)]
pub enum Kernel {
    /// A convolution, its bias, and perhaps a ReLU.
    Conv2d {
        /// Geometry.
        conv: Conv2d,
        /// `[out, in / groups, kernel, kernel]`.
        weight: Vec<f32>,
        /// `[out]`; zeros where the layer has none.
        bias: Vec<f32>,
        /// Whether negative results become 0.
        relu: bool,
    },
    /// A fully connected layer over all elements of the source, plane after plane.
    Linear {
        /// Geometry.
        linear: Linear,
        /// `[out, in]`.
        weight: Vec<f32>,
        /// `[out]`; zeros where the layer has none.
        bias: Vec<f32>,
        /// Whether negative results become 0.
        relu: bool,
    },
    /// A max pool.
    MaxPool2d(MaxPool2d),
    /// The mean of each plane.
    Mean,
    /// The source's planes as they are, for the rare network in which they must lie elsewhere.
    Copy {
        /// Whether negative values become 0.
        relu: bool,
    },
}

/// Planes that a step reads: channel `c` is the plane that begins at element `planes[c]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Index into [`Plan::buffers`].
    pub buffer: usize,
    /// Elements from one image to the next.
    pub image_stride: usize,
    /// Where each channel's plane begins.
    pub planes: Vec<usize>,
    /// Height of a plane in pixels.
    pub height: usize,
    /// Width of a plane in pixels.
    pub width: usize,
}

/// Planes that a step writes, one behind the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Index into [`Plan::buffers`].
    pub buffer: usize,
    /// Elements from one image to the next.
    pub image_stride: usize,
    /// Where the first plane begins.
    pub offset: usize,
    /// Channels, and the size of each plane in pixels.
    pub shape: Shape,
}

impl Target {
    /// Elements from one plane to the next.
    pub fn plane_stride(&self) -> usize {
        plane_stride(self.shape)
    }
}

/// Elements from one plane to the next: the pixels, rounded up to a multiple of 4 so that a device may read and write
/// four at a time. The padding's content is unspecified. Vectors are dense.
pub(super) fn plane_stride(shape: Shape) -> usize {
    match shape.pixels() {
        1 => 1,
        pixels => pixels.next_multiple_of(4),
    }
}
