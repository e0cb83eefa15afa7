//! A step that is ready to run: a packed kernel, and the values that it reads and writes.
#![allow(unsafe_code)] // Calls code that is compiled for instructions which not every machine has.

use super::isa::InstructionSet;
use super::kernels::{Convolution, Elementwise, Kernel, Matmul, Mean, Operation, Softmax, Window, WindowOp, depthwise};
use super::operands::{Channels, Operands};
use super::packer::{Packer, Room};
use super::places::Places;
use super::shelf::Shelf;
use crate::compile::{Kernel as Computed, Plan, Step};
use crate::device::precision::Precision;
use crate::device::profile::StepTime;
use crate::error::{Error, Result};

#[derive(Debug)]
pub(super) struct Task {
    kernel: Box<dyn Kernel>,
    pub operands: Operands,
    /// Numbers of memory that a thread needs besides.
    pub scratch: usize,
}

/// Packs every step of a plan that was compiled for the lanes of `set`, and makes sure that each stays within the memory
/// that it is going to have: this is what the kernels rely on. The plan's weights go one by one as they are packed. Returns
/// with the tasks what each does.
///
/// # Errors
/// [`Error::Limit`] where tables or padded weights are over the budget; [`Error::Device`] where a step would take more of a
/// thread's own memory than there is room for, or where the system has no memory.
pub(super) fn pack(
    plan: Plan,
    set: InstructionSet,
    threads: usize,
    room: Room,
    shelf: &Shelf,
) -> Result<(Vec<Task>, Vec<StepTime>)> {
    let packer = Packer::new(&plan.input, set, threads, room);
    let pack = |step: Step| {
        let task = Task::pack(&packer, &step)?;
        let profile = StepTime::of(&step, task.name(), Precision::F32);
        Ok((task, profile))
    };
    let (mut tasks, profile): (Vec<Task>, Vec<StepTime>) =
        plan.steps.into_iter().map(pack).collect::<Result<Vec<_>>>()?.into_iter().unzip();
    shelf.gather(tasks.iter_mut().flat_map(|task| task.kernel.numbers()).collect());
    if let Some((task, step)) = tasks.iter().zip(&profile).find(|(task, _)| !task.stays_within(set)) {
        let (kernel, name) = (task.name(), &step.name);
        return Err(Error::device(format!(
            "cpu: a {kernel} step ({name}) would leave its memory; this is a bug in pretrained"
        )));
    }
    Ok((tasks, profile))
}

impl Task {
    fn pack(packer: &Packer, step: &Step) -> Result<Self> {
        let planes = packer.planes(&step.source);
        let (kernel, scratch) = kernel(packer, step, &planes)?;
        let operands = packer.operands(step, kernel.keeps_channels_apart().then_some(&planes[..]))?;
        let together = operands.channels.iter().all(|channels| matches!(channels, Channels::Together(_)));
        // Windows see rows where they lie, unless channels lie apart.
        let scratch = if kernel.keeps_channels_apart() && together { 0 } else { scratch };
        packer.check_scratch(step, scratch)?;
        Ok(Self { kernel, operands, scratch })
    }

    /// What a profile calls its kernel.
    pub fn name(&self) -> &'static str {
        self.kernel.name()
    }

    /// Units of work for `count` images.
    pub fn units(&self, count: usize) -> usize {
        self.kernel.units(&self.operands, count)
    }

    /// Whether each number that the kernel touches lies within one image of what it reads and writes, within the scratch
    /// memory that it asks for, and within its own weights.
    pub fn stays_within(&self, set: InstructionSet) -> bool {
        let operands = &self.operands;
        self.kernel.reach(operands, set.lanes()).is_some_and(|reach| {
            reach.x <= operands.x_image
                && reach.y <= operands.y_image
                && reach.other <= operands.other.map_or(0, |other| other.image)
                && reach.scratch <= self.scratch
        })
    }

    /// Whether `places` hold as many images as they are to, and scratch memory, of a task that [stays
    /// within](Self::stays_within) one.
    pub fn fits(&self, places: &Places) -> bool {
        let holds = |numbers: usize, image: usize| places.count.checked_mul(image).is_some_and(|all| all <= numbers);
        holds(places.x_numbers, self.operands.x_image)
            && holds(places.y_numbers, self.operands.y_image)
            && self.operands.other.is_none_or(|other| holds(places.other_numbers, other.image))
            && self.scratch <= places.scratch_numbers
    }

    /// Computes one unit.
    ///
    /// # Safety
    /// 1 to 4 of [`places`](super::places), and `unit` is one of [`units`](Self::units).
    pub unsafe fn compute(&self, set: InstructionSet, unit: usize, places: Places) {
        debug_assert!(self.fits(&places), "the memory is that of the task's images");
        debug_assert!(unit < self.units(places.count), "a unit is one of the task's");
        // SAFETY: 1 to 4, which are the caller's promise.
        unsafe { self.kernel.compute(set, &self.operands, unit, places) }
    }
}

/// The kernel of a step, and numbers of memory that a thread needs besides where channels lie apart.
fn kernel(packer: &Packer, step: &Step, planes: &[usize]) -> Result<(Box<dyn Kernel>, usize)> {
    let elementwise = |operation| Box::new(Elementwise::pack(packer, step, operation));
    Ok(match &step.kernel {
        Computed::Linear { linear, weight, bias } => {
            (Box::new(Matmul::linear(packer, step, planes, linear, [weight, bias])?), 0)
        }
        Computed::Conv2d { conv, weight, bias } if conv.is_pointwise() => {
            (Box::new(Matmul::pointwise(packer, step, planes, conv, [weight, bias])?), 0)
        }
        // Only the kernels of matrices add a second operand.
        Computed::Conv2d { conv, weight, bias } if conv.is_depthwise() && step.other.is_none() => {
            let weights = packer.by_vector(weight, conv.window.taps())?;
            let op = WindowOp::Sum { weights, bias: packer.by_vector(bias, 1)? };
            let (window, scratch) = Window::pack(packer, step, op, conv.window);
            (depthwise(window), scratch)
        }
        Computed::Conv2d { conv, weight, bias } => {
            let (convolution, scratch) = Convolution::pack(packer, step, planes, conv, [weight, bias])?;
            (Box::new(convolution), scratch)
        }
        Computed::MaxPool2d(pool) => {
            let (window, scratch) = Window::pack(packer, step, WindowOp::Max, pool.window);
            (Box::new(window), scratch)
        }
        Computed::AvgPool2d(pool) => {
            let op = WindowOp::Average { count_include_pad: pool.count_include_pad };
            let (window, scratch) = Window::pack(packer, step, op, pool.window);
            (Box::new(window), scratch)
        }
        Computed::Mean => (Box::new(Mean), 0),
        Computed::Softmax => (Box::new(Softmax { channels: step.target.shape.channels }), 0),
        Computed::Copy => (elementwise(Operation::Copy), 0),
        Computed::Add => (elementwise(Operation::Add), 0),
        Computed::Mul => (elementwise(Operation::Mul), 0),
    })
}
