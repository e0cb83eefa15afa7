//! Convolutions of any kernel, stride, padding and groups, as sums over rows that are laid out with their padding.

use super::Places;
use super::matmul::{Pixels, sums};
use crate::device::cpu::pack::{Convolution, Step};
use crate::device::cpu::simd::Vector;

/// A unit is some rows of one image by some tiles.
///
/// # Safety
/// As [`super::compute`].
#[inline(always)]
pub(super) unsafe fn compute<V: Vector>(conv: &Convolution, step: &Step, unit: usize, places: Places) {
    let (parts, bands) = (conv.parts, conv.height.div_ceil(conv.rows));
    let (image, band, part) = (unit / (bands * parts), unit / parts % bands, unit % parts);
    let first = band * conv.rows;
    let [down, across] = conv.stride;
    let tiles = conv.matrix.tiles.len();
    // SAFETY: bands lie one behind the other in the scratch memory, which is as large as all of them; the rows of the
    // unit lie within the image, and the image within the batch.
    unsafe {
        let x = places.x.add(image * step.x_image);
        for (i, group) in conv.groups.iter().enumerate() {
            let to = places.scratch.add(i * conv.region.band());
            conv.region.copy::<V>(x.add(*group), to, first * down, 0.0);
        }
        let y = places.y.add(image * step.y_image + step.y_offset);
        let other = step.other_at(places.other, image);
        for tile in &conv.matrix.tiles[tiles * part / parts..tiles * (part + 1) / parts] {
            for row in first..conv.height.min(first + conv.rows) {
                let pixels = Pixels {
                    x: places.scratch.add((row - first) * down * conv.region.row()),
                    x_stride: across * conv.region.lanes,
                    y: y.add(row * conv.width * V::LANES),
                    y_stride: V::LANES,
                    y_group: step.y_group,
                    other: other.wrapping_add(row * conv.width * V::LANES),
                    other_stride: V::LANES,
                    count: conv.width,
                };
                sums::<V>(&conv.matrix, *tile, pixels);
            }
        }
    }
}
