//! The rule for a softmax after another, and the softmax at a network's end.

use super::site::{Simpler, Site};
use crate::graph::{Head, Op};
use crate::import::memory::Memory;
use crate::import::steps::{Kind, Source, Step, Steps};

/// `softmax(log_softmax(x)) = softmax(x)`, and the same of `log_softmax`: the logarithm of a softmax differs from its
/// input by one number, which a softmax takes out again
pub fn softmax_of_logarithm(site: &Site, _: &mut Memory) -> Option<Simpler> {
    match (site.kind, site.before()?) {
        (Kind::Plain(Op::Softmax) | Kind::LogSoftmax, Step { kind: Kind::LogSoftmax, inputs, .. }) => {
            Some((site.kind.clone(), inputs.clone()))
        }
        _ => None,
    }
}

/// What the network gives without the softmax at its end, and the head that takes that softmax: classes are told by logits,
/// and whoever wants probabilities takes the softmax, once. One before that is a part of the network like any other.
pub fn left_out(steps: &Steps, output: Source) -> (Source, Option<Head>) {
    match steps.maker(output) {
        Some(Step { kind: Kind::Plain(Op::Softmax), inputs, .. }) => (inputs[0], Some(Head::Softmax)),
        Some(Step { kind: Kind::LogSoftmax, inputs, .. }) => (inputs[0], Some(Head::LogSoftmax)),
        _ => (output, None),
    }
}
