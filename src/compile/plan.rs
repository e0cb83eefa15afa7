//! The compiled form of a network: a flat list of steps over a few buffers.

use crate::graph::{Activation, AvgPool2d, Conv2d, Linear, MaxPool2d, Shape};
use std::ops::Range;
use std::sync::Arc;

/// What a device runs, image by image: write the input, run the steps in order, read the output.
///
/// Sizes and offsets count `f32` elements and hold for one image; a device that runs a batch places image `n` at `n`
/// times the stride of its [`Source`] or [`Target`]. Values lie as the device asked for: in groups of so many channels,
/// pixel after pixel, or, with one channel a group, in planes. The input is always in planes, as callers have it.
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
    /// For each step whether it must wait for all before it, where steps that need not may run side by side.
    pub fn waits(&self) -> Vec<bool> {
        Touched::waits(self.steps.iter().map(Step::touched))
    }
}

impl Touched {
    /// For each of what runs in this order whether it must wait for all before it.
    pub(crate) fn waits(all: impl Iterator<Item = Self>) -> Vec<bool> {
        let mut running: Vec<Self> = Vec::new();
        let waits = |touched: Self| {
            let waits = running.len() == SIDE_BY_SIDE || running.iter().any(|earlier| earlier.orders(&touched));
            if waits {
                running.clear();
            }
            running.push(touched);
            waits
        };
        all.map(waits).collect()
    }
}

/// One kernel applied once.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The layer that it comes from, such as `stage2.0.branch1.0`; empty for layers without parameters.
    pub name: String,
    /// What is computed.
    pub kernel: Kernel,
    /// What is applied to every result; only to those of convolutions, fully connected layers, sums, products and copies.
    pub activation: Option<Activation>,
    /// What is written in place of the results, for a device that asked for it; only those of dense convolutions.
    pub pool: Option<Pool>,
    /// What is read. Never the buffer that is written.
    pub source: Source,
    /// What a convolution adds to its results before the activation, or the second operand of a sum or product: the
    /// target's channels, side by side from the start of a group on. Never the buffer that is written.
    pub other: Option<Source>,
    /// What is written.
    pub target: Target,
    /// Whether a depthwise convolution's results are read by the next step alone, which is a 1x1 convolution and does not write
    /// what this one reads; for a device that asked for it.
    pub chained: bool,
}

/// As many steps as run side by side at most, so that each is compared with no more: devices fill up with fewer.
const SIDE_BY_SIDE: usize = 64;

/// What a step reads, and what it writes.
pub(crate) struct Touched {
    read: [Option<Region>; 2],
    written: Region,
}

impl Step {
    pub(crate) fn touched(&self) -> Touched {
        let read = [Some(self.source.region()), self.other.as_ref().map(Source::region)];
        Touched { read, written: self.target.region() }
    }
}

impl Touched {
    /// What two steps touch that are computed as one, where only the `next` reads what the first writes.
    #[cfg_attr(not(feature = "gpu"), allow(dead_code, reason = "the CPU computes one at a time"))]
    pub(crate) fn and(self, next: Self) -> Self {
        let ([read, _], [_, other]) = (self.read, next.read);
        Self { read: [read, other], written: next.written }
    }

    /// Whether a `later` step must wait for this one: it reads what is written here, or writes what is used here.
    fn orders(&self, later: &Self) -> bool {
        let reads = |step: &Self, region: &Region| step.read.iter().flatten().any(|read| read.overlaps(region));
        reads(later, &self.written) || reads(self, &later.written) || self.written.overlaps(&later.written)
    }
}

/// The largest results of each window, after the activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// Geometry.
    pub pool: MaxPool2d,
    /// What the convolution computes and the pool reads.
    pub of: Shape,
}

/// What a step computes, with its weights in the framework's own order: packing is each device's affair. They are the
/// network's own, unless batch normalisation was folded into them.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Kernel {
    /// A convolution and its bias.
    Conv2d {
        /// Geometry.
        conv: Conv2d,
        /// `[out, in / groups, height, width]`.
        weight: Arc<[f32]>,
        /// `[out]`; zeros where the layer has none.
        bias: Arc<[f32]>,
    },
    /// A fully connected layer over all elements of the source, plane after plane.
    Linear {
        /// Geometry.
        linear: Linear,
        /// `[out, in]`.
        weight: Arc<[f32]>,
        /// `[out]`; zeros where the layer has none.
        bias: Arc<[f32]>,
    },
    /// A max pool.
    MaxPool2d(MaxPool2d),
    /// An average pool.
    AvgPool2d(AvgPool2d),
    /// The mean of each plane.
    Mean,
    /// The softmax over the channels of each pixel.
    Softmax,
    /// The sum of the source and the other operand, of which one pixel may go to all.
    Add,
    /// Their product, likewise.
    Mul,
    /// The source's planes as they are, for the rare network in which they must lie elsewhere.
    Copy,
}

/// Planes that a step reads: pixel `p` of channel `c` is at element `planes[c] + p * lanes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Index into [`Plan::buffers`].
    pub buffer: usize,
    /// Elements from one image to the next.
    pub image_stride: usize,
    /// Where each channel's first pixel lies.
    pub planes: Vec<usize>,
    /// Elements from one pixel to the next.
    pub lanes: usize,
    /// Height of a plane in pixels.
    pub height: usize,
    /// Width of a plane in pixels.
    pub width: usize,
}

/// What a step writes: groups of `lanes` channels, one behind the other, the last filled up with zeros. Pixel `p` of
/// channel `c` is at element `offset + c / lanes * group_stride() + p * lanes + c % lanes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Index into [`Plan::buffers`].
    pub buffer: usize,
    /// Elements from one image to the next.
    pub image_stride: usize,
    /// Where the first group begins.
    pub offset: usize,
    /// Channels that lie side by side, pixel by pixel.
    pub lanes: usize,
    /// Channels, and the size of each plane in pixels.
    pub shape: Shape,
}

impl Source {
    /// Which channel of the input each plane is, where that is what is read.
    #[cfg_attr(not(feature = "gpu"), allow(dead_code, reason = "the CPU takes no levels"))]
    pub(crate) fn channels_of_input(&self) -> impl Iterator<Item = usize> {
        let stride = group_stride(Shape::new(self.lanes, self.height, self.width), self.lanes);
        self.planes.iter().map(move |plane| plane / stride * self.lanes + plane % self.lanes)
    }

    /// From the first group to the end of the last.
    fn region(&self) -> Region {
        let shape = Shape::new(self.lanes, self.height, self.width);
        let group = |plane: &usize| plane / self.lanes * self.lanes;
        let start = self.planes.iter().map(group).min().unwrap_or(0);
        let end = self.planes.iter().map(group).max().unwrap_or(0) + group_stride(shape, self.lanes);
        Region { buffer: self.buffer, image_stride: self.image_stride, elements: start..end }
    }
}

/// A part of every image in a buffer.
struct Region {
    buffer: usize,
    image_stride: usize,
    elements: Range<usize>,
}

impl Region {
    /// Whether they share an element in a batch of any size.
    fn overlaps(&self, other: &Self) -> bool {
        let apart = self.elements.end <= other.elements.start || other.elements.end <= self.elements.start;
        // Where strides differ, one image's part lies elsewhere than the next one's.
        self.buffer == other.buffer && !(apart && self.image_stride == other.image_stride)
    }
}

impl Target {
    fn region(&self) -> Region {
        let groups = self.shape.channels.div_ceil(self.lanes);
        let elements = self.offset..self.offset + groups * self.group_stride();
        Region { buffer: self.buffer, image_stride: self.image_stride, elements }
    }

    /// Elements from one group of channels to the next.
    pub fn group_stride(&self) -> usize {
        group_stride(self.shape, self.lanes)
    }

    /// Where channel `c` begins.
    pub fn plane(&self, c: usize) -> usize {
        self.offset + plane(self.shape, self.lanes, c)
    }
}

/// Elements from one group of channels to the next: the pixels times the lanes, rounded up to a multiple of 4 so that a
/// device may read and write four at a time. The padding's content is unspecified. Vectors are dense.
pub(super) fn group_stride(shape: Shape, lanes: usize) -> usize {
    match shape.pixels() * lanes {
        1 => 1,
        elements => elements.next_multiple_of(4),
    }
}

/// Where channel `c` of a value begins, counted from its first element.
pub(super) fn plane(shape: Shape, lanes: usize, c: usize) -> usize {
    c / lanes * group_stride(shape, lanes) + c % lanes
}
