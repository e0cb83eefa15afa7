//! Which shader runs a step: its constants, its parameters, its packed weights, and the size of its dispatch.

use super::family::Family;
use super::pack::{self, Groups};
use super::shader::{Halves, Params, Pipeline, Shader};
use crate::compile::{Budget, Kernel, Layout, Source, Step, Target};
use crate::device::Precision;
use crate::error::Result;
use crate::graph::{Activation, Conv2d, Padding, Shape, Window};
use std::cell::Cell;

/// The plan keeps 4 channels side by side, so that a load is a vector.
pub(super) const LANES: usize = 4;

/// How plans are laid out.
pub(in crate::device) const LAYOUT: Layout = Layout { lanes: LANES, pooled_weights: 0 };

/// Invocations of a workgroup where a shader leaves it open, and of those that do not.
const INVOCATIONS: usize = 64;

/// Invocations of a workgroup in the shaders of [`Family::Spread`].
const SPREAD: usize = 8;

/// A step as the GPU takes it.
pub(super) struct Dispatch {
    pub pipeline: Pipeline,
    pub params: Params,
    pub table: Vec<u32>,
    /// Weight and bias, packed.
    pub weights: Option<[Vec<f32>; 2]>,
    /// Workgroups in x and y; z is the batch.
    pub workgroups: [usize; 2],
}

impl Dispatch {
    /// Bytes of the packed weight.
    pub fn weight_bytes(&self) -> u64 {
        let bytes = if self.pipeline.halves.weights { Precision::F16 } else { Precision::F32 }.bytes();
        self.weights.as_ref().map_or(0, |[weight, _]| (weight.len() * bytes) as u64)
    }
}

/// What differs between the shaders of one step.
struct Choice {
    shader: Shader,
    constants: Vec<(&'static str, usize)>,
    table: Vec<usize>,
    inputs: usize,
    runs: usize,
    window: Window,
    rows: usize,
    weights: Option<[Vec<f32>; 2]>,
    workgroups: [usize; 2],
}

impl Choice {
    fn new(shader: Shader, table: Vec<usize>, workgroups: [usize; 2]) -> Self {
        let (constants, weights, window) = (Vec::new(), None, Window::square(1));
        Self { shader, constants, table, inputs: 0, runs: 0, window, rows: 1, weights, workgroups }
    }

    fn constant(mut self, name: &'static str, value: usize) -> Self {
        self.constants.push((name, value));
        self
    }
}

/// Chooses the shader for `step`, and packs what it needs within `budget`; nothing where a size or a place is over the 32
/// bits that shaders count in. The input and the `last` step's output are never halves.
pub(super) fn dispatch(
    step: &Step,
    family: Family,
    precision: Precision,
    last: bool,
    budget: &Budget,
) -> Result<Option<Dispatch>> {
    let (source, target) = (&step.source, &step.target);
    let half = precision == Precision::F16;
    let halves = Halves {
        x: half && source.lanes == LANES,
        y: half && !last,
        weights: half,
        other: half && step.other.is_some(),
    };
    let pixels = source.height * source.width;
    let choice = match &step.kernel {
        Kernel::Linear { linear, weight, bias } => {
            linear_layer(family, halves.y, source, linear.out_features, weight, bias, budget)?
        }
        // On a single pixel it is a fully connected layer.
        Kernel::Conv2d { conv, weight, bias } if conv.is_pointwise() && pixels == 1 && step.other.is_none() => {
            linear_layer(family, halves.y, source, conv.out_channels, weight, bias, budget)?
        }
        Kernel::Conv2d { conv, weight, bias } => {
            let choice = convolution(family, step, conv, weight, bias, budget)?;
            let add = choice.shader.signature().paired().then_some(("ADD", usize::from(step.other.is_some())));
            Choice { window: conv.window, constants: choice.constants.into_iter().chain(add).collect(), ..choice }
        }
        Kernel::MaxPool2d(pool) => max_pool(family, source, target, pool.window),
        Kernel::AvgPool2d(pool) => any_pool(source, target, pool.window, 1 + usize::from(pool.count_include_pad)),
        Kernel::Mean => {
            let (table, grouped) = planes(source);
            let workgroups = [target.shape.channels.div_ceil(LANES).div_ceil(invocations(family)), 1];
            Choice::new(Shader::Mean, table, workgroups)
                .constant("GROUPED", grouped.into())
                .constant("WORKGROUP", invocations(family))
        }
        Kernel::Softmax => {
            let choice = Choice::new(Shader::Softmax, source.planes.clone(), [pixels, 1]);
            Choice { inputs: source.planes.len(), ..choice }
        }
        Kernel::Copy => elementwise(step, 0),
        Kernel::Add => elementwise(step, 1),
        Kernel::Mul => elementwise(step, 2),
    };
    let (activation, a, b) = activation(step.activation);
    let activated = choice.shader.parts().activation;
    let constants = choice.constants.into_iter().chain(activated.then_some(("ACTIVATION", activation)));
    let counted = Cell::new(true);
    let n = |value: usize| {
        u32::try_from(value).unwrap_or_else(|_| {
            counted.set(false);
            0
        })
    };
    let Window { stride, padding: Padding { top, left, bottom, right }, dilation, .. } = choice.window;
    let other = step.other.as_ref();
    let params = Params {
        x_image: n(source.image_stride),
        y_image: n(target.image_stride),
        y_offset: n(target.offset),
        y_group: n(target.group_stride()),
        x_height: n(source.height),
        x_width: n(source.width),
        y_height: n(target.shape.height),
        y_width: n(target.shape.width),
        x_pixel: n(source.lanes),
        inputs: n(choice.inputs),
        runs: n(choice.runs),
        out_groups: n(target.shape.channels.div_ceil(LANES)),
        rows: n(choice.rows),
        stride: stride.map(n),
        dilation: dilation.map(n),
        padding: [top, left, bottom, right].map(n),
        other_image: n(other.map_or(0, |other| other.image_stride)),
        other_offset: n(other.and_then(|other| other.planes.first().copied()).unwrap_or(0)),
        other_pixel: n(other.filter(|other| other.height * other.width > 1).map_or(0, |other| other.lanes)),
        activation: [a, b],
        unused: [0; 2],
    };
    let dispatch = Dispatch {
        pipeline: Pipeline {
            shader: choice.shader,
            halves,
            constants: constants.map(|(name, value)| (name, n(value))).collect(),
        },
        params,
        table: choice.table.into_iter().map(n).collect(),
        weights: choice.weights,
        workgroups: choice.workgroups,
    };
    Ok(counted.get().then_some(dispatch))
}

/// The number by which shaders know an activation, and what it needs.
fn activation(activation: Option<Activation>) -> (usize, f32, f32) {
    match activation {
        None => (0, 0.0, 0.0),
        Some(Activation::Relu) => (1, 0.0, 0.0),
        Some(Activation::Clamp { low, high }) => (2, low, high),
        Some(Activation::HardSigmoid { alpha, beta }) => (3, alpha, beta),
        Some(Activation::HardSwish) => (4, 0.0, 0.0),
        Some(Activation::Sigmoid) => (5, 0.0, 0.0),
        Some(Activation::Silu) => (6, 0.0, 0.0),
    }
}

fn elementwise(step: &Step, operation: usize) -> Choice {
    let table = pack::padded(step.source.planes.iter().copied());
    Choice::new(Shader::Elementwise, table, per_pixel(&step.target)).constant("OPERATION", operation)
}

fn per_pixel(target: &Target) -> [usize; 2] {
    [target.shape.pixels().div_ceil(INVOCATIONS), target.shape.channels.div_ceil(LANES)]
}

fn invocations(family: Family) -> usize {
    match family {
        Family::Spread => SPREAD,
        Family::Plain => INVOCATIONS,
    }
}

/// Where each channel lies, padded to whole groups, and whether the channels make whole groups.
fn planes(source: &Source) -> (Vec<usize>, bool) {
    (pack::padded(source.planes.iter().copied()), pack::whole_groups(source))
}

/// Rows that an invocation computes one below the other, so that it need not read all that they share again: more where
/// a load costs, few where there are many invocations to feed.
fn rows(family: Family, out: Shape) -> usize {
    let most = match family {
        Family::Spread => 7,
        Family::Plain => 2,
    };
    out.height.div_ceil(out.height.div_ceil(most))
}

/// Workgroups for strips of `rows` pixels, one below the other.
fn per_strip(family: Family, out: Shape, rows: usize) -> [usize; 2] {
    let strips = out.height.div_ceil(rows) * out.width;
    [strips.div_ceil(invocations(family)), out.channels.div_ceil(LANES)]
}

fn max_pool(family: Family, source: &Source, target: &Target, window: Window) -> Choice {
    let ([kernel, _], [stride, _], out) = (window.kernel, window.stride, target.shape);
    let square = Window { padding: window.padding, stride: [stride; 2], ..Window::square(kernel) };
    if window != square {
        return any_pool(source, target, window, 0);
    }
    let (table, grouped) = planes(source);
    let rows = rows(family, out);
    let choice = Choice::new(Shader::MaxPool, table, per_strip(family, out, rows))
        .constant("KERNEL", kernel)
        .constant("STRIDE", stride)
        .constant("GROUPED", grouped.into())
        .constant("WORKGROUP", invocations(family));
    Choice { window, rows, ..choice }
}

fn any_pool(source: &Source, target: &Target, window: Window, operation: usize) -> Choice {
    let (table, grouped) = planes(source);
    let choice = Choice::new(Shader::Pool, table, per_pixel(target))
        .constant("KERNEL_Y", window.kernel[0])
        .constant("KERNEL_X", window.kernel[1])
        .constant("GROUPED", grouped.into())
        .constant("OPERATION", operation);
    Choice { window, ..choice }
}

fn linear_layer(
    family: Family,
    half: bool,
    source: &Source,
    outputs: usize,
    weight: &[f32],
    bias: &[f32],
    budget: &Budget,
) -> Result<Choice> {
    let pixels = source.height * source.width;
    budget.take(source.planes.len().saturating_mul(pixels), size_of::<usize>() + size_of::<u32>())?;
    let places: Vec<usize> =
        source.planes.iter().flat_map(|plane| (0..pixels).map(move |p| plane + p * source.lanes)).collect();
    let inputs = places.len();
    let aligned = places[0].is_multiple_of(LANES) && source.image_stride.is_multiple_of(LANES);
    // What fills the last group up must be readable, and finite.
    let filled = inputs.is_multiple_of(LANES) || source.lanes == LANES;
    let dense = aligned && filled && places.iter().zip(places[0]..).all(|(place, expected)| *place == expected);
    let groups = outputs.div_ceil(LANES);
    // It writes numbers one by one, and halves are written in pairs.
    let choice = if dense && family == Family::Spread && !half {
        let weights = [pack::by_eights(weight, inputs, budget)?, pack::bias(bias, 2)];
        let choice = Choice::new(Shader::Linear8, places[..1].to_vec(), [groups.div_ceil(2), 1]);
        Choice { weights: Some(weights), ..choice }
    } else {
        let weights = [pack::by_input(weight, inputs, budget)?, pack::bias(bias, 1)];
        let choice = Choice::new(Shader::Linear, pack::padded(places), [groups.div_ceil(INVOCATIONS), 1]);
        Choice { weights: Some(weights), ..choice }.constant("DENSE", dense.into())
    };
    Ok(Choice { inputs: inputs.div_ceil(LANES), ..choice })
}

fn convolution(
    family: Family,
    step: &Step,
    conv: &Conv2d,
    weight: &[f32],
    bias: &[f32],
    budget: &Budget,
) -> Result<Choice> {
    let (source, out) = (&step.source, step.target.shape);
    let groups = out.channels.div_ceil(LANES);
    let taps = conv.window.taps();
    let square = |kernel: usize, stride: usize| {
        conv.window == Window { stride: [stride; 2], padding: conv.window.padding, ..Window::square(kernel) }
    };
    let bare = step.other.is_none();
    Ok(if conv.groups == 1 && source.lanes == LANES {
        let read = Groups::of(source);
        let runs = read.runs();
        let (shader, tile, workgroups) = match conv.is_pointwise() {
            true => pointwise_tile(family, out),
            false => (Shader::ConvGrouped, 2, pointwise_workgroups(out)),
        };
        let choice = Choice::new(shader, runs.concat(), workgroups);
        let constants = match shader {
            Shader::Pointwise => Vec::new(),
            Shader::Pointwise4x32 => vec![("PAIRS", out.pixels().is_multiple_of(2).into())],
            _ => kernel(conv),
        };
        let weights = Some([read.matrix(weight, taps, tile, budget)?, pack::bias(bias, tile)]);
        Choice { inputs: read.len(), runs: runs.len(), weights, constants, ..choice }
    } else if conv.is_depthwise() && bare && source.lanes == LANES {
        let (table, grouped) = planes(source);
        let weights = Some([pack::by_group(weight, taps, budget)?, pack::bias(bias, 1)]);
        let stride = conv.window.stride[0];
        // Two columns lie where one load finds them.
        let pairs = grouped && [source.width, out.width].iter().all(|width| width.is_multiple_of(2));
        if family == Family::Spread && square(3, stride) && stride <= 2 && pairs {
            let rows = rows(family, out);
            let workgroups = per_strip(family, Shape { width: out.width / 2, ..out }, rows);
            let choice = Choice::new(Shader::DepthwisePairs, table, workgroups)
                .constant("STRIDE", stride)
                .constant("ODD", conv.window.padding.left % 2);
            Choice { rows, weights, ..choice }
        } else if square(3, stride) {
            let rows = rows(family, out);
            let choice = Choice::new(Shader::Depthwise, table, per_strip(family, out, rows))
                .constant("STRIDE", stride)
                .constant("GROUPED", grouped.into())
                .constant("WORKGROUP", invocations(family));
            Choice { rows, weights, ..choice }
        } else {
            let choice = Choice::new(Shader::DepthwiseAny, table, per_pixel(&step.target));
            Choice { constants: kernel(conv), weights, ..choice }.constant("GROUPED", grouped.into())
        }
    } else if family == Family::Spread && source.lanes == 1 && conv.groups == 1 && square(3, 2) && bare {
        let quads = out.width.div_ceil(4) * out.height;
        let choice = Choice::new(Shader::Stem, source.planes.clone(), [quads.div_ceil(SPREAD), groups.div_ceil(6)]);
        let weights = [pack::stem(weight, conv.in_channels, budget)?, pack::bias(bias, 6)];
        Choice { inputs: conv.in_channels, weights: Some(weights), ..choice }
    } else {
        let inputs = conv.in_channels / conv.groups;
        let shared = conv.groups == 1;
        let table = if shared {
            source.planes.clone()
        } else {
            let of_output = |o: usize, i: usize| source.planes[o / (out.channels / conv.groups) * inputs + i];
            let of_group = |group: usize, i: usize| {
                let outputs = (group * LANES..(group + 1) * LANES).map(|o| o.min(out.channels - 1));
                outputs.map(move |o| of_output(o, i))
            };
            (0..groups).flat_map(|group| (0..inputs).flat_map(move |i| of_group(group, i))).collect()
        };
        let choice = Choice::new(Shader::Conv, table, per_pixel(&step.target));
        let weights = [pack::by_group(weight, inputs * taps, budget)?, pack::bias(bias, 1)];
        Choice { inputs, weights: Some(weights), constants: kernel(conv), ..choice }.constant("SHARED", shared.into())
    })
}

fn kernel(conv: &Conv2d) -> Vec<(&'static str, usize)> {
    vec![("KERNEL_Y", conv.window.kernel[0]), ("KERNEL_X", conv.window.kernel[1])]
}

/// Workgroups for invocations of 4 pixels by 2 groups of outputs.
fn pointwise_workgroups(out: Shape) -> [usize; 2] {
    [out.pixels().div_ceil(32), out.channels.div_ceil(LANES).div_ceil(16)]
}

/// The shader of a 1x1 convolution, the groups of outputs in its tile, and its workgroups.
fn pointwise_tile(family: Family, out: Shape) -> (Shader, usize, [usize; 2]) {
    match family {
        Family::Plain => (Shader::Pointwise, 2, pointwise_workgroups(out)),
        Family::Spread => {
            let tiles = [out.pixels().div_ceil(32), out.channels.div_ceil(LANES).div_ceil(8)];
            (Shader::Pointwise4x32, 8, tiles)
        }
    }
}
