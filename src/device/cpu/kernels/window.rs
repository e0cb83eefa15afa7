//! What keeps channels apart: depthwise convolutions and max pools.

use super::Places;
use crate::device::cpu::pack::{Channels, Step, Window, WindowOp};
use crate::device::cpu::simd::Vector;

/// Pixels that are computed at once.
const PIXELS: usize = 4;

/// A unit is some rows of one vector of channels of one image.
///
/// # Safety
/// As [`super::compute`].
#[inline(always)]
pub(super) unsafe fn compute<V: Vector>(window: &Window, step: &Step, unit: usize, places: Places) {
    let (groups, bands) = (step.channels.len(), window.height.div_ceil(window.rows));
    let (image, group, band) = (unit / (groups * bands), unit / bands % groups, unit % bands);
    let first = band * window.rows;
    // SAFETY: the band fits the scratch memory; the rows of the unit lie within the image, and the image in the batch.
    unsafe {
        let x = places.x.add(image * step.x_image);
        let region = &window.region;
        let outside = match window.op {
            WindowOp::Max => f32::NEG_INFINITY,
            WindowOp::Sum { .. } => 0.0,
        };
        match &step.channels[group] {
            Channels::Together(at) => region.copy::<V>(x.add(*at), places.scratch, first * window.stride, outside),
            Channels::Apart(lanes) => {
                for (lane, at) in lanes.iter().enumerate() {
                    region.copy_lane(x.add(*at), places.scratch.add(lane), first * window.stride, outside);
                }
            }
        }
        let y = places.y.add(image * step.y_image + step.y_offset + group * step.y_group);
        for row in first..window.height.min(first + window.rows) {
            let x = places.scratch.add((row - first) * window.stride * region.row()).cast_const();
            let y = y.add(row * window.width * V::LANES);
            match (window.kernel, window.stride) {
                (3, 1) => line::<V>(window, group, 3, 1, x, y),
                (3, 2) => line::<V>(window, group, 3, 2, x, y),
                (kernel, stride) => line::<V>(window, group, kernel, stride, x, y),
            }
        }
    }
}

/// One row of outputs. `kernel` and `stride` are the window's, given apart so that loops over constants unroll.
#[inline(always)]
unsafe fn line<V: Vector>(window: &Window, group: usize, kernel: usize, stride: usize, x: *const f32, y: *mut f32) {
    let row = window.region.row();
    let mut pixel = 0;
    // SAFETY: with its padding a row of the band holds the window of every output, and `y` every output of the row.
    unsafe {
        while pixel + PIXELS <= window.width {
            let sums = windows::<V, PIXELS>(window, group, (kernel, stride), row, x.add(pixel * stride * V::LANES));
            for (i, sum) in sums.iter().enumerate() {
                sum.store(y.add((pixel + i) * V::LANES));
            }
            pixel += PIXELS;
        }
        while pixel < window.width {
            let [sum] = windows::<V, 1>(window, group, (kernel, stride), row, x.add(pixel * stride * V::LANES));
            sum.store(y.add(pixel * V::LANES));
            pixel += 1;
        }
    }
}

/// The windows of `N` neighbouring outputs.
#[inline(always)]
unsafe fn windows<V: Vector, const N: usize>(
    window: &Window,
    group: usize,
    (kernel, stride): (usize, usize),
    row: usize,
    x: *const f32,
) -> [V; N] {
    // SAFETY: as in `line`; weights and bias are packed for every vector of channels.
    unsafe {
        match &window.op {
            WindowOp::Sum { weights, bias, relu } => {
                let weights = weights.as_ptr().add(group * kernel * kernel * V::LANES);
                let mut sums = [V::load(bias.as_ptr().add(group * V::LANES)); N];
                for ky in 0..kernel {
                    for kx in 0..kernel {
                        let weight = V::load(weights.add((ky * kernel + kx) * V::LANES));
                        for (i, sum) in sums.iter_mut().enumerate() {
                            let x = V::load(x.add(ky * row + (i * stride + kx) * V::LANES));
                            *sum = x.mul_add(weight, *sum);
                        }
                    }
                }
                if *relu { sums.map(|sum| sum.max(V::splat(0.0))) } else { sums }
            }
            WindowOp::Max => {
                let mut best = [V::splat(f32::NEG_INFINITY); N];
                for ky in 0..kernel {
                    for kx in 0..kernel {
                        for (i, best) in best.iter_mut().enumerate() {
                            *best = best.max(V::load(x.add(ky * row + (i * stride + kx) * V::LANES)));
                        }
                    }
                }
                best
            }
        }
    }
}
