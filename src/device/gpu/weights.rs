//! Weights in the order in which the shaders read them.
//!
//! Where a step reads only some channels of a group, the others get weights of zero.

use super::groups::{Groups, LANES};
use crate::compile::Budget;
use crate::error::Result;

/// Weights `[out][in][tap]` as `[tile][tap][group][tile's groups][4 in][4 out]`, padded by zeros.
pub(super) fn matrix(groups: &Groups, weight: &[f32], taps: usize, tile: usize, budget: &Budget) -> Result<Vec<f32>> {
    let row = groups.inputs.len() * taps;
    let outputs = weight.len() / row.max(1);
    let block = tile * LANES * LANES;
    let mut packed = zeros([outputs.div_ceil(tile * LANES), taps, groups.len(), block], weight, budget)?;
    for (o, row) in weight.chunks(row.max(1)).enumerate() {
        let (group, lane) = (o / LANES, o % LANES);
        let base = group / tile * taps * groups.len() * block + group % tile * LANES * LANES + lane;
        for (kernel, &(k, input)) in row.chunks(taps).zip(&groups.inputs) {
            for (tap, &w) in kernel.iter().enumerate() {
                // A channel may be read twice.
                packed[base + (tap * groups.len() + k) * block + input * LANES] += w;
            }
        }
    }
    Ok(packed)
}

/// Rows of outputs `[out][everything else]` as `[group][everything else][4]`, padded by zeros.
pub(super) fn by_group(weight: &[f32], row: usize, budget: &Budget) -> Result<Vec<f32>> {
    by_tile(weight, [1, 1, row], 1, budget)
}

/// A convolution's weights `[out][in][row][column]` as `[tile][row][in][column][tile's groups][4]`, padded by zeros.
pub(super) fn by_tile(weight: &[f32], sizes: [usize; 3], groups: usize, budget: &Budget) -> Result<Vec<f32>> {
    let [inputs, rows, columns] = sizes;
    let (outputs, row) = (groups * LANES, inputs * rows * columns);
    let mut packed = zeros([weight.len().div_ceil(outputs * row), row, outputs], weight, budget)?;
    for (packed, tile) in packed.chunks_mut(outputs * row).zip(weight.chunks(outputs * row)) {
        for (o, weights) in tile.chunks(row).enumerate() {
            for (line, weights) in weights.chunks(columns).enumerate() {
                let at = (line % rows * inputs + line / rows) * columns;
                weights.iter().zip(at..).for_each(|(&w, at)| packed[at * outputs + o] = w);
            }
        }
    }
    Ok(packed)
}

/// A convolution's weights that keep channels apart, `[channel][tap]`, as `[group of `groups`][tap][4]`, its taps rounded up to a
/// multiple of 4; padded by zeros. The groups may come in any order.
pub(super) fn kept_apart(weight: &[f32], taps: usize, groups: &[usize], budget: &Budget) -> Result<Vec<f32>> {
    let row = taps.next_multiple_of(LANES) * LANES;
    let mut packed = zeros([groups.len(), row], weight, budget)?;
    for (packed, group) in packed.chunks_mut(row).zip(groups) {
        for (lane, channel) in weight.chunks(taps).skip(group * LANES).take(LANES).enumerate() {
            channel.iter().enumerate().for_each(|(tap, &w)| packed[tap * LANES + lane] = w);
        }
    }
    Ok(packed)
}

/// A matrix `[out][in]` as `[group][row / 8][4 out][8 in]`, where `places` tells where in a row each input goes, padded by zeros.
pub(super) fn by_place(weight: &[f32], places: &[usize], row: usize, budget: &Budget) -> Result<Vec<f32>> {
    const EIGHT: usize = 8;
    let (groups, blocks) = ((weight.len() / places.len()).div_ceil(LANES), row.div_ceil(EIGHT));
    let mut packed = zeros([groups, blocks, LANES * EIGHT], weight, budget)?;
    for (o, weights) in weight.chunks(places.len()).enumerate() {
        let row = (o / LANES * blocks * LANES + o % LANES) * EIGHT;
        // An input may be read twice.
        let at = |place: usize| row + place / EIGHT * LANES * EIGHT + place % EIGHT;
        places.iter().zip(weights).for_each(|(&place, &w)| packed[at(place)] += w);
    }
    Ok(packed)
}

/// A bias, padded by zeros to whole tiles of `groups` groups.
pub(super) fn bias(bias: &[f32], groups: usize) -> Vec<f32> {
    let mut packed = bias.to_vec();
    packed.resize(bias.len().next_multiple_of(groups * LANES), 0.0);
    packed
}

/// A matrix `[out][in]` as `[in / 4][out / 4][4 in][4 out]`, padded by zeros.
pub(super) fn by_input(weight: &[f32], inputs: usize, budget: &Budget) -> Result<Vec<f32>> {
    let groups = (weight.len() / inputs).div_ceil(LANES);
    let mut packed = zeros([inputs.next_multiple_of(LANES), groups, LANES], weight, budget)?;
    for (o, row) in weight.chunks(inputs).enumerate() {
        for (k, &w) in row.iter().enumerate() {
            packed[((k / LANES * groups + o / LANES) * LANES + k % LANES) * LANES + o % LANES] = w;
        }
    }
    Ok(packed)
}

/// A matrix `[out][in]` as `[out / 8][in / 8][8 out][8 in]`, its inputs padded by zeros to a multiple of 32.
pub(super) fn by_eights(weight: &[f32], inputs: usize, budget: &Budget) -> Result<Vec<f32>> {
    const EIGHT: usize = 8;
    let blocks = inputs.next_multiple_of(EIGHT * LANES) / EIGHT;
    let mut packed = zeros([(weight.len() / inputs).div_ceil(EIGHT), blocks, EIGHT * EIGHT], weight, budget)?;
    for (o, row) in weight.chunks(inputs).enumerate() {
        for (k, &w) in row.iter().enumerate() {
            let block = o / EIGHT * blocks + k / EIGHT;
            packed[(block * EIGHT + o % EIGHT) * EIGHT + k % EIGHT] = w;
        }
    }
    Ok(packed)
}

/// A stem's weights `[out][in][3][3]` as `[out / 24][in][3][24][4 out]`: the 3 columns of each of 6 groups, padded by
/// zeros to 24.
pub(super) fn stem(weight: &[f32], inputs: usize, budget: &Budget) -> Result<Vec<f32>> {
    const GROUPS: usize = 6;
    const ROW: usize = 24;
    let rows = inputs * 3;
    let outputs = weight.len() / (rows * 3);
    let mut packed = zeros([outputs.div_ceil(GROUPS * LANES), rows, ROW * LANES], weight, budget)?;
    for (o, kernel) in weight.chunks(rows * 3).enumerate() {
        let (tile, group, lane) = (o / (GROUPS * LANES), o / LANES % GROUPS, o % LANES);
        for (i, &w) in kernel.iter().enumerate() {
            let (row, column) = (i / 3, i % 3);
            packed[((tile * rows + row) * ROW + group * 3 + column) * LANES + lane] = w;
        }
    }
    Ok(packed)
}

/// Zeros of these sizes, of which `budget` pays for what is more than the weights that go there.
fn zeros<const N: usize>(sizes: [usize; N], weight: &[f32], budget: &Budget) -> Result<Vec<f32>> {
    let count = sizes.into_iter().fold(1, usize::saturating_mul);
    budget.take(count.saturating_sub(weight.len()), size_of::<f32>())?;
    Ok(vec![0.0; count])
}
