//! What packing a step takes, whichever kernel it becomes: lanes, units, and what memory is left.

use super::finish::Finish;
use super::isa::InstructionSet;
use super::memory::Numbers;
use super::operands::{Channels, Operands, Other};
use crate::compile::{Budget, Source, Step, Target};
use crate::error::{Error, Result};

/// Bytes that an input of a matrix takes: its place, for a moment twice.
pub(super) const INPUT: usize = size_of::<usize>() + size_of::<u32>();

/// Numbers that a band of rows may have, to stay in a core's own cache.
pub(super) const BAND: usize = 64 << 10;

/// Units of work for each thread, in a step that can be divided so far: enough for one thread to take over what another
/// cannot do in time.
const UNITS_PER_THREAD: usize = 6;

/// What steps may take.
pub(super) struct Room<'b> {
    /// Beside weights.
    pub budget: &'b Budget,
    /// Numbers of a thread's own memory.
    pub scratch: usize,
}

pub(super) struct Packer<'p> {
    /// Where the plan's input lies.
    input: &'p Target,
    pub set: InstructionSet,
    pub lanes: usize,
    /// Units into which a step is divided, if it can be.
    pub units: usize,
    pub room: Room<'p>,
}

impl<'p> Packer<'p> {
    /// For a plan that was compiled for the lanes of `set`.
    pub fn new(input: &'p Target, set: InstructionSet, threads: usize, room: Room<'p>) -> Self {
        Self { input, set, lanes: set.lanes(), units: threads * UNITS_PER_THREAD, room }
    }

    /// Where each channel that `source` has begins. The input is read where the caller has it, without padding.
    pub fn planes(&self, source: &Source) -> Vec<usize> {
        let pixels = source.height * source.width;
        match is_input(source) {
            true => source.planes.iter().map(|plane| plane / self.input.group_stride() * pixels).collect(),
            false => source.planes.clone(),
        }
    }

    /// Where the values of a step lie; `planes` only for a kernel that keeps channels apart.
    pub fn operands(&self, step: &Step, planes: Option<&[usize]>) -> Result<Operands> {
        let (source, target) = (&step.source, &step.target);
        let input = is_input(source);
        Ok(Operands {
            source: (!input).then_some(source.buffer),
            target: target.buffer,
            x_image: if input { self.input.shape.elements() } else { source.image_stride },
            x_pixel: source.lanes,
            y_image: target.image_stride,
            y_offset: target.offset,
            y_group: target.group_stride(),
            other: step.other.as_ref().map(|other| self.other(other)).transpose()?,
            // Under a pool results were bent before.
            finish: Finish::new(step.activation.filter(|_| step.pool.is_none())),
            channels: planes.map_or_else(Vec::new, |planes| self.channels(planes, source.lanes)),
            pixels: source.height * source.width,
        })
    }

    /// The second operand, whose vectors must lie at one stride: the kernels ask no table.
    pub fn other(&self, other: &Source) -> Result<Other> {
        let first = other.planes.first().copied().unwrap_or(0);
        let group = other.planes.get(self.lanes).map_or(0, |second| second.abs_diff(first));
        let place = |channel: usize| first + channel / self.lanes * group + channel % self.lanes;
        if other.lanes != self.lanes || other.planes.iter().enumerate().any(|(channel, at)| *at != place(channel)) {
            return Err(Error::device("cpu: a second operand is not in whole vectors; this is a bug in pretrained"));
        }
        let pixel = if other.height * other.width == 1 { 0 } else { other.lanes };
        Ok(Other { buffer: other.buffer, image: other.image_stride, offset: first, group, pixel })
    }

    /// `[channel][each]` as `[vector][each][lanes]`, filled up by zeros.
    pub fn by_vector(&self, values: &[f32], each: usize) -> Result<Numbers> {
        let length = values.len().div_ceil(self.lanes * each).saturating_mul(self.lanes * each);
        self.room.budget.take(length - values.len(), size_of::<f32>())?;
        let mut packed = Vec::with_capacity(length);
        for vector in values.chunks(self.lanes * each) {
            for i in 0..each {
                packed.extend((0..self.lanes).map(|lane| vector.get(lane * each + i).copied().unwrap_or(0.0)));
            }
        }
        Numbers::new(&packed)
    }

    fn channels(&self, planes: &[usize], lanes: usize) -> Vec<Channels> {
        let vectors = planes.chunks(self.lanes);
        let pack = |vector: &[usize]| {
            let first = vector.first().copied().unwrap_or(0);
            let together = lanes == self.lanes
                && first.is_multiple_of(lanes)
                && vector.iter().enumerate().all(|(lane, plane)| *plane == first + lane);
            if together { Channels::Together(first) } else { Channels::Apart(vector.to_vec()) }
        };
        vectors.map(pack).collect()
    }

    /// An error where a step takes more of a thread's own memory than there is room for.
    pub fn check_scratch(&self, step: &Step, scratch: usize) -> Result<()> {
        if scratch <= self.room.scratch {
            return Ok(());
        }
        let name = if step.name.is_empty() { "a step" } else { &step.name };
        let [bytes, most] = [scratch, self.room.scratch].map(|numbers| numbers.saturating_mul(size_of::<f32>()));
        Err(Error::out_of_memory(format!(
            "cpu: {name} takes {bytes} bytes of memory for each thread, and {most} is its limit \
             (`Limits::activation_bytes`)"
        )))
    }
}

/// Of all values only the input lies in planes.
fn is_input(source: &Source) -> bool {
    source.lanes == 1
}
