//! Recognises what exporters write in several steps and the graph has one operator for.
//!
//! Each rule looks from a step to those that it reads, rewrites the step, and leaves the others to be forgotten if
//! nothing else reads them. A rule's formula says what it rewrites; every rule leaves fewer steps between the step and
//! the image.

mod activations;
mod affine_maps;
mod linear_layers;
mod padding;
mod site;
mod softmax;

use super::memory::Memory;
use super::steps::{Source, Steps};
use crate::graph::{Head, Shape};
use site::{Simpler, Site};

/// What a step is more simply, if the rule holds for it.
type Rule = fn(&Site, &mut Memory) -> Option<Simpler>;

/// Every rule. No two of them hold for one step.
const RULES: [Rule; 14] = [
    activations::clamp_of_clamp,
    activations::hard_sigmoid,
    activations::hard_sigmoid_with_offset,
    activations::product_with_gate,
    activations::hard_swish_with_offset,
    affine_maps::map_of_map,
    affine_maps::convolution_with_bias,
    affine_maps::linear_with_bias,
    padding::padded_convolution,
    padding::padded_max_pool,
    padding::padded_average_pool,
    linear_layers::linear_of_map,
    linear_layers::linear_of_norm,
    softmax::softmax_of_logarithm,
];

/// Rewrites all steps, and returns what the network gives in the place of `output`, and the head that takes it on from
/// there, where the file's last step is left to it.
pub fn simplify(steps: &mut Steps, output: Source, memory: &mut Memory) -> (Source, Option<Head>) {
    let mut readers = readers(steps, output);
    for at in 0..steps.list.len() {
        while let Some(simpler) = simpler(steps, &readers, at, memory) {
            rewrite(steps, &mut readers, at, simpler);
        }
    }
    softmax::left_out(steps, output)
}

/// How many steps read each source; whoever runs the network reads `output`.
fn readers(steps: &Steps, output: Source) -> Vec<usize> {
    let mut readers = vec![0usize; steps.list.len() + 1];
    steps.list.iter().flat_map(|step| &step.inputs).for_each(|&source| readers[source] += 1);
    readers[output] += 1;
    readers
}

/// What the rule that holds for step `at` makes of it.
fn simpler(steps: &Steps, readers: &[usize], at: usize, memory: &mut Memory) -> Option<Simpler> {
    let site = Site::new(steps, readers, at);
    let (kind, inputs) = RULES.iter().find_map(|rule| rule(&site, memory))?;
    // A rule that gets the geometry wrong rewrites nothing.
    let shapes: Vec<Shape> = inputs.iter().map(|&source| steps.shapes[source]).collect();
    (kind.output_shape(&shapes).as_ref() == Ok(&site.shape)).then_some((kind, inputs))
}

/// Puts `kind` in the place of step `at`, and releases what only the old step read.
fn rewrite(steps: &mut Steps, readers: &mut [usize], at: usize, (kind, inputs): Simpler) {
    inputs.iter().for_each(|&source| readers[source] += 1);
    let step = &mut steps.list[at];
    step.kind = kind;
    let mut released = std::mem::replace(&mut step.inputs, inputs);
    while let Some(source) = released.pop() {
        readers[source] -= 1;
        if readers[source] == 0
            && let Some(step) = steps.maker(source)
        {
            released.extend(&step.inputs);
        }
    }
}
