//! Lowers pools to forms that all readers compute alike: formats differ in windows that extend beyond the image, and in
//! what a sum is divided by.
//!
//! In the formulas of the forms, `q` is the padding of the pool, and `p` the padding that holds all of its windows, also
//! the last one where their count is rounded up.

use super::lower::Lowering;
use super::lowered::{Edge, Kind};
use crate::checkpoint::Limits;
use crate::error::{Error, Result};
use crate::graph::{AvgPool2d, MaxPool2d, Padding, Shape, Window};

/// An average pool, and what it is applied to.
struct Average<'p> {
    pool: &'p AvgPool2d,
    /// With the padding `p`.
    window: Window,
    x: Edge,
    from: Shape,
    to: Shape,
}

/// A way to write an average pool; none where it does not compute the same.
type Form = fn(&mut Lowering, &Average) -> Option<Edge>;

/// All of them, the best first.
const AVERAGES: [Form; 3] = [average, average_of_padded, convolution];

impl Lowering<'_> {
    /// `max_pool(x, p)`, or `max_pool(pad(x, p, -inf), 0)`, since what is padded loses against every pixel.
    pub(super) fn max_pool(&mut self, pool: &MaxPool2d, x: Edge, from: Shape, to: Shape) -> Edge {
        let mut x = self.image(x);
        let mut window = pool.window.covering(from.sides(), to.sides());
        // ONNX Runtime refuses paddings of a kernel's size or more, however far apart the kernel's taps are.
        let Padding { top, left, bottom, right } = window.padding;
        let [down, across] = window.kernel;
        let too_wide = top.max(bottom) >= down || left.max(right) >= across;
        if !self.padded_pools || too_wide {
            x = self.pad(x, window.padding, from, f32::NEG_INFINITY);
            window.padding = Padding::default();
        }
        self.image_step("", Kind::MaxPool(window), vec![x], to)
    }

    /// The first form that computes the same.
    pub(super) fn average_pool(&mut self, pool: &AvgPool2d, x: Edge, from: Shape, to: Shape) -> Result<Edge> {
        let window = pool.window.covering(from.sides(), to.sides());
        let average = Average { pool, window, x: self.image(x), from, to };
        AVERAGES.iter().find_map(|form| form(self, &average)).ok_or_else(|| {
            let [height, width] = window.kernel;
            Error::Usage(format!("an average over {height}x{width} pixels of {from} is too large to export"))
        })
    }

    /// `x` surrounded by `value`, if by anything.
    fn pad(&mut self, x: Edge, padding: Padding, from: Shape, value: f32) -> Edge {
        if padding == Padding::default() {
            return x;
        }
        let Padding { top, left, bottom, right } = padding;
        let to = Shape { height: top + from.height + bottom, width: left + from.width + right, ..from };
        self.image_step("", Kind::Pad { padding, value }, vec![x], to)
    }
}

/// `avg_pool(x, p)`
fn average(lowering: &mut Lowering, average: &Average) -> Option<Edge> {
    let Average { window, x, to, .. } = *average;
    let kind = Kind::AvgPool { window, count_include_pad: average.pool.count_include_pad };
    let fits = average.is_in_format(lowering) && !average.counts_zeros_only_within();
    fits.then(|| lowering.image_step("", kind, vec![x], to))
}

/// `avg_pool(pad(x, q, 0), p - q)`, which counts the zeros of `q`, that are pixels then, and not those beyond
fn average_of_padded(lowering: &mut Lowering, average: &Average) -> Option<Edge> {
    let (inner, outer) = (average.pool.window.padding, average.window.padding);
    let beyond = Padding { top: 0, left: 0, bottom: outer.bottom - inner.bottom, right: outer.right - inner.right };
    let window = Window { padding: beyond, ..average.window };
    (average.is_in_format(lowering) && average.counts_zeros_only_within()).then(|| {
        let x = lowering.pad(average.x, inner, average.from, 0.0);
        lowering.image_step("", Kind::AvgPool { window, count_include_pad: false }, vec![x], average.to)
    })
}

/// `conv(x, 1 / taps, p) * (taps / counted)`, a depthwise convolution; the product is left out where all taps count
fn convolution(lowering: &mut Lowering, average: &Average) -> Option<Edge> {
    let Average { pool, window, x, from, to } = *average;
    let [height, width] = window.kernel;
    let limit = Limits::default().expanded_bytes;
    let numbers = [from.channels.saturating_mul(height).saturating_mul(width), to.pixels()];
    if numbers.iter().any(|&numbers| numbers as u64 > limit / 4) {
        return None;
    }
    let taps = vec![1.0 / window.taps() as f32; numbers[0]];
    let kernel = lowering.constant("average", &[from.channels, 1, height, width], taps);
    let x = lowering.image_step("", Kind::Conv { window, groups: from.channels }, vec![x, kernel], to);
    Some(match taps_per_counted(pool, from, to) {
        Some(factors) => {
            let factors = lowering.constant("rim", &[1, 1, to.height, to.width], factors);
            lowering.binary(Kind::Mul, x, factors)
        }
        None => x,
    })
}

impl Average<'_> {
    /// Whether the format has such an average pool.
    fn is_in_format(&self, lowering: &Lowering) -> bool {
        self.window.dilation == [1; 2] && (lowering.padded_pools || self.window.padding == Padding::default())
    }

    /// Whether the zeros of `q` count, and windows extend beyond them.
    fn counts_zeros_only_within(&self) -> bool {
        self.pool.count_include_pad && self.window != self.pool.window
    }
}

/// `taps / counted` for each pixel of `to`, where `counted` are the taps on numbers that the average is of; none where it is
/// 1 everywhere.
fn taps_per_counted(pool: &AvgPool2d, from: Shape, to: Shape) -> Option<Vec<f32>> {
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
