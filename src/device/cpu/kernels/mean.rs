//! The mean of each channel.

use super::Places;
use crate::device::cpu::simd::Vector;
use crate::device::cpu::step::{Channels, Step};

/// A unit is one vector of channels of one image.
///
/// # Safety
/// As [`Places`] has it; and the machine has the instruction set of `V`.
#[inline(always)]
pub unsafe fn compute<V: Vector>((): &(), step: &Step, unit: usize, places: Places) {
    let (image, group) = (unit / step.channels.len(), unit % step.channels.len());
    let share = 1.0 / step.pixels as f32;
    // SAFETY: every channel has `pixels` pixels, and the image lies within the batch.
    unsafe {
        let x = places.x.add(image * step.x_image);
        let y = places.y.add(image * step.y_image + step.y_offset + group * step.y_group);
        match &step.channels[group] {
            Channels::Together(at) => {
                // Four sums, so that additions need not wait for each other, and rounding errors stay smaller.
                let mut sums = [V::splat(0.0); 4];
                for pixel in 0..step.pixels {
                    let x = V::load(x.add(at + pixel * step.x_pixel));
                    sums[pixel % 4] = sums[pixel % 4].add(x);
                }
                let [a, b, c, d] = sums;
                a.add(b).add(c.add(d)).mul(V::splat(share)).store(y);
            }
            Channels::Apart(lanes) => {
                V::splat(0.0).store(y);
                for (lane, at) in lanes.iter().enumerate() {
                    let sum: f32 = (0..step.pixels).map(|pixel| *x.add(at + pixel * step.x_pixel)).sum();
                    *y.add(lane) = sum * share;
                }
            }
        }
    }
}
