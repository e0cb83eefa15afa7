//! Numbers taken as they are, from planes or elsewhere, and sums and products of two.

use super::Places;
use crate::device::cpu::simd::Vector;
use crate::device::cpu::step::{Channels, Elementwise, ElementwiseOp, Step};

/// A unit is some pixels of one vector of channels of one image.
///
/// # Safety
/// As [`Places`] has it; and the machine has the instruction set of `V`.
#[inline(always)]
pub unsafe fn compute<V: Vector>(elementwise: &Elementwise, step: &Step, unit: usize, places: Places) {
    let (groups, parts) = (step.channels.len(), elementwise.parts);
    let (image, group, part) = (unit / (groups * parts), unit / parts % groups, unit % parts);
    // SAFETY: every channel has `pixels` pixels, of the other operand one or as many; the image lies within the batch.
    unsafe {
        let x = places.x.add(image * step.x_image);
        let y = places.y.add(image * step.y_image + step.y_offset + group * step.y_group);
        let other = step.other_at(places.other, image);
        let other = |pixel: usize| {
            let place = step.other.map_or(0, |other| group * other.group + pixel * other.pixel);
            V::load(other.add(place))
        };
        for pixel in step.pixels * part / parts..step.pixels * (part + 1) / parts {
            let from = pixel * step.x_pixel;
            let value = match &step.channels[group] {
                Channels::Together(at) => V::load(x.add(at + from)),
                Channels::Apart(lanes) => {
                    let mut value = [0.0; 16];
                    for (value, at) in value.iter_mut().zip(lanes) {
                        *value = *x.add(at + from);
                    }
                    V::load(value.as_ptr())
                }
            };
            let value = match elementwise.op {
                ElementwiseOp::Copy => value,
                ElementwiseOp::Add => value.add(other(pixel)),
                ElementwiseOp::Mul => value.mul(other(pixel)),
            };
            step.finish.between(value).store(y.add(pixel * V::LANES));
            step.finish.bend::<V>(y.add(pixel * V::LANES), (1, 0), (1, 0));
        }
    }
}
