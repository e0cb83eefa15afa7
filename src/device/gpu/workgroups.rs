//! How many workgroups a dispatch takes, in x and y; z is the batch.

use super::family::Family;
use super::groups::LANES;
use crate::graph::Shape;

/// Invocations of a workgroup where a shader leaves it open, and in those that do not.
const INVOCATIONS: usize = 64;

/// Invocations of a workgroup in the shaders of [`Family::Spread`].
const SPREAD: usize = 8;

/// Workgroups in x and y.
pub(super) type Workgroups = [usize; 2];

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
    [out.pixels().div_ceil(INVOCATIONS), groups(out)]
}

/// For invocations of one group.
pub(super) fn per_group(family: Family, out: Shape) -> Workgroups {
    [groups(out).div_ceil(invocations(family)), 1]
}

/// For invocations of one group of a vector.
pub(super) fn per_output(outputs: usize) -> Workgroups {
    [outputs.div_ceil(LANES).div_ceil(INVOCATIONS), 1]
}

/// For workgroups of 2 groups of a vector.
pub(super) fn per_eight(outputs: usize) -> Workgroups {
    [outputs.div_ceil(LANES).div_ceil(2), 1]
}

/// For strips of `rows` pixels, one below the other.
pub(super) fn per_strip(family: Family, out: Shape, rows: usize) -> Workgroups {
    let strips = out.height.div_ceil(rows) * out.width;
    [strips.div_ceil(invocations(family)), groups(out)]
}

/// For invocations of 4 pixels by 2 groups of outputs.
pub(super) fn per_tile_of_2(out: Shape) -> Workgroups {
    [out.pixels().div_ceil(32), groups(out).div_ceil(16)]
}

/// For invocations of 4 pixels by 8 groups of outputs.
pub(super) fn per_tile_of_8(out: Shape) -> Workgroups {
    [out.pixels().div_ceil(32), groups(out).div_ceil(8)]
}

/// For invocations of 4 pixels of a row by 6 groups of outputs.
pub(super) fn per_quad(out: Shape) -> Workgroups {
    let quads = out.width.div_ceil(4) * out.height;
    [quads.div_ceil(SPREAD), groups(out).div_ceil(6)]
}

/// Groups of channels.
fn groups(out: Shape) -> usize {
    out.channels.div_ceil(LANES)
}
