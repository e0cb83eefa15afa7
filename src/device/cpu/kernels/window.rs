//! What keeps channels apart: depthwise convolutions and max pools.

use super::{Places, Region};
use crate::device::cpu::pack::{Channels, Step, Window, WindowOp};
use crate::device::cpu::simd::Vector;
use std::ops::Range;

/// Pixels that are computed at once.
const PIXELS: usize = 4;

/// An image of one vector a pixel, as windows see it.
#[derive(Clone, Copy)]
struct Image {
    x: *const f32,
    height: usize,
    width: usize,
    /// Pixels around it, which are not in memory.
    padding: usize,
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
        let (image, skipped) = match &step.channels[group] {
            Channels::Together(at) => {
                let Region { height, width, padding, .. } = *region;
                (Image { x: x.add(*at), height, width, padding }, 0)
            }
            Channels::Apart(lanes) => {
                let outside = match window.op {
                    WindowOp::Max => f32::NEG_INFINITY,
                    WindowOp::Sum { .. } => 0.0,
                };
                for (lane, at) in lanes.iter().enumerate() {
                    region.copy_lane(x.add(*at), places.scratch.add(lane), first * window.stride, outside);
                }
                let width = region.width + 2 * region.padding;
                (Image { x: places.scratch, height: region.rows, width, padding: 0 }, first)
            }
        };
        let y = places.y.add(number * step.y_image + step.y_offset + group * step.y_group);
        for row in first..window.height.min(first + window.rows) {
            let y = y.add(row * window.width * V::LANES);
            match (window.kernel, window.stride) {
                (3, 1) => line::<V>(window, group, (3, 1), image, row - skipped, y),
                (3, 2) => line::<V>(window, group, (3, 2), image, row - skipped, y),
                sizes => line::<V>(window, group, sizes, image, row - skipped, y),
            }
        }
    }
}

/// Row `row` of the outputs. Kernel and stride are the window's, given apart so that loops over constants unroll.
#[inline(always)]
unsafe fn line<V: Vector>(
    window: &Window,
    group: usize,
    (kernel, stride): (usize, usize),
    image: Image,
    row: usize,
    y: *mut f32,
) {
    let Image { x, height, width, padding } = image;
    let top = row * stride;
    let rows = padding.saturating_sub(top)..kernel.min((height + padding).saturating_sub(top));
    // Outputs whose window lies within the image, from left to right.
    let inner_end = ((width + padding + stride).saturating_sub(kernel) / stride).min(window.width);
    let inner = padding.div_ceil(stride).min(inner_end)..inner_end;
    let corner = |output: usize| {
        let pixel = (top * width + output * stride) as isize - (padding * width + padding) as isize;
        x.wrapping_offset(pixel * V::LANES as isize)
    };
    let step = width * V::LANES;
    let mut output = 0;
    // SAFETY: `rows` and `columns` leave out of each window what lies in the padding, and `y` holds every output.
    unsafe {
        while output < window.width {
            let y = y.add(output * V::LANES);
            if inner.contains(&output) && output + PIXELS <= inner.end {
                let (x, whole) = (corner(output), 0..kernel);
                let sums: [V; PIXELS] = match rows == whole {
                    true => windows(window, group, (kernel, stride), step, x, 0..kernel, whole),
                    false => windows(window, group, (kernel, stride), step, x, rows.clone(), whole),
                };
                for (i, sum) in sums.iter().enumerate() {
                    sum.store(y.add(i * V::LANES));
                }
                output += PIXELS;
            } else {
                let left = output * stride;
                let columns = padding.saturating_sub(left)..kernel.min((width + padding).saturating_sub(left));
                let [sum]: [V; 1] =
                    windows(window, group, (kernel, stride), step, corner(output), rows.clone(), columns);
                sum.store(y);
                output += 1;
            }
        }
    }
}

/// The windows of `N` neighbouring outputs, of which the first begins at `x`, as far as `rows` and `columns` go.
#[inline(always)]
unsafe fn windows<V: Vector, const N: usize>(
    window: &Window,
    group: usize,
    (kernel, stride): (usize, usize),
    step: usize,
    x: *const f32,
    rows: Range<usize>,
    columns: Range<usize>,
) -> [V; N] {
    // SAFETY: as in `line`; weights and bias are packed for every vector of channels.
    unsafe {
        let pixel = |ky: usize, kx: usize, i: usize| V::load(x.wrapping_add(ky * step + (i * stride + kx) * V::LANES));
        match &window.op {
            WindowOp::Sum { weights, bias, relu } => {
                let weights = weights.as_ptr().add(group * kernel * kernel * V::LANES);
                let mut sums = [V::load(bias.as_ptr().add(group * V::LANES)); N];
                for ky in rows {
                    for kx in columns.clone() {
                        let weight = V::load(weights.add((ky * kernel + kx) * V::LANES));
                        for (i, sum) in sums.iter_mut().enumerate() {
                            *sum = pixel(ky, kx, i).mul_add(weight, *sum);
                        }
                    }
                }
                if *relu { sums.map(|sum| sum.max(V::splat(0.0))) } else { sums }
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
        }
    }
}
