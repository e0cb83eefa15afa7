//! Layers over channels: fully connected ones, batch normalisation, softmax.

use crate::graph::{BatchNorm2d, Conv2d, Linear, Op};
use crate::import::call::{Call, axis};
use crate::import::constant::Constant;
use crate::import::layout::{Part, Side, size, whole};
use crate::import::steps::{Kind, Step};
use crate::import::traced::{Made, Trace, Traced, View, one};

pub fn batch_normalization(trace: &mut Trace, call: &Call) -> Made {
    if call.int("training_mode", 0)? != 0 {
        return Err("it is in training mode; export the model for inference".into());
    }
    if call.int("spatial", 1)? != 1 {
        return Err("it normalises each pixel by itself (spatial=0), and only by channel is supported".into());
    }
    let view = trace.straight(call.view()?, &call.name)?;
    let channels = trace.shape(&view).channels;
    by_channel(&view, 1, channels)?;
    let parameter = |index| -> Result<Constant, String> {
        let constant = call.constant(index)?;
        if constant.shape() != [channels] {
            return Err(format!("`{}` should hold {channels} numbers, one for each channel", constant.name));
        }
        constant.reshaped(&[channels])
    };
    let parameters = Box::new([parameter(1)?, parameter(2)?, parameter(3)?, parameter(4)?]);
    let norm = BatchNorm2d { channels, eps: call.float("epsilon", 1e-5)? };
    let made = trace.alike(Kind::Norm { norm, parameters }, &[view.source], &view.layout, &call.name)?;
    one(Traced::View(made))
}

pub fn gemm(trace: &mut Trace, call: &Call) -> Made {
    if call.int("transA", 0)? != 0 {
        return Err("it transposes the image's features".into());
    }
    let weight = scaled(call.constant(1)?, call.float("alpha", 1.0)?, trace)?;
    let x = call.view()?.clone();
    if x.layout.rank() != 2 {
        return Err(format!("it takes a matrix, and reads a tensor of shape {:?}", x.layout.dimensions()));
    }
    let weight = Matrix::new(weight, call.int("transB", 0)? == 0)?;
    let bias = match call.optional_constant(2)? {
        None => None,
        Some(bias) => {
            let bias = scaled(bias, call.float("beta", 1.0)?, trace)?;
            let out_features = weight.out_features;
            let spread = match *bias.shape() {
                [] | [1] | [1, 1] => bias.reshaped(&[1])?.spread(&[out_features], &mut trace.memory)?,
                [features] | [1, features] if features == out_features => bias.reshaped(&[features])?,
                ref other => {
                    let name = &bias.name;
                    return Err(format!("`{name}` of shape {other:?} is not a bias of {out_features} features"));
                }
            };
            Some(spread)
        }
    };
    one(Traced::View(linear(trace, call, &x, weight, bias)?))
}

pub fn mat_mul(trace: &mut Trace, call: &Call) -> Made {
    let weight = Matrix::new(call.constant(1)?.clone(), true)?;
    let x = call.view()?.clone();
    one(Traced::View(linear(trace, call, &x, weight, None)?))
}

pub fn softmax(trace: &mut Trace, call: &Call) -> Made {
    over_channels(trace, call, Kind::Plain(Op::Softmax))
}

pub fn log_softmax(trace: &mut Trace, call: &Call) -> Made {
    over_channels(trace, call, Kind::LogSoftmax)
}

/// Only the logarithm of a softmax, which ends networks that were trained on logarithms.
pub fn log(trace: &mut Trace, call: &Call) -> Made {
    let view = call.view()?;
    let Some(Step { kind: Kind::Plain(Op::Softmax), inputs, .. }) = trace.steps.maker(view.source) else {
        return Err("this operator is not supported, except of a softmax".into());
    };
    let inputs = inputs.clone();
    one(Traced::View(trace.alike(Kind::LogSoftmax, &inputs, &view.layout, &call.name)?))
}

/// Before opset 13 all axes from the named one on were one.
fn over_channels(trace: &mut Trace, call: &Call, kind: Kind) -> Made {
    let view = trace.straight(call.view()?, &call.name)?;
    let (rank, since_13) = (view.layout.rank(), call.opset >= 13);
    let first = axis(call.int("axis", if since_13 { -1 } else { 1 })?, rank)?;
    let axes = if since_13 { first..first + 1 } else { first..rank };
    let parts: Vec<Part> = axes.flat_map(|axis| view.layout.axis(axis).to_vec()).collect();
    if size(&parts) != trace.shape(&view).channels || parts.iter().any(|part| part.side != Side::Channels) {
        return Err(format!("it runs along axis {first}, which is not that of the classes or channels"));
    }
    one(Traced::View(trace.alike(kind, &[view.source], &view.layout, &call.name)?))
}

/// Whether `axis` is that of the channels.
fn by_channel(view: &View, axis: usize, channels: usize) -> Result<(), String> {
    let parts = view.layout.axis(axis);
    if axis >= view.layout.rank() || size(parts) != channels || parts.iter().any(|p| p.side != Side::Channels) {
        let shape = view.layout.dimensions();
        return Err(format!("its axis {axis} of a tensor of shape {shape:?} is not that of the {channels} channels"));
    }
    Ok(())
}

fn scaled(constant: &Constant, factor: f32, trace: &mut Trace) -> Result<Constant, String> {
    if factor == 1.0 {
        return Ok(constant.clone());
    }
    let factor = Constant::floats(&constant.name, &[], &[factor])?;
    // A float makes it floats, so integers do not come up.
    Constant::combined(&constant.name, [constant, &factor], i64::checked_mul, |a, b| a * b, &mut trace.memory)
}

/// The matrix of a fully connected layer, `[out, in]` or the other way round.
struct Matrix {
    constant: Constant,
    transposed: bool,
    out_features: usize,
    in_features: usize,
}

impl Matrix {
    fn new(constant: Constant, transposed: bool) -> Result<Self, String> {
        match *constant.shape() {
            [rows, columns] if rows > 0 && columns > 0 => {
                let (out_features, in_features) = if transposed { (columns, rows) } else { (rows, columns) };
                Ok(Self { constant, transposed, out_features, in_features })
            }
            ref other => Err(format!("`{}` of shape {other:?} is not a matrix", constant.name)),
        }
    }

    /// As `[out, in]`, for inputs whose features are `parts`, each with its place in the image's own order.
    fn in_order(self, parts: &[(Part, usize)], trace: &mut Trace) -> Result<Constant, String> {
        let (out, inner) = (self.out_features, self.in_features);
        let (row, column) = if self.transposed { (1, out) } else { (inner, 1) };
        let mut left = inner;
        // Each part with its place in the image's order, and its stride in the file's.
        let mut axes: Vec<(usize, usize, usize)> = parts
            .iter()
            .map(|(part, place)| {
                left /= part.size;
                (*place, part.size, left * column)
            })
            .collect();
        let sorted = axes.is_sorted_by_key(|(place, ..)| std::cmp::Reverse(*place));
        if sorted && !self.transposed {
            return Ok(self.constant);
        }
        axes.sort_by_key(|(place, ..)| std::cmp::Reverse(*place));
        let shape: Vec<usize> = [out].into_iter().chain(axes.iter().map(|(_, size, _)| *size)).collect();
        let strides: Vec<usize> = [row].into_iter().chain(axes.iter().map(|(.., stride)| *stride)).collect();
        self.constant.picked(&shape, &strides, 0, &mut trace.memory)?.reshaped(&[out, inner])
    }
}

/// A fully connected layer over the last axis: of a flat image, in whatever order, or of each pixel's channels.
fn linear(trace: &mut Trace, call: &Call, x: &View, weight: Matrix, bias: Option<Constant>) -> Result<View, String> {
    let shape = trace.shape(x);
    let last = x.layout.rank().checked_sub(1).ok_or("it reads a single number")?;
    let (out_features, in_features) = (weight.out_features, weight.in_features);
    if size(x.layout.axis(last)) != in_features {
        let found = x.layout.dimensions();
        return Err(format!("it takes {in_features} features, and reads a tensor of shape {found:?}"));
    }
    if x.layout.axis(last).iter().any(|part| part.side == Side::Batch) {
        return Err("it multiplies along the batch".into());
    }
    let others_are = |side: &[Side]| x.layout.axes().take(last).flatten().all(|part| side.contains(&part.side));
    let out = x.layout.with(last, whole(Side::Channels, out_features));
    if others_are(&[Side::Batch]) {
        let place = |part: &Part| match part.side {
            Side::Batch | Side::Columns => part.stride,
            Side::Rows => part.stride * shape.width,
            Side::Channels => part.stride * shape.pixels(),
        };
        let parts: Vec<(Part, usize)> = x.layout.axis(last).iter().map(|part| (*part, place(part))).collect();
        let weight = weight.in_order(&parts, trace)?;
        let mut source = x.source;
        if shape.pixels() != 1 {
            source = trace.steps.push(Kind::Plain(Op::Flatten), &[source], &call.name)?;
        }
        let linear = Linear { in_features, out_features, bias: bias.is_some() };
        return trace.alike(Kind::Linear { linear, weight, bias }, &[source], &out, &call.name);
    }
    let x = trace.straight(x, &call.name)?;
    if !others_are(&[Side::Batch, Side::Rows, Side::Columns]) {
        return Err("it multiplies along an axis that is not that of the channels".into());
    }
    let parts: Vec<(Part, usize)> = x.layout.axis(last).iter().map(|part| (*part, part.stride)).collect();
    let weight = weight.in_order(&parts, trace)?.reshaped(&[out_features, in_features, 1, 1])?;
    let conv = Conv2d { bias: bias.is_some(), ..Conv2d::new(in_features, out_features, 1) };
    trace.alike(Kind::Conv { conv, weight, bias }, &[x.source], &out, &call.name)
}
