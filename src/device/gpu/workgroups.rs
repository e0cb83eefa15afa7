//! How many workgroups a dispatch takes.

use super::groups::LANES;
use crate::graph::{Shape, Window};

/// Invocations of a workgroup.
pub(super) const INVOCATIONS: usize = 64;

/// Invocations of a workgroup in the shaders of the family `Spread`.
const SPREAD: usize = 8;

/// The most workgroups in one direction, as WebGPU promises it.
pub(super) const MOST: usize = 65535;

/// How many workgroups a step takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Workgroups {
    /// In x and y for an image; z is the batch.
    Each([usize; 2]),
    /// In x for the `pixels` of all images together, `tile` a workgroup; and in y.
    Together { pixels: usize, tile: usize, y: usize },
}

impl Workgroups {
    /// Invocations of a batch of `count` images.
    pub fn invocations(self, count: usize) -> usize {
        self.of(count).into_iter().fold(INVOCATIONS, usize::saturating_mul)
    }

    /// In x, y and z, for a batch of `count` images.
    pub fn of(self, count: usize) -> [usize; 3] {
        match self {
            Self::Each([x, y]) => [x, y, count],
            Self::Together { pixels, tile, y } => [count.saturating_mul(pixels).div_ceil(tile), y, 1],
        }
    }

    /// As [`of`](Self::of), where none is over the device's limit.
    pub fn counts(self, count: usize) -> [u32; 3] {
        self.of(count).map(|n| n as u32)
    }
}

/// Rows that an invocation of the family `Spread` computes one below the other, so that it need not read all that they
/// share again.
pub(super) fn rows(out: Shape) -> usize {
    const MOST: usize = 7;
    out.height.div_ceil(out.height.div_ceil(MOST))
}

/// Rows that any other computes at once: two, where their windows share what is read, and are small enough for compilers
/// to unroll both.
pub(super) fn rows_at_once(window: Window) -> usize {
    let Window { kernel, stride, dilation, .. } = window;
    let small = kernel.iter().all(|side| *side <= 3);
    1 + usize::from(small && dilation[0] == 1 && stride[0] < kernel[0])
}

/// For invocations of one pixel of one group.
pub(super) fn per_pixel(out: Shape) -> Workgroups {
    Workgroups::Each([out.pixels().div_ceil(INVOCATIONS), groups(out)])
}

/// For invocations of one group, of the family `Spread`.
pub(super) fn per_group(out: Shape) -> Workgroups {
    Workgroups::Each([groups(out).div_ceil(SPREAD), 1])
}

/// For workgroups of one group, whose invocations share its inputs.
pub(super) fn per_shared_group(channels: usize) -> Workgroups {
    Workgroups::Each([channels.div_ceil(LANES), 1])
}

/// For invocations of one pixel of so many groups.
pub(super) fn per_pixel_of(tile: usize, out: Shape) -> Workgroups {
    Workgroups::Each([out.pixels().div_ceil(INVOCATIONS), groups(out).div_ceil(tile)])
}

/// For invocations of one group of a vector.
pub(super) fn per_output(outputs: usize) -> Workgroups {
    Workgroups::Each([outputs.div_ceil(LANES).div_ceil(INVOCATIONS), 1])
}

/// For workgroups of 2 groups of a vector.
pub(super) fn per_eight(outputs: usize) -> Workgroups {
    Workgroups::Each([outputs.div_ceil(LANES).div_ceil(2), 1])
}

/// For strips of `rows` pixels, one below the other, of the family `Spread`.
pub(super) fn per_strip(out: Shape, rows: usize) -> Workgroups {
    Workgroups::Each([strips(out, rows).div_ceil(SPREAD), groups(out)])
}

/// For the same of any other.
pub(super) fn per_rows(out: Shape, rows: usize) -> Workgroups {
    Workgroups::Each([strips(out, rows).div_ceil(INVOCATIONS), groups(out)])
}

fn strips(out: Shape, rows: usize) -> usize {
    out.height.div_ceil(rows) * out.width
}

/// For invocations of 4 pixels by 2 groups of outputs.
pub(super) fn per_tile_of_2(out: Shape) -> Workgroups {
    Workgroups::Each([out.pixels().div_ceil(32), groups(out).div_ceil(16)])
}

/// For invocations of 2 pixels of 4 groups of outputs, and the images whose pixels are counted on: all of a batch where that
/// is within every limit.
pub(super) fn per_two_pixels(out: Shape, max_batch: usize) -> (Workgroups, usize) {
    const TILE: usize = 2 * INVOCATIONS;
    let (pixels, y) = (out.pixels(), groups(out).div_ceil(4));
    let together = Workgroups::Together { pixels, tile: TILE, y };
    match together.of(max_batch)[0] <= MOST {
        true => (together, max_batch),
        false => (Workgroups::Each([pixels.div_ceil(TILE), y]), 1),
    }
}

/// For workgroups of 4 pixels, whose invocations are so many slices of the inputs of some groups of outputs.
pub(super) fn per_slices(out: Shape, slices: usize) -> Workgroups {
    Workgroups::Each([out.pixels().div_ceil(4), groups(out).div_ceil(INVOCATIONS / slices)])
}

/// For invocations of 4 pixels by 8 groups of outputs.
pub(super) fn per_tile_of_8(out: Shape) -> Workgroups {
    Workgroups::Each([out.pixels().div_ceil(32), groups(out).div_ceil(8)])
}

/// For invocations of 4 pixels of a row by 6 groups of outputs.
pub(super) fn per_quad(out: Shape) -> Workgroups {
    let quads = out.width.div_ceil(4) * out.height;
    Workgroups::Each([quads.div_ceil(SPREAD), groups(out).div_ceil(6)])
}

/// Groups of channels.
fn groups(out: Shape) -> usize {
    out.channels.div_ceil(LANES)
}
