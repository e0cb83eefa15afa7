//! What formats do not say alike about pools: windows that jut out of the image, and by what a sum is divided.

use crate::graph::{AvgPool2d, Padding, Shape, Window};

/// `window` with so much padding below and to the right that its applications to an image of shape `from`, which give
/// `to`, all lie in the padded image: rounding up is then rounding down.
pub(super) fn without_ceiling(window: &Window, from: Shape, to: Shape) -> Window {
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
pub(super) fn taps_per_number(pool: &AvgPool2d, from: Shape, to: Shape) -> Option<Vec<f32>> {
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
