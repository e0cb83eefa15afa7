//! Rules for functions of each number by itself.

use super::site::{Simpler, Site, activation};
use crate::graph::{Activation, Op, Values};
use crate::import::memory::Memory;
use crate::import::operators::within;
use crate::import::steps::{Kind, PerChannel, Source, Step};

/// `clamp(clamp(x, a, b), c, d) = clamp(x, clamp(a, c, d), clamp(b, c, d))`
pub fn clamp_of_clamp(site: &Site, _: &mut Memory) -> Option<Simpler> {
    let (low, high) = bounds(activation(site.kind)?)?;
    let inner = site.before()?;
    let (least, most) = bounds(activation(&inner.kind)?)?;
    let clamp = within(least.max(low).min(high), most.max(low).min(high));
    Some((Kind::activation(clamp), inner.inputs.clone()))
}

/// `clamp(a x + b, 0, 1) = hard_sigmoid(x)`
pub fn hard_sigmoid(site: &Site, _: &mut Memory) -> Option<Simpler> {
    if bounds(activation(site.kind)?)? != (0.0, 1.0) {
        return None;
    }
    let inner = site.before()?;
    let Kind::Affine { scale: PerChannel::All(alpha), shift: PerChannel::All(beta) } = inner.kind else { return None };
    Some((Kind::activation(Activation::HardSigmoid { alpha, beta }), inner.inputs.clone()))
}

/// `a * clamp(x + b, 0, 1 / a) = clamp(a x + a b, 0, 1) = hard_sigmoid(x)`
pub fn hard_sigmoid_with_offset(site: &Site, _: &mut Memory) -> Option<Simpler> {
    let scale = factor(site.kind).filter(|scale| *scale > 0.0)?;
    let (offset, x) = hard(site, site.before()?, scale)?;
    Some((Kind::activation(Activation::HardSigmoid { alpha: scale, beta: scale * offset }), vec![x]))
}

/// `x * gate(x) = whole(x)`: `x * sigmoid(x) = silu(x)` and `x * hard_sigmoid(x) = hard_swish(x)`
pub fn product_with_gate(site: &Site, _: &mut Memory) -> Option<Simpler> {
    let Kind::Plain(Op::Mul) = site.kind else { return None };
    orders(site.inputs)?.into_iter().find_map(|(x, gate)| {
        let gate = site.maker(gate).filter(|gate| gate.inputs == [x])?;
        gated(gate).map(|whole| (Kind::activation(whole), vec![x]))
    })
}

/// `x * clamp(x + 3, 0, 6) / 6 = hard_swish(x)`
pub fn hard_swish_with_offset(site: &Site, _: &mut Memory) -> Option<Simpler> {
    let scale = factor(site.kind)?;
    let product = site.before().filter(|product| matches!(product.kind, Kind::Plain(Op::Mul)))?;
    orders(&product.inputs)?.into_iter().find_map(|(x, gate)| {
        let (offset, of) = hard(site, site.maker(gate)?, scale)?;
        let alike = of == x && close(scale, 1.0 / 6.0) && close(offset, 3.0);
        alike.then(|| (Kind::activation(Activation::HardSwish), vec![x]))
    })
}

/// What `x` times `gate` of `x` is.
fn gated(gate: &Step) -> Option<Activation> {
    match gate.kind {
        Kind::Plain(Op::Activation(gate)) => Activation::gated(gate, close),
        _ => None,
    }
}

/// The two inputs of a product, either first.
fn orders(inputs: &[Source]) -> Option<[(Source, Source); 2]> {
    let &[a, b] = inputs else { return None };
    Some([(a, b), (b, a)])
}

/// `a`, where `kind` is `a x`.
fn factor(kind: &Kind) -> Option<f32> {
    match kind {
        Kind::Affine { scale: PerChannel::All(scale), shift } if shift.is(0.0) => Some(*scale),
        _ => None,
    }
}

/// `b` and `x`, where `step` is `clamp(x + b, 0, 1 / scale)`.
fn hard(site: &Site, step: &Step, scale: f32) -> Option<(f32, Source)> {
    let Kind::Plain(Op::Activation(Activation::Clamp { low: 0.0, high })) = step.kind else { return None };
    let shifted = site.maker(*step.inputs.first()?)?;
    match shifted.kind {
        Kind::Affine { scale: PerChannel::All(1.0), shift: PerChannel::All(offset) } if close(scale * high, 1.0) => {
            Some((offset, *shifted.inputs.first()?))
        }
        _ => None,
    }
}

/// The bounds between which an activation lets numbers pass, if that is all it does.
fn bounds(activation: Activation) -> Option<(f32, f32)> {
    match activation.values() {
        Values::Clamped(low, high) => Some((low, high)),
        Values::Between(..) => None,
    }
}

/// Whether the step that makes `source` makes no negative number.
pub fn is_positive(site: &Site, source: Source) -> bool {
    match site.maker(source).map(|step| &step.kind) {
        Some(Kind::Plain(Op::Activation(activation))) => match activation.values() {
            Values::Clamped(low, _) | Values::Between(low, _) => low >= 0.0,
        },
        _ => false,
    }
}

/// Equal but for how an exporter rounds.
fn close(a: f32, b: f32) -> bool {
    (a - b).abs() <= 1e-5 * b.abs()
}
