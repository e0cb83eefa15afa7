//! Numbers taken as they are, from planes or elsewhere, and sums and products of two.

use super::kernel::{Kernel, compiled};
use crate::compile::Step;
use crate::device::cpu::isa::InstructionSet;
use crate::device::cpu::operands::{Channels, Operands};
use crate::device::cpu::packer::Packer;
use crate::device::cpu::places::Places;
use crate::device::cpu::reach::{Reach, end};
use crate::device::cpu::simd::Vector;

/// What goes number by number.
#[derive(Debug)]
pub(in crate::device::cpu) struct Elementwise {
    op: Operation,
    /// Parts into which the pixels of a vector of channels are divided.
    parts: usize,
}

#[derive(Debug, Clone, Copy)]
pub(in crate::device::cpu) enum Operation {
    Copy,
    Add,
    Mul,
}

impl Elementwise {
    pub fn pack(packer: &Packer, step: &Step, op: Operation) -> Self {
        let out = step.target.shape;
        let groups = out.channels.div_ceil(packer.lanes);
        let parts = packer.units.div_ceil(groups).min(out.pixels());
        Self { op, parts }
    }
}

impl Kernel for Elementwise {
    fn name(&self) -> &'static str {
        match self.op {
            Operation::Copy => "copy",
            Operation::Add => "add",
            Operation::Mul => "mul",
        }
    }

    fn units(&self, operands: &Operands, count: usize) -> usize {
        count * operands.channels.len() * self.parts
    }

    fn reach(&self, operands: &Operands, lanes: usize) -> Option<Reach> {
        let Operands { channels, pixels, other, .. } = operands;
        let other = other.map_or(Some(0), |other| {
            end(other.offset, &[(channels.len(), other.group), (*pixels, other.pixel)], lanes)
        })?;
        operands.reach(*pixels, other, lanes)
    }

    compiled!(Elementwise);
}

/// A unit is some pixels of one vector of channels of one image.
///
/// # Safety
/// As [`Kernel::compute`].
#[inline(always)]
unsafe fn compute<V: Vector>(elementwise: &Elementwise, operands: &Operands, unit: usize, places: Places) {
    let (groups, parts) = (operands.channels.len(), elementwise.parts);
    let (image, group, part) = (unit / (groups * parts), unit / parts % groups, unit % parts);
    // SAFETY: 1, 3 and 4; every channel has `pixels` pixels, of the other operand one or as many; the image lies within the batch.
    unsafe {
        let x = places.x.add(image * operands.x_image);
        let y = places.y.add(image * operands.y_image + operands.y_offset + group * operands.y_group);
        let other = operands.other_at(places.other, image);
        let other = |pixel: usize| {
            let place = operands.other.map_or(0, |other| group * other.group + pixel * other.pixel);
            V::load(other.add(place))
        };
        for pixel in operands.pixels * part / parts..operands.pixels * (part + 1) / parts {
            let from = pixel * operands.x_pixel;
            let value = match &operands.channels[group] {
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
                Operation::Copy => value,
                Operation::Add => value.add(other(pixel)),
                Operation::Mul => value.mul(other(pixel)),
            };
            operands.finish.between(value).store(y.add(pixel * V::LANES));
            operands.finish.bend::<V>(y.add(pixel * V::LANES), (1, 0), (1, 0));
        }
    }
}
