//! What keeps all numbers and puts them along other axes: of constants at once, of images as another layout.

use crate::import::call::{Call, axes, axis};
use crate::import::layout::MAX_RANK;
use crate::import::traced::{Made, Trace, Traced, View, one};

pub fn identity(_: &mut Trace, call: &Call) -> Made {
    one(call.input(0).ok_or("it reads nothing")?.clone())
}

/// Whether a number of `TensorProto.DataType` is that of floats.
pub fn is_float(to: i64) -> bool {
    matches!(to, 1 | 10 | 11 | 16)
}

/// Dropout, which does nothing outside of training.
pub fn dropout(_: &mut Trace, call: &Call) -> Made {
    let training = call.optional_constant(2)?.is_some_and(|training| training.to_scalar() != Some(0.0));
    // Before opset 12 there is no telling, and nobody's networks drop anything.
    if training && call.optional_constant(1)?.is_none_or(|ratio| ratio.to_scalar() != Some(0.0)) {
        return Err("it is in training mode; export the model for inference".into());
    }
    one(call.input(0).ok_or("it reads nothing")?.clone())
}

/// To another type: floats are all one here.
pub fn cast(trace: &mut Trace, call: &Call) -> Made {
    let to = call.int("to", 0)?;
    match call.input(0) {
        Some(Traced::Constant(constant)) => one(Traced::Constant(constant.cast(to, &mut trace.memory)?)),
        // Of as many bits as levels need, or more.
        Some(Traced::View(_)) if is_float(to) || (call.of_integers && matches!(to, 4..=7 | 12 | 13)) => {
            identity(trace, call)
        }
        Some(Traced::View(_)) => Err("it makes integers of the image's numbers".into()),
        _ => identity(trace, call),
    }
}

pub fn reshape(_: &mut Trace, call: &Call) -> Made {
    let target = call.list("shape", 1)?.ok_or("it has no shape to make")?;
    let (input, dimensions) = dimensions(call)?;
    if target.len() > 64 {
        return Err(format!("it makes {} axes", target.len()));
    }
    let zero_is_zero = call.int("allowzero", 0)? != 0;
    let mut shape = Vec::with_capacity(target.len().min(MAX_RANK));
    let mut free = None;
    for (at, &size) in target.iter().enumerate() {
        match size {
            -1 if free.replace(at).is_none() => shape.push(1),
            0 if !zero_is_zero => shape.push(*dimensions.get(at).ok_or("it keeps an axis that is not there")?),
            size => shape.push(usize::try_from(size).map_err(|_| format!("it makes an axis of size {size}"))?),
        }
    }
    if let Some(free) = free {
        let all = product(&dimensions)?;
        let rest = product(&shape)?;
        if all.checked_rem(rest) != Some(0) {
            return Err(format!("{dimensions:?} cannot become {target:?}"));
        }
        shape[free] = all / rest;
    }
    reshaped(input, &dimensions, &shape)
}

/// All axes before one make one, and all from it on another.
pub fn flatten(_: &mut Trace, call: &Call) -> Made {
    let (input, dimensions) = dimensions(call)?;
    let at = match call.int("axis", 1)? {
        at if usize::try_from(at) == Ok(dimensions.len()) => dimensions.len(),
        at => axis(at, dimensions.len())?,
    };
    let (before, after) = dimensions.split_at(at);
    reshaped(input, &dimensions, &[product(before)?, product(after)?])
}

pub fn squeeze(_: &mut Trace, call: &Call) -> Made {
    let (input, dimensions) = dimensions(call)?;
    let gone: Vec<usize> = match call.list("axes", 1)? {
        Some(list) => axes(&list, dimensions.len())?,
        None => (0..dimensions.len()).filter(|&axis| dimensions[axis] == 1).collect(),
    };
    let shape: Vec<usize> = (0..dimensions.len()).filter(|at| !gone.contains(at)).map(|at| dimensions[at]).collect();
    reshaped(input, &dimensions, &shape)
}

pub fn unsqueeze(_: &mut Trace, call: &Call) -> Made {
    let (input, dimensions) = dimensions(call)?;
    let list = call.list("axes", 1)?.ok_or("it names no axes")?;
    let rank = dimensions.len() + list.len();
    if rank > 64 {
        return Err(format!("it makes {rank} axes"));
    }
    let new = axes(&list, rank)?;
    let mut old = dimensions.iter();
    let size = |at| if new.contains(&at) { 1 } else { old.next().copied().unwrap_or(1) };
    let shape: Vec<usize> = (0..rank).map(size).collect();
    reshaped(input, &dimensions, &shape)
}

pub fn transpose(trace: &mut Trace, call: &Call) -> Made {
    let (input, dimensions) = dimensions(call)?;
    let rank = dimensions.len();
    let order: Vec<usize> = match call.ints("perm")? {
        Some(list) => axes(list, rank)?,
        None => (0..rank).rev().collect(),
    };
    if order.len() != rank {
        return Err(format!("it orders {} axes of {rank}", order.len()));
    }
    match input {
        Traced::Constant(constant) => one(Traced::Constant(constant.transposed(&order, &mut trace.memory)?)),
        Traced::View(view) => one(Traced::View(View { layout: view.layout.transpose(&order), ..view.clone() })),
        Traced::Unknown => identity(trace, call),
    }
}

/// What a node reads first, and its shape.
pub(super) fn dimensions<'c>(call: &'c Call) -> Result<(&'c Traced, Vec<usize>), String> {
    match call.input(0) {
        Some(input @ Traced::Constant(constant)) => Ok((input, constant.shape().to_vec())),
        Some(input @ Traced::View(view)) => Ok((input, view.layout.dimensions())),
        _ => Err("it reads nothing".into()),
    }
}

/// The same numbers in another shape.
pub(super) fn reshaped(input: &Traced, from: &[usize], to: &[usize]) -> Made {
    if product(from)? != product(to)? {
        return Err(format!("{from:?} cannot become {to:?}"));
    }
    one(match input {
        Traced::Constant(constant) => Traced::Constant(constant.reshaped(to)?),
        Traced::View(_) if to.len() > MAX_RANK => return Err(format!("it makes {} axes of an image", to.len())),
        Traced::View(view) => {
            let layout = view
                .layout
                .reshape(to)
                .ok_or_else(|| format!("{from:?} becomes {to:?}, which cuts through channels, rows or columns"))?;
            Traced::View(View { layout, ..view.clone() })
        }
        Traced::Unknown => Traced::Unknown,
    })
}

fn product(sizes: &[usize]) -> Result<usize, String> {
    let product = sizes.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
    product.ok_or_else(|| format!("the shape {sizes:?} overflows"))
}
