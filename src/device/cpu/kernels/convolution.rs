//! Convolutions of any kernel, stride, padding and groups, as sums over rows that are laid out with their padding.

use super::kernel::{Kernel, compiled};
use super::matrix::{LARGE_MATRIX, Matrix};
use super::region::Region;
use super::sums::{Pixels, sums};
use super::window::{Window, WindowOp, max_line};
use crate::compile::{self, Step};
use crate::device::cpu::isa::InstructionSet;
use crate::device::cpu::memory::Numbers;
use crate::device::cpu::operands::Operands;
use crate::device::cpu::packer::{BAND, INPUT, Packer};
use crate::device::cpu::places::Places;
use crate::device::cpu::reach::{Reach, end, exactly};
use crate::device::cpu::simd::Vector;
use crate::error::Result;
use crate::graph::{self, Conv2d, MaxPool2d, Shape};
use std::ops::Range;

/// A convolution of any kernel, and a max pool over it.
#[derive(Debug)]
pub(in crate::device::cpu) struct Convolution {
    matrix: Matrix,
    /// Where each group of channels that is read begins.
    groups: Vec<usize>,
    region: Region,
    stride: [usize; 2],
    /// The output's size.
    height: usize,
    width: usize,
    /// Rows of output in a unit, and into how many parts the tiles are divided.
    rows: usize,
    parts: usize,
    /// What is written in place of the output.
    pool: Option<Box<Pool>>,
}

/// A max pool over what a convolution computes, rows of which lie in a thread's own memory.
#[derive(Debug)]
struct Pool {
    window: Window,
    /// Vectors of channels.
    vectors: usize,
    /// Where in a thread's memory the convolution's rows lie, and how many for a unit.
    scratch: usize,
    rows: usize,
}

impl Convolution {
    /// The kernel, and numbers of scratch memory.
    pub fn pack(
        packer: &Packer,
        step: &Step,
        planes: &[usize],
        conv: &Conv2d,
        [weight, bias]: [&[f32]; 2],
    ) -> Result<(Self, usize)> {
        let (source, out) = (&step.source, step.pool.map_or(step.target.shape, |pool| pool.of));
        let lanes = source.lanes;
        // Channels are laid out in the groups in which they lie; each group once.
        let mut groups: Vec<usize> = planes.iter().map(|plane| plane - plane % lanes).collect();
        groups.sort_unstable();
        groups.dedup();
        let large = size_of_val(weight) > LARGE_MATRIX;
        let mut pool = step.pool.map(|pool| Box::new(Pool::new(packer, pool, step.target.shape)));
        let mut rows = match &pool {
            Some(pool) => pool.rows,
            None if large => out.height,
            None => out.height.div_ceil(packer.units),
        };
        let image = [source.height, source.width];
        let region = |rows: usize| Region::new(image, &conv.window, lanes, rows, out.width);
        while rows > 1 && pool.is_none() && groups.len().saturating_mul(region(rows).band()) > BAND {
            rows = rows.div_ceil(2);
        }
        let region = region(rows);
        let mut scratch = groups.len().saturating_mul(region.band());
        if let Some(pool) = &mut pool {
            pool.scratch = scratch.saturating_add(packer.lanes - 1) / packer.lanes * packer.lanes;
            let rows = [pool.vectors, pool.rows, out.width, packer.lanes].into_iter().fold(1, usize::saturating_mul);
            scratch = pool.scratch.saturating_add(rows);
        }
        packer.check_scratch(step, scratch)?;
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
        packer.room.budget.take(planes.len().saturating_mul(area), INPUT)?;
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
        let matrix = Matrix::pack(packer, step, conv.out_channels, bias, range, &inputs, value)?;
        let bands = out.height.div_ceil(rows);
        // A pool takes all channels of a row together.
        let parts = if pool.is_some() { 1 } else { packer.units.div_ceil(bands).min(matrix.tiles.len()) };
        let (height, width, stride) = (out.height, out.width, conv.window.stride);
        Ok((Self { matrix, groups, region, stride, height, width, rows, parts, pool }, scratch))
    }

    /// Into how many bands of rows an image is divided.
    fn bands(&self) -> usize {
        match &self.pool {
            Some(pool) => pool.window.height.div_ceil(pool.window.rows),
            None => self.height.div_ceil(self.rows),
        }
    }

    /// A band's rows of the pool, or once anything where there is none, and the rows that are computed for them.
    fn band(&self, band: usize) -> (Range<usize>, Range<usize>) {
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

impl Pool {
    /// A pool over what a convolution computes, of as many rows a unit as keep the convolution's in a core's own cache:
    /// those that two units see are computed twice.
    fn new(packer: &Packer, pool: compile::Pool, out: Shape) -> Self {
        let compile::Pool { pool: MaxPool2d { window, .. }, of } = pool;
        let vectors = of.channels.div_ceil(packer.lanes);
        let seen = |rows: usize| ((rows - 1) * window.stride[0] + window.extent()[0]).min(of.height);
        let mut rows = out.height.div_ceil(packer.units);
        let numbers =
            |rows: usize| [seen(rows), of.width, packer.lanes].into_iter().fold(vectors, usize::saturating_mul);
        while rows > 1 && numbers(rows) > BAND {
            rows -= 1;
        }
        let region = Region::new([of.height, of.width], &window, packer.lanes, rows, out.width);
        let (op, height, width) = (WindowOp::Max, out.height, out.width);
        let window = Window { op, region, window, height, width, rows };
        Self { window, vectors, scratch: 0, rows: seen(rows) }
    }

    /// The convolution's rows, of `height`, that the outputs in `rows` see.
    fn sees(&self, rows: Range<usize>, height: usize) -> Range<usize> {
        let graph::Window { stride: [down, _], padding, .. } = self.window.window;
        let row = |padded: usize| padded.saturating_sub(padding.top).min(height);
        row(rows.start * down)..row((rows.end - 1) * down + self.window.window.extent()[0])
    }
}

impl Kernel for Convolution {
    fn name(&self) -> &'static str {
        if self.pool.is_none() { "convolution" } else { "convolution_max_pool" }
    }

    fn keeps_channels_apart(&self) -> bool {
        false
    }

    fn units(&self, _: &Operands, count: usize) -> usize {
        count * self.bands() * self.parts
    }

    fn numbers(&mut self) -> Vec<&mut Numbers> {
        vec![&mut self.matrix.weights, &mut self.matrix.bias]
    }

    fn reach(&self, operands: &Operands, lanes: usize) -> Option<Reach> {
        let Self { matrix, groups, region, stride: [down, across], height, width, pool, .. } = self;
        let pixels = height.checked_mul(*width)?;
        let group = groups.iter().max()?;
        let x = end(*group, &[(region.height.checked_mul(region.width)?, region.lanes)], region.lanes)?;
        let bands = exactly(&[groups.len(), region.rows, region.columns, region.lanes])?;
        // Rows of outputs that a unit computes, and the furthest that a sum reads for the last of them.
        let rows = (0..self.bands()).map(|band| self.band(band).1.len()).max()?;
        let row = region.columns.checked_mul(region.lanes)?;
        let strides = [(rows, down.checked_mul(row)?), (*width, across.checked_mul(region.lanes)?)];
        let sums = end(matrix.furthest()?, &strides, 1)?;
        // What is copied in for a unit lies within its rows: there are as many as its outputs see.
        let within = sums <= bands && region.lanes > 0;
        let other = matrix.other_reach(operands, pixels, lanes)?;
        let (y, scratch) = match pool {
            None => (matrix.results_reach(operands.y_offset, operands.y_group, pixels, lanes)?, bands),
            Some(pool) => {
                let group = exactly(&[pool.rows, *width, lanes])?;
                let results = matrix.results_reach(pool.scratch, group, rows.checked_mul(*width)?, lanes)?;
                let pooled = end(pool.scratch, &[(pool.vectors, group)], group)?;
                let out = pool.window.height.checked_mul(pool.window.width)?;
                let y = end(operands.y_offset, &[(pool.vectors, operands.y_group), (out, lanes)], lanes)?;
                // The results lie after the rows that they are computed from.
                (rows <= pool.rows && bands <= pool.scratch).then_some((y, results.max(pooled)))?
            }
        };
        within.then_some(Reach { x, y, other, scratch })
    }

    compiled!(Convolution);
}

/// A unit is some rows of one image by some tiles. Under a pool it is some rows of the pool: rows of the convolution are
/// computed as the pool comes to see them, so that it finds them in the cache.
///
/// # Safety
/// As [`Kernel::compute`].
#[inline(always)]
unsafe fn compute<V: Vector>(conv: &Convolution, operands: &Operands, unit: usize, places: Places) {
    let (parts, bands) = (conv.parts, conv.bands());
    let (image, band, part) = (unit / (bands * parts), unit / parts % bands, unit % parts);
    let tiles = conv.matrix.tiles.len();
    let tiles = &conv.matrix.tiles[tiles * part / parts..tiles * (part + 1) / parts];
    let [down, across] = conv.stride;
    let row_of = conv.width * V::LANES;
    let (outputs, rows) = conv.band(band);
    // SAFETY: 1 and 2, for the scratch memory holds the bands, one after the other, and then the rows that a pool sees; 1 and
    // 3, for the rows of the unit lie within the image, and the image within the batch; 4.
    unsafe {
        let x = places.x.add(image * operands.x_image);
        for (i, group) in conv.groups.iter().enumerate() {
            let to = places.scratch.add(i * conv.region.band());
            conv.region.copy::<V>(x.add(*group), to, rows.start * down, 0.0);
        }
        let y = places.y.add(image * operands.y_image + operands.y_offset);
        let other = operands.other_at(places.other, image);
        // Where the convolution's rows go, from the unit's first on.
        let (results, y_group) = match &conv.pool {
            Some(pool) => (places.scratch.add(pool.scratch), pool.rows * row_of),
            None => (y.add(rows.start * row_of), operands.y_group),
        };
        let mut done = rows.start;
        for output in outputs {
            let next = conv.pool.as_ref().map_or(rows.end, |pool| pool.sees(output..output + 1, conv.height).end);
            for tile in tiles {
                for row in done..next {
                    let pixels = Pixels {
                        x: places.scratch.add((row - rows.start) * down * conv.region.row()),
                        x_stride: across * conv.region.lanes,
                        y: results.add((row - rows.start) * row_of),
                        y_stride: V::LANES,
                        y_group,
                        other: other.wrapping_add(row * row_of),
                        other_stride: V::LANES,
                        count: conv.width,
                    };
                    sums::<V>(&conv.matrix, *tile, pixels);
                }
            }
            done = done.max(next);
            if let Some(pool) = &conv.pool {
                for vector in 0..pool.vectors {
                    let y = y.add(vector * operands.y_group + output * pool.window.width * V::LANES);
                    max_line::<V>(&pool.window, operands, results.add(vector * y_group), rows.clone(), output, y);
                }
            }
        }
    }
}
