//! Which kernel runs a step, in which family.

mod convolution;
mod elementwise;
mod kernel;
mod linear;
mod pool;
mod separable;

pub(super) use kernel::Kernel;
pub(super) use separable::{are_separable, of as separable};

use super::family::Family;
use crate::compile::{Kernel as Computed, Step};
use crate::device::program::Terms;
use crate::error::Result;

/// The kernel for `step`, packed on these `terms`; `half` tells whether its results are numbers of 16 bits.
pub(super) fn of(step: &Step, family: Family, terms: &Terms, half: bool) -> Result<Kernel> {
    let budget = terms.budget;
    let (source, out) = (&step.source, step.target.shape);
    Ok(match &step.kernel {
        Computed::Linear { linear, weight, bias } => {
            linear::of(family, half, source, linear.out_features, [weight, bias], budget)?
        }
        // On a single pixel it is a fully connected layer.
        Computed::Conv2d { conv, weight, bias }
            if conv.is_pointwise() && source.height * source.width == 1 && step.other.is_none() =>
        {
            linear::of(family, half, source, conv.out_channels, [weight, bias], budget)?
        }
        Computed::Conv2d { conv, weight, bias } => convolution::of(family, terms, step, conv, [weight, bias])?,
        Computed::MaxPool2d(pool) => pool::max(family, source, out, pool.window),
        Computed::AvgPool2d(pool) => pool::average(source, out, pool),
        Computed::Mean => pool::mean(family, source, out),
        Computed::Softmax => elementwise::softmax(source),
        Computed::Copy => elementwise::of(step, elementwise::Operation::Copy),
        Computed::Add => elementwise::of(step, elementwise::Operation::Add),
        Computed::Mul => elementwise::of(step, elementwise::Operation::Mul),
    })
}
