//! Makes a plan's steps ready to run: packs weights, tabulates places, and sizes units of work.

use super::isa::InstructionSet;
use super::kernels::{Finish, Matrix, Region, Tile};
use super::memory::Numbers;
use super::step::{
    Channels, Convolution, Elementwise, ElementwiseOp, Kernel, Matmul, Other, Pool, Step, Window, WindowOp,
};
use crate::compile::{self, Plan};
use crate::graph::{self, Conv2d, MaxPool2d, Shape};
use std::ops::Range;

/// Bytes of a matrix from which it stays in no core's own cache together with pixels.
pub(super) const LARGE_MATRIX: usize = 128 << 10;

/// Bytes of pixels that a block may have, to stay in the innermost cache.
const BLOCK_BYTES: usize = 16 << 10;

/// Numbers that a band of rows may have, to stay in a core's own cache.
const BAND: usize = 64 << 10;

/// Units of work for each thread, in a step that can be divided so far: enough for one thread to take over what another
/// cannot do in time.
const UNITS_PER_THREAD: usize = 6;

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
            // Under a pool results were bent before.
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
        let mut pool = step.pool.map(|pool| Box::new(self.pool(pool, step.target.shape)));
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
