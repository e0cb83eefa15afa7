//! Makes a plan's steps ready to run: packs weights, tabulates places, and sizes units of work.

use super::isa::InstructionSet;
use super::kernels::{Finish, Matrix, Region, Tile};
use super::memory::Numbers;
use super::step::{
    Channels, Convolution, Elementwise, ElementwiseOp, Kernel, Matmul, Other, Pool, Step, Window, WindowOp,
};
use crate::compile::{self, Budget, Plan, Target};
use crate::device::{Precision, StepTime};
use crate::error::{Error, Result};
use crate::graph::{self, Conv2d, MaxPool2d, Shape};
use std::ops::Range;

/// Bytes of a matrix from which it stays in no core's own cache together with pixels.
pub(super) const LARGE_MATRIX: usize = 128 << 10;

/// Bytes of pixels that a block may have, to stay in the innermost cache.
const BLOCK_BYTES: usize = 16 << 10;

/// Numbers that a band of rows may have, to stay in a core's own cache.
const BAND: usize = 64 << 10;

/// Bytes that an input of a matrix takes: its place, for a moment twice.
const INPUT: usize = size_of::<usize>() + size_of::<u32>();

/// Units of work for each thread, in a step that can be divided so far: enough for one thread to take over what another
/// cannot do in time.
const UNITS_PER_THREAD: usize = 6;

/// What steps may take.
pub(super) struct Room<'b> {
    /// Beside weights.
    pub budget: &'b Budget,
    /// Numbers of a thread's own memory.
    pub scratch: usize,
}

/// Packs every step of a plan that was compiled for the lanes of `set`, and makes sure that each stays within the memory
/// that it is going to have: this is what the kernels rely on. The plan's weights go one by one as they are packed. Returns
/// with the steps what each does.
///
/// # Errors
/// [`Error::Limit`] where tables or padded weights are over the budget; [`Error::Device`] where a step would take more of a
/// thread's own memory than there is room for, or where the system has no memory.
pub(super) fn pack(plan: Plan, set: InstructionSet, threads: usize, room: Room) -> Result<(Vec<Step>, Vec<StepTime>)> {
    let packer = Packer { input: &plan.input, set, lanes: set.lanes(), units: threads * UNITS_PER_THREAD, room };
    let pack = |step: compile::Step| {
        let packed = packer.step(&step)?;
        let profile = StepTime::of(&step, packed.kernel.name(), Precision::F32);
        Ok((packed, profile))
    };
    let (mut steps, profile): (Vec<Step>, Vec<StepTime>) =
        plan.steps.into_iter().map(pack).collect::<Result<Vec<_>>>()?.into_iter().unzip();
    Numbers::gather(steps.iter_mut().flat_map(Step::numbers).collect());
    if let Some((packed, step)) = steps.iter().zip(&profile).find(|(packed, _)| !packed.stays_within(set)) {
        let (kernel, name) = (packed.kernel.name(), &step.name);
        return Err(Error::device(format!(
            "cpu: a {kernel} step ({name}) would leave its memory; this is a bug in pretrained"
        )));
    }
    Ok((steps, profile))
}

struct Packer<'p> {
    /// Where the plan's input lies.
    input: &'p Target,
    set: InstructionSet,
    lanes: usize,
    units: usize,
    room: Room<'p>,
}

impl Packer<'_> {
    fn step(&self, step: &compile::Step) -> Result<Step> {
        let (source, target) = (&step.source, &step.target);
        // Of all values only the input lies in planes. It is read where the caller has it, without padding.
        let input = source.lanes == 1;
        let pixels = source.height * source.width;
        let planes: Vec<usize> = match input {
            true => source.planes.iter().map(|plane| plane / self.input.group_stride() * pixels).collect(),
            false => source.planes.clone(),
        };
        let (kernel, scratch) = self.kernel(step, &planes)?;
        let apart = !matches!(kernel, Kernel::Matmul(_) | Kernel::Convolution(_));
        let channels = if apart { self.channels(&planes, source.lanes) } else { Vec::new() };
        let together = channels.iter().all(|channels| matches!(channels, Channels::Together(_)));
        // Windows see rows where they lie, unless channels lie apart.
        let scratch = if apart && together { 0 } else { scratch };
        if scratch > self.room.scratch {
            return Err(self.too_large(step, scratch));
        }
        Ok(Step {
            kernel,
            source: (!input).then_some(source.buffer),
            target: target.buffer,
            x_image: if input { self.input.shape.elements() } else { source.image_stride },
            x_pixel: source.lanes,
            y_image: target.image_stride,
            y_offset: target.offset,
            y_group: target.group_stride(),
            other: step.other.as_ref().map(|other| self.other(other)).transpose()?,
            // Under a pool results were bent before.
            finish: Finish::new(step.activation.filter(|_| step.pool.is_none())),
            channels,
            pixels,
            scratch,
            units: self.units,
        })
    }

    /// The second operand, whose vectors must lie at one stride: the kernels ask no table.
    fn other(&self, other: &compile::Source) -> Result<Other> {
        let first = other.planes.first().copied().unwrap_or(0);
        let group = other.planes.get(self.lanes).map_or(0, |second| second.abs_diff(first));
        let place = |channel: usize| first + channel / self.lanes * group + channel % self.lanes;
        if other.lanes != self.lanes || other.planes.iter().enumerate().any(|(channel, at)| *at != place(channel)) {
            return Err(Error::device("cpu: a second operand is not in whole vectors; this is a bug in pretrained"));
        }
        let pixel = if other.height * other.width == 1 { 0 } else { other.lanes };
        Ok(Other { buffer: other.buffer, image: other.image_stride, offset: first, group, pixel })
    }

    /// The kernel, and numbers of memory that a thread needs beside.
    fn kernel(&self, step: &compile::Step, planes: &[usize]) -> Result<(Kernel, usize)> {
        let (source, out) = (&step.source, step.target.shape);
        Ok(match &step.kernel {
            compile::Kernel::Linear { linear, weight, bias } => {
                let pixels = source.height * source.width;
                self.room.budget.take(planes.len().saturating_mul(pixels), INPUT)?;
                let places = planes.iter().flat_map(|plane| (0..pixels).map(move |p| plane + p * source.lanes));
                let inputs: Vec<usize> = places.collect();
                let row = linear.in_features;
                let matrix =
                    self.matrix(step, linear.out_features, bias, |_| 0..row, &inputs, |o, k| weight[o * row + k])?;
                (Kernel::Matmul(self.matmul(matrix, 1)), 0)
            }
            compile::Kernel::Conv2d { conv, weight, bias } if conv.is_pointwise() => {
                let row = conv.in_channels;
                let matrix =
                    self.matrix(step, conv.out_channels, bias, |_| 0..row, planes, |o, k| weight[o * row + k])?;
                (Kernel::Matmul(self.matmul(matrix, out.pixels())), 0)
            }
            // What is added is added by the kernels of matrices only.
            compile::Kernel::Conv2d { conv, weight, bias } if conv.is_depthwise() && step.other.is_none() => {
                let weights = self.by_vector(weight, conv.window.taps())?;
                let op = WindowOp::Sum { weights, bias: self.by_vector(bias, 1)? };
                self.window(step, op, conv.window)
            }
            compile::Kernel::Conv2d { conv, weight, bias } => self.convolution(step, conv, planes, weight, bias)?,
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
        })
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
    ) -> Result<(Kernel, usize)> {
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
        while rows > 1 && pool.is_none() && groups.len().saturating_mul(region(rows).band()) > BAND {
            rows = rows.div_ceil(2);
        }
        let region = region(rows);
        let mut scratch = groups.len().saturating_mul(region.band());
        if let Some(pool) = &mut pool {
            pool.scratch = scratch.saturating_add(self.lanes - 1) / self.lanes * self.lanes;
            let rows = [pool.vectors, pool.rows, out.width, self.lanes].into_iter().fold(1, usize::saturating_mul);
            scratch = pool.scratch.saturating_add(rows);
        }
        if scratch > self.room.scratch {
            return Err(self.too_large(step, scratch));
        }
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
        let area = conv.window.taps();
        self.room.budget.take(planes.len().saturating_mul(area), INPUT)?;
        let inputs: Vec<usize> = planes.iter().flat_map(|plane| taps(place(*plane))).collect();
        // The groups that a tile's outputs belong to; of another group's inputs the weights are zero.
        let range = |outputs: Range<usize>| {
            let (first, last) = (outputs.start / out_group, (outputs.end - 1) / out_group);
            first * in_group * area..(last + 1) * in_group * area
        };
        let value = |o: usize, i: usize| {
            let own = o / out_group * in_group * area;
            i.checked_sub(own).filter(|i| *i < in_group * area).map_or(0.0, |i| weight[o * in_group * area + i])
        };
        let matrix = self.matrix(step, conv.out_channels, bias, range, &inputs, value)?;
        let bands = out.height.div_ceil(rows);
        // A pool takes all channels of a row together.
        let parts = if pool.is_some() { 1 } else { self.units.div_ceil(bands).min(matrix.tiles.len()) };
        let (height, width, stride) = (out.height, out.width, conv.window.stride);
        let conv = Convolution { matrix, groups, region, stride, height, width, rows, parts, pool };
        Ok((Kernel::Convolution(conv), scratch))
    }

    fn too_large(&self, step: &compile::Step, scratch: usize) -> Error {
        let name = if step.name.is_empty() { "a step" } else { &step.name };
        let [bytes, most] = [scratch, self.room.scratch].map(|numbers| numbers.saturating_mul(size_of::<f32>()));
        Error::out_of_memory(format!(
            "cpu: {name} takes {bytes} bytes of memory for each thread, and {most} is its limit \
             (`Limits::activation_bytes`)"
        ))
    }

    /// A pool over what a convolution computes, of as many rows a unit as keep the convolution's in a core's own cache:
    /// those that two units see are computed twice.
    fn pool(&self, pool: compile::Pool, out: Shape) -> Pool {
        let compile::Pool { pool: MaxPool2d { window, .. }, of } = pool;
        let vectors = of.channels.div_ceil(self.lanes);
        let seen = |rows: usize| ((rows - 1) * window.stride[0] + window.extent()[0]).min(of.height);
        let mut rows = out.height.div_ceil(self.units);
        let numbers = |rows: usize| [seen(rows), of.width, self.lanes].into_iter().fold(vectors, usize::saturating_mul);
        while rows > 1 && numbers(rows) > BAND {
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
    ) -> Result<Matrix> {
        let (_, most) = self.set.tile();
        // A last vector of which at most half is used may be half a vector, which counts as one of those of its tile.
        let used = outputs % self.lanes;
        let half = self.set.halves() && outputs > self.lanes && (1..=self.lanes / 2).contains(&used);
        let whole = outputs.div_ceil(self.lanes) - usize::from(half);
        let count = (whole + usize::from(half)).div_ceil(most);
        let lanes_of = |i: usize| {
            let (first, end) = ((whole * i).div_ceil(count), (whole * (i + 1)).div_ceil(count));
            let half = half && i + 1 == count;
            (first, end - first, half, first * self.lanes..end * self.lanes + if half { self.lanes / 2 } else { 0 })
        };
        let mut tiles = Vec::with_capacity(count);
        let mut end = 0usize;
        for i in 0..count {
            let (first, vectors, half, lanes) = lanes_of(i);
            let inputs = range(lanes.start..outputs.min(lanes.end));
            let depth = inputs.len();
            tiles.push(Tile { first, vectors, half, inputs: inputs.start, depth, weights: end });
            end = end.saturating_add(depth.saturating_mul(lanes.len()));
        }
        // Zeros fill vectors up, and stand where a tile's outputs do not see an input.
        let own = range(0..outputs.min(1)).len().saturating_mul(outputs);
        self.room.budget.take(end.saturating_sub(own), size_of::<f32>())?;
        let mut weights = Vec::with_capacity(end);
        for (i, tile) in tiles.iter().enumerate() {
            let (.., lanes) = lanes_of(i);
            for k in tile.inputs..tile.inputs + tile.depth {
                weights.extend(lanes.clone().map(|o| if o < outputs { value(o, k) } else { 0.0 }));
            }
        }
        let inputs: Option<Vec<u32>> = inputs.iter().map(|&place| u32::try_from(place).ok()).collect();
        let inputs = inputs.ok_or_else(|| {
            Error::unsupported("cpu: what a step reads lies further apart than 2^32 numbers, which is its limit")
        })?;
        let other_group = step.other.as_ref().map(|other| self.other(other)).transpose()?.map(|other| other.group);
        Ok(Matrix {
            tiles,
            inputs,
            weights: Numbers::new(&weights)?,
            bias: self.by_vector(bias, 1)?,
            finish: Finish::new(step.activation),
            other_group,
        })
    }

    /// `[channel][each]` as `[vector][each][lanes]`, filled up by zeros.
    fn by_vector(&self, values: &[f32], each: usize) -> Result<Numbers> {
        let length = values.len().div_ceil(self.lanes * each).saturating_mul(self.lanes * each);
        self.room.budget.take(length - values.len(), size_of::<f32>())?;
        let mut packed = Vec::with_capacity(length);
        for vector in values.chunks(self.lanes * each) {
            for i in 0..each {
                packed.extend((0..self.lanes).map(|lane| vector.get(lane * each + i).copied().unwrap_or(0.0)));
            }
        }
        Numbers::new(&packed)
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
