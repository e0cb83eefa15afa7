//! The 8x8 transform in vectors of AVX2: a multiplication and an addition of two 16-bit products at once.
#![allow(unsafe_code)] // Calls code that is compiled for instructions which not every machine has.

use super::super::huffman::Block;
use super::{BETWEEN, POINT};
use std::arch::x86_64::*;

/// Writes the samples; false where the machine has no AVX2, and nothing is written.
pub(super) fn eight(block: &Block, out: &mut [u8], stride: usize) -> bool {
    let has = is_x86_feature_detected!("avx2");
    if has {
        // SAFETY: the machine has AVX2.
        unsafe { samples(block, out, stride) };
    }
    has
}

#[target_feature(enable = "avx2")]
fn samples(block: &Block, out: &mut [u8], stride: usize) {
    let coefficients: [i16; 64] = *block.first_chunk().unwrap_or(&[0; 64]);
    let between = transposed(pass::<{ (POINT - BETWEEN) as i32 }>(bytemuck::must_cast(coefficients)));
    let rows = transposed(pass::<{ (POINT + BETWEEN + 3) as i32 }>(between));
    let centre = _mm_set1_epi8(-128);
    for (pair, at) in rows.as_chunks::<2>().0.iter().zip([0, 2, 4, 6]) {
        let levels: [[u8; 8]; 2] = bytemuck::must_cast(_mm_xor_si128(_mm_packs_epi16(pair[0], pair[1]), centre));
        out[at * stride..][..8].copy_from_slice(&levels[0]);
        out[(at + 1) * stride..][..8].copy_from_slice(&levels[1]);
    }
}

/// Numbers of two rows side by side, column by column.
#[inline]
#[target_feature(enable = "avx2")]
fn paired(a: __m128i, b: __m128i) -> __m256i {
    _mm256_set_m128i(_mm_unpackhi_epi16(a, b), _mm_unpacklo_epi16(a, b))
}

/// `a` times the first of each pair, plus `b` times the second.
#[inline]
#[target_feature(enable = "avx2")]
fn times(pairs: __m256i, a: i32, b: i32) -> __m256i {
    _mm256_madd_epi16(pairs, _mm256_set1_epi32(b << 16 | a & 0xffff))
}

/// One pass down the columns.
#[inline]
#[target_feature(enable = "avx2")]
fn pass<const SHIFT: i32>(v: [__m128i; 8]) -> [__m128i; 8] {
    let (outer, inner) = (paired(v[0], v[4]), paired(v[2], v[6]));
    let round = _mm256_set1_epi32(1 << (SHIFT - 1));
    let a = _mm256_add_epi32(times(outer, 1 << POINT, 1 << POINT), round);
    let b = _mm256_add_epi32(times(outer, 1 << POINT, -(1 << POINT)), round);
    let (c, d) = (times(inner, 4433 + 6270, 4433), times(inner, 4433, 4433 - 15_137));
    let even = [_mm256_add_epi32(a, c), _mm256_add_epi32(b, d), _mm256_sub_epi32(b, d), _mm256_sub_epi32(a, c)];

    let sums = paired(_mm_add_epi16(v[7], v[3]), _mm_add_epi16(v[5], v[1]));
    let (left, right) = (times(sums, 9633 - 16_069, 9633), times(sums, 9633, 9633 - 3196));
    let (outer, inner) = (paired(v[7], v[1]), paired(v[5], v[3]));
    let odd = [
        _mm256_add_epi32(times(outer, -7373, 12_299 - 7373), right),
        _mm256_add_epi32(times(inner, -20_995, 25_172 - 20_995), left),
        _mm256_add_epi32(times(inner, 16_819 - 20_995, -20_995), right),
        _mm256_add_epi32(times(outer, 2446 - 7373, -7373), left),
    ];
    let mut rows = [_mm_setzero_si128(); 8];
    for at in 0..4 {
        let sum = _mm256_srai_epi32::<SHIFT>(_mm256_add_epi32(even[at], odd[at]));
        let difference = _mm256_srai_epi32::<SHIFT>(_mm256_sub_epi32(even[at], odd[at]));
        let both = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(sum, difference));
        rows[at] = _mm256_castsi256_si128(both);
        rows[7 - at] = _mm256_extracti128_si256::<1>(both);
    }
    rows
}

#[inline]
#[target_feature(enable = "avx2")]
fn transposed(v: [__m128i; 8]) -> [__m128i; 8] {
    let mut ones = v;
    for at in [0, 2, 4, 6] {
        ones[at] = _mm_unpacklo_epi16(v[at], v[at + 1]);
        ones[at + 1] = _mm_unpackhi_epi16(v[at], v[at + 1]);
    }
    let mut twos = v;
    for at in [0, 4] {
        twos[at] = _mm_unpacklo_epi32(ones[at], ones[at + 2]);
        twos[at + 1] = _mm_unpackhi_epi32(ones[at], ones[at + 2]);
        twos[at + 2] = _mm_unpacklo_epi32(ones[at + 1], ones[at + 3]);
        twos[at + 3] = _mm_unpackhi_epi32(ones[at + 1], ones[at + 3]);
    }
    let mut rows = v;
    for at in 0..4 {
        rows[2 * at] = _mm_unpacklo_epi64(twos[at], twos[at + 4]);
        rows[2 * at + 1] = _mm_unpackhi_epi64(twos[at], twos[at + 4]);
    }
    rows
}
