//! From samples to red, green and blue: chroma is brought to every pixel by libjpeg's triangle filter, and colours
//! are made in its whole numbers.
#![allow(unsafe_code)] // Calls code that is compiled for instructions which not every machine has.

use super::component::{Component, with_neighbours};
use crate::vision::picture::Area;
use std::ops::Range;

/// The levels of a part of the picture, red, green and blue side by side.
pub(super) fn rgb(components: &[Component; 3], area: Area) -> Vec<u8> {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the machine has AVX2.
        return unsafe { rgb_avx2(components, area) };
    }
    rgb_portable(components, area)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn rgb_avx2(components: &[Component; 3], area: Area) -> Vec<u8> {
    rgb_portable(components, area)
}

#[inline(always)]
fn rgb_portable([luma, blue, red]: &[Component; 3], area: Area) -> Vec<u8> {
    let mut rgb = vec![0; 3 * area.width * area.height];
    let mut planes = [(); 3].map(|()| vec![0; area.width]);
    let mut chroma = [Line::new(blue, area), Line::new(red, area)];
    for (row, pixels) in (area.top..).zip(rgb.chunks_exact_mut(3 * area.width)) {
        let [blue, red] = chroma.each_mut().map(|line| line.fill(row));
        let luma = luma.row(row, area.left..area.left + area.width);
        let [r, g, b] = planes.each_mut().map(|plane| &mut plane[..]);
        colours(luma, blue, red, r, g, b);
        for (pixel, ((r, g), b)) in pixels.as_chunks_mut::<3>().0.iter_mut().zip(r.iter().zip(&*g).zip(&*b)) {
            *pixel = [*r, *g, *b];
        }
    }
    rgb
}

/// JFIF's YCbCr as red, green and blue, in 16 bits after the point.
#[inline(always)]
fn colours(luma: &[u8], blue: &[u8], red: &[u8], r: &mut [u8], g: &mut [u8], b: &mut [u8]) {
    let pixels = luma.len();
    let (blue, red, r, g, b) = (&blue[..pixels], &red[..pixels], &mut r[..pixels], &mut g[..pixels], &mut b[..pixels]);
    let half = 1 << 15;
    for at in 0..pixels {
        let luma = i32::from(luma[at]);
        let (blue, red) = (i32::from(blue[at]) - 128, i32::from(red[at]) - 128);
        r[at] = (luma + ((91_881 * red + half) >> 16)).clamp(0, 255) as u8;
        g[at] = (luma + ((-22_554 * blue - 46_802 * red + half) >> 16)).clamp(0, 255) as u8;
        b[at] = (luma + ((116_130 * blue + half) >> 16)).clamp(0, 255) as u8;
    }
}

/// One component at the pixels of a row.
struct Line<'c> {
    component: &'c Component,
    /// Its samples that the row is made of.
    columns: Range<usize>,
    /// Which of the pixels made of them is the first that is wanted.
    skipped: usize,
    pixels: Vec<u8>,
    sums: Vec<u16>,
}

impl<'c> Line<'c> {
    fn new(component: &'c Component, area: Area) -> Self {
        let ratio = component.ratio.0;
        let columns = with_neighbours(area.left, area.width, ratio, component.size.0);
        let skipped = area.left - columns.start * ratio;
        let pixels = vec![0; (columns.len() * ratio).max(skipped + area.width)];
        Self { component, sums: vec![0; columns.len()], columns, skipped, pixels }
    }

    /// The pixels of the picture's `row`.
    #[inline(always)]
    fn fill(&mut self, row: usize) -> &[u8] {
        let Self { component, columns, skipped, pixels, sums } = self;
        let (across, down) = component.ratio;
        let (width, height) = component.size;
        let near = component.row(row / down, columns.clone());
        // The nearer of the rows above and below.
        let far = || {
            let far = if row.is_multiple_of(2) { (row / 2).saturating_sub(1) } else { (row / 2 + 1).min(height - 1) };
            component.row(far, columns.clone())
        };
        match (across, down) {
            (1, 1) => pixels[..near.len()].copy_from_slice(near),
            (2, 1) if width > 2 => doubled(near, pixels),
            (2, 2) if width > 2 => doubled_both_ways(near, far(), sums, pixels),
            (1, 2) => {
                let round = if row.is_multiple_of(2) { 1 } else { 2 };
                for ((pixel, near), far) in pixels.iter_mut().zip(near).zip(far()) {
                    *pixel = ((u16::from(*near) * 3 + u16::from(*far) + round) >> 2) as u8;
                }
            }
            _ => pixels.chunks_mut(across).zip(near).for_each(|(pixels, sample)| pixels.fill(*sample)),
        }
        &pixels[*skipped..]
    }
}

/// Twice as many pixels as there are samples: three parts of the nearer, one of the farther.
#[inline(always)]
fn doubled(samples: &[u8], pixels: &mut [u8]) {
    let [first, .., last] = samples else { return };
    let inner = pixels[1..].as_chunks_mut::<2>().0;
    for (pair, (left, right)) in inner.iter_mut().zip(samples.iter().zip(&samples[1..])) {
        let (left, right) = (u16::from(*left), u16::from(*right));
        *pair = [((left * 3 + right + 2) >> 2) as u8, ((right * 3 + left + 1) >> 2) as u8];
    }
    pixels[0] = *first;
    pixels[2 * samples.len() - 1] = *last;
}

/// As [`doubled`], and the same with the nearer and the farther row.
#[inline(always)]
fn doubled_both_ways(near: &[u8], far: &[u8], sums: &mut [u16], pixels: &mut [u8]) {
    for (sum, (near, far)) in sums.iter_mut().zip(near.iter().zip(far)) {
        *sum = u16::from(*near) * 3 + u16::from(*far);
    }
    let [first, .., last] = &*sums else { return };
    let inner = pixels[1..].as_chunks_mut::<2>().0;
    for (pair, (left, right)) in inner.iter_mut().zip(sums.iter().zip(&sums[1..])) {
        *pair = [((left * 3 + right + 7) >> 4) as u8, ((right * 3 + left + 8) >> 4) as u8];
    }
    pixels[0] = ((first * 4 + 8) >> 4) as u8;
    pixels[2 * sums.len() - 1] = ((last * 4 + 7) >> 4) as u8;
}
