//! The mean of each channel.

use super::kernel::{Kernel, compiled};
use crate::device::cpu::isa::InstructionSet;
use crate::device::cpu::operands::{Channels, Operands};
use crate::device::cpu::places::Places;
use crate::device::cpu::reach::Reach;
use crate::device::cpu::simd::Vector;

#[derive(Debug)]
pub(in crate::device::cpu) struct Mean;

impl Kernel for Mean {
    fn name(&self) -> &'static str {
        "mean"
    }

    fn units(&self, operands: &Operands, count: usize) -> usize {
        count * operands.channels.len()
    }

    fn reach(&self, operands: &Operands, lanes: usize) -> Option<Reach> {
        operands.reach(1, 0, lanes)
    }

    compiled!(Mean);
}

/// A unit is one vector of channels of one image.
///
/// # Safety
/// As [`Kernel::compute`].
#[inline(always)]
unsafe fn compute<V: Vector>(_: &Mean, operands: &Operands, unit: usize, places: Places) {
    let (image, group) = (unit / operands.channels.len(), unit % operands.channels.len());
    let share = 1.0 / operands.pixels as f32;
    // SAFETY: 1, 3 and 4; every channel has `pixels` pixels, and the image lies within the batch.
    unsafe {
        let x = places.x.add(image * operands.x_image);
        let y = places.y.add(image * operands.y_image + operands.y_offset + group * operands.y_group);
        match &operands.channels[group] {
            Channels::Together(at) => {
                // Four sums, so that additions need not wait for each other, and rounding errors stay smaller.
                let mut sums = [V::splat(0.0); 4];
                for pixel in 0..operands.pixels {
                    let x = V::load(x.add(at + pixel * operands.x_pixel));
                    sums[pixel % 4] = sums[pixel % 4].add(x);
                }
                let [a, b, c, d] = sums;
                a.add(b).add(c.add(d)).mul(V::splat(share)).store(y);
            }
            Channels::Apart(lanes) => {
                V::splat(0.0).store(y);
                for (lane, at) in lanes.iter().enumerate() {
                    let sum: f32 = (0..operands.pixels).map(|pixel| *x.add(at + pixel * operands.x_pixel)).sum();
                    *y.add(lane) = sum * share;
                }
            }
        }
    }
}
