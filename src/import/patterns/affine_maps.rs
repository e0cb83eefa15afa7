//! Rules for `a x + b`, with one number for all channels or one a channel.

use super::site::{Simpler, Site};
use crate::import::constant::Constant;
use crate::import::memory::Memory;
use crate::import::steps::{Kind, PerChannel};

/// `c (a x + b) + d = (c a) x + (c b + d)`
pub fn map_of_map(site: &Site, memory: &mut Memory) -> Option<Simpler> {
    let Kind::Affine { scale, shift } = site.kind else { return None };
    let inner = site.before()?;
    let Kind::Affine { scale: scale_0, shift: shift_0 } = &inner.kind else { return None };
    let made = (times(scale_0, scale, memory)?, plus(&times(shift_0, scale, memory)?, shift, memory)?);
    Some((Kind::Affine { scale: made.0, shift: made.1 }, inner.inputs.clone()))
}

/// `conv(x, w) + b = conv(x, w, b)`
pub fn convolution_with_bias(site: &Site, _: &mut Memory) -> Option<Simpler> {
    let (inner, bias) = (site.only_before()?, bias(site.kind)?);
    let Kind::Conv { conv, weight, bias: None } = &inner.kind else { return None };
    let mut conv = *conv;
    conv.bias = true;
    Some((Kind::Conv { conv, weight: weight.clone(), bias: Some(bias.clone()) }, inner.inputs.clone()))
}

/// `linear(x, w) + b = linear(x, w, b)`
pub fn linear_with_bias(site: &Site, _: &mut Memory) -> Option<Simpler> {
    let (inner, bias) = (site.only_before()?, bias(site.kind)?);
    let Kind::Linear { linear, weight, bias: None } = &inner.kind else { return None };
    let mut linear = *linear;
    linear.bias = true;
    Some((Kind::Linear { linear, weight: weight.clone(), bias: Some(bias.clone()) }, inner.inputs.clone()))
}

/// `b`, where `kind` is `x + b` with a number a channel.
fn bias(kind: &Kind) -> Option<&Constant> {
    match kind {
        Kind::Affine { scale, shift: PerChannel::Each(bias) } if scale.is(1.0) => Some(bias),
        _ => None,
    }
}

fn times(a: &PerChannel, b: &PerChannel, memory: &mut Memory) -> Option<PerChannel> {
    match (a, b) {
        (PerChannel::All(1.0), other) | (other, PerChannel::All(1.0)) => Some(other.clone()),
        _ => combined(a, b, |a, b| a * b, memory),
    }
}

fn plus(a: &PerChannel, b: &PerChannel, memory: &mut Memory) -> Option<PerChannel> {
    match (a, b) {
        (PerChannel::All(0.0), other) | (other, PerChannel::All(0.0)) => Some(other.clone()),
        _ => combined(a, b, |a, b| a + b, memory),
    }
}

/// `f` of the numbers of each channel.
fn combined(a: &PerChannel, b: &PerChannel, f: fn(f32, f32) -> f32, memory: &mut Memory) -> Option<PerChannel> {
    let (name, a, b) = match (a, b) {
        (PerChannel::All(a), PerChannel::All(b)) => return Some(PerChannel::All(f(*a, *b))),
        (PerChannel::Each(each), PerChannel::All(all)) => {
            (&each.name, each.tensor.to_f32_vec(), vec![*all; each.count()])
        }
        (PerChannel::All(all), PerChannel::Each(each)) => {
            (&each.name, vec![*all; each.count()], each.tensor.to_f32_vec())
        }
        (PerChannel::Each(a), PerChannel::Each(b)) => (&a.name, a.tensor.to_f32_vec(), b.tensor.to_f32_vec()),
    };
    memory.take(a.len().checked_mul(16)?).ok()?;
    let values: Vec<f32> = a.iter().zip(&b).map(|(&a, &b)| f(a, b)).collect();
    Constant::floats(name, &[values.len()], &values).ok().map(PerChannel::Each)
}
