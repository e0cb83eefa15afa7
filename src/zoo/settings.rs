//! Reads the geometry of layers off the attributes of PyTorch's modules. A file can claim anything, so all is checked.

use super::MOST;
use crate::checkpoint::{Attribute, Module};
use crate::graph::{Activation, AvgPool2d, BatchNorm2d, Conv2d, Linear, MaxPool2d, Padding, Window};

/// Whether modules of this class of PyTorch's do nothing outside of training.
pub(super) fn is_identity(class: &str) -> bool {
    const DROPOUTS: [&str; 6] =
        ["Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"];
    class == "Identity" || DROPOUTS.contains(&class)
}

/// `nn.Conv2d`.
pub(super) fn conv2d(module: &Module) -> Result<Conv2d, String> {
    if flag(module, "transposed", false)? {
        return Err("it is transposed".into());
    }
    let [in_channels, out_channels, groups] =
        [size(module, "in_channels", 1)?, size(module, "out_channels", 1)?, size(module, "groups", 1)?];
    let (kernel, stride) = (pair(module, "kernel_size", 1)?, pair(module, "stride", 1)?);
    let window = Window { kernel, stride, padding: Padding::all(0), dilation: pair(module, "dilation", 1)? };
    let conv = Conv2d { in_channels, out_channels, window, groups, bias: has(module, "bias") };
    let conv = match module.attribute("padding") {
        Some(Attribute::Text(word)) if word == "valid" => conv,
        Some(Attribute::Text(word)) if word == "same" => conv.padding_same(),
        _ => conv.window(Window { padding: around(pair(module, "padding", 0)?), ..window }),
    };
    match module.attribute("padding_mode") {
        // PyTorch 1.0 has none.
        None => {}
        Some(Attribute::Text(word)) if word == "zeros" => {}
        Some(_) if conv.window.padding == Padding::all(0) => {}
        Some(other) => return Err(format!("its padding_mode is {other}, and only \"zeros\" is known")),
    }
    parameters(module, &["weight"], &["bias"])?;
    Ok(conv)
}

/// `nn.Linear`.
pub(super) fn linear(module: &Module) -> Result<Linear, String> {
    let (in_features, out_features) = (size(module, "in_features", 1)?, size(module, "out_features", 1)?);
    parameters(module, &["weight"], &["bias"])?;
    Ok(Linear { in_features, out_features, bias: has(module, "bias") })
}

/// `nn.BatchNorm2d` and `nn.BatchNorm1d`.
pub(super) fn batch_norm(module: &Module) -> Result<BatchNorm2d, String> {
    for (name, otherwise) in [
        ("affine", "a graph knows normalisation with weight and bias only"),
        ("track_running_stats", "it normalises by the batch at hand, so that images change each other's classes"),
    ] {
        if !flag(module, name, true)? {
            return Err(format!("its {name} is False: {otherwise}"));
        }
    }
    let norm = BatchNorm2d::new(size(module, "num_features", 1)?).eps(number(module, "eps")?);
    if norm.eps < 0.0 {
        return Err(format!("its eps is {}", norm.eps));
    }
    parameters(module, &["weight", "bias", "running_mean", "running_var"], &["num_batches_tracked"])?;
    Ok(norm)
}

/// The function that `module` applies to each number; none where no graph has it.
pub(super) fn activation(module: &Module) -> Option<Result<Activation, String>> {
    let found = Activation::of_torch(module.torch_class()?, |name| number(module, name))?;
    Some(found.and_then(|activation| match activation {
        Activation::Clamp { low, high } if low > high => Err(format!("its min_val {low} is above its max_val {high}")),
        activation => Ok(activation),
    }))
}

/// `nn.MaxPool2d`.
pub(super) fn max_pool2d(module: &Module) -> Result<MaxPool2d, String> {
    if flag(module, "return_indices", false)? {
        return Err("it returns indices too".into());
    }
    let window = Window { dilation: pair(module, "dilation", 1)?, ..pool(module)? };
    Ok(MaxPool2d { window, ceil_mode: flag(module, "ceil_mode", false)? })
}

/// `nn.AvgPool2d`.
pub(super) fn avg_pool2d(module: &Module) -> Result<AvgPool2d, String> {
    match module.attribute("divisor_override") {
        None | Some(Attribute::None) => {}
        Some(other) => return Err(format!("its divisor_override is {other}, and only None is known")),
    }
    let (ceil_mode, count_include_pad) = (flag(module, "ceil_mode", false)?, flag(module, "count_include_pad", true)?);
    Ok(AvgPool2d { window: pool(module)?, ceil_mode, count_include_pad })
}

/// Whether an `nn.AdaptiveAvgPool2d` averages over the whole image.
pub(super) fn is_mean(module: &Module) -> Result<(), String> {
    match module.attribute("output_size") {
        Some(Attribute::Int(1)) => Ok(()),
        Some(Attribute::Ints(sizes)) if sizes[..] == [1, 1] => Ok(()),
        other => Err(format!("its output_size is {}, and only 1 is known", told(other))),
    }
}

/// Whether an `nn.Flatten` flattens images to vectors.
pub(super) fn flattens(module: &Module) -> Result<(), String> {
    match (module.attribute("start_dim"), module.attribute("end_dim")) {
        (Some(Attribute::Int(1 | -3)), Some(Attribute::Int(-1 | 3))) => Ok(()),
        (start, end) => Err(format!("it flattens axes {} to {}, and only 1 to -1 is known", told(start), told(end))),
    }
}

/// Whether an `nn.Softmax` is over the channels of an image, or over a `vector`. Without an axis it takes that one.
pub(super) fn is_over_channels(module: &Module, vector: bool) -> Result<(), String> {
    match module.attribute("dim") {
        Some(Attribute::Int(1) | Attribute::None) => Ok(()),
        Some(Attribute::Int(-1)) if vector => Ok(()),
        Some(Attribute::Int(-3)) if !vector => Ok(()),
        other => Err(format!("its dim is {}, and only 1 is known", told(other))),
    }
}

/// The window of a pool, but for its dilation.
fn pool(module: &Module) -> Result<Window, String> {
    let kernel = pair(module, "kernel_size", 1)?;
    let stride = match module.attribute("stride") {
        None | Some(Attribute::None) => kernel,
        Some(_) => pair(module, "stride", 1)?,
    };
    Ok(Window { kernel, stride, padding: around(pair(module, "padding", 0)?), dilation: [1; 2] })
}

fn around([rows, columns]: [usize; 2]) -> Padding {
    Padding { top: rows, left: columns, bottom: rows, right: columns }
}

/// Nothing but `needed` and `optional` may be among the parameters, and all that is needed must be.
fn parameters(module: &Module, needed: &[&str], optional: &[&str]) -> Result<(), String> {
    if let Some(lacking) = needed.iter().find(|name| !has(module, name)) {
        return Err(format!("it has no {lacking}"));
    }
    let known = |name: &&String| needed.iter().chain(optional).any(|known| known == name);
    match module.parameters.iter().find(|name| !known(name)) {
        Some(other) => Err(format!("it has a parameter {other}, of which its class knows nothing")),
        None => Ok(()),
    }
}

/// That a module has no parameters, as its class has none.
pub(super) fn no_parameters(module: &Module) -> Result<(), String> {
    parameters(module, &[], &[])
}

fn has(module: &Module, parameter: &str) -> bool {
    module.parameters.iter().any(|name| name == parameter)
}

fn told(attribute: Option<&Attribute>) -> String {
    attribute.map_or_else(|| "not there".into(), ToString::to_string)
}

/// A number of pixels, channels or the like.
fn size(module: &Module, name: &str, least: usize) -> Result<usize, String> {
    match module.attribute(name) {
        Some(Attribute::Int(number)) => in_range(*number, least),
        _ => None,
    }
    .ok_or_else(|| wrong(module, name, least))
}

/// One such number for height and width, or one for each.
fn pair(module: &Module, name: &str, least: usize) -> Result<[usize; 2], String> {
    let numbers = match module.attribute(name) {
        Some(Attribute::Int(number)) => [*number; 2],
        Some(Attribute::Ints(numbers)) => match numbers[..] {
            [number] => [number; 2],
            [height, width] => [height, width],
            _ => return Err(wrong(module, name, least)),
        },
        _ => return Err(wrong(module, name, least)),
    };
    match numbers.map(|number| in_range(number, least)) {
        [Some(height), Some(width)] => Ok([height, width]),
        _ => Err(wrong(module, name, least)),
    }
}

fn in_range(number: i64, least: usize) -> Option<usize> {
    usize::try_from(number).ok().filter(|number| (least..=MOST).contains(number))
}

fn wrong(module: &Module, name: &str, least: usize) -> String {
    format!("its {name} is {}; expected integers from {least} to {MOST}", told(module.attribute(name)))
}

fn number(module: &Module, name: &str) -> Result<f32, String> {
    let number = match module.attribute(name) {
        Some(Attribute::Float(number)) => *number as f32,
        Some(Attribute::Int(number)) => *number as f32,
        _ => f32::NAN,
    };
    let wrong = || format!("its {name} is {}; expected a finite number", told(module.attribute(name)));
    if number.is_finite() { Ok(number) } else { Err(wrong()) }
}

/// A boolean, which older versions of a class may not have.
fn flag(module: &Module, name: &str, absent: bool) -> Result<bool, String> {
    match module.attribute(name) {
        None => Ok(absent),
        Some(Attribute::Bool(value)) => Ok(*value),
        Some(other) => Err(format!("its {name} is {other}; expected True or False")),
    }
}
