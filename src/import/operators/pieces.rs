//! What cuts tensors into pieces along an axis, and joins them: of images, channels alone.

use super::moves::{dimensions, reshaped};
use crate::graph::Op;
use crate::import::call::{Call, axes, axis};
use crate::import::constant::Constant;
use crate::import::layout::{Part, Side, size, whole};
use crate::import::steps::Kind;
use crate::import::traced::{Made, Trace, Traced, View, one};

pub fn concat(trace: &mut Trace, call: &Call) -> Made {
    let (_, dimensions) = dimensions(call)?;
    let at = axis(call.int("axis", 1)?, dimensions.len())?;
    let constants: Vec<&Constant> = call
        .inputs
        .iter()
        .filter_map(|input| if let Some(Traced::Constant(c)) = input { Some(c) } else { None })
        .collect();
    if constants.len() == call.inputs.len() {
        return one(Traced::Constant(Constant::concatenated(&call.made, &constants, at, &mut trace.memory)?));
    }
    trace.memory.take(call.inputs.len().saturating_mul(256))?;
    let mut views = Vec::new();
    for input in &call.inputs {
        match input {
            Some(Traced::View(view)) => views.push(trace.straight(view, &call.name)?),
            _ => return Err("it joins the image with numbers that are known beforehand".into()),
        }
    }
    joined(trace, call, &views, at).and_then(one)
}

/// Images one after the other along the axis of their channels.
fn joined(trace: &mut Trace, call: &Call, views: &[View], at: usize) -> Result<Traced, String> {
    let [first, ..] = views else { return Err("it reads nothing".into()) };
    if let [only] = views {
        return Ok(Traced::View(only.clone()));
    }
    let rest = |view: &View| view.layout.without(&[at], true);
    for view in views {
        let parts = view.layout.axis(at);
        let channels = size(parts) == trace.shape(view).channels && parts.iter().all(|p| p.side == Side::Channels);
        if !channels || rest(view) != rest(first) {
            return Err(format!(
                "it joins tensors of shapes {:?} and {:?} along axis {at}, which is not that of the channels, or they \
                 differ elsewhere",
                first.layout.dimensions(),
                view.layout.dimensions()
            ));
        }
    }
    let sources: Vec<usize> = views.iter().map(|view| view.source).collect();
    let source = trace.steps.push(Kind::Plain(Op::Concat), &sources, &call.name)?;
    let layout = first.layout.with(at, whole(Side::Channels, trace.steps.shapes[source].channels));
    Ok(Traced::View(View { source, layout }))
}

/// Sizes are an attribute before opset 13, and an input since; or there are equal parts.
pub fn split(trace: &mut Trace, call: &Call) -> Made {
    let (input, dimensions) = dimensions(call)?;
    let at = axis(call.int("axis", 0)?, dimensions.len())?;
    let (all, count) = (dimensions[at], call.node.outputs.len());
    let sizes: Vec<usize> = match call.list("split", 1)? {
        Some(list) => list.iter().map(|&size| usize::try_from(size).unwrap_or(usize::MAX)).collect(),
        None => {
            let each = all.div_ceil(count.max(1));
            (0..count).map(|part| each.min(all.saturating_sub(part.saturating_mul(each)))).collect()
        }
    };
    let total = sizes.iter().fold(0, |sum: usize, size| sum.saturating_add(*size));
    if sizes.len() != count || total != all || sizes.contains(&0) {
        return Err(format!("it splits {all} into {count} parts that are not as much"));
    }
    let mut start = 0;
    let mut parts = Vec::new();
    for length in sizes {
        parts.push(sliced(trace, call, input, at, start, length)?);
        start += length;
    }
    Ok(parts)
}

/// Everything but the data is attributes before opset 10, and inputs since.
pub fn slice(trace: &mut Trace, call: &Call) -> Made {
    let (input, dimensions) = dimensions(call)?;
    let starts = call.list("starts", 1)?.ok_or("it has no starts")?;
    let ends = call.list("ends", 2)?.ok_or("it has no ends")?;
    let over = match call.list("axes", 3)? {
        Some(list) => axes(&list, dimensions.len())?,
        None => (0..starts.len().min(dimensions.len())).collect(),
    };
    let steps = call.list("steps", 4)?.unwrap_or_else(|| vec![1; over.len()]);
    if [starts.len(), ends.len(), steps.len()] != [over.len(); 3] {
        return Err("its starts, ends, axes and steps are not as many".into());
    }
    let mut result = input.clone();
    for (((&at, start), end), step) in over.iter().zip(starts).zip(ends).zip(steps) {
        let all = i64::try_from(dimensions[at]).unwrap_or(i64::MAX);
        // Backwards, a slice may begin at the last and end before the first.
        let (least, most) = if step > 0 { (0, all) } else { (-1, all - 1) };
        let place = |value: i64| if value < 0 { value.saturating_add(all) } else { value }.clamp(least, most);
        let (start, end) = (place(start), place(end));
        let count = (end - start).checked_div(step).ok_or("its step is 0")?;
        let count = count + i64::from((end - start) % step != 0);
        // A shape may claim any length where another axis is empty.
        trace.memory.take(usize::try_from(count.max(0)).unwrap_or(usize::MAX).saturating_mul(8))?;
        let places = (0..count.max(0)).map(|i| usize::try_from(start + i * step));
        let places: Vec<usize> =
            places.collect::<Result<_, _>>().map_err(|_| "it takes what is not there".to_owned())?;
        result = chosen(trace, call, &result, at, &places)?;
    }
    one(result)
}

pub fn gather(trace: &mut Trace, call: &Call) -> Made {
    let (input, dimensions) = dimensions(call)?;
    let at = axis(call.int("axis", 0)?, dimensions.len())?;
    let indices = call.constant(1)?;
    let shape = indices.shape().to_vec();
    let places = indices.to_ints()?.into_iter().map(|index| axis(index, dimensions[at]));
    let places: Vec<usize> = places.collect::<Result<_, _>>().map_err(|_| "it takes what is not there".to_owned())?;
    let taken = chosen(trace, call, input, at, &places)?;
    let target = [&dimensions[..at], &shape, &dimensions[at + 1..]].concat();
    reshaped(&taken, &target, &target)
}

/// What lies at some indices of an axis.
fn chosen(trace: &mut Trace, call: &Call, input: &Traced, at: usize, places: &[usize]) -> Result<Traced, String> {
    /// As many parts of an image are joined anew; more would be a shuffle of some kind.
    const MOST: usize = 64;
    let &first = places.first().ok_or("it takes nothing")?;
    if places.windows(2).all(|pair| pair[0] + 1 == pair[1]) {
        return sliced(trace, call, input, at, first, places.len());
    }
    match input {
        Traced::Constant(constant) => constant.taken(at, places, &mut trace.memory).map(Traced::Constant),
        Traced::View(_) if places.len() > MOST => Err(format!("it takes {} channels out of order", places.len())),
        Traced::View(view) => {
            trace.memory.take(places.len().saturating_mul(1024))?;
            let parts = places.iter().map(|&place| narrowed(trace, call, view, at, place, 1));
            let parts: Vec<View> = parts.collect::<Result<_, _>>()?;
            joined(trace, call, &parts, at)
        }
        Traced::Unknown => Ok(Traced::Unknown),
    }
}

/// `length` of what lies along an axis.
fn sliced(
    trace: &mut Trace,
    call: &Call,
    input: &Traced,
    at: usize,
    start: usize,
    length: usize,
) -> Result<Traced, String> {
    match input {
        Traced::Constant(constant) => constant.sliced(at, [start, length], &mut trace.memory).map(Traced::Constant),
        Traced::View(view) => narrowed(trace, call, view, at, start, length).map(Traced::View),
        Traced::Unknown => Ok(Traced::Unknown),
    }
}

/// Some channels of an image: those at some indices of an axis, which may hold a part of the channels only, as it does
/// in the middle of a shuffle.
fn narrowed(
    trace: &mut Trace,
    call: &Call,
    view: &View,
    at: usize,
    start: usize,
    length: usize,
) -> Result<View, String> {
    let parts = view.layout.axis(at);
    let all = size(parts);
    if (start, length) == (0, all) {
        return Ok(view.clone());
    }
    if parts.iter().any(|part| part.side != Side::Channels) {
        let shape = view.layout.dimensions();
        return Err(format!("it cuts axis {at} of a tensor of shape {shape:?}, which is not that of the channels"));
    }
    // With the axis in front, its indices are runs of channels.
    let mut order: Vec<usize> = (0..view.layout.rank()).collect();
    order.remove(at);
    order.insert(0, at);
    let mut front = view.layout.transpose(&order);
    let mut source = view.source;
    match front.shuffle() {
        None => return Err("it cuts channels whose order no channel shuffle makes".into()),
        Some(1) => {}
        Some(groups) => {
            source = trace.steps.push(Kind::Plain(Op::ChannelShuffle { groups }), &[source], &call.name)?;
            front = front.renumbered();
        }
    }
    let run = trace.steps.shapes[source].channels / all;
    let narrow = Op::Narrow { start: start * run, length: length * run };
    let source = trace.steps.push(Kind::Plain(narrow), &[source], &call.name)?;
    let left = if length == 1 { Vec::new() } else { vec![Part { side: Side::Channels, size: length, stride: run }] };
    let mut back: Vec<usize> = (1..order.len()).collect();
    back.insert(at, 0);
    Ok(View { source, layout: front.with(0, left).transpose(&back) })
}
