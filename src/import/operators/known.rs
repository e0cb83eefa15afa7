//! What is known before any image is: constants, shapes, and the arithmetic that exporters do with them.

use crate::checkpoint::OnnxAttribute;
use crate::import::call::Call;
use crate::import::constant::{Constant, broadcast};
use crate::import::traced::{Made, Trace, Traced, one};
use crate::tensor::{DType, Tensor};

/// Numbers that the node holds itself.
pub fn constant(_: &mut Trace, call: &Call) -> Made {
    let [(_, value)] = call.node.attributes.as_slice() else { return Err("it should have exactly one value".into()) };
    let name = &call.made;
    let constant = match value {
        OnnxAttribute::Tensor(tensor) => Constant::new(name, tensor.clone()),
        OnnxAttribute::Int(value) => Constant::ints(name, &[], &[*value])?,
        OnnxAttribute::Float(value) => Constant::floats(name, &[], &[*value])?,
        OnnxAttribute::Ints(values) => Constant::ints(name, &[values.len()], values)?,
        OnnxAttribute::Floats(values) => Constant::floats(name, &[values.len()], values)?,
        OnnxAttribute::Text(_) | OnnxAttribute::Other => {
            return Err("its value is not a tensor of numbers that are read".into());
        }
    };
    one(Traced::Constant(constant))
}

pub fn constant_of_shape(trace: &mut Trace, call: &Call) -> Made {
    let shape = sizes(&call.constant(0)?.to_ints()?)?;
    let value = match call.tensor("value")? {
        Some(tensor) => Constant::new(&call.made, tensor.clone()),
        None => Constant::floats(&call.made, &[], &[0.0])?,
    };
    if value.tensor.element_count() != 1 {
        return Err("its value is not one number".into());
    }
    one(Traced::Constant(value.reshaped(&[])?.spread(&shape, &mut trace.memory)?))
}

/// Repeats what is known along new axes; of the image, only where nothing is repeated.
pub fn expand(trace: &mut Trace, call: &Call) -> Made {
    let target = sizes(&call.constant(1)?.to_ints()?)?;
    let unlike = |shape: &[usize]| format!("{shape:?} does not spread to {target:?}");
    match call.input(0) {
        Some(Traced::Constant(constant)) => {
            let shape = broadcast(constant.shape(), &target).ok_or_else(|| unlike(constant.shape()))?;
            one(Traced::Constant(constant.spread(&shape, &mut trace.memory)?))
        }
        Some(Traced::View(view)) => {
            let shape = view.layout.dimensions();
            if broadcast(&shape, &target).as_ref() != Some(&shape) {
                return Err(unlike(&shape));
            }
            one(Traced::View(view.clone()))
        }
        _ => Err("it reads nothing".into()),
    }
}

/// The whole shape, or since opset 15 a part of it.
pub fn shape(_: &mut Trace, call: &Call) -> Made {
    let dimensions = dimensions(call)?;
    let rank = i64::try_from(dimensions.len()).unwrap_or(i64::MAX);
    let place =
        |at: i64| usize::try_from(if at < 0 { at.saturating_add(rank) } else { at }.clamp(0, rank)).unwrap_or(0);
    let (start, end) = (place(call.int("start", 0)?), place(call.int("end", i64::MAX)?));
    let part = dimensions.get(start..end).unwrap_or_default();
    one(Traced::Constant(Constant::ints(&call.made, &[part.len()], part)?))
}

pub fn size(_: &mut Trace, call: &Call) -> Made {
    let product = dimensions(call)?.iter().try_fold(1i64, |product, &size| product.checked_mul(size));
    one(Traced::Constant(Constant::ints(&call.made, &[], &[product.ok_or("its size overflows")?])?))
}

/// Of sizes that were divided, as paddings to the `same` size are worked out.
pub fn ceil(trace: &mut Trace, call: &Call) -> Made {
    let rounded = call.constant(0)?.each(f32::ceil, &mut trace.memory)?;
    one(Traced::Constant(rounded))
}

pub fn floor(trace: &mut Trace, call: &Call) -> Made {
    let rounded = call.constant(0)?.each(f32::floor, &mut trace.memory)?;
    one(Traced::Constant(rounded))
}

pub fn equal(trace: &mut Trace, call: &Call) -> Made {
    let pair = [call.constant(0)?, call.constant(1)?];
    let alike = |a, b| Some(i64::from(a == b));
    let made = Constant::combined(&call.made, pair, alike, |a, b| f64::from(u8::from(a == b)), &mut trace.memory)?;
    one(Traced::Constant(made.cast(9, &mut trace.memory)?))
}

/// One or the other, number by number.
pub fn where_(trace: &mut Trace, call: &Call) -> Made {
    let (condition, yes, no) = (call.constant(0)?, call.constant(1)?, call.constant(2)?);
    if yes.tensor.dtype() != no.tensor.dtype() {
        return Err("it chooses between numbers of two types".into());
    }
    let unlike = || "the shapes that it reads do not go together".to_owned();
    let shape = broadcast(yes.shape(), no.shape()).ok_or_else(unlike)?;
    let shape = broadcast(condition.shape(), &shape).ok_or_else(unlike)?;
    let mut spread = |constant: &Constant| constant.spread(&shape, &mut trace.memory);
    let [condition, yes, no] = [spread(condition)?, spread(yes)?, spread(no)?];
    let size = yes.tensor.dtype().size();
    let choices = condition.tensor.to_f32_vec();
    trace.memory.take(choices.len().saturating_mul(size))?;
    let bytes = choices.iter().enumerate().flat_map(|(at, choice)| {
        let from = if *choice != 0.0 { &yes } else { &no };
        from.tensor.bytes().slice(at * size..(at + 1) * size)
    });
    let tensor = Tensor::new(yes.tensor.dtype(), &shape, bytes.collect::<Vec<u8>>());
    one(Traced::Constant(Constant::new(&call.made, tensor.map_err(|error| error.to_string())?)))
}

fn dimensions(call: &Call) -> Result<Vec<i64>, String> {
    let sizes = match call.input(0) {
        Some(Traced::Constant(constant)) => constant.shape().to_vec(),
        Some(Traced::View(view)) => view.layout.dimensions(),
        _ => return Err("it reads nothing".into()),
    };
    Ok(sizes.into_iter().map(|size| i64::try_from(size).unwrap_or(i64::MAX)).collect())
}

/// Sizes of axes, none negative, whose product fits.
fn sizes(list: &[i64]) -> Result<Vec<usize>, String> {
    let sizes: Option<Vec<usize>> = list.iter().map(|&size| usize::try_from(size).ok()).collect();
    let sizes = sizes.filter(|sizes| sizes.len() <= 64 && Tensor::byte_count(DType::F64, sizes).is_ok());
    sizes.ok_or_else(|| "it makes a shape that is too large, or negative".into())
}
