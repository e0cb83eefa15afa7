//! The softmax over the channels of each pixel.

use super::kernel::{Kernel, compiled};
use crate::device::cpu::isa::InstructionSet;
use crate::device::cpu::operands::Operands;
use crate::device::cpu::places::Places;
use crate::device::cpu::reach::Reach;
use crate::device::cpu::simd::Vector;

#[derive(Debug)]
pub(in crate::device::cpu) struct Softmax {
    pub channels: usize,
}

impl Kernel for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn units(&self, _: &Operands, count: usize) -> usize {
        count
    }

    fn reach(&self, operands: &Operands, lanes: usize) -> Option<Reach> {
        let held = operands.channels.len().checked_mul(lanes)?;
        (self.channels <= held).then(|| operands.reach(operands.pixels, 0, lanes))?
    }

    compiled!(Softmax);
}

/// A unit is one image. Numbers are few where networks have a softmax, so they are taken one by one.
///
/// # Safety
/// As [`Kernel::compute`].
#[inline(always)]
unsafe fn compute<V: Vector>(&Softmax { channels }: &Softmax, operands: &Operands, image: usize, places: Places) {
    // SAFETY: 1, 3 and 4; every channel has `pixels` pixels, and the image lies within the batch.
    unsafe {
        let x = places.x.add(image * operands.x_image);
        let y = places.y.add(image * operands.y_image + operands.y_offset);
        for pixel in 0..operands.pixels {
            let numbers = || {
                (0..channels).map(move |c| {
                    let (group, lane) = (c / V::LANES, c % V::LANES);
                    let from = operands.channels[group].place(lane) + pixel * operands.x_pixel;
                    (from, group * operands.y_group + pixel * V::LANES + lane)
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
