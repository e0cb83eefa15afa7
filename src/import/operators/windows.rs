//! What looks at neighbouring pixels: convolutions, pools, means over the image, padding.

use crate::graph::{AvgPool2d, Conv2d, MaxPool2d, Op, Padding, Shape, Window};
use crate::import::call::{Call, axes};
use crate::import::layout::{Side, whole};
use crate::import::steps::Kind;
use crate::import::traced::{Made, Trace, Traced, View, one};

/// More pixels than any window or padding has.
const MOST: i64 = 1 << 20;

pub fn conv(trace: &mut Trace, call: &Call) -> Made {
    let view = trace.channels_first(call.view()?, &call.name)?;
    let shape = trace.shape(&view);
    let weight = call.constant(1)?.clone();
    let &[out_channels, per_group, height, width] = weight.shape() else {
        return Err(format!("`{}` of shape {:?} is not a kernel for images", weight.name, weight.shape()));
    };
    let groups = positive("group", call.int("group", 1)?)?;
    if shape.channels.checked_rem(groups) != Some(0) || shape.channels / groups != per_group {
        return Err(format!(
            "`{}` of shape {:?} does not fit {groups} groups of {} channels",
            weight.name,
            weight.shape(),
            shape.channels
        ));
    }
    let window = window(call, [height, width], [shape.height, shape.width])?;
    let bias = call.optional_constant(2)?.cloned();
    if let Some(bias) = bias.as_ref().filter(|bias| bias.shape() != [out_channels]) {
        return Err(format!("`{}` of shape {:?} is not a bias of {out_channels} channels", bias.name, bias.shape()));
    }
    let conv = Conv2d { in_channels: shape.channels, out_channels, window, groups, bias: bias.is_some() };
    trace.image(Kind::Conv { conv, weight, bias }, view.source, &call.name).and_then(one)
}

pub fn max_pool(trace: &mut Trace, call: &Call) -> Made {
    let view = trace.channels_first(call.view()?, &call.name)?;
    let (window, ceil_mode) = pool_window(trace, call, &view)?;
    if window.is_pixel() {
        return one(Traced::View(view));
    }
    let op = Op::MaxPool2d(MaxPool2d { window, ceil_mode });
    all_see_pixels(&window, trace.shape(&view), &op)?;
    trace.image(Kind::Plain(op), view.source, &call.name).and_then(one)
}

pub fn average_pool(trace: &mut Trace, call: &Call) -> Made {
    let view = trace.channels_first(call.view()?, &call.name)?;
    let (window, ceil_mode) = pool_window(trace, call, &view)?;
    if window.is_pixel() {
        return one(Traced::View(view));
    }
    let count_include_pad = flag(call, "count_include_pad")?;
    let op = Op::AvgPool2d(AvgPool2d { window, ceil_mode, count_include_pad });
    if !count_include_pad {
        all_see_pixels(&window, trace.shape(&view), &op)?;
    }
    trace.image(Kind::Plain(op), view.source, &call.name).and_then(one)
}

/// Refuses a pool of which a window has taps that are so far apart that none is on a pixel: what that gives is said nowhere.
fn all_see_pixels(window: &Window, image: Shape, op: &Op) -> Result<(), String> {
    match window.sees_pixels(image.sides(), op.output_shape(&[image])?.sides()) {
        true => Ok(()),
        false => Err("one of its windows, whose taps are apart, lies on no pixel of the image".into()),
    }
}

pub fn global_average_pool(trace: &mut Trace, call: &Call) -> Made {
    let view = call.view()?.clone();
    let pixels: Vec<usize> = (2..view.layout.rank()).collect();
    over_pixels(trace, call, &view, &pixels, true, average)
}

pub fn global_max_pool(trace: &mut Trace, call: &Call) -> Made {
    let view = call.view()?.clone();
    let pixels: Vec<usize> = (2..view.layout.rank()).collect();
    over_pixels(trace, call, &view, &pixels, true, largest)
}

pub fn reduce_mean(trace: &mut Trace, call: &Call) -> Made {
    reduce(trace, call, average)
}

pub fn reduce_max(trace: &mut Trace, call: &Call) -> Made {
    reduce(trace, call, largest)
}

fn average(_: Shape) -> Op {
    Op::Mean
}

fn largest(shape: Shape) -> Op {
    let window = Window { kernel: [shape.height, shape.width], ..Window::square(1) };
    Op::MaxPool2d(MaxPool2d { window, ceil_mode: false })
}

/// Axes are an attribute before opset 18, and an input since.
fn reduce(trace: &mut Trace, call: &Call, op: fn(Shape) -> Op) -> Made {
    let view = call.view()?.clone();
    let keep = call.int("keepdims", 1)? != 0;
    let list = call.list("axes", 1)?.filter(|list| !list.is_empty());
    let axes = match list {
        Some(list) => axes(&list, view.layout.rank())?,
        None if call.int("noop_with_empty_axes", 0)? != 0 => return one(Traced::View(view)),
        None => (0..view.layout.rank()).collect(),
    };
    over_pixels(trace, call, &view, &axes, keep, op)
}

/// What makes one number of all pixels, where `axes` are theirs.
fn over_pixels(trace: &mut Trace, call: &Call, view: &View, axes: &[usize], keep: bool, op: fn(Shape) -> Op) -> Made {
    let shape = trace.shape(view);
    let over = |side| axes.iter().flat_map(|&axis| view.layout.axis(axis)).filter(move |part| part.side == side);
    let count = |side| over(side).map(|part| part.size).product::<usize>();
    let layout = view.layout.without(axes, keep);
    let pixels = count(Side::Rows) == shape.height && count(Side::Columns) == shape.width;
    if !pixels || count(Side::Channels) != 1 || count(Side::Batch) != 1 {
        return Err(format!(
            "it runs over axes {axes:?} of a tensor of shape {:?}, which are not all the pixels'",
            view.layout.dimensions()
        ));
    }
    if shape.pixels() == 1 {
        return one(Traced::View(View { source: view.source, layout }));
    }
    one(Traced::View(trace.alike(Kind::Plain(op(shape)), &[view.source], &layout, &call.name)?))
}

/// Paddings are an attribute before opset 11, and an input since.
pub fn pad(trace: &mut Trace, call: &Call) -> Made {
    let mode = call.text("mode", "constant")?;
    let list = call.list("pads", 1)?.ok_or("it says nothing of how much")?;
    let value = match call.optional_constant(2)? {
        Some(constant) => constant.to_scalar().ok_or("it pads with more than one value")?,
        None => call.float("value", 0.0)?,
    };
    let view = call.view()?.clone();
    let rank = view.layout.rank();
    let over = match call.optional_constant(3)? {
        Some(list) => axes(&list.to_ints()?, rank)?,
        None => (0..rank).collect(),
    };
    if list.len() != 2 * over.len() {
        return Err(format!("its {} numbers are not two for each of {} axes", list.len(), over.len()));
    }
    if list.iter().all(|pixels| *pixels == 0) {
        return one(Traced::View(view));
    }
    if mode != "constant" {
        return Err(format!("its mode {mode} is not supported, only constant"));
    }
    let view = trace.straight(&view, &call.name)?;
    let mut padding = Padding::default();
    let mut sides = Vec::new();
    for (at, &axis) in over.iter().enumerate() {
        let [before, after] = [list[at], list[at + over.len()]];
        if [before, after] == [0, 0] {
            continue;
        }
        let [before, after] = [natural("a padding", before)?, natural("a padding", after)?];
        let side = side_of(&view, axis);
        match side {
            Some(Side::Rows) => (padding.top, padding.bottom) = (before, after),
            Some(Side::Columns) => (padding.left, padding.right) = (before, after),
            _ => return Err(format!("it pads axis {axis}, which is not one of pixels")),
        }
        sides.extend(side.map(|side| (axis, side)));
    }
    let source = trace.steps.push(Kind::Pad { padding, value }, &[view.source], &call.name)?;
    let shape = trace.steps.shapes[source];
    let layout = sides.into_iter().fold(view.layout, |layout, (axis, side)| {
        layout.with(axis, whole(side, if side == Side::Rows { shape.height } else { shape.width }))
    });
    one(Traced::View(View { source, layout }))
}

/// The side that lies on an axis of a view without mixed axes. Sides of size 1 leave no trace; there the order of all axes
/// tells, and where that leaves two orders, either holds the same numbers.
fn side_of(view: &View, axis: usize) -> Option<Side> {
    let found = |axis: usize| view.layout.axis(axis).first().map(|part| part.side);
    let fits = |order: &&[Side; 4]| order.iter().enumerate().all(|(at, side)| found(at).is_none_or(|own| own == *side));
    const ORDERS: [[Side; 4]; 2] = [
        [Side::Batch, Side::Channels, Side::Rows, Side::Columns],
        [Side::Batch, Side::Rows, Side::Columns, Side::Channels],
    ];
    let order = ORDERS.iter().find(fits).filter(|_| view.layout.rank() == 4);
    found(axis).or_else(|| order.map(|order| order[axis]))
}

fn pool_window(trace: &Trace, call: &Call, view: &View) -> Result<(Window, bool), String> {
    let shape = trace.shape(view);
    let kernel = pair(call, "kernel_shape")?.ok_or("it has no kernel_shape")?;
    let window = window(call, kernel, [shape.height, shape.width])?;
    // ONNX Runtime takes the taps of a pool to be side by side when it works out the padding; ONNX's reference does not.
    if window.extent() != window.kernel && call.text("auto_pad", "NOTSET")?.starts_with("SAME_") {
        return Err(format!(
            "its auto_pad, with dilations of {:?}, is read differently by different engines; write its pads out",
            window.dilation
        ));
    }
    Ok((window, flag(call, "ceil_mode")?))
}

/// An attribute that is 0 or 1, and 0 where it is not given.
fn flag(call: &Call, name: &str) -> Result<bool, String> {
    match call.int(name, 0)? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(format!("its {name} is {other}, which is neither 0 nor 1")),
    }
}

/// The window that the attributes describe, for an image of so many rows and columns.
fn window(call: &Call, kernel: [usize; 2], image: [usize; 2]) -> Result<Window, String> {
    let stride = pair(call, "strides")?.unwrap_or([1, 1]);
    let dilation = pair(call, "dilations")?.unwrap_or([1, 1]);
    if pair(call, "kernel_shape")?.is_some_and(|own| own != kernel) {
        return Err("its kernel_shape is not that of its weights".into());
    }
    if kernel.iter().any(|side| *side == 0 || *side > MOST as usize) {
        return Err(format!("its kernel is {}x{}", kernel[0], kernel[1]));
    }
    let mut window = Window { kernel, stride, padding: Padding::default(), dilation };
    let same = |end_first: bool| {
        let total = |axis: usize| {
            let seen = (image[axis].div_ceil(stride[axis]) - 1) * stride[axis] + window.extent()[axis];
            let half = |total: usize| if end_first { total / 2 } else { total.div_ceil(2) };
            match image[axis].checked_sub(seen) {
                None => Ok((half(seen - image[axis]), seen - image[axis])),
                // Less than no padding: TensorFlow leaves out what lies behind, and ONNX Runtime some of what lies before.
                Some(left_out) if left_out > if end_first { 1 } else { 2 } => Err(format!(
                    "its auto_pad, with a stride of {} and a window of {} pixels, is read differently by different \
                     engines; write its pads out",
                    stride[axis],
                    window.extent()[axis]
                )),
                Some(_) => Ok((0, 0)),
            }
        };
        let ((top, down), (left, across)) = (total(0)?, total(1)?);
        Ok::<_, String>(Padding { top, left, bottom: down - top, right: across - left })
    };
    window.padding = match call.text("auto_pad", "NOTSET")? {
        "NOTSET" | "" => match call.ints("pads")? {
            None => Padding::default(),
            Some(&[top, left, bottom, right]) => {
                let pixels = |value| natural("a padding", value);
                Padding { top: pixels(top)?, left: pixels(left)?, bottom: pixels(bottom)?, right: pixels(right)? }
            }
            Some(other) => return Err(format!("its pads are {} numbers, and images have 4", other.len())),
        },
        "VALID" => Padding::default(),
        "SAME_UPPER" => same(true)?,
        "SAME_LOWER" => same(false)?,
        other => return Err(format!("its auto_pad is {other}")),
    };
    Ok(window)
}

/// Two positive numbers of an attribute.
fn pair(call: &Call, name: &str) -> Result<Option<[usize; 2]>, String> {
    match call.ints(name)? {
        None => Ok(None),
        Some(&[down, across]) => Ok(Some([positive(name, down)?, positive(name, across)?])),
        Some(other) => Err(format!("its {name} are {} numbers, and images have 2", other.len())),
    }
}

fn positive(what: &str, value: i64) -> Result<usize, String> {
    natural(what, value)?.checked_sub(1).map(|less| less + 1).ok_or_else(|| format!("{what} is 0"))
}

fn natural(what: &str, value: i64) -> Result<usize, String> {
    let fits = (0..=MOST).contains(&value);
    usize::try_from(value).ok().filter(|_| fits).ok_or_else(|| format!("{what} is {value}"))
}
