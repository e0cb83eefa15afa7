//! Rows of outputs: the loops over windows.

use super::geometry::{Window, WindowOp};
use super::image::{Image, within};
use crate::device::cpu::kernels::region::Region;
use crate::device::cpu::operands::Operands;
use crate::device::cpu::simd::Vector;
use crate::graph;
use std::ops::Range;

/// Pixels that are computed at once.
const PIXELS: usize = 4;

/// Row `row` of a max pool over rows `rows` of one vector of channels, which `x` points to.
///
/// # Safety
/// 4 of [`places`](crate::device::cpu::places), and the outputs' windows lie within those rows and the padding; `y` holds every output.
#[inline(always)]
pub(in crate::device::cpu::kernels) unsafe fn max_line<V: Vector>(
    window: &Window,
    operands: &Operands,
    x: *const f32,
    rows: Range<usize>,
    row: usize,
    y: *mut f32,
) {
    let Region { width, top, left, .. } = window.region;
    let image = Image { x, height: rows.len(), width, top: top + rows.start, left, first: 0 };
    // SAFETY: 1 and 4, and the caller's promise.
    unsafe { any_line::<V>(operands, window, 0, image, row, y) };
}

/// Row `row` of the outputs.
///
/// # Safety
/// As [`max_line`].
#[inline(always)]
pub(super) unsafe fn any_line<V: Vector>(
    operands: &Operands,
    window: &Window,
    group: usize,
    image: Image,
    row: usize,
    y: *mut f32,
) {
    // Sizes that are known in advance, so that loops over them unroll.
    macro_rules! arms {
        ($(($kernel:literal, $stride:literal)),*) => {
            match (window.window.kernel, window.window.stride, window.window.dilation) {
                $(([$kernel, $kernel], [$stride, $stride], [1, 1]) => {
                    let geometry = graph::Window { stride: [$stride; 2], ..graph::Window::square($kernel) };
                    line::<V>(operands, window, group, geometry, image, row, y);
                })*
                _ => line::<V>(operands, window, group, window.window, image, row, y),
            }
        };
    }
    // SAFETY: 1 and 4, and the caller's promise.
    unsafe { arms!((3, 2), (5, 1), (5, 2)) };
}

/// Row `row` of the outputs. `geometry` is the window's, but for its padding.
#[inline(always)]
unsafe fn line<V: Vector>(
    operands: &Operands,
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
    // SAFETY: 1 and 4, for `rows` and `columns` leave out of each window what lies in the padding, and `y` holds every output.
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
                    operands.finish.between(*sum).store(y.add(i * V::LANES));
                }
                output += PIXELS;
            } else {
                let columns = within(output * across, kernel_width, geometry.dilation[1], left, width);
                let part = part(rows.clone(), columns, window.taps(row, output));
                let [sum]: [V; 1] = windows(&window.op, part, corner(output));
                operands.finish.between(sum).store(y);
                output += 1;
            }
        }
        operands.finish.bend::<V>(y, (window.width, V::LANES), (1, 0));
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
    // SAFETY: 1 and 4, as in `line`; weights and bias are packed for every vector of channels.
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
