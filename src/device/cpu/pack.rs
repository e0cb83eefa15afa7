//! Steps as the kernels take them: weights in tiles, tables of places, and the size of a unit of work.

use super::isa::InstructionSet;
use super::kernels::{Finish, Matrix, Region, Tile};
use super::memory::Numbers;
use crate::compile::{self, Plan};
use crate::graph::{self, Conv2d, MaxPool2d, Shape};
use std::ops::Range;

/// A step of the plan, ready to run.
#[derive(Debug)]
pub(super) struct Step {
    pub kernel: Kernel,
    /// The buffer that is read; none for the caller's images.
    pub source: Option<usize>,
    /// The buffer that is written.
    pub target: usize,
    /// Numbers from one image to the next, and from one pixel to the next.
    pub x_image: usize,
    pub x_pixel: usize,
    pub y_image: usize,
    /// Where the first vector of outputs begins, and numbers from one to the next.
    pub y_offset: usize,
    pub y_group: usize,
    /// The second operand.
    pub other: Option<Other>,
    /// What is applied to results.
    pub finish: Finish,
    /// Where each vector of outputs finds its channels. Only for kernels that keep channels apart.
    pub channels: Vec<Channels>,
    /// Pixels of a channel that is read.
    pub pixels: usize,
    /// Numbers of memory that a thread needs beside.
    pub scratch: usize,
    /// Units into which a matrix product is divided, at most.
    units: usize,
}

/// A second operand, whose vectors of channels are those of the outputs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Other {
    pub buffer: usize,
    /// Numbers from one image to the next.
    pub image: usize,
    /// Where the first vector begins, and numbers from one to the next.
    pub offset: usize,
    pub group: usize,
    /// Numbers from one pixel to the next: none where one pixel goes to all.
    pub pixel: usize,
}

/// Where a vector's channels lie.
#[derive(Debug)]
pub(super) enum Channels {
    /// Side by side, the first of them here.
    Together(usize),
    /// Each somewhere.
    Apart(Vec<usize>),
}

impl Channels {
    /// Where the channel of a lane begins.
    pub fn place(&self, lane: usize) -> usize {
        match self {
            Self::Together(first) => first + lane,
            Self::Apart(places) => places[lane],
        }
    }
}

#[derive(Debug)]
pub(super) enum Kernel {
    Matmul(Matmul),
    Convolution(Convolution),
    /// A depthwise convolution of 3x3 taps side by side, at every pixel of a row or every other.
    Depthwise(Window),
    Window(Window),
    Mean,
    /// Of so many channels.
    Softmax(usize),
    Elementwise(Elementwise),
}

impl Kernel {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Matmul(_) => "matmul",
            Self::Convolution(Convolution { pool: None, .. }) => "convolution",
            Self::Convolution(_) => "convolution_max_pool",
            Self::Depthwise(_) | Self::Window(Window { op: WindowOp::Sum { .. }, .. }) => "depthwise",
            Self::Window(Window { op: WindowOp::Max, .. }) => "max_pool",
            Self::Window(Window { op: WindowOp::Average { .. }, .. }) => "avg_pool",
            Self::Mean => "mean",
            Self::Softmax(_) => "softmax",
            Self::Elementwise(Elementwise { op: ElementwiseOp::Copy, .. }) => "copy",
            Self::Elementwise(Elementwise { op: ElementwiseOp::Add, .. }) => "add",
            Self::Elementwise(Elementwise { op: ElementwiseOp::Mul, .. }) => "mul",
        }
    }
}

/// A 1x1 convolution, or a fully connected layer of images that are one pixel.
#[derive(Debug)]
pub(super) struct Matmul {
    pub matrix: Matrix,
    /// Pixels of an image.
    pub pixels: usize,
    /// Pixels of a block.
    pub block: usize,
    /// Whether all pixels meet one tile before the next.
    pub tile_by_tile: bool,
}

#[derive(Debug)]
pub(super) struct Convolution {
    pub matrix: Matrix,
    /// Where each group of channels that is read begins.
    pub groups: Vec<usize>,
    pub region: Region,
    pub stride: [usize; 2],
    /// The output's size.
    pub height: usize,
    pub width: usize,
    /// Rows of output in a unit, and into how many parts the tiles are divided.
    pub rows: usize,
    pub parts: usize,
    /// What is written in place of the output.
    pub pool: Option<Pool>,
}

impl Convolution {
    /// Into how many bands of rows an image is divided.
    pub fn bands(&self) -> usize {
        match &self.pool {
            Some(Pool { window, .. }) => window.height.div_ceil(window.rows),
            None => self.height.div_ceil(self.rows),
        }
    }

    /// A band's rows of the pool, or once anything where there is none, and the rows that are computed for them.
    pub fn band(&self, band: usize) -> (Range<usize>, Range<usize>) {
        match &self.pool {
            Some(pool) => {
                let first = band * pool.window.rows;
                let outputs = first..pool.window.height.min(first + pool.window.rows);
                (outputs.clone(), pool.sees(outputs, self.height))
            }
            None => (0..1, band * self.rows..self.height.min((band + 1) * self.rows)),
        }
    }
}

/// A max pool over what a convolution computes, rows of which lie in a thread's own memory.
#[derive(Debug)]
pub(super) struct Pool {
    pub window: Window,
    /// Vectors of channels.
    pub vectors: usize,
    /// Where in a thread's memory the convolution's rows lie, and how many for a unit.
    pub scratch: usize,
    pub rows: usize,
}

impl Pool {
    /// The convolution's rows, of `height`, that the outputs in `rows` see.
    pub fn sees(&self, rows: Range<usize>, height: usize) -> Range<usize> {
        let graph::Window { stride: [down, _], padding, .. } = self.window.window;
        let row = |padded: usize| padded.saturating_sub(padding.top).min(height);
        row(rows.start * down)..row((rows.end - 1) * down + self.window.window.extent()[0])
    }
}

/// What keeps channels apart.
#[derive(Debug)]
pub(super) struct Window {
    pub op: WindowOp,
    pub region: Region,
    pub window: graph::Window,
    /// The output's size.
    pub height: usize,
    pub width: usize,
    /// Rows of output in a unit.
    pub rows: usize,
}

#[derive(Debug)]
pub(super) enum WindowOp {
    /// Weights `[vector][height][width][lanes]`, bias `[vector][lanes]`.
    Sum { weights: Numbers, bias: Numbers },
    /// The largest.
    Max,
    /// The mean, of all taps that lie in the padded image or of those in the image.
    Average { count_include_pad: bool },
}

/// What goes number by number.
#[derive(Debug)]
pub(super) struct Elementwise {
    pub op: ElementwiseOp,
    /// Parts into which the pixels of a vector of channels are divided.
    pub parts: usize,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum ElementwiseOp {
    Copy,
    Add,
    Mul,
}

/// Bytes of a matrix from which it stays in no core's own cache together with pixels.
const LARGE_MATRIX: usize = 128 << 10;

/// Bytes of pixels that a block may have, to stay in the innermost cache.
const BLOCK_BYTES: usize = 16 << 10;

/// Numbers that a band of rows may have, to stay in a core's own cache.
const BAND: usize = 64 << 10;

/// Units of work for each thread, in a step that can be divided so far: enough for one thread to take over what another
/// cannot do in time.
const UNITS_PER_THREAD: usize = 6;

impl Step {
    /// Units of work for so many images.
    pub fn units(&self, count: usize) -> usize {
        match &self.kernel {
            Kernel::Matmul(matmul) => {
                let (images, pixels) = if matmul.pixels == 1 { (1, count) } else { (count, matmul.pixels) };
                (images * pixels.div_ceil(matmul.block) * matmul.matrix.tiles.len()).min(self.units)
            }
            Kernel::Convolution(conv) => count * conv.bands() * conv.parts,
            Kernel::Depthwise(window) | Kernel::Window(window) => {
                count * self.channels.len() * window.height.div_ceil(window.rows)
            }
            Kernel::Mean => count * self.channels.len(),
            Kernel::Softmax(_) => count,
            Kernel::Elementwise(elementwise) => count * self.channels.len() * elementwise.parts,
        }
    }

    /// What the step does not change.
    fn numbers(&mut self) -> Vec<&mut Numbers> {
        match &mut self.kernel {
            Kernel::Matmul(Matmul { matrix, .. }) | Kernel::Convolution(Convolution { matrix, .. }) => {
                vec![&mut matrix.weights, &mut matrix.bias]
            }
            Kernel::Depthwise(Window { op: WindowOp::Sum { weights, bias }, .. })
            | Kernel::Window(Window { op: WindowOp::Sum { weights, bias }, .. }) => vec![weights, bias],
            Kernel::Depthwise(_) | Kernel::Window(_) | Kernel::Mean | Kernel::Softmax(_) | Kernel::Elementwise(_) => {
                Vec::new()
            }
        }
    }

    /// Where the second operand of an image begins, if the step has one.
    pub fn other_at(&self, buffer: *const f32, image: usize) -> *const f32 {
        self.other.map_or(buffer, |other| buffer.wrapping_add(image * other.image + other.offset))
    }
}

/// Packs every step of a plan that was compiled for the lanes of `set`.
pub(super) fn pack(plan: &Plan, set: InstructionSet, threads: usize) -> Vec<Step> {
    let packer = Packer { plan, set, lanes: set.lanes(), units: threads * UNITS_PER_THREAD };
    let mut steps: Vec<Step> = plan.steps.iter().map(|step| packer.step(step)).collect();
    Numbers::gather(steps.iter_mut().flat_map(Step::numbers).collect());
    steps
}

struct Packer<'p> {
    plan: &'p Plan,
    set: InstructionSet,
    lanes: usize,
    units: usize,
}

impl Packer<'_> {
    fn step(&self, step: &compile::Step) -> Step {
        let (source, target) = (&step.source, &step.target);
        // Of all values only the input lies in planes. It is read where the caller has it, without padding.
        let input = source.lanes == 1;
        let pixels = source.height * source.width;
        let planes: Vec<usize> = match input {
            true => source.planes.iter().map(|plane| plane / self.plan.input.group_stride() * pixels).collect(),
            false => source.planes.clone(),
        };
        let (kernel, scratch) = self.kernel(step, &planes);
        let apart = !matches!(kernel, Kernel::Matmul(_) | Kernel::Convolution(_));
        Step {
            kernel,
            source: (!input).then_some(source.buffer),
            target: target.buffer,
            x_image: if input { self.plan.input.shape.elements() } else { source.image_stride },
            x_pixel: source.lanes,
            y_image: target.image_stride,
            y_offset: target.offset,
            y_group: target.group_stride(),
            other: step.other.as_ref().map(|other| self.other(other)),
            finish: Finish::new(step.activation.filter(|_| step.pool.is_none())),
            channels: if apart { self.channels(&planes, source.lanes) } else { Vec::new() },
            pixels,
            scratch,
            units: self.units,
        }
    }

    fn other(&self, other: &compile::Source) -> Other {
        let at = |channel: usize| other.planes.get(channel).copied();
        let first = at(0).unwrap_or(0);
        Other {
            buffer: other.buffer,
            image: other.image_stride,
            offset: first,
            group: at(self.lanes).map_or(0, |second| second - first),
            pixel: if other.height * other.width == 1 { 0 } else { other.lanes },
        }
    }

    /// The kernel, and numbers of memory that a thread needs beside.
    fn kernel(&self, step: &compile::Step, planes: &[usize]) -> (Kernel, usize) {
        let (source, out) = (&step.source, step.target.shape);
        match &step.kernel {
            compile::Kernel::Linear { linear, weight, bias } => {
                let pixels = source.height * source.width;
                let places = planes.iter().flat_map(|plane| (0..pixels).map(move |p| plane + p * source.lanes));
                let inputs: Vec<usize> = places.collect();
                let row = linear.in_features;
                let matrix =
                    self.matrix(step, linear.out_features, bias, |_| 0..row, &inputs, |o, k| weight[o * row + k]);
                (Kernel::Matmul(self.matmul(matrix, 1)), 0)
            }
            compile::Kernel::Conv2d { conv, weight, bias } if conv.is_pointwise() => {
                let row = conv.in_channels;
                let matrix = self.matrix(step, conv.out_channels, bias, |_| 0..row, planes, |o, k| weight[o * row + k]);
                (Kernel::Matmul(self.matmul(matrix, out.pixels())), 0)
            }
            // What is added is added by the kernels of matrices only.
            compile::Kernel::Conv2d { conv, weight, bias } if conv.is_depthwise() && step.other.is_none() => {
                let weights = self.by_vector(weight, conv.window.taps());
                self.window(
                    step,
                    WindowOp::Sum { weights: weights.into(), bias: self.by_vector(bias, 1).into() },
                    conv.window,
                )
            }
            compile::Kernel::Conv2d { conv, weight, bias } => self.convolution(step, conv, planes, weight, bias),
            compile::Kernel::MaxPool2d(pool) => self.window(step, WindowOp::Max, pool.window),
            compile::Kernel::AvgPool2d(pool) => {
                let op = WindowOp::Average { count_include_pad: pool.count_include_pad };
                self.window(step, op, pool.window)
            }
            compile::Kernel::Mean => (Kernel::Mean, 0),
            compile::Kernel::Softmax => (Kernel::Softmax(out.channels), 0),
            compile::Kernel::Add => self.elementwise(step, ElementwiseOp::Add),
            compile::Kernel::Mul => self.elementwise(step, ElementwiseOp::Mul),
            compile::Kernel::Copy => self.elementwise(step, ElementwiseOp::Copy),
        }
    }

    fn elementwise(&self, step: &compile::Step, op: ElementwiseOp) -> (Kernel, usize) {
        let out = step.target.shape;
        let groups = out.channels.div_ceil(self.lanes);
        let parts = self.units.div_ceil(groups).min(out.pixels());
        (Kernel::Elementwise(Elementwise { op, parts }), 0)
    }

    fn matmul(&self, matrix: Matrix, pixels: usize) -> Matmul {
        let (rows, _) = self.set.tile();
        let depth = matrix.inputs.len().max(1);
        let block = rows * (BLOCK_BYTES / (size_of::<f32>() * depth * rows)).clamp(1, 8);
        let tile_by_tile = matrix.weights.len() * size_of::<f32>() > LARGE_MATRIX;
        Matmul { matrix, pixels, block, tile_by_tile }
    }

    fn convolution(
        &self,
        step: &compile::Step,
        conv: &Conv2d,
        planes: &[usize],
        weight: &[f32],
        bias: &[f32],
    ) -> (Kernel, usize) {
        let (source, out) = (&step.source, step.pool.map_or(step.target.shape, |pool| pool.of));
        let lanes = source.lanes;
        // Channels are laid out in the groups in which they lie; each group once.
        let mut groups: Vec<usize> = planes.iter().map(|plane| plane - plane % lanes).collect();
        groups.sort_unstable();
        groups.dedup();
        let large = size_of_val(weight) > LARGE_MATRIX;
        let mut pool = step.pool.map(|pool| self.pool(pool, step.target.shape));
        let mut rows = match &pool {
            Some(pool) => pool.rows,
            None if large => out.height,
            None => out.height.div_ceil(self.units),
        };
        let image = [source.height, source.width];
        let region = |rows: usize| Region::new(image, &conv.window, lanes, rows, out.width);
        while rows > 1 && pool.is_none() && groups.len() * region(rows).band() > BAND {
            rows = rows.div_ceil(2);
        }
        let region = region(rows);
        let place = |plane: usize| {
            let group = groups.binary_search(&(plane - plane % lanes)).unwrap_or(0);
            group * region.band() + plane % lanes
        };
        let (in_group, out_group) = (conv.in_channels / conv.groups, conv.out_channels / conv.groups);
        let [[height, width], [dy, dx]] = [conv.window.kernel, conv.window.dilation];
        let taps = |place: usize| {
            let row = move |ky: usize| place + ky * dy * region.row();
            (0..height).flat_map(move |ky| (0..width).map(move |kx| row(ky) + kx * dx * lanes))
        };
        let inputs: Vec<usize> = planes.iter().flat_map(|plane| taps(place(*plane))).collect();
        let area = conv.window.taps();
        // The groups that a tile's outputs belong to; of another group's inputs the weights are zero.
        let range = |outputs: Range<usize>| {
            let (first, last) = (outputs.start / out_group, (outputs.end - 1) / out_group);
            first * in_group * area..(last + 1) * in_group * area
        };
        let value = |o: usize, i: usize| {
            let own = o / out_group * in_group * area;
            i.checked_sub(own).filter(|i| *i < in_group * area).map_or(0.0, |i| weight[o * in_group * area + i])
        };
        let matrix = self.matrix(step, conv.out_channels, bias, range, &inputs, value);
        let bands = out.height.div_ceil(rows);
        // A pool takes all channels of a row together.
        let parts = if pool.is_some() { 1 } else { self.units.div_ceil(bands).min(matrix.tiles.len()) };
        let mut scratch = groups.len() * region.band();
        if let Some(pool) = &mut pool {
            pool.scratch = scratch.next_multiple_of(self.lanes);
            scratch = pool.scratch + pool.vectors * pool.rows * out.width * self.lanes;
        }
        let (height, width, stride) = (out.height, out.width, conv.window.stride);
        (Kernel::Convolution(Convolution { matrix, groups, region, stride, height, width, rows, parts, pool }), scratch)
    }

    /// A pool over what a convolution computes, of as many rows a unit as keep the convolution's in a core's own cache:
    /// those that two units see are computed twice.
    fn pool(&self, pool: compile::Pool, out: Shape) -> Pool {
        let compile::Pool { pool: MaxPool2d { window, .. }, of } = pool;
        let vectors = of.channels.div_ceil(self.lanes);
        let seen = |rows: usize| ((rows - 1) * window.stride[0] + window.extent()[0]).min(of.height);
        let mut rows = out.height.div_ceil(self.units);
        while rows > 1 && vectors * seen(rows) * of.width * self.lanes > BAND {
            rows -= 1;
        }
        let region = Region::new([of.height, of.width], &window, self.lanes, rows, out.width);
        let (op, height, width) = (WindowOp::Max, out.height, out.width);
        Pool { window: Window { op, region, window, height, width, rows }, vectors, scratch: 0, rows: seen(rows) }
    }

    fn window(&self, step: &compile::Step, op: WindowOp, window: graph::Window) -> (Kernel, usize) {
        let (source, out) = (&step.source, step.target.shape);
        let groups = out.channels.div_ceil(self.lanes);
        let mut rows = out.height.div_ceil(self.units.div_ceil(groups));
        let image = [source.height, source.width];
        let region = |rows: usize| Region::new(image, &window, self.lanes, rows, out.width);
        while rows > 1 && region(rows).band() > BAND / 4 {
            rows = rows.div_ceil(2);
        }
        let region = region(rows);
        let (height, width) = (out.height, out.width);
        let plain = (window.kernel, window.dilation) == ([3, 3], [1, 1]) && window.stride[1] <= 2;
        let kernel = match op {
            WindowOp::Sum { .. } if plain => Kernel::Depthwise,
            _ => Kernel::Window,
        };
        (kernel(Window { op, region, window, height, width, rows }), region.band())
    }

    /// A matrix of `outputs` rows, of which `range` tells the inputs that a tile's outputs have, and `value` the weight
    /// of an output and an input.
    fn matrix(
        &self,
        step: &compile::Step,
        outputs: usize,
        bias: &[f32],
        range: impl Fn(Range<usize>) -> Range<usize>,
        inputs: &[usize],
        value: impl Fn(usize, usize) -> f32,
    ) -> Matrix {
        let (_, most) = self.set.tile();
        // A last vector of which at most half is used may be half a vector, which counts as one of those of its tile.
        let used = outputs % self.lanes;
        let half = self.set.halves() && outputs > self.lanes && (1..=self.lanes / 2).contains(&used);
        let whole = outputs.div_ceil(self.lanes) - usize::from(half);
        let count = (whole + usize::from(half)).div_ceil(most);
        let (mut tiles, mut weights) = (Vec::with_capacity(count), Vec::new());
        for i in 0..count {
            let (first, end) = ((whole * i).div_ceil(count), (whole * (i + 1)).div_ceil(count));
            let half = half && i + 1 == count;
            let lanes = first * self.lanes..end * self.lanes + if half { self.lanes / 2 } else { 0 };
            let inputs = range(lanes.start..outputs.min(lanes.end));
            let (depth, start) = (inputs.len(), weights.len());
            tiles.push(Tile { first, vectors: end - first, half, inputs: inputs.start, depth, weights: start });
            for k in inputs {
                weights.extend(lanes.clone().map(|o| if o < outputs { value(o, k) } else { 0.0 }));
            }
        }
        let inputs = inputs.iter().map(|&place| place as u32).collect();
        let other_group = step.other.as_ref().map(|other| self.other(other).group);
        Matrix {
            tiles,
            inputs,
            weights: weights.into(),
            bias: self.by_vector(bias, 1).into(),
            finish: Finish::new(step.activation),
            other_group,
        }
    }

    /// `[channel][each]` as `[vector][each][lanes]`, filled up by zeros.
    fn by_vector(&self, values: &[f32], each: usize) -> Vec<f32> {
        let mut packed = Vec::with_capacity(values.len().next_multiple_of(self.lanes * each));
        for vector in values.chunks(self.lanes * each) {
            for i in 0..each {
                packed.extend((0..self.lanes).map(|lane| vector.get(lane * each + i).copied().unwrap_or(0.0)));
            }
        }
        packed
    }

    fn channels(&self, planes: &[usize], lanes: usize) -> Vec<Channels> {
        let vectors = planes.chunks(self.lanes);
        let pack = |vector: &[usize]| {
            let first = vector.first().copied().unwrap_or(0);
            let together = lanes == self.lanes
                && first.is_multiple_of(lanes)
                && vector.iter().enumerate().all(|(lane, plane)| *plane == first + lane);
            if together { Channels::Together(first) } else { Channels::Apart(vector.to_vec()) }
        };
        vectors.map(pack).collect()
    }
}
