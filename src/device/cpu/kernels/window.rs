//! Pools, and depthwise convolutions of any kernel.

use super::{Places, Region};
use crate::device::cpu::simd::Vector;
use crate::device::cpu::step::{Channels, Step, Window, WindowOp};
use crate::graph::{self, Padding};
use std::ops::Range;

/// Pixels that are computed at once.
const PIXELS: usize = 4;

/// An image of one vector a pixel, as windows see it.
#[derive(Clone, Copy)]
pub(super) struct Image {
    pub x: *const f32,
    pub height: usize,
    pub width: usize,
    /// Rows above it and columns to its left, which are not in memory.
    pub top: usize,
    pub left: usize,
    /// The row of outputs that its first row belongs to.
    pub first: usize,
}

/// Some rows of one vector of channels of one image.
pub(super) struct Band {
    pub group: usize,
    pub image: Image,
    /// Rows of the output, and where its very first is.
    pub rows: Range<usize>,
    pub y: *mut f32,
}

impl Band {
    /// That of a unit.
    ///
    /// # Safety
    /// As [`Places`] has it; and the machine has the instruction set of `V`.
    #[inline(always)]
    pub unsafe fn new<V: Vector>(window: &Window, step: &Step, unit: usize, places: Places) -> Self {
        let (groups, bands) = (step.channels.len(), window.height.div_ceil(window.rows));
        let (number, group, band) = (unit / (groups * bands), unit / bands % groups, unit % bands);
        let first = band * window.rows;
        let region = &window.region;
        // SAFETY: the band fits the scratch memory; the rows of the unit lie within the image, and the image in the batch.
        unsafe {
            let x = places.x.add(number * step.x_image);
            let image = match &step.channels[group] {
                Channels::Together(at) => {
                    let Region { height, width, top, left, .. } = *region;
                    Image { x: x.add(*at), height, width, top, left, first: 0 }
                }
                Channels::Apart(lanes) => {
                    let outside = match window.op {
                        WindowOp::Max => f32::NEG_INFINITY,
                        WindowOp::Sum { .. } | WindowOp::Average { .. } => 0.0,
                    };
                    for (lane, at) in lanes.iter().enumerate() {
                        region.copy_lane(
                            x.add(*at),
                            places.scratch.add(lane),
                            first * window.window.stride[0],
                            outside,
                        );
                    }
                    let (height, width) = (region.rows, region.columns);
                    Image { x: places.scratch, height, width, top: 0, left: 0, first }
                }
            };
            let y = places.y.add(number * step.y_image + step.y_offset + group * step.y_group);
            Self { group, image, rows: first..window.height.min(first + window.rows), y }
        }
    }
}

/// A unit is a [`Band`].
///
/// # Safety
/// As [`Places`] has it; and the machine has the instruction set of `V`.
#[inline(always)]
pub unsafe fn compute<V: Vector>(window: &Window, step: &Step, unit: usize, places: Places) {
    // SAFETY: handed on; the output has all the band's rows.
    unsafe {
        let Band { group, image, rows, y } = Band::new::<V>(window, step, unit, places);
        for row in rows {
            any_line::<V>(step, window, group, image, row, y.add(row * window.width * V::LANES));
        }
    }
}

/// Row `row` of a max pool over rows `rows` of one vector of channels, which `x` points to.
///
/// # Safety
/// The outputs' windows lie within those rows and the padding; `y` holds every output.
#[inline(always)]
pub(super) unsafe fn max_line<V: Vector>(
    window: &Window,
    step: &Step,
    x: *const f32,
    rows: Range<usize>,
    row: usize,
    y: *mut f32,
) {
    let Region { width, top, left, .. } = window.region;
    let image = Image { x, height: rows.len(), width, top: top + rows.start, left, first: 0 };
    // SAFETY: the caller's promise.
    unsafe { any_line::<V>(step, window, 0, image, row, y) };
}

/// Row `row` of the outputs.
#[inline(always)]
unsafe fn any_line<V: Vector>(step: &Step, window: &Window, group: usize, image: Image, row: usize, y: *mut f32) {
    // Sizes that are known in advance, so that loops over them unroll.
    macro_rules! arms {
        ($(($kernel:literal, $stride:literal)),*) => {
            match (window.window.kernel, window.window.stride, window.window.dilation) {
                $(([$kernel, $kernel], [$stride, $stride], [1, 1]) => {
                    let geometry = graph::Window { stride: [$stride; 2], ..graph::Window::square($kernel) };
                    line::<V>(step, window, group, geometry, image, row, y);
                })*
                _ => line::<V>(step, window, group, window.window, image, row, y),
            }
        };
    }
    // SAFETY: handed on.
    unsafe { arms!((3, 2), (5, 1), (5, 2)) };
}

/// Row `row` of the outputs. `geometry` is the window's, but for its padding.
#[inline(always)]
unsafe fn line<V: Vector>(
    step: &Step,
    window: &Window,
    group: usize,
    geometry: graph::Window,
    image: Image,
    row: usize,
    y: *mut f32,
) {
    let Image { x, height, width, top, left, first } = image;
    let ([kernel_height, kernel_width], [down, across]) = (geometry.kernel, geometry.stride);
    let start = (row - first) * down;
    let rows = within(start, kernel_height, geometry.dilation[0], top, height);
    // Outputs whose windows lie within the image, and so are alike, from left to right. A row that was laid out with its
    // padding has no border, but an average is still divided by what lies within the image.
    let (edge, side) = match window.op {
        WindowOp::Average { .. } => (window.region.left, window.region.width),
        WindowOp::Sum { .. } | WindowOp::Max => (left, width),
    };
    let inner_end = ((side + edge + across).saturating_sub(geometry.extent()[1]) / across).min(window.width);
    let inner = edge.div_ceil(across)..inner_end;
    let corner = |output: usize| {
        let pixel = (start * width + output * across) as isize - (top * width + left) as isize;
        x.wrapping_offset(pixel * V::LANES as isize)
    };
    let tap_row = width * V::LANES;
    let part = |rows, columns, taps| Part { group, geometry, tap_row, rows, columns, taps };
    let mut output = 0;
    // SAFETY: `rows` and `columns` leave out of each window what lies in the padding, and `y` holds every output.
    unsafe {
        while output < window.width {
            let y = y.add(output * V::LANES);
            if inner.contains(&output) && output + PIXELS <= inner.end {
                let (x, taps) = (corner(output), window.taps(row, output));
                let sums: [V; PIXELS] = match rows == (0..kernel_height) {
                    true => windows(&window.op, part(0..kernel_height, 0..kernel_width, taps), x),
                    false => windows(&window.op, part(rows.clone(), 0..kernel_width, taps), x),
                };
                for (i, sum) in sums.iter().enumerate() {
                    step.finish.between(*sum).store(y.add(i * V::LANES));
                }
                output += PIXELS;
            } else {
                let columns = within(output * across, kernel_width, geometry.dilation[1], left, width);
                let part = part(rows.clone(), columns, window.taps(row, output));
                let [sum]: [V; 1] = windows(&window.op, part, corner(output));
                step.finish.between(sum).store(y);
                output += 1;
            }
        }
        step.finish.bend::<V>(y, (window.width, V::LANES), (1, 0));
    }
}

/// The taps, of `kernel` from `start` on, that fall on a side of `side` pixels behind `before` of padding.
#[inline(always)]
pub(super) fn within(start: usize, kernel: usize, dilation: usize, before: usize, side: usize) -> Range<usize> {
    let first = before.saturating_sub(start).div_ceil(dilation);
    first..kernel.min((side + before).saturating_sub(start).div_ceil(dilation)).max(first)
}

impl Window {
    /// What an average is divided by at an output; nothing that counts for others.
    #[inline(always)]
    fn taps(&self, row: usize, output: usize) -> usize {
        let WindowOp::Average { count_include_pad } = self.op else { return 1 };
        let graph::Window { kernel, stride, padding, dilation } = self.window;
        let Padding { top, left, bottom, right } = padding;
        let Region { height, width, .. } = self.region;
        let count = |start: usize, axis: usize, before: usize, side: usize, after: usize| {
            let (before, side) = if count_include_pad { (0, before + side + after) } else { (before, side) };
            within(start, kernel[axis], dilation[axis], before, side).len()
        };
        count(row * stride[0], 0, top, height, bottom) * count(output * stride[1], 1, left, width, right)
    }
}

/// What of a window is summed, for which vector of channels.
#[derive(Clone)]
struct Part {
    group: usize,
    geometry: graph::Window,
    /// Numbers from one row of the image to the next.
    tap_row: usize,
    rows: Range<usize>,
    columns: Range<usize>,
    /// What an average is divided by.
    taps: usize,
}

/// That part of the windows of `N` neighbouring outputs, of which the first begins at `x`.
#[inline(always)]
unsafe fn windows<V: Vector, const N: usize>(op: &WindowOp, part: Part, x: *const f32) -> [V; N] {
    let Part { group, geometry, tap_row, rows, columns, taps } = part;
    let ([kernel_height, kernel_width], [dy, dx]) = (geometry.kernel, geometry.dilation);
    // SAFETY: as in `line`; weights and bias are packed for every vector of channels.
    unsafe {
        let pixel = |ky: usize, kx: usize, i: usize| {
            V::load(x.wrapping_add(ky * dy * tap_row + (i * geometry.stride[1] + kx * dx) * V::LANES))
        };
        match op {
            WindowOp::Sum { weights, bias } => {
                let weights = weights.as_ptr().add(group * kernel_height * kernel_width * V::LANES);
                let mut sums = [V::load(bias.as_ptr().add(group * V::LANES)); N];
                for ky in rows {
                    for kx in columns.clone() {
                        let weight = V::load(weights.add((ky * kernel_width + kx) * V::LANES));
                        for (i, sum) in sums.iter_mut().enumerate() {
                            *sum = pixel(ky, kx, i).mul_add(weight, *sum);
                        }
                    }
                }
                sums
            }
            WindowOp::Max => {
                let mut best = [V::splat(f32::NEG_INFINITY); N];
                for ky in rows {
                    for kx in columns.clone() {
                        for (i, best) in best.iter_mut().enumerate() {
                            *best = best.max(pixel(ky, kx, i));
                        }
                    }
                }
                best
            }
            WindowOp::Average { .. } => {
                let mut sums = [V::splat(0.0); N];
                for ky in rows {
                    for kx in columns.clone() {
                        for (i, sum) in sums.iter_mut().enumerate() {
                            *sum = sum.add(pixel(ky, kx, i));
                        }
                    }
                }
                sums.map(|sum| sum.mul(V::splat(1.0 / taps as f32)))
            }
        }
    }
}
