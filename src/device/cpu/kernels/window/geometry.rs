//! What windows keep: their operation, their geometry, and how rows of outputs are divided into units.

use super::image::within;
use crate::compile::Step;
use crate::device::cpu::kernels::region::Region;
use crate::device::cpu::memory::Numbers;
use crate::device::cpu::packer::{BAND, Packer};
use crate::graph::{self, Padding};

/// A pool, or a depthwise convolution.
#[derive(Debug)]
pub(in crate::device::cpu) struct Window {
    pub(in crate::device::cpu::kernels) op: WindowOp,
    pub(in crate::device::cpu::kernels) region: Region,
    pub(in crate::device::cpu::kernels) window: graph::Window,
    /// The output's size.
    pub(in crate::device::cpu::kernels) height: usize,
    pub(in crate::device::cpu::kernels) width: usize,
    /// Rows of output in a unit.
    pub(in crate::device::cpu::kernels) rows: usize,
}

#[derive(Debug)]
pub(in crate::device::cpu) enum WindowOp {
    /// Weights `[vector][height][width][lanes]`, bias `[vector][lanes]`.
    Sum { weights: Numbers, bias: Numbers },
    /// The largest.
    Max,
    /// The mean, of all taps that lie in the padded image or of those in the image.
    Average { count_include_pad: bool },
}

impl Window {
    /// The kernel, and numbers of scratch memory where channels lie apart.
    pub fn pack(packer: &Packer, step: &Step, op: WindowOp, window: graph::Window) -> (Self, usize) {
        let (source, out) = (&step.source, step.target.shape);
        let groups = out.channels.div_ceil(packer.lanes);
        let mut rows = out.height.div_ceil(packer.units.div_ceil(groups));
        let image = [source.height, source.width];
        let region = |rows: usize| Region::new(image, &window, packer.lanes, rows, out.width);
        while rows > 1 && region(rows).band() > BAND / 4 {
            rows = rows.div_ceil(2);
        }
        let region = region(rows);
        let (height, width) = (out.height, out.width);
        (Self { op, region, window, height, width, rows }, region.band())
    }

    /// Whether it sees 3x3 taps side by side, at every pixel of a row or every other.
    pub(in crate::device::cpu::kernels) fn is_plain(&self) -> bool {
        (self.window.kernel, self.window.dilation) == ([3, 3], [1, 1]) && self.window.stride[1] <= 2
    }

    /// What an average is divided by at an output; nothing that counts for others.
    #[inline(always)]
    pub(super) fn taps(&self, row: usize, output: usize) -> usize {
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
