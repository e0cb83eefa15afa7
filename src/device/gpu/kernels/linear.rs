//! Fully connected layers.

use super::kernel::Kernel;
use crate::compile::{Budget, Source};
use crate::device::gpu::family::Family;
use crate::device::gpu::groups::{LANES, padded};
use crate::device::gpu::shader::Shader;
use crate::device::gpu::weights;
use crate::device::gpu::workgroups::{MOST, per_eight, per_output, per_shared_group};
use crate::error::Result;

/// A layer of `outputs` outputs over all numbers of `source`; `half` tells whether they are stored in 16 bits.
pub(super) fn of(
    family: Family,
    half: bool,
    source: &Source,
    outputs: usize,
    values: [&[f32]; 2],
    budget: &Budget,
) -> Result<Kernel> {
    let pixels = source.height * source.width;
    budget.take(source.planes.len().saturating_mul(pixels), size_of::<usize>() + size_of::<u32>())?;
    let places: Vec<usize> =
        source.planes.iter().flat_map(|plane| (0..pixels).map(move |p| plane + p * source.lanes)).collect();
    match family {
        Family::Plain { .. } if outputs.div_ceil(LANES) <= MOST => sliced(source, places, outputs, values, budget),
        // Only the other family's device has what `linear_8` needs.
        Family::Plain { .. } => whole(true, source, places, outputs, values, budget),
        Family::Spread => whole(half, source, places, outputs, values, budget),
    }
}

/// Each output by one invocation, or where every load costs by 8, unless results are to be `plain` or halves.
fn whole(
    plain: bool,
    source: &Source,
    places: Vec<usize>,
    outputs: usize,
    [weight, bias]: [&[f32]; 2],
    budget: &Budget,
) -> Result<Kernel> {
    let inputs = places.len();
    let aligned = places[0].is_multiple_of(LANES) && source.image_stride.is_multiple_of(LANES);
    // What fills the last group up must be readable, and finite.
    let filled = inputs.is_multiple_of(LANES) || source.lanes == LANES;
    let dense = aligned && filled && places.iter().zip(places[0]..).all(|(place, expected)| *place == expected);
    // `linear_8` writes numbers one by one, and halves are written in pairs.
    let kernel = if dense && !plain {
        let weights = [weights::by_eights(weight, inputs, budget)?, weights::bias(bias, 2)];
        let kernel = Kernel::new(Shader::Linear8, places[..1].to_vec(), per_eight(outputs));
        Kernel { weights: Some(weights), ..kernel }
    } else {
        let weights = [weights::by_input(weight, inputs, budget)?, weights::bias(bias, 1)];
        let kernel = Kernel::new(Shader::Linear, padded(places), per_output(outputs));
        Kernel { weights: Some(weights), ..kernel }.constant("DENSE", dense.into())
    };
    Ok(Kernel { inputs: inputs.div_ceil(LANES), ..kernel })
}

/// Where many invocations share the inputs.
fn sliced(
    source: &Source,
    places: Vec<usize>,
    outputs: usize,
    [weight, bias]: [&[f32]; 2],
    budget: &Budget,
) -> Result<Kernel> {
    budget.take(places.len(), 2 * size_of::<usize>())?;
    let mut vectors: Vec<usize> = places.iter().map(|place| place / LANES).collect();
    vectors.sort_unstable();
    vectors.dedup();
    let (first, count) = (vectors[0], vectors.len());
    let side_by_side = source.image_stride.is_multiple_of(LANES) && vectors[count - 1] - first + 1 == count;
    // What is loaded and not read must be finite, as in groups of channels, and not much more than what is read.
    let filled = count * LANES == places.len() || (source.lanes == LANES && count * LANES < 2 * places.len() + LANES);
    let dense = side_by_side && filled;
    let (inputs, row, table) = match dense {
        true => (count, places.iter().map(|place| place - first * LANES).collect(), vec![first * LANES]),
        false => (places.len().div_ceil(LANES), (0..places.len()).collect::<Vec<usize>>(), padded(places)),
    };
    let weights = [weights::by_place(weight, &row, inputs * LANES, budget)?, weights::bias(bias, 1)];
    let kernel = Kernel::new(Shader::LinearSliced, table, per_shared_group(outputs));
    Ok(Kernel { inputs, weights: Some(weights), ..kernel }.constant("DENSE", dense.into()))
}
