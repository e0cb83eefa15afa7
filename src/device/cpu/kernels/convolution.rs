//! Convolutions of any kernel, stride, padding and groups, as sums over rows that are laid out with their padding.

use super::Places;
use super::matmul::{Pixels, sums};
use super::window::max_line;
use crate::device::cpu::simd::Vector;
use crate::device::cpu::step::{Convolution, Step};

/// A unit is some rows of one image by some tiles. Under a pool it is some rows of the pool: rows of the convolution are
/// computed as the pool comes to see them, so that it finds them in the cache.
///
/// # Safety
/// As [`Places`] has it; and the machine has the instruction set of `V`.
#[inline(always)]
pub unsafe fn compute<V: Vector>(conv: &Convolution, step: &Step, unit: usize, places: Places) {
    let (parts, bands) = (conv.parts, conv.bands());
    let (image, band, part) = (unit / (bands * parts), unit / parts % bands, unit % parts);
    let tiles = conv.matrix.tiles.len();
    let tiles = &conv.matrix.tiles[tiles * part / parts..tiles * (part + 1) / parts];
    let [down, across] = conv.stride;
    let row_of = conv.width * V::LANES;
    let (outputs, rows) = conv.band(band);
    // SAFETY: bands lie one behind the other in the scratch memory, and behind them the rows that a pool sees; it is as
    // large as all of that. The rows of the unit lie within the image, and the image within the batch.
    unsafe {
        let x = places.x.add(image * step.x_image);
        for (i, group) in conv.groups.iter().enumerate() {
            let to = places.scratch.add(i * conv.region.band());
            conv.region.copy::<V>(x.add(*group), to, rows.start * down, 0.0);
        }
        let y = places.y.add(image * step.y_image + step.y_offset);
        let other = step.other_at(places.other, image);
        // Where the convolution's rows go, from the unit's first on.
        let (results, y_group) = match &conv.pool {
            Some(pool) => (places.scratch.add(pool.scratch), pool.rows * row_of),
            None => (y.add(rows.start * row_of), step.y_group),
        };
        let mut done = rows.start;
        for output in outputs {
            let next = conv.pool.as_ref().map_or(rows.end, |pool| pool.sees(output..output + 1, conv.height).end);
            for tile in tiles {
                for row in done..next {
                    let pixels = Pixels {
                        x: places.scratch.add((row - rows.start) * down * conv.region.row()),
                        x_stride: across * conv.region.lanes,
                        y: results.add((row - rows.start) * row_of),
                        y_stride: V::LANES,
                        y_group,
                        other: other.wrapping_add(row * row_of),
                        other_stride: V::LANES,
                        count: conv.width,
                    };
                    sums::<V>(&conv.matrix, *tile, pixels);
                }
            }
            done = done.max(next);
            if let Some(pool) = &conv.pool {
                for vector in 0..pool.vectors {
                    let y = y.add(vector * step.y_group + output * pool.window.width * V::LANES);
                    max_line::<V>(&pool.window, step, results.add(vector * y_group), rows.clone(), output, y);
                }
            }
        }
    }
}
