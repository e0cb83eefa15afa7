//! Fully connected layers.

use super::kernel::Kernel;
use crate::compile::{Budget, Source};
use crate::device::gpu::family::Family;
use crate::device::gpu::groups::{LANES, padded};
use crate::device::gpu::shader::Shader;
use crate::device::gpu::weights;
use crate::device::gpu::workgroups::{per_eight, per_output};
use crate::error::Result;

/// A layer of `outputs` outputs over all numbers of `source`; `half` tells whether they are stored in 16 bits.
pub(super) fn of(
    family: Family,
    half: bool,
    source: &Source,
    outputs: usize,
    [weight, bias]: [&[f32]; 2],
    budget: &Budget,
) -> Result<Kernel> {
    let pixels = source.height * source.width;
    budget.take(source.planes.len().saturating_mul(pixels), size_of::<usize>() + size_of::<u32>())?;
    let places: Vec<usize> =
        source.planes.iter().flat_map(|plane| (0..pixels).map(move |p| plane + p * source.lanes)).collect();
    let inputs = places.len();
    let aligned = places[0].is_multiple_of(LANES) && source.image_stride.is_multiple_of(LANES);
    // What fills the last group up must be readable, and finite.
    let filled = inputs.is_multiple_of(LANES) || source.lanes == LANES;
    let dense = aligned && filled && places.iter().zip(places[0]..).all(|(place, expected)| *place == expected);
    // `linear_8` writes numbers one by one, and halves are written in pairs.
    let kernel = if dense && family == Family::Spread && !half {
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
