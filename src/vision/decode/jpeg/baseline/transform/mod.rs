//! From a block's coefficients to samples: 8x8 of them as libjpeg has it to the bit, or fewer of the lowest frequencies.

#[cfg(target_arch = "x86_64")]
mod avx2;

use super::huffman::Block;
use std::num::Wrapping;

/// What a hostile file can make too large, and which then counts for nothing.
type Number = Wrapping<i32>;

/// Bits after the point of the factors.
const POINT: usize = 13;

/// Bits after the point between the two passes.
const BETWEEN: usize = 2;

/// How many samples a side of a block becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Side {
    One = 1,
    Two = 2,
    Four = 4,
    Eight = 8,
}

impl Side {
    /// The place in the file of the last coefficient that counts.
    pub fn last(self) -> usize {
        match self {
            Self::One => 0,
            Self::Two => 4,
            Self::Four => 24,
            Self::Eight => 63,
        }
    }

    /// Twice as many.
    pub fn doubled(self) -> Option<Self> {
        match self {
            Self::One => Some(Self::Two),
            Self::Two => Some(Self::Four),
            Self::Four => Some(Self::Eight),
            Self::Eight => None,
        }
    }
}

/// Writes a block's samples to `out`, whose rows are `stride` apart.
pub(super) fn transform(block: &Block, side: Side, out: &mut [u8], stride: usize) {
    match side {
        Side::One => out[0] = level((i32::from(block[0]) + 4) >> 3),
        Side::Two => two(block, out, stride),
        Side::Four => four(block, out, stride),
        Side::Eight => eight(block, out, stride),
    }
}

/// As [`transform`], of a block whose coefficients are 0 but for the first.
pub(super) fn flat(first: i16, side: Side, out: &mut [u8], stride: usize) {
    let side = side as usize;
    let level = level((i32::from(first) + 4) >> 3);
    (0..side).for_each(|row| out[row * stride..][..side].fill(level));
}

/// A sample around 0 as a level.
#[inline(always)]
fn level(sample: i32) -> u8 {
    (sample + 128).clamp(0, 255) as u8
}

/// The 2x2 of libjpeg 9.
fn two(block: &Block, out: &mut [u8], stride: usize) {
    let [a, b, c, d] = [0, 1, 8, 9].map(|at| i32::from(block[at]));
    let (upper, lower) = ([a + c + 4, b + d], [a - c + 4, b - d]);
    for (row, [even, odd]) in [upper, lower].into_iter().enumerate() {
        out[row * stride] = level((even + odd) >> 3);
        out[row * stride + 1] = level((even - odd) >> 3);
    }
}

/// The 4x4 of libjpeg 9.
fn four(block: &Block, out: &mut [u8], stride: usize) {
    let coefficients = std::array::from_fn(|row| std::array::from_fn(|at| Wrapping(block[8 * row + at].into())));
    let between = four_once::<{ POINT - BETWEEN }>(&coefficients);
    let samples = four_once::<{ POINT + BETWEEN + 3 }>(&between);
    for (row, samples) in samples.iter().enumerate() {
        out[row * stride..][..4].copy_from_slice(&samples.map(|sample| level(sample.0)));
    }
}

/// One pass down the columns, which become rows.
fn four_once<const SHIFT: usize>(rows: &[[Number; 4]; 4]) -> [[Number; 4]; 4] {
    std::array::from_fn(|at| {
        let [a, b, c, d] = rows.map(|row| row[at]);
        let turned = (b + d) * Wrapping(4433);
        let (outer, inner) = (turned + b * Wrapping(6270), turned - d * Wrapping(15_137));
        let (even, odd) = ((a + c) << POINT, (a - c) << POINT);
        let round = Wrapping(1 << (SHIFT - 1));
        [even + outer, odd + inner, odd - inner, even - outer].map(|sum| (sum + round) >> SHIFT)
    })
}

/// libjpeg's slow but exact transform, after Loeffler, Ligtenberg and Moschytz ("Practical fast 1-D DCT algorithms with 11
/// multiplications", ICASSP 1989).
fn eight(block: &Block, out: &mut [u8], stride: usize) {
    #[cfg(target_arch = "x86_64")]
    if avx2::eight(block, out, stride) {
        return;
    }
    eight_portable(block, out, stride);
}

fn eight_portable(block: &Block, out: &mut [u8], stride: usize) {
    let coefficients = std::array::from_fn(|row| std::array::from_fn(|at| Wrapping(block[8 * row + at].into())));
    let between = eight_once::<{ POINT - BETWEEN }>(&coefficients);
    let samples = eight_once::<{ POINT + BETWEEN + 3 }>(&between);
    for (row, samples) in samples.iter().enumerate() {
        out[row * stride..][..8].copy_from_slice(&samples.map(|sample| level(sample.0)));
    }
}

/// One pass down the columns, which become rows.
fn eight_once<const SHIFT: usize>(rows: &[[Number; 8]; 8]) -> [[Number; 8]; 8] {
    std::array::from_fn(|at| {
        let v = rows.map(|row| row[at]);
        let turned = (v[2] + v[6]) * Wrapping(4433);
        let (a, b) = ((v[0] + v[4]) << POINT, (v[0] - v[4]) << POINT);
        let (c, d) = (turned + v[2] * Wrapping(6270), turned - v[6] * Wrapping(15_137));
        let even = [a + c, b + d, b - d, a - c];
        let turned = (v[7] + v[3] + v[5] + v[1]) * Wrapping(9633);
        let (outer, inner) = ((v[7] + v[1]) * Wrapping(-7373), (v[5] + v[3]) * Wrapping(-20_995));
        let (left, right) = (turned - (v[7] + v[3]) * Wrapping(16_069), turned - (v[5] + v[1]) * Wrapping(3196));
        let odd = [
            v[1] * Wrapping(12_299) + outer + right,
            v[3] * Wrapping(25_172) + inner + left,
            v[5] * Wrapping(16_819) + inner + right,
            v[7] * Wrapping(2446) + outer + left,
        ];
        let round = Wrapping(1 << (SHIFT - 1));
        let sums: [Number; 4] = std::array::from_fn(|at| (even[at] + odd[at] + round) >> SHIFT);
        let differences: [Number; 4] = std::array::from_fn(|at| (even[at] - odd[at] + round) >> SHIFT);
        let [e, f, g, h] = differences;
        [sums[0], sums[1], sums[2], sums[3], h, g, f, e]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks of photographs, and of noise as large as a sound file may have.
    #[test]
    fn vectors_and_plain_code_agree() {
        let mut state = 1u32;
        let mut random = move |bound: i16| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 16) as i16) % bound
        };
        for round in 0..2000 {
            let mut block: Block = [0; 65];
            let bound = [3, 40, 150, 400][round % 4];
            (0..64).filter(|at| round % 3 > 0 || at % 8 < 3).for_each(|at| block[at] = random(bound));
            let (mut vectors, mut plain) = ([0; 64], [0; 64]);
            eight(&block, &mut vectors, 8);
            eight_portable(&block, &mut plain, 8);
            assert_eq!(vectors, plain, "{block:?}");
        }
    }

    #[test]
    fn a_flat_block_is_flat_at_every_size() {
        for first in [-1024, -13, -4, -1, 0, 3, 4, 1000] {
            for side in [Side::One, Side::Two, Side::Four, Side::Eight] {
                let mut block: Block = [0; 65];
                block[0] = first;
                let (mut full, mut short) = ([0; 64], [0; 64]);
                transform(&block, side, &mut full, 8);
                flat(first, side, &mut short, 8);
                assert_eq!(full, short, "{first} at {side:?}");
            }
        }
    }
}
