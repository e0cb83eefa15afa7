//! Recognises what exporters write in several steps and the graph has one operator for.
//!
//! Each rule looks from a step to those that it reads, rewrites the step, and leaves the others to be forgotten if
//! nothing else reads them.

use super::operators::within;
use super::steps::{Kind, PerChannel, Source, Step, Steps};
use crate::graph::{Activation, AvgPool2d, MaxPool2d, Op, Padding};

/// Rewrites all steps, and returns what the network gives in the place of `output`.
pub fn simplify(steps: &mut Steps, output: Source) -> Source {
    let mut readers = vec![0usize; steps.list.len() + 1];
    steps.list.iter().flat_map(|step| &step.inputs).for_each(|&source| readers[source] += 1);
    readers[output] += 1;
    for at in 0..steps.list.len() {
        while let Some((kind, inputs)) = simpler(steps, &readers, at) {
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
    }
    without_softmax(steps, output)
}

/// Classes are told by logits: whoever wants probabilities takes the softmax, once.
fn without_softmax(steps: &Steps, mut output: Source) -> Source {
    while let Some(Step { kind: Kind::Plain(Op::Softmax) | Kind::LogSoftmax, inputs, .. }) = steps.maker(output) {
        output = inputs[0];
    }
    output
}

/// What step `at` is more simply, and what it reads then. Every rule leaves fewer steps between it and the image.
fn simpler(steps: &Steps, readers: &[usize], at: usize) -> Option<(Kind, Vec<Source>)> {
    let step = &steps.list[at];
    let &first = step.inputs.first()?;
    let inner = steps.maker(first);
    match (&step.kind, inner) {
        (Kind::Plain(Op::Activation(outer)), Some(inner)) => {
            activation(*outer, inner).map(|kind| (kind, inner.inputs.clone()))
        }
        (Kind::Plain(Op::Mul), _) => {
            let &[a, b] = step.inputs.as_slice() else { return None };
            [(a, b), (b, a)].into_iter().find_map(|(x, gate)| {
                let gate = steps.maker(gate).filter(|gate| gate.inputs == [x])?;
                gated(gate).map(|activation| (Kind::activation(activation), vec![x]))
            })
        }
        (Kind::Affine { scale, shift }, Some(inner)) => affine(steps, readers, scale, shift, (first, inner)),
        (kind, Some(Step { kind: Kind::Pad { padding, value }, inputs, .. })) => {
            padded(kind, *padding, *value, || is_positive(steps, inputs[0])).map(|kind| (kind, inputs.clone()))
        }
        _ => None,
    }
}

/// `outer` of what `inner` makes, as one function of what `inner` reads.
fn activation(outer: Activation, inner: &Step) -> Option<Kind> {
    let (low, high) = bounds(outer)?;
    match &inner.kind {
        Kind::Plain(Op::Activation(first)) => {
            let (least, most) = bounds(*first)?;
            Some(Kind::activation(within(least.max(low).min(high), most.max(low).min(high))))
        }
        Kind::Affine { scale: PerChannel::All(alpha), shift: PerChannel::All(beta) } if (low, high) == (0.0, 1.0) => {
            Some(Kind::activation(Activation::HardSigmoid { alpha: *alpha, beta: *beta }))
        }
        _ => None,
    }
}

/// The bounds between which an activation lets numbers pass, if that is all it does.
fn bounds(activation: Activation) -> Option<(f32, f32)> {
    match activation {
        Activation::Relu => Some((0.0, f32::MAX)),
        Activation::Clamp { low, high } => Some((low, high)),
        _ => None,
    }
}

/// What `x` times `gate` of `x` is.
fn gated(gate: &Step) -> Option<Activation> {
    match gate.kind {
        Kind::Plain(Op::Activation(Activation::Sigmoid)) => Some(Activation::Silu),
        Kind::Plain(Op::Activation(Activation::HardSigmoid { alpha, beta }))
            if close(alpha, 1.0 / 6.0) && close(beta, 0.5) =>
        {
            Some(Activation::HardSwish)
        }
        _ => None,
    }
}

/// `scale x + shift` of what `inner`, which makes `source`, gives.
fn affine(
    steps: &Steps,
    readers: &[usize],
    scale: &PerChannel,
    shift: &PerChannel,
    (source, inner): (Source, &Step),
) -> Option<(Kind, Vec<Source>)> {
    if let (PerChannel::All(scale), true) = (scale, shift.is(0.0)) {
        // scale clamp(x + offset, 0, high), where scale high is 1.
        if let Some((offset, x)) = hard(steps, inner, *scale) {
            let activation = Activation::HardSigmoid { alpha: *scale, beta: scale * offset };
            return Some((Kind::activation(activation), vec![x]));
        }
        // The same with the product by x in between.
        if let (Kind::Plain(Op::Mul), &[a, b]) = (&inner.kind, inner.inputs.as_slice()) {
            let swish = |(x, gate): (Source, Source)| {
                let (offset, of) = hard(steps, steps.maker(gate)?, *scale)?;
                let alike = of == x && close(*scale, 1.0 / 6.0) && close(offset, 3.0);
                alike.then(|| (Kind::activation(Activation::HardSwish), vec![x]))
            };
            if let Some(found) = [(a, b), (b, a)].into_iter().find_map(swish) {
                return Some(found);
            }
        }
    }
    let only_reader = readers[source] == 1;
    match (&inner.kind, shift) {
        (Kind::Affine { scale: scale_0, shift: shift_0 }, _) => {
            let made = (times(scale_0, scale)?, plus(&times(shift_0, scale)?, shift)?);
            Some((Kind::Affine { scale: made.0, shift: made.1 }, inner.inputs.clone()))
        }
        (Kind::Linear { linear, weight, bias: None }, PerChannel::Each(bias)) if only_reader && scale.is(1.0) => {
            let mut linear = *linear;
            linear.bias = true;
            let kind = Kind::Linear { linear, weight: weight.clone(), bias: Some(bias.clone()) };
            Some((kind, inner.inputs.clone()))
        }
        (Kind::Conv { conv, weight, bias: None }, PerChannel::Each(bias)) if only_reader && scale.is(1.0) => {
            let mut conv = *conv;
            conv.bias = true;
            let kind = Kind::Conv { conv, weight: weight.clone(), bias: Some(bias.clone()) };
            Some((kind, inner.inputs.clone()))
        }
        _ => None,
    }
}

/// The offset and the source, where `step` is `clamp(x + offset, 0, high)` and `scale high` is 1.
fn hard(steps: &Steps, step: &Step, scale: f32) -> Option<(f32, Source)> {
    let Kind::Plain(Op::Activation(Activation::Clamp { low: 0.0, high })) = step.kind else { return None };
    let shifted = steps.maker(*step.inputs.first()?)?;
    match shifted.kind {
        Kind::Affine { scale: PerChannel::All(1.0), shift: PerChannel::All(offset) } if close(scale * high, 1.0) => {
            Some((offset, *shifted.inputs.first()?))
        }
        _ => None,
    }
}

fn times(a: &PerChannel, b: &PerChannel) -> Option<PerChannel> {
    match (a, b) {
        (PerChannel::All(a), PerChannel::All(b)) => Some(PerChannel::All(a * b)),
        (PerChannel::All(0.0), _) | (_, PerChannel::All(0.0)) => Some(PerChannel::All(0.0)),
        (PerChannel::All(1.0), each) | (each, PerChannel::All(1.0)) => Some(each.clone()),
        _ => None,
    }
}

fn plus(a: &PerChannel, b: &PerChannel) -> Option<PerChannel> {
    match (a, b) {
        (PerChannel::All(a), PerChannel::All(b)) => Some(PerChannel::All(a + b)),
        (PerChannel::All(0.0), each) | (each, PerChannel::All(0.0)) => Some(each.clone()),
        _ => None,
    }
}

/// `kind` with its image padded before by `value`, as one operator.
fn padded(kind: &Kind, more: Padding, value: f32, image_is_positive: impl Fn() -> bool) -> Option<Kind> {
    let sum = |own: Padding| Padding {
        top: own.top + more.top,
        left: own.left + more.left,
        bottom: own.bottom + more.bottom,
        right: own.right + more.right,
    };
    match kind {
        Kind::Conv { conv, weight, bias } if value == 0.0 => {
            let mut conv = *conv;
            conv.window.padding = sum(conv.window.padding);
            Some(Kind::Conv { conv, weight: weight.clone(), bias: bias.clone() })
        }
        // What is no larger than any pixel never wins over one.
        Kind::Plain(Op::MaxPool2d(pool)) if value <= f32::MIN || (value <= 0.0 && image_is_positive()) => {
            let mut window = pool.window;
            window.padding = sum(window.padding);
            fits(window.padding, window.extent()).then(|| Kind::Plain(Op::MaxPool2d(MaxPool2d { window, ..*pool })))
        }
        Kind::Plain(Op::AvgPool2d(pool))
            if value == 0.0 && !pool.ceil_mode && pool.window.padding == Padding::default() =>
        {
            let mut window = pool.window;
            window.padding = more;
            let pool = AvgPool2d { window, count_include_pad: true, ..*pool };
            fits(more, window.extent()).then(|| Kind::Plain(Op::AvgPool2d(pool)))
        }
        _ => None,
    }
}

/// Whether every window of this extent has a pixel beside the padding.
fn fits(padding: Padding, [down, across]: [usize; 2]) -> bool {
    padding.top.max(padding.bottom) < down && padding.left.max(padding.right) < across
}

/// Whether no number of `source` is negative.
fn is_positive(steps: &Steps, source: Source) -> bool {
    match steps.maker(source).map(|step| &step.kind) {
        Some(Kind::Plain(Op::Activation(activation))) => match activation {
            Activation::Relu | Activation::Sigmoid | Activation::HardSigmoid { .. } => true,
            Activation::Clamp { low, .. } => *low >= 0.0,
            _ => false,
        },
        _ => false,
    }
}

/// Equal but for how an exporter rounds.
fn close(a: f32, b: f32) -> bool {
    (a - b).abs() <= 1e-5 * b.abs()
}
