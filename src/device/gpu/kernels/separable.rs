//! A depthwise convolution and the 1x1 convolution after it as one, where there are few results.

use super::convolution::{SLICES, is_sliced};
use super::kernel::Kernel;
use crate::compile::{Budget, Kernel as Computed, Step};
use crate::device::gpu::family::Family;
use crate::device::gpu::groups::{Groups, LANES, whole};
use crate::device::gpu::shader::Shader;
use crate::device::gpu::weights;
use crate::device::gpu::workgroups::per_slices;
use crate::device::program::Terms;
use crate::error::{Error, Result};
use crate::graph::Conv2d;

/// Rows or columns of a window, at most: `separable_sliced.wgsl` notes of each whether it is inside of the image.
const TAPS: usize = 8;

/// Whether `step` and the `next` are computed as one: nobody else reads the results of the first, whose channels lie in whole
/// groups, and the second has few results, so that to compute some of the first again costs less than to wait for them.
pub(in crate::device::gpu) fn are_separable(step: &Step, next: &Step, family: Family, terms: &Terms) -> bool {
    let apart = step.source.buffer != next.target.buffer;
    let wide = next.source.height * next.source.width > 1;
    let rounds = next.source.planes.len().div_ceil(LANES * SLICES);
    let invocations = per_slices(next.target.shape, SLICES).invocations(terms.max_batch);
    let few = is_sliced(family, terms, next.target.shape) && family.repeats(invocations.saturating_mul(rounds));
    let small = convolution(step).is_ok_and(|(conv, ..)| conv.window.kernel.iter().all(|taps| *taps <= TAPS));
    step.chained && apart && wide && small && whole(&step.source) && few
}

/// The kernel for both.
pub(in crate::device::gpu) fn of(step: &Step, next: &Step, terms: &Terms) -> Result<Kernel> {
    const TILE: usize = 4;
    let (first, second) = (convolution(step)?, convolution(next)?);
    let read = Groups::of(&next.source);
    let budget: &Budget = terms.budget;
    let (conv, weight, bias) = first;
    let taps = conv.window.taps();
    let mut packed = weights::matrix(&read, second.1, 1, TILE, budget)?;
    let mut biases = weights::bias(second.2, TILE);
    // Which groups of the first the second reads.
    let inner = weights::bias(bias, 1);
    let groups: Vec<usize> =
        read.starts().iter().map(|start| (start * LANES - step.target.offset) / step.target.group_stride()).collect();
    packed.extend(weights::kept_apart(weight, taps, &groups, budget)?);
    biases.extend(groups.iter().flat_map(|group| &inner[group * LANES..][..LANES]));
    let starts: Vec<usize> = groups.iter().map(|group| step.source.planes[group * LANES] / LANES).collect();
    let (inputs, workgroups) = (starts.len(), per_slices(next.target.shape, SLICES));
    let kernel = Kernel::new(Shader::SeparableSliced, starts, workgroups)
        .constant("KERNEL_Y", conv.window.kernel[0])
        .constant("KERNEL_X", conv.window.kernel[1])
        .constant("ADD", next.other.is_some().into())
        .constant("SLICES", SLICES);
    Ok(Kernel { inputs, window: conv.window, inner: step.activation, weights: Some([packed, biases]), ..kernel })
}

/// Geometry, weight and bias.
fn convolution(step: &Step) -> Result<(&Conv2d, &[f32], &[f32])> {
    match &step.kernel {
        Computed::Conv2d { conv, weight, bias } => Ok((conv, weight, bias)),
        _ => Err(Error::unsupported("only convolutions are computed as one")),
    }
}
