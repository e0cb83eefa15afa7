//! Lowers pools, of which formats do not say alike what windows do that jut out of the image, and by what a sum is divided.

use super::lower::Lowering;
use super::lowered::{Edge, Kind};
use crate::checkpoint::Limits;
use crate::error::{Error, Result};
use crate::graph::{AvgPool2d, MaxPool2d, Padding, Shape, Window};

impl Lowering<'_> {
    pub(super) fn max_pool(&mut self, pool: &MaxPool2d, x: Edge, from: Shape, to: Shape) -> Edge {
        let mut x = self.image(x);
        let mut window = without_ceiling(&pool.window, from, to);
        // ONNX Runtime refuses paddings of a kernel's size or more, however far apart the kernel's taps are.
        let Padding { top, left, bottom, right } = window.padding;
        let [down, across] = window.kernel;
        let too_wide = top.max(bottom) >= down || left.max(right) >= across;
        if (!self.padded_pools || too_wide) && window.padding != Padding::default() {
            // Loses against every pixel.
            (x, window) = self.pad(x, window, from, f32::NEG_INFINITY);
        }
        self.image_step("", Kind::MaxPool(window), vec![x], to)
    }

    /// An average pool where the format has it, and otherwise a depthwise convolution; where windows at the rim have
    /// fewer pixels, that is followed by a product.
    pub(super) fn average_pool(&mut self, pool: &AvgPool2d, x: Edge, from: Shape, to: Shape) -> Result<Edge> {
        let x = self.image(x);
        let window = without_ceiling(&pool.window, from, to);
        if window.dilation == [1; 2] && (self.padded_pools || window.padding == Padding::default()) {
            let mut count_include_pad = pool.count_include_pad;
            let (mut x, mut window) = (x, window);
            if count_include_pad && window != pool.window {
                // Zeros count, what juts out of them does not; so they become pixels.
                (x, window) = self.pad_apart(x, &pool.window, window, from);
                count_include_pad = false;
            }
            return Ok(self.image_step("", Kind::AvgPool { window, count_include_pad }, vec![x], to));
        }
        let [height, width] = window.kernel;
        let limit = Limits::default().expanded_bytes;
        let numbers = [from.channels.saturating_mul(height).saturating_mul(width), to.pixels()];
        if numbers.iter().any(|&numbers| numbers as u64 > limit / 4) {
            return Err(Error::Usage(format!(
                "an average over {height}x{width} pixels of {from} is too large to export"
            )));
        }
        let taps = vec![1.0 / window.taps() as f32; numbers[0]];
        let kernel = self.constant("average", &[from.channels, 1, height, width], taps);
        let x = self.image_step("", Kind::Conv { window, groups: from.channels }, vec![x, kernel], to);
        Ok(match taps_per_number(pool, from, to) {
            Some(factors) => {
                let factors = self.constant("rim", &[1, 1, to.height, to.width], factors);
                self.binary(Kind::Mul, x, factors)
            }
            None => x,
        })
    }

    /// `x` surrounded by `value` as `window` has it, and the window without padding.
    fn pad(&mut self, x: Edge, window: Window, from: Shape, value: f32) -> (Edge, Window) {
        let padding = window.padding;
        let Padding { top, left, bottom, right } = padding;
        let to = Shape { height: top + from.height + bottom, width: left + from.width + right, ..from };
        let x = self.image_step("", Kind::Pad { padding, value }, vec![x], to);
        (x, Window { padding: Padding::default(), ..window })
    }

    /// `x` surrounded by the zeros of `inner`, and `outer` with the padding that it has beyond these.
    fn pad_apart(&mut self, x: Edge, inner: &Window, outer: Window, from: Shape) -> (Edge, Window) {
        let Padding { bottom, right, .. } = inner.padding;
        let beyond =
            Padding { top: 0, left: 0, bottom: outer.padding.bottom - bottom, right: outer.padding.right - right };
        let x = if inner.padding == Padding::default() { x } else { self.pad(x, *inner, from, 0.0).0 };
        (x, Window { padding: beyond, ..outer })
    }
}

/// `window` with so much padding below and to the right that its applications to an image of shape `from`, which give
/// `to`, all lie in the padded image: rounding up is then rounding down.
fn without_ceiling(window: &Window, from: Shape, to: Shape) -> Window {
    let Padding { top, left, bottom, right } = window.padding;
    let [down, across] = window.extent();
    let needed = |outputs: usize, stride: usize, extent: usize, there: usize| {
        ((outputs - 1) * stride + extent).saturating_sub(there)
    };
    let bottom = bottom.max(needed(to.height, window.stride[0], down, top + from.height));
    let right = right.max(needed(to.width, window.stride[1], across, left + from.width));
    Window { padding: Padding { top, left, bottom, right }, ..*window }
}

/// How many times more than the numbers that an average of `pool` is of its window has taps, for each pixel of `to`; none
/// where it is once everywhere.
fn taps_per_number(pool: &AvgPool2d, from: Shape, to: Shape) -> Option<Vec<f32>> {
    let Window { kernel, stride, dilation, padding: Padding { top, left, bottom, right } } = pool.window;
    // Numbers of the image, or of the padded one, that the taps fall on, along one axis.
    let counted = |axis: usize, outputs: usize, side: usize, before: usize, after: usize| -> Vec<usize> {
        let (low, high) = if pool.count_include_pad { (0, before + side + after) } else { (before, before + side) };
        let tap = |output: usize, tap: usize| output * stride[axis] + tap * dilation[axis];
        (0..outputs).map(|o| (0..kernel[axis]).filter(|&t| (low..high).contains(&tap(o, t))).count()).collect()
    };
    let rows = counted(0, to.height, from.height, top, bottom);
    let columns = counted(1, to.width, from.width, left, right);
    let all = pool.window.taps();
    let counts = || rows.iter().flat_map(|row| columns.iter().map(move |column| row * column));
    (!counts().all(|count| count == all)).then(|| counts().map(|count| all as f32 / count as f32).collect())
}
