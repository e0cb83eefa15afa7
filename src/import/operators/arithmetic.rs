//! Functions of each number: sums, products and activations.

use crate::graph::{Activation, Op};
use crate::import::call::Call;
use crate::import::constant::{Constant, OnInts};
use crate::import::layout::{Layout, Side, size};
use crate::import::steps::{Kind, PerChannel};
use crate::import::traced::{Made, Trace, Traced, View, one};
use std::convert::Infallible;

type OnFloats = fn(f64, f64) -> f64;

const LARGER: (OnInts, OnFloats) = (|a, b| Some(a.max(b)), f64::max);
const SMALLER: (OnInts, OnFloats) = (|a, b| Some(a.min(b)), f64::min);

pub fn add(trace: &mut Trace, call: &Call) -> Made {
    match operands(trace, call, i64::checked_add, |a, b| a + b)? {
        Operands::Known(sum) => one(sum),
        Operands::Right(x, c) | Operands::Left(c, x) => shifted(trace, call, 1.0, &x, &c, |v| v),
        Operands::Views(a, b) => both(trace, call, Op::Add, &a, &b),
    }
}

pub fn sub(trace: &mut Trace, call: &Call) -> Made {
    match operands(trace, call, i64::checked_sub, |a, b| a - b)? {
        Operands::Known(difference) => one(difference),
        Operands::Right(x, c) => shifted(trace, call, 1.0, &x, &c, |v| -v),
        Operands::Left(c, x) => shifted(trace, call, -1.0, &x, &c, |v| v),
        Operands::Views(a, b) => {
            let minus = affine(trace, call, &b, PerChannel::All(-1.0), PerChannel::All(0.0))?;
            both(trace, call, Op::Add, &a, &minus)
        }
    }
}

pub fn mul(trace: &mut Trace, call: &Call) -> Made {
    match operands(trace, call, i64::checked_mul, |a, b| a * b)? {
        Operands::Known(product) => one(product),
        Operands::Right(x, c) | Operands::Left(c, x) => scaled(trace, call, &x, &c, |v| v),
        Operands::Views(a, b) => both(trace, call, Op::Mul, &a, &b),
    }
}

pub fn div(trace: &mut Trace, call: &Call) -> Made {
    // Towards zero, as C has it.
    match operands(trace, call, i64::checked_div, |a, b| a / b)? {
        Operands::Known(quotient) => one(quotient),
        Operands::Right(x, c) => scaled(trace, call, &x, &c, |v| 1.0 / v),
        Operands::Left(..) | Operands::Views(..) => Err("it divides by what is computed from the image".into()),
    }
}

pub fn neg(trace: &mut Trace, call: &Call) -> Made {
    let view = call.view()?;
    affine(trace, call, view, PerChannel::All(-1.0), PerChannel::All(0.0)).map(|view| vec![Traced::View(view)])
}

/// Whether the table of activations has this operator.
pub fn is_activation(operator: &str) -> bool {
    Activation::of_onnx(operator, |_, default| Ok::<_, Infallible>(default)).is_some()
}

/// An operator of the table of activations.
pub fn activation(trace: &mut Trace, call: &Call) -> Made {
    let found = Activation::of_onnx(&call.node.op, |name, default| call.float(name, default));
    let activation = found.ok_or("it is not an activation")??;
    apply(trace, call, Traced::View(call.view()?.clone()), activation)
}

/// Bounds are attributes before opset 11, and inputs since.
pub fn clip(trace: &mut Trace, call: &Call) -> Made {
    if let Some(Traced::Constant(constant)) = call.input(0) {
        return clipped(trace, call, constant.clone());
    }
    let bound = |name, input, default| match call.optional_constant(input)? {
        Some(constant) => constant.to_scalar().ok_or_else(|| "its bounds are not single numbers".to_owned()),
        None => call.float(name, default),
    };
    let (low, high) = (bound("min", 1, f32::MIN)?, bound("max", 2, f32::MAX)?);
    apply(trace, call, Traced::View(call.view()?.clone()), within(low, high))
}

/// What is known, between the bounds.
fn clipped(trace: &mut Trace, call: &Call, mut x: Constant) -> Made {
    for (name, input, (ints, floats)) in [("min", 1, LARGER), ("max", 2, SMALLER)] {
        let bound = match call.optional_constant(input)? {
            Some(constant) if constant.tensor.element_count() != 1 => {
                return Err("its bounds are not single numbers".into());
            }
            Some(constant) => constant.reshaped(&[])?,
            None => match call.float(name, f32::NAN)? {
                value if value.is_nan() => continue,
                value => Constant::floats(&call.made, &[], &[value])?,
            },
        };
        x = Constant::combined(&call.made, [&x, &bound], ints, floats, &mut trace.memory)?;
    }
    one(Traced::Constant(x))
}

/// The larger of the image and one number.
pub fn max(trace: &mut Trace, call: &Call) -> Made {
    let (view, bound) = with_scalar(trace, call, LARGER)?;
    let Some(bound) = bound else { return one(view) };
    apply(trace, call, view, within(bound, f32::MAX))
}

/// The smaller of the image and one number.
pub fn min(trace: &mut Trace, call: &Call) -> Made {
    let (view, bound) = with_scalar(trace, call, SMALLER)?;
    let Some(bound) = bound else { return one(view) };
    apply(trace, call, view, within(f32::MIN, bound))
}

/// Between two bounds, which may be as good as none.
pub fn within(low: f32, high: f32) -> Activation {
    let (low, high) = (low.max(f32::MIN), high.min(f32::MAX));
    if low == 0.0 && high == f32::MAX { Activation::Relu } else { Activation::Clamp { low, high } }
}

fn apply(trace: &mut Trace, call: &Call, to: Traced, activation: Activation) -> Made {
    let Traced::View(view) = to else { return Err("it reads numbers where an image should be".into()) };
    one(Traced::View(trace.alike(Kind::activation(activation), &[view.source], &view.layout, &call.name)?))
}

/// The image and the number that a binary operator reads; or what it makes of two that are known.
fn with_scalar(
    trace: &mut Trace,
    call: &Call,
    (ints, floats): (OnInts, OnFloats),
) -> Result<(Traced, Option<f32>), String> {
    match call.inputs.as_slice() {
        [Some(Traced::Constant(a)), Some(Traced::Constant(b))] => {
            let made = Constant::combined(&call.made, [a, b], ints, floats, &mut trace.memory)?;
            Ok((Traced::Constant(made), None))
        }
        [Some(Traced::View(view)), Some(Traced::Constant(c))]
        | [Some(Traced::Constant(c)), Some(Traced::View(view))] => {
            let bound = c.to_scalar().ok_or("it compares with more than one number")?;
            if c.shape().len() > view.layout.rank() {
                return Err(format!("`{}` of shape {:?} has more axes than what it meets", c.name, c.shape()));
            }
            Ok((Traced::View(view.clone()), Some(bound)))
        }
        _ => Err("it compares two images, or more than two values".into()),
    }
}

/// What a binary operator reads.
enum Operands {
    /// Both were known, and this is the result.
    Known(Traced),
    /// The right one is known.
    Right(View, Constant),
    /// The left one is known.
    Left(Constant, View),
    Views(View, View),
}

fn operands(trace: &mut Trace, call: &Call, ints: OnInts, floats: OnFloats) -> Result<Operands, String> {
    let [Some(a), Some(b)] = call.inputs.as_slice() else { return Err("it should read two values".into()) };
    Ok(match (a, b) {
        (Traced::Constant(a), Traced::Constant(b)) => {
            let made = Constant::combined(&call.made, [a, b], ints, floats, &mut trace.memory)?;
            Operands::Known(Traced::Constant(made))
        }
        (Traced::View(a), Traced::Constant(b)) => Operands::Right(a.clone(), b.clone()),
        (Traced::Constant(a), Traced::View(b)) => Operands::Left(a.clone(), b.clone()),
        (Traced::View(a), Traced::View(b)) => Operands::Views(a.clone(), b.clone()),
        _ => return Err("it reads what could not be imported".into()),
    })
}

/// `f(constant) x`.
fn scaled(trace: &mut Trace, call: &Call, x: &View, constant: &Constant, f: fn(f32) -> f32) -> Made {
    let (x, scale) = per_channel(trace, call, x, constant, f)?;
    one(Traced::View(affine(trace, call, &x, scale, PerChannel::All(0.0))?))
}

/// `scale x + f(constant)`.
fn shifted(trace: &mut Trace, call: &Call, scale: f32, x: &View, constant: &Constant, f: fn(f32) -> f32) -> Made {
    let (x, shift) = per_channel(trace, call, x, constant, f)?;
    one(Traced::View(affine(trace, call, &x, PerChannel::All(scale), shift)?))
}

fn affine(trace: &mut Trace, call: &Call, x: &View, scale: PerChannel, shift: PerChannel) -> Result<View, String> {
    if scale.is(1.0) && shift.is(0.0) {
        return Ok(x.clone());
    }
    trace.alike(Kind::Affine { scale, shift }, &[x.source], &x.layout, &call.name)
}

/// `f` of a constant that broadcasts to `view`, and the view in a layout where it is one number a channel.
fn per_channel(
    trace: &mut Trace,
    call: &Call,
    view: &View,
    constant: &Constant,
    f: fn(f32) -> f32,
) -> Result<(View, PerChannel), String> {
    let rank = view.layout.rank();
    let Some(new) = rank.checked_sub(constant.shape().len()) else {
        return Err(format!("`{}` of shape {:?} has more axes than what it meets", constant.name, constant.shape()));
    };
    if let Some(value) = constant.to_scalar() {
        return Ok((view.clone(), PerChannel::All(f(value))));
    }
    let straight = trace.straight(view, &call.name)?;
    let mut axes = constant.shape().iter().enumerate().filter(|(_, size)| **size != 1).map(|(axis, _)| axis + new);
    let channels = trace.shape(&straight).channels;
    let fits = |axis: usize| {
        let parts = straight.layout.axis(axis);
        size(parts) == channels && parts.iter().all(|part| part.side == Side::Channels)
    };
    match (axes.next(), axes.next()) {
        (Some(axis), None) if fits(axis) && constant.tensor.element_count() == channels => {
            trace.memory.take(8 * channels)?;
            let values: Vec<f32> = constant.tensor.to_f32_vec().into_iter().map(f).collect();
            Ok((straight, PerChannel::Each(Constant::floats(&constant.name, &[channels], &values)?)))
        }
        _ => Err(format!(
            "`{}` of shape {:?} holds neither one number nor one for each channel for a tensor of shape {:?}",
            constant.name,
            constant.shape(),
            view.layout.dimensions()
        )),
    }
}

/// A sum or product of two images, of which one may hold one number a channel.
fn both(trace: &mut Trace, call: &Call, op: Op, a: &View, b: &View) -> Made {
    if let Some(made) = together(trace, call, &op, a, b)? {
        return one(made);
    }
    let [a, b] = [trace.straight(a, &call.name)?, trace.straight(b, &call.name)?];
    together(trace, call, &op, &a, &b)?.map(|made| vec![made]).ok_or_else(|| {
        format!(
            "it brings together tensors of shapes {:?} and {:?}, which are neither alike nor an image and one number \
             for each channel",
            a.layout.dimensions(),
            b.layout.dimensions()
        )
    })
}

fn together(trace: &mut Trace, call: &Call, op: &Op, a: &View, b: &View) -> Result<Option<Traced>, String> {
    let rank = a.layout.rank().max(b.layout.rank());
    let (wide_a, wide_b) = (a.layout.widened(rank), b.layout.widened(rank));
    let (shape_a, shape_b) = (trace.shape(a), trace.shape(b));
    let alike = shape_a == shape_b && wide_a == wide_b;
    let b_spreads = shape_b.pixels() == 1 && shape_a.channels == shape_b.channels && spreads(&wide_b, &wide_a);
    let (first, layout, second) = if alike || b_spreads {
        (a, wide_a, b)
    } else if shape_a.pixels() == 1 && shape_a.channels == shape_b.channels && spreads(&wide_a, &wide_b) {
        (b, wide_b, a)
    } else {
        return Ok(None);
    };
    let made = trace.alike(Kind::Plain(op.clone()), &[first.source, second.source], &layout, &call.name)?;
    Ok(Some(Traced::View(made)))
}

/// Whether `small` has all that `large` has but its pixels.
fn spreads(small: &Layout, large: &Layout) -> bool {
    let pixels = |parts: &[_]| {
        parts.iter().all(|part: &crate::import::layout::Part| matches!(part.side, Side::Rows | Side::Columns))
    };
    small.axes().zip(large.axes()).all(|(small, large)| small == large || (small.is_empty() && pixels(large)))
}
