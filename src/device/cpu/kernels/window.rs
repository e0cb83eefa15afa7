//! What keeps channels apart: depthwise convolutions and pools.

use super::{Places, Region};
use crate::device::cpu::pack::{Channels, Step, Window, WindowOp};
use crate::device::cpu::simd::Vector;
use crate::graph::{self, Padding};
use std::ops::Range;

/// Pixels that are computed at once.
const PIXELS: usize = 4;

/// An image of one vector a pixel, as windows see it.
#[derive(Clone, Copy)]
struct Image {
    x: *const f32,
    height: usize,
    width: usize,
    /// Rows above it and columns to its left, which are not in memory.
    top: usize,
    left: usize,
    /// The row of outputs that its first row belongs to.
    first: usize,
}

/// A unit is some rows of one vector of channels of one image.
///
/// # Safety
/// As [`super::compute`].
#[inline(always)]
pub(super) unsafe fn compute<V: Vector>(window: &Window, step: &Step, unit: usize, places: Places) {
    let (groups, bands) = (step.channels.len(), window.height.div_ceil(window.rows));
    let (number, group, band) = (unit / (groups * bands), unit / bands % groups, unit % bands);
    let first = band * window.rows;
    // SAFETY: the band fits the scratch memory; the rows of the unit lie within the image, and the image in the batch.
    unsafe {
        let x = places.x.add(number * step.x_image);
        let region = &window.region;
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
                    region.copy_lane(x.add(*at), places.scratch.add(lane), first * window.window.stride[0], outside);
                }
                let (height, width) = (region.rows, region.columns);
                Image { x: places.scratch, height, width, top: 0, left: 0, first }
            }
        };
        let y = places.y.add(number * step.y_image + step.y_offset + group * step.y_group);
        for row in first..window.height.min(first + window.rows) {
            let y = y.add(row * window.width * V::LANES);
            if let WindowOp::Sum { weights, bias } = &window.op
                && (window.window.kernel, window.window.dilation) == ([3, 3], [1, 1])
            {
                let kernel = Kernel3x3 {
                    weights: weights.as_ptr().add(group * 9 * V::LANES),
                    bias: bias.as_ptr().add(group * V::LANES),
                    image,
                };
                match window.window.stride {
                    [down, 1] => kernel.line::<V, 1>(step, row, down, y, window.width),
                    [down, 2] => kernel.line::<V, 2>(step, row, down, y, window.width),
                    _ => line::<V>(step, window, group, window.window, image, row, y),
                }
                continue;
            }
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
            arms!((3, 2), (5, 1), (5, 2));
        }
    }
}

/// A depthwise 3x3 convolution of one vector of channels, the kernel that networks have most of.
#[derive(Clone, Copy)]
struct Kernel3x3 {
    weights: *const f32,
    bias: *const f32,
    image: Image,
}

impl Kernel3x3 {
    /// Row `row` of the outputs, `across` pixels apart.
    #[inline(always)]
    unsafe fn line<V: Vector, const ACROSS: usize>(
        self,
        step: &Step,
        row: usize,
        down: usize,
        y: *mut f32,
        outputs: usize,
    ) {
        let Image { top, height, first, .. } = self.image;
        let rows = within((row - first) * down, 3, 1, top, height);
        let most = V::TILE.0;
        let mut output = 0;
        // SAFETY: `y` holds every output.
        unsafe {
            while output < outputs {
                let y = y.add(output * V::LANES);
                let n = most.min(outputs - output);
                macro_rules! arms {
                    ($($n:literal),*) => {
                        match n {
                            $($n.. if $n <= most => {
                                self.outputs::<V, ACROSS, $n>(step, (row - first) * down, &rows, output, y);
                                output += $n;
                            })*
                            _ => return,
                        }
                    };
                }
                arms!(7, 4, 2, 1);
            }
        }
    }

    /// `N` outputs, all of whose sums are in registers, and which load a pixel once for all windows that see it.
    #[inline(always)]
    unsafe fn outputs<V: Vector, const ACROSS: usize, const N: usize>(
        self,
        step: &Step,
        start: usize,
        rows: &Range<usize>,
        output: usize,
        y: *mut f32,
    ) {
        let Self { weights, bias, image: Image { x, width, top, left, .. } } = self;
        // SAFETY: rows and columns that lie in the padding are not loaded; `y` holds every output.
        unsafe {
            let mut sums = [V::load(bias); N];
            let begin = output * ACROSS;
            for ky in 0..3 {
                if !rows.contains(&ky) {
                    continue;
                }
                let w = [0, 1, 2].map(|kx| V::load(weights.add((ky * 3 + kx) * V::LANES)));
                let line = x.wrapping_add((start + ky - top) * width * V::LANES);
                let mut tap = |column: usize, value: V| {
                    for (i, sum) in sums.iter_mut().enumerate() {
                        if let Some(w) = column.checked_sub(i * ACROSS).and_then(|kx| w.get(kx)) {
                            *sum = value.mul_add(*w, *sum);
                        }
                    }
                };
                let columns = (N - 1) * ACROSS + 3;
                if begin >= left && begin + columns <= left + width {
                    let line = line.wrapping_add((begin - left) * V::LANES);
                    for column in 0..columns {
                        tap(column, V::load(line.wrapping_add(column * V::LANES)));
                    }
                } else {
                    for column in 0..columns {
                        let pixel = (begin + column).wrapping_sub(left);
                        let inside = pixel < width;
                        tap(column, if inside { V::load(line.add(pixel * V::LANES)) } else { V::splat(0.0) });
                    }
                }
            }
            for (i, sum) in sums.iter().enumerate() {
                step.finish.between(*sum).store(y.add(i * V::LANES));
            }
            step.finish.bend::<V>(y, (N, V::LANES), (1, 0));
        }
    }
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
    // Outputs whose window lies within the image, from left to right.
    let inner_end = ((width + left + across).saturating_sub(geometry.extent()[1]) / across).min(window.width);
    let inner = left.div_ceil(across)..inner_end;
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
fn within(start: usize, kernel: usize, dilation: usize, before: usize, side: usize) -> Range<usize> {
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
