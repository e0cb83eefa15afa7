//! A matrix packed for tiles of sums, as 1x1 convolutions, fully connected layers and all other dense convolutions have it.

use crate::compile::Step;
use crate::device::cpu::finish::Finish;
use crate::device::cpu::memory::Numbers;
use crate::device::cpu::operands::Operands;
use crate::device::cpu::packer::Packer;
use crate::device::cpu::reach::{end, holds};
use crate::error::{Error, Result};
use std::ops::Range;

/// Bytes of a matrix from which it stays in no core's own cache together with pixels.
pub(in crate::device::cpu) const LARGE_MATRIX: usize = 128 << 10;

/// A matrix packed for tiles of sums: for each tile of output vectors, `[input][vectors of the tile][lanes]`, where the
/// very last vector may have half the lanes.
#[derive(Debug)]
pub(super) struct Matrix {
    pub tiles: Vec<Tile>,
    /// What tiles read, as offsets from a pixel's first number.
    pub inputs: Vec<u32>,
    pub weights: Numbers,
    /// Whole vectors, filled up by zeros.
    pub bias: Numbers,
    /// What is applied to sums.
    pub finish: Finish,
    /// Where something is added to sums, numbers from one vector of it to the next.
    pub other_group: Option<usize>,
}

/// Output vectors that are summed together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tile {
    /// The first output vector, and how many there are.
    pub first: usize,
    pub vectors: usize,
    /// Whether half a vector follows them.
    pub half: bool,
    /// The first of [`Matrix::inputs`], and how many there are.
    pub inputs: usize,
    pub depth: usize,
    /// The first of [`Matrix::weights`].
    pub weights: usize,
}

impl Matrix {
    /// A matrix of `outputs` rows, of which `range` tells the inputs that a tile's outputs have, and `value` the weight
    /// of an output and an input.
    pub fn pack(
        packer: &Packer,
        step: &Step,
        outputs: usize,
        bias: &[f32],
        range: impl Fn(Range<usize>) -> Range<usize>,
        inputs: &[usize],
        value: impl Fn(usize, usize) -> f32,
    ) -> Result<Self> {
        let (_, most) = packer.set.tile();
        // A last vector of which at most half is used may be half a vector, which counts as one of those of its tile.
        let used = outputs % packer.lanes;
        let half = packer.set.halves() && outputs > packer.lanes && (1..=packer.lanes / 2).contains(&used);
        let whole = outputs.div_ceil(packer.lanes) - usize::from(half);
        let count = (whole + usize::from(half)).div_ceil(most);
        let lanes_of = |i: usize| {
            let (first, end) = ((whole * i).div_ceil(count), (whole * (i + 1)).div_ceil(count));
            let half = half && i + 1 == count;
            (
                first,
                end - first,
                half,
                first * packer.lanes..end * packer.lanes + if half { packer.lanes / 2 } else { 0 },
            )
        };
        let mut tiles = Vec::with_capacity(count);
        let mut end = 0usize;
        for i in 0..count {
            let (first, vectors, half, lanes) = lanes_of(i);
            let inputs = range(lanes.start..outputs.min(lanes.end));
            let depth = inputs.len();
            tiles.push(Tile { first, vectors, half, inputs: inputs.start, depth, weights: end });
            end = end.saturating_add(depth.saturating_mul(lanes.len()));
        }
        // Zeros fill vectors up, and stand where a tile's outputs do not see an input.
        let own = range(0..outputs.min(1)).len().saturating_mul(outputs);
        packer.room.budget.take(end.saturating_sub(own), size_of::<f32>())?;
        let mut weights = Vec::with_capacity(end);
        for (i, tile) in tiles.iter().enumerate() {
            let (.., lanes) = lanes_of(i);
            for k in tile.inputs..tile.inputs + tile.depth {
                weights.extend(lanes.clone().map(|o| if o < outputs { value(o, k) } else { 0.0 }));
            }
        }
        let inputs: Option<Vec<u32>> = inputs.iter().map(|&place| u32::try_from(place).ok()).collect();
        let inputs = inputs.ok_or_else(|| {
            Error::unsupported("cpu: what a step reads lies further apart than 2^32 numbers, which is its limit")
        })?;
        let other_group = step.other.as_ref().map(|other| packer.other(other)).transpose()?.map(|other| other.group);
        Ok(Self {
            tiles,
            inputs,
            weights: Numbers::new(&weights)?,
            bias: packer.by_vector(bias, 1)?,
            finish: Finish::new(step.activation),
            other_group,
        })
    }

    /// The input that lies furthest from a pixel's first number.
    pub fn furthest(&self) -> Option<usize> {
        self.inputs.iter().max().map(|place| *place as usize)
    }

    /// The end of what the vectors of results take for `pixels` pixels, and that of half a vector; nothing where its
    /// tables or weights are too short for its tiles.
    pub fn results_reach(&self, first: usize, group: usize, pixels: usize, lanes: usize) -> Option<usize> {
        let mut all = 0;
        for tile in &self.tiles {
            let half = if tile.half { lanes / 2 } else { 0 };
            let whole = tile.first.checked_add(tile.vectors)?;
            let each = tile.vectors.checked_mul(lanes)?.checked_add(half)?;
            holds(&self.weights, tile.weights.checked_add(tile.depth.checked_mul(each)?)?)?;
            holds(&self.bias, whole.checked_mul(lanes)?.checked_add(half)?)?;
            if tile.inputs.checked_add(tile.depth)? > self.inputs.len() {
                return None;
            }
            all = all.max(end(first, &[(whole, group), (pixels, lanes)], lanes)?);
            if tile.half {
                all = all.max(end(first.checked_add(whole.checked_mul(group)?)?, &[(pixels, lanes)], half)?);
            }
        }
        Some(all)
    }

    /// The second operand of sums of `pixels` pixels.
    pub fn other_reach(&self, operands: &Operands, pixels: usize, lanes: usize) -> Option<usize> {
        match (self.other_group, operands.other) {
            (None, _) => Some(0),
            (Some(group), Some(other)) => self.results_reach(other.offset, group, pixels, lanes),
            (Some(_), None) => None,
        }
    }
}
