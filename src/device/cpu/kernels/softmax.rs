//! The softmax over the channels of each pixel.

use super::Places;
use crate::device::cpu::simd::Vector;
use crate::device::cpu::step::Step;

/// A unit is one image. Numbers are few where networks have a softmax, so they are taken one by one.
///
/// # Safety
/// As [`Places`] has it; and the machine has the instruction set of `V`.
#[inline(always)]
pub unsafe fn compute<V: Vector>(&channels: &usize, step: &Step, image: usize, places: Places) {
    // SAFETY: every channel has `pixels` pixels, and the image lies within the batch.
    unsafe {
        let x = places.x.add(image * step.x_image);
        let y = places.y.add(image * step.y_image + step.y_offset);
        for pixel in 0..step.pixels {
            let numbers = || {
                (0..channels).map(move |c| {
                    let (group, lane) = (c / V::LANES, c % V::LANES);
                    let from = step.channels[group].place(lane) + pixel * step.x_pixel;
                    (from, group * step.y_group + pixel * V::LANES + lane)
                })
            };
            let most = numbers().fold(f32::NEG_INFINITY, |most, (from, _)| most.max(*x.add(from)));
            let mut sum = 0.0;
            for (from, to) in numbers() {
                let power = (*x.add(from) - most).exp();
                sum += power;
                *y.add(to) = power;
            }
            for (_, to) in numbers() {
                *y.add(to) /= sum;
            }
        }
    }
}
