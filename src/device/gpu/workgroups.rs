//! How many workgroups a dispatch takes.

use super::family::Family;
use super::groups::LANES;
use crate::graph::Shape;

/// Invocations of a workgroup where a shader leaves it open, and in those that do not.
pub(super) const INVOCATIONS: usize = 64;

/// Invocations of a workgroup in the shaders of [`Family::Spread`].
const SPREAD: usize = 8;

/// The most workgroups in one direction, as WebGPU promises it.
const MOST: usize = 65535;

/// How many workgroups a step takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Workgroups {
    /// In x and y for an image; z is the batch.
    Each([usize; 2]),
    /// In x for the `pixels` of all images together, `tile` a workgroup; and in y.
    Together { pixels: usize, tile: usize, y: usize },
}

impl Workgroups {
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

/// Invocations of a workgroup in a shader that leaves it open.
pub(super) fn invocations(family: Family) -> usize {
    match family {
        Family::Spread => SPREAD,
        Family::Plain { .. } => INVOCATIONS,
    }
}

/// Rows that an invocation computes one below the other, so that it need not read all that they share again: more where
/// a load costs, few where there are many invocations to feed.
pub(super) fn rows(family: Family, out: Shape) -> usize {
    let most = match family {
        Family::Spread => 7,
        Family::Plain { .. } => 2,
    };
    out.height.div_ceil(out.height.div_ceil(most))
}

/// For invocations of one pixel of one group.
pub(super) fn per_pixel(out: Shape) -> Workgroups {
    Workgroups::Each([out.pixels().div_ceil(INVOCATIONS), groups(out)])
}

/// For invocations of one group.
pub(super) fn per_group(family: Family, out: Shape) -> Workgroups {
    Workgroups::Each([groups(out).div_ceil(invocations(family)), 1])
}

/// For invocations of one group of a vector.
pub(super) fn per_output(outputs: usize) -> Workgroups {
    Workgroups::Each([outputs.div_ceil(LANES).div_ceil(INVOCATIONS), 1])
}

/// For workgroups of 2 groups of a vector.
pub(super) fn per_eight(outputs: usize) -> Workgroups {
    Workgroups::Each([outputs.div_ceil(LANES).div_ceil(2), 1])
}

/// For strips of `rows` pixels, one below the other.
pub(super) fn per_strip(family: Family, out: Shape, rows: usize) -> Workgroups {
    let strips = out.height.div_ceil(rows) * out.width;
    Workgroups::Each([strips.div_ceil(invocations(family)), groups(out)])
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

/// For workgroups of 4 pixels of 4 groups of outputs.
pub(super) fn per_four_by_four(out: Shape) -> Workgroups {
    Workgroups::Each([out.pixels().div_ceil(4), groups(out).div_ceil(4)])
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
