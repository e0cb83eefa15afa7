//! Tiles of sums in registers: the loop of every product of a matrix and pixels.

use super::matrix::{Matrix, Tile};
use crate::device::cpu::finish::Bounds;
use crate::device::cpu::simd::Vector;

/// Pixels in a row, and where their sums go.
#[derive(Clone, Copy)]
pub(super) struct Pixels {
    pub x: *const f32,
    /// Numbers from one pixel to the next.
    pub x_stride: usize,
    pub y: *mut f32,
    pub y_stride: usize,
    /// Numbers from one output vector to the next.
    pub y_group: usize,
    /// What is added to sums, where the matrix has such a thing.
    pub other: *const f32,
    pub other_stride: usize,
    pub count: usize,
}

/// Sums of one tile for pixels in a row, and the matrix's finish of them.
///
/// # Safety
/// 1 and 4 of [`places`](crate::device::cpu::places); `x` plus any of the tile's inputs, and `y`, and `other` if the matrix adds one, plus any of its vectors, point to that
/// number of every pixel.
#[inline(always)]
pub(super) unsafe fn sums<V: Vector>(matrix: &Matrix, tile: Tile, mut pixels: Pixels) {
    let (rows, columns) = V::TILE;
    let Pixels { y, y_stride, y_group, count, .. } = pixels;
    // SAFETY: 1 and 4; `chunk` advances by the pixels that it computes and never past `count`.
    unsafe {
        while pixels.count > 0 {
            let n = pixels.count.min(rows);
            macro_rules! arms {
                ($(($r:literal, $c:literal, $half:literal)),* $(,)?) => {
                    match (n, tile.vectors, tile.half) {
                        $(($r.., $c, $half) if $r <= rows && $c <= columns && (V::HALVES || !$half) => {
                            chunk::<V, $r, $c, $half>(matrix, tile, &mut pixels)
                        })*
                        _ => return,
                    }
                };
            }
            arms!(
                (7, 3, false),
                (7, 2, false),
                (7, 1, false),
                (7, 2, true),
                (7, 1, true),
                (4, 3, false),
                (4, 2, false),
                (4, 1, false),
                (4, 2, true),
                (4, 1, true),
                (2, 3, false),
                (2, 2, false),
                (2, 1, false),
                (2, 2, true),
                (2, 1, true),
                (1, 3, false),
                (1, 2, false),
                (1, 1, false),
                (1, 2, true),
                (1, 1, true),
            );
        }
        let y = y.add(tile.first * y_group);
        matrix.finish.bend::<V>(y, (count, y_stride), (tile.vectors, y_group));
        if tile.half {
            matrix.finish.bend::<V::Half>(y.add(tile.vectors * y_group), (count, y_stride), (1, 0));
        }
    }
}

/// Sums of `R` pixels by `C` output vectors, and half a vector more under `HALF`, all in registers.
#[inline(always)]
unsafe fn chunk<V: Vector, const R: usize, const C: usize, const HALF: bool>(
    matrix: &Matrix,
    tile: Tile,
    pixels: &mut Pixels,
) {
    let Pixels { x, x_stride, y, y_stride, y_group, other, other_stride, .. } = *pixels;
    // SAFETY: 1, by which the tile's ranges lie within the matrix; 4; the pixels are the caller's promise.
    unsafe {
        let bias = matrix.bias.as_ptr().add(tile.first * V::LANES);
        let mut sums = [[V::splat(0.0); C]; R];
        let mut halves = [V::Half::splat(0.0); R];
        for (sums, half) in sums.iter_mut().zip(&mut halves) {
            for (c, sum) in sums.iter_mut().enumerate() {
                *sum = V::load(bias.add(c * V::LANES));
            }
            if HALF {
                *half = V::Half::load(bias.add(C * V::LANES));
            }
        }
        if let Some(group) = matrix.other_group {
            let other = other.add(tile.first * group);
            for (r, (sums, half)) in sums.iter_mut().zip(&mut halves).enumerate() {
                let other = other.add(r * other_stride);
                for (c, sum) in sums.iter_mut().enumerate() {
                    *sum = sum.add(V::load(other.add(c * group)));
                }
                if HALF {
                    *half = half.add(V::Half::load(other.add(C * group)));
                }
            }
        }
        let inputs = matrix.inputs.as_ptr().add(tile.inputs);
        let mut weights = matrix.weights.as_ptr().add(tile.weights);
        // The next tile's weights follow; the next task's follow the last tile's.
        let ahead = tile.depth * (C * V::LANES + if HALF { V::Half::LANES } else { 0 });
        for k in 0..tile.depth {
            let x = x.add(*inputs.add(k) as usize);
            if R > 1 && C > 1 {
                for c in 0..C {
                    V::fetch(weights.wrapping_add(ahead + c * V::LANES));
                }
            }
            let mut w = [V::splat(0.0); C];
            for (c, w) in w.iter_mut().enumerate() {
                *w = V::load(weights.add(c * V::LANES));
            }
            weights = weights.add(C * V::LANES);
            let mut half = V::Half::splat(0.0);
            if HALF {
                half = V::Half::load(weights);
                weights = weights.add(V::Half::LANES);
            }
            for (r, (sums, sum_of_half)) in sums.iter_mut().zip(&mut halves).enumerate() {
                let value = *x.add(r * x_stride);
                let x = V::splat(value);
                for (sum, w) in sums.iter_mut().zip(w) {
                    *sum = x.mul_add(w, *sum);
                }
                if HALF {
                    *sum_of_half = V::Half::splat(value).mul_add(half, *sum_of_half);
                }
            }
        }
        let y = y.add(tile.first * y_group);
        // Bounds that are none cost nothing.
        macro_rules! store {
            ($bound:ident) => {
                for (r, (sums, half)) in sums.iter().zip(halves).enumerate() {
                    let y = y.add(r * y_stride);
                    for (c, sum) in sums.iter().enumerate() {
                        matrix.finish.$bound(*sum).store(y.add(c * y_group));
                    }
                    if HALF {
                        matrix.finish.$bound(half).store(y.add(C * y_group));
                    }
                }
            };
        }
        match matrix.finish.bounds() {
            Bounds::None => store!(unbound),
            Bounds::Low => store!(at_least),
            Bounds::Both => store!(between),
        }
        pixels.x = x.add(R * x_stride);
        pixels.y = pixels.y.add(R * y_stride);
        pixels.other = pixels.other.wrapping_add(R * other_stride);
        pixels.count -= R;
    }
}
