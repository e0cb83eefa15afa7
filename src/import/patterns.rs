//! Recognises what exporters write in several steps and the graph has one operator for.
//!
//! Each rule looks from a step to those that it reads, rewrites the step, and leaves the others to be forgotten if
//! nothing else reads them.

use super::constant::{Constant, Memory};
use super::operators::within;
use super::steps::{Kind, PerChannel, Source, Step, Steps};
use crate::graph::{Activation, AvgPool2d, Head, Linear, MaxPool2d, Op, Padding, Shape, Window};

/// Rewrites all steps, and returns what the network gives in the place of `output`, and the head that takes it on from
/// there, where the file's last step is left to it.
pub fn simplify(steps: &mut Steps, output: Source, memory: &mut Memory) -> (Source, Option<Head>) {
    let mut readers = vec![0usize; steps.list.len() + 1];
    steps.list.iter().flat_map(|step| &step.inputs).for_each(|&source| readers[source] += 1);
    readers[output] += 1;
    for at in 0..steps.list.len() {
        while let Some((kind, inputs)) = simpler(steps, &readers, at, memory) {
            // A rule that gets the geometry wrong rewrites nothing.
            let shapes: Vec<Shape> = inputs.iter().map(|&source| steps.shapes[source]).collect();
            if kind.output_shape(&shapes).as_ref() != Ok(&steps.shapes[at + 1]) {
                break;
            }
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

/// Classes are told by logits: whoever wants probabilities takes the softmax, once. One before that is a part of the
/// network like any other.
fn without_softmax(steps: &Steps, output: Source) -> (Source, Option<Head>) {
    match steps.maker(output) {
        Some(Step { kind: Kind::Plain(Op::Softmax), inputs, .. }) => (inputs[0], Some(Head::Softmax)),
        Some(Step { kind: Kind::LogSoftmax, inputs, .. }) => (inputs[0], Some(Head::LogSoftmax)),
        _ => (output, None),
    }
}

/// What step `at` is more simply, and what it reads then. Every rule leaves fewer steps between it and the image.
fn simpler(steps: &Steps, readers: &[usize], at: usize, memory: &mut Memory) -> Option<(Kind, Vec<Source>)> {
    let step = &steps.list[at];
    let &first = step.inputs.first()?;
    let inner = steps.maker(first);
    match (&step.kind, inner) {
        (Kind::Plain(Op::Activation(outer)), Some(inner)) => {
            activation(*outer, inner).map(|kind| (kind, inner.inputs.clone()))
        }
        // The logarithm of a softmax differs from its input by one number, which a softmax takes out again.
        (Kind::Plain(Op::Softmax) | Kind::LogSoftmax, Some(Step { kind: Kind::LogSoftmax, inputs, .. })) => {
            Some((step.kind.clone(), inputs.clone()))
        }
        (Kind::Plain(Op::Mul), _) => {
            let &[a, b] = step.inputs.as_slice() else { return None };
            [(a, b), (b, a)].into_iter().find_map(|(x, gate)| {
                let gate = steps.maker(gate).filter(|gate| gate.inputs == [x])?;
                gated(gate).map(|activation| (Kind::activation(activation), vec![x]))
            })
        }
        (Kind::Affine { scale, shift }, Some(inner)) => affine(steps, readers, [scale, shift], (first, inner), memory),
        (kind, Some(Step { kind: Kind::Pad { padding, value }, inputs, .. })) => {
            let image = steps.shapes[inputs[0]];
            let padded = padded(kind, *padding, *value, image, steps.shapes[at + 1], || is_positive(steps, inputs[0]));
            padded.map(|kind| (kind, inputs.clone()))
        }
        (Kind::Linear { linear, weight, bias }, Some(Step { kind, inputs, .. })) if flattens(steps, inputs[0]) => {
            let folded = folded(kind, weight, bias.as_ref(), memory)?;
            let linear = Linear { bias: true, ..*linear };
            Some((Kind::Linear { linear, weight: folded.0, bias: Some(folded.1) }, inputs.clone()))
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
    [scale, shift]: [&PerChannel; 2],
    (source, inner): (Source, &Step),
    memory: &mut Memory,
) -> Option<(Kind, Vec<Source>)> {
    if let (PerChannel::All(scale), true) = (scale, shift.is(0.0)) {
        // scale clamp(x + offset, 0, high), where scale high is 1.
        if let Some((offset, x)) = hard(steps, inner, *scale).filter(|_| *scale > 0.0) {
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
            let made = (times(scale_0, scale, memory)?, plus(&times(shift_0, scale, memory)?, shift, memory)?);
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

/// Whether `source` is a flattened image of several pixels.
fn flattens(steps: &Steps, source: Source) -> bool {
    let flatten = steps.maker(source).filter(|step| matches!(step.kind, Kind::Plain(Op::Flatten)));
    flatten.is_some_and(|step| steps.shapes[step.inputs[0]].pixels() > 1)
}

/// Weight and bias of a fully connected layer that does before what `kind` does to each feature.
fn folded(
    kind: &Kind,
    weight: &Constant,
    bias: Option<&Constant>,
    memory: &mut Memory,
) -> Option<(Constant, Constant)> {
    let &[rows, columns] = weight.shape() else { return None };
    memory.take(rows.checked_mul(columns)?.checked_mul(16)?).ok()?;
    let spread = |numbers: &PerChannel| match numbers {
        PerChannel::All(value) => vec![*value; columns],
        PerChannel::Each(each) => each.tensor.to_f32_vec(),
    };
    let (scale, shift): (Vec<f64>, Vec<f64>) = match kind {
        Kind::Affine { scale, shift } => {
            spread(scale).into_iter().zip(spread(shift)).map(|(a, b)| (f64::from(a), f64::from(b))).unzip()
        }
        Kind::Norm { norm, parameters } => {
            let [gamma, beta, mean, variance] = parameters.each_ref().map(|own| own.tensor.to_f32_vec());
            let scale = |i: usize| f64::from(gamma[i]) / (f64::from(variance[i]) + f64::from(norm.eps)).sqrt();
            (0..columns).map(|i| (scale(i), f64::from(beta[i]) - f64::from(mean[i]) * scale(i))).unzip()
        }
        _ => return None,
    };
    let mut weights = weight.tensor.to_f32_vec();
    let mut offsets = bias.map_or_else(|| vec![0.0; rows], |bias| bias.tensor.to_f32_vec());
    for (row, offset) in weights.chunks_mut(columns).zip(&mut offsets) {
        let sum: f64 = row.iter().zip(&shift).map(|(&weight, shift)| f64::from(weight) * shift).sum();
        *offset = (f64::from(*offset) + sum) as f32;
        row.iter_mut().zip(&scale).for_each(|(weight, scale)| *weight = (f64::from(*weight) * scale) as f32);
    }
    let name = |ending: &str| format!("{}.{ending}", weight.name).into();
    let made = (
        Constant::floats(&name("folded"), &[rows, columns], &weights),
        Constant::floats(&name("bias"), &[rows], &offsets),
    );
    Some((made.0.ok()?, made.1.ok()?))
}

/// `kind` with its image padded before by `value`, as one operator; `image` is before the padding, and `made` what
/// `kind` gives.
fn padded(
    kind: &Kind,
    more: Padding,
    value: f32,
    image: Shape,
    made: Shape,
    image_is_positive: impl Fn() -> bool,
) -> Option<Kind> {
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
        // What is no larger than any pixel never wins over one, but is what a window without pixels gives.
        Kind::Plain(Op::MaxPool2d(pool)) if value <= f32::MIN || (value <= 0.0 && image_is_positive()) => {
            let mut window = pool.window;
            window.padding = sum(window.padding);
            // A last window that begins in what was padded is one that rounding up leaves out.
            let [down, across] = window.extent();
            let last = |count: usize, stride: usize, extent: usize| (count - 1) * stride + extent;
            let rows = last(made.height, window.stride[0], down).saturating_sub(window.padding.top + image.height);
            let columns = last(made.width, window.stride[1], across).saturating_sub(window.padding.left + image.width);
            window.padding.bottom = window.padding.bottom.max(rows);
            window.padding.right = window.padding.right.max(columns);
            let sees_pixels = value == f32::NEG_INFINITY || sees_pixels(&window, image, made);
            (fits(window.padding, [down, across]) && sees_pixels)
                .then_some(Kind::Plain(Op::MaxPool2d(MaxPool2d { window, ceil_mode: false })))
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

/// Whether the padding leaves windows of this extent some of the image.
fn fits(padding: Padding, [down, across]: [usize; 2]) -> bool {
    padding.top.max(padding.bottom) < down && padding.left.max(padding.right) < across
}

/// Whether every window has a tap on a pixel of `image`, and not all of them beside it or, far apart, around it.
pub fn sees_pixels(window: &Window, image: Shape, made: Shape) -> bool {
    let Padding { top, left, .. } = window.padding;
    let along = |axis: usize, side: usize, before: usize, count: usize| {
        (0..count).all(|at| {
            let start = at * window.stride[axis];
            // The first tap that is not before the image.
            let tap = before.saturating_sub(start).div_ceil(window.dilation[axis]);
            tap < window.kernel[axis] && start + tap * window.dilation[axis] < before + side
        })
    };
    along(0, image.height, top, made.height) && along(1, image.width, left, made.width)
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
