//! Channels taken to another place, or from planes to vectors.

use super::Places;
use crate::device::cpu::pack::{Channels, Step};
use crate::device::cpu::simd::Vector;

/// A unit is one vector of channels of one image.
///
/// # Safety
/// As [`super::compute`].
#[inline(always)]
pub(super) unsafe fn compute<V: Vector>(relu: bool, step: &Step, unit: usize, places: Places) {
    let (image, group) = (unit / step.channels.len(), unit % step.channels.len());
    // SAFETY: every channel has `pixels` pixels, and the image lies within the batch.
    unsafe {
        let x = places.x.add(image * step.x_image);
        let zero = V::splat(0.0);
        let y = places.y.add(image * step.y_image + step.y_offset + group * step.y_group);
        for pixel in 0..step.pixels {
            let (from, to) = (pixel * step.x_pixel, y.add(pixel * V::LANES));
            match &step.channels[group] {
                Channels::Together(at) => V::load(x.add(at + from)).store(to),
                Channels::Apart(lanes) => {
                    zero.store(to);
                    for (lane, at) in lanes.iter().enumerate() {
                        *to.add(lane) = *x.add(at + from);
                    }
                }
            }
            if relu {
                V::load(to).max(zero).store(to);
            }
        }
    }
}
