//! Every operator as an obvious loop over the graph: the oracle that all devices are held to.
//!
//! It fuses nothing, shares nothing with the compiler, and sums in `f64`, so that its error is its inputs' alone.

use crate::checkpoint::Limits;
use crate::error::{Error, Result};
use crate::graph::{Conv2d, Graph, Node, Op, Padding, Shape, Window};
use crate::load::Weights;

/// Runs `graph` on one image of `shape`, channels first, and returns its output.
///
/// # Errors
/// [`Error::Usage`] where `input` does not hold `shape.elements()` numbers, where the shape does not fit the graph, or where
/// all values, which are kept to the end, are over the default [`Limits::activation_bytes`].
pub fn run(graph: &Graph, weights: &Weights, shape: Shape, input: &[f32]) -> Result<Vec<f32>> {
    let shapes = graph.shapes(shape)?;
    if input.len() != shape.elements() {
        return Err(Error::Usage(format!("{} numbers are no input of {shape}", input.len())));
    }
    let elements = shapes.iter().fold(0u64, |sum, shape| sum.saturating_add(shape.elements() as u64));
    let (bytes, most) = (elements.saturating_mul(size_of::<f32>() as u64), Limits::default().activation_bytes);
    if bytes > most {
        return Err(Error::Usage(format!("the values of {shape} take {bytes} bytes, and {most} is the limit")));
    }
    let mut values: Vec<Vec<f32>> = vec![input.to_vec()];
    for (value, node) in graph.steps() {
        let inputs: Vec<(&[f32], Shape)> = node.inputs.iter().map(|v| (values[v.0].as_slice(), shapes[v.0])).collect();
        let output = apply(node, weights, &inputs, shapes[value.0]);
        values.push(output);
    }
    Ok(values.swap_remove(graph.output().0))
}

fn apply(node: &Node, weights: &Weights, inputs: &[(&[f32], Shape)], out: Shape) -> Vec<f32> {
    let (x, shape) = inputs[0];
    match &node.op {
        Op::Conv2d { conv, weight, bias } => {
            conv2d(conv, x, shape, weights.get(*weight), bias.map(|b| weights.get(b)), out)
        }
        Op::BatchNorm2d { norm, weight, bias, running_mean, running_var } => {
            let [weight, bias, mean, var] = [weight, bias, running_mean, running_var].map(|id| weights.get(*id));
            each(x, shape, |c, v| {
                let scale = f64::from(weight[c]) / (f64::from(var[c]) + f64::from(norm.eps)).sqrt();
                ((f64::from(v) - f64::from(mean[c])) * scale + f64::from(bias[c])) as f32
            })
        }
        Op::Activation(activation) => x.iter().map(|v| activation.of(*v)).collect(),
        Op::MaxPool2d(pool) => {
            let largest = |taps: &[f32], _| taps.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            pool2d(&pool.window, x, shape, out, largest)
        }
        Op::AvgPool2d(pool) => pool2d(&pool.window, x, shape, out, |taps, padded| {
            let count = if pool.count_include_pad { padded } else { taps.len() };
            (taps.iter().map(|&v| f64::from(v)).sum::<f64>() / count as f64) as f32
        }),
        Op::Add => both(inputs, |a, b| a + b),
        Op::Mul => both(inputs, |a, b| a * b),
        Op::Narrow { start, .. } => x[start * out.pixels()..][..out.elements()].to_vec(),
        Op::Softmax => softmax(x, shape),
        Op::Chunk { index, .. } => x[index * out.elements()..][..out.elements()].to_vec(),
        Op::Concat => inputs.iter().flat_map(|(x, _)| x.iter().copied()).collect(),
        Op::ChannelShuffle { groups } => {
            let per_group = shape.channels / groups;
            let from = |c: usize| (c % groups) * per_group + c / groups;
            let plane = |c: usize| &x[c * shape.pixels()..][..shape.pixels()];
            (0..shape.channels).flat_map(|c| plane(from(c)).iter().copied()).collect()
        }
        Op::Mean => {
            let mean = |plane: &[f32]| plane.iter().map(|&v| f64::from(v)).sum::<f64>() / shape.pixels() as f64;
            x.chunks(shape.pixels()).map(|plane| mean(plane) as f32).collect()
        }
        Op::Flatten => x.to_vec(),
        Op::Linear { linear, weight, bias } => {
            let rows = weights.get(*weight).chunks(linear.in_features);
            let dot = |row: &[f32]| row.iter().zip(x).map(|(&w, &v)| f64::from(w) * f64::from(v)).sum::<f64>();
            let bias = |o: usize| bias.map_or(0.0, |b| f64::from(weights.get(b)[o]));
            rows.enumerate().map(|(o, row)| (dot(row) + bias(o)) as f32).collect()
        }
    }
}

/// Applies `f(channel, value)` to every number.
fn each(x: &[f32], shape: Shape, f: impl Fn(usize, f32) -> f32) -> Vec<f32> {
    x.iter().enumerate().map(|(i, &v)| f(i / shape.pixels(), v)).collect()
}

/// Applies `f` to each number of the first input and the second's for it.
fn both(inputs: &[(&[f32], Shape)], f: impl Fn(f32, f32) -> f32) -> Vec<f32> {
    let [(a, shape), (b, other)] = inputs else { return Vec::new() };
    let index = |i: usize| if other == shape { i } else { i / shape.pixels() };
    a.iter().enumerate().map(|(i, &v)| f(v, b[index(i)])).collect()
}

fn softmax(x: &[f32], shape: Shape) -> Vec<f32> {
    let pixels = shape.pixels();
    let mut y = vec![0.0; x.len()];
    for pixel in 0..pixels {
        let channels = || (0..shape.channels).map(|c| f64::from(x[c * pixels + pixel]));
        let most = channels().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = channels().map(|v| (v - most).exp()).sum();
        for (c, v) in channels().enumerate() {
            y[c * pixels + pixel] = ((v - most).exp() / sum) as f32;
        }
    }
    y
}

fn conv2d(conv: &Conv2d, x: &[f32], shape: Shape, weight: &[f32], bias: Option<&[f32]>, out: Shape) -> Vec<f32> {
    let (in_group, out_group) = (conv.in_channels / conv.groups, conv.out_channels / conv.groups);
    let [height, width] = conv.window.kernel;
    let mut y = Vec::with_capacity(out.elements());
    let mut plane = vec![0f64; out.pixels()];
    for o in 0..out.channels {
        plane.fill(bias.map_or(0.0, |b| f64::from(b[o])));
        for i in 0..in_group {
            let channel = &x[(o / out_group * in_group + i) * shape.pixels()..][..shape.pixels()];
            for (ky, kx) in (0..height).flat_map(|ky| (0..width).map(move |kx| (ky, kx))) {
                let w = f64::from(weight[((o * in_group + i) * height + ky) * width + kx]);
                for oy in 0..out.height {
                    for ox in 0..out.width {
                        if let Some(pixel) = tap(&conv.window, shape, [oy, ox], [ky, kx]) {
                            plane[oy * out.width + ox] += w * f64::from(channel[pixel]);
                        }
                    }
                }
            }
        }
        y.extend(plane.iter().map(|&v| v as f32));
    }
    y
}

/// Applies `f` to the pixels of each window, and to the count of its taps that lie in the padded image.
fn pool2d(window: &Window, x: &[f32], shape: Shape, out: Shape, f: impl Fn(&[f32], usize) -> f32) -> Vec<f32> {
    let Padding { top, left, bottom, right } = window.padding;
    let padded = Shape { height: shape.height + top + bottom, width: shape.width + left + right, ..shape };
    let bare = Window { padding: Padding::default(), ..*window };
    let [height, width] = window.kernel;
    let mut y = Vec::with_capacity(out.elements());
    for channel in x.chunks(shape.pixels()) {
        for at in (0..out.height).flat_map(|oy| (0..out.width).map(move |ox| [oy, ox])) {
            let taps = || (0..height).flat_map(|ky| (0..width).map(move |kx| [ky, kx]));
            let values: Vec<f32> = taps().filter_map(|k| tap(window, shape, at, k)).map(|p| channel[p]).collect();
            y.push(f(&values, taps().filter(|k| tap(&bare, padded, at, *k).is_some()).count()));
        }
    }
    y
}

/// The pixel that a tap of the window at an output falls on, unless that lies outside of the image.
fn tap(window: &Window, shape: Shape, [oy, ox]: [usize; 2], [ky, kx]: [usize; 2]) -> Option<usize> {
    let [dy, dx] = window.dilation;
    let row = (oy * window.stride[0] + ky * dy).checked_sub(window.padding.top).filter(|&row| row < shape.height)?;
    let column = (ox * window.stride[1] + kx * dx).checked_sub(window.padding.left).filter(|&c| c < shape.width)?;
    Some(row * shape.width + column)
}
