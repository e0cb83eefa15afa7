//! Every operator as an obvious loop over the graph: the oracle that all devices are held to.
//!
//! It fuses nothing, shares nothing with the compiler, and sums in `f64`, so that its error is its inputs' alone.

use crate::bind::Weights;
use crate::error::{Error, Result};
use crate::graph::{Conv2d, Graph, MaxPool2d, Node, Op, Shape};

/// Runs `graph` on one image of `shape`, channels first, and returns its output.
///
/// # Errors
/// [`Error::Usage`] where `input` does not hold `shape.elements()` numbers, or where the shape does not fit the graph.
pub fn run(graph: &Graph, weights: &Weights, shape: Shape, input: &[f32]) -> Result<Vec<f32>> {
    let shapes = graph.shapes(shape)?;
    if input.len() != shape.elements() {
        return Err(Error::Usage(format!("{} numbers are no input of {shape}", input.len())));
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
        Op::Relu => x.iter().map(|v| v.max(0.0)).collect(),
        Op::MaxPool2d(pool) => max_pool2d(pool, x, shape, out),
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

fn conv2d(conv: &Conv2d, x: &[f32], shape: Shape, weight: &[f32], bias: Option<&[f32]>, out: Shape) -> Vec<f32> {
    let (k, in_group, out_group) = (conv.kernel, conv.in_channels / conv.groups, conv.out_channels / conv.groups);
    let mut y = Vec::with_capacity(out.elements());
    let mut plane = vec![0f64; out.pixels()];
    for o in 0..out.channels {
        plane.fill(bias.map_or(0.0, |b| f64::from(b[o])));
        for i in 0..in_group {
            let channel = &x[(o / out_group * in_group + i) * shape.pixels()..][..shape.pixels()];
            for (ky, kx) in (0..k).flat_map(|ky| (0..k).map(move |kx| (ky, kx))) {
                let w = f64::from(weight[((o * in_group + i) * k + ky) * k + kx]);
                for oy in 0..out.height {
                    let Some(iy) = inside(oy * conv.stride + ky, conv.padding, shape.height) else { continue };
                    for ox in 0..out.width {
                        let Some(ix) = inside(ox * conv.stride + kx, conv.padding, shape.width) else { continue };
                        plane[oy * out.width + ox] += w * f64::from(channel[iy * shape.width + ix]);
                    }
                }
            }
        }
        y.extend(plane.iter().map(|&v| v as f32));
    }
    y
}

fn max_pool2d(pool: &MaxPool2d, x: &[f32], shape: Shape, out: Shape) -> Vec<f32> {
    let mut y = Vec::with_capacity(out.elements());
    for channel in x.chunks(shape.pixels()) {
        for oy in 0..out.height {
            for ox in 0..out.width {
                let mut best = f32::NEG_INFINITY;
                for (ky, kx) in (0..pool.kernel).flat_map(|ky| (0..pool.kernel).map(move |kx| (ky, kx))) {
                    let iy = inside(oy * pool.stride + ky, pool.padding, shape.height);
                    let ix = inside(ox * pool.stride + kx, pool.padding, shape.width);
                    if let (Some(iy), Some(ix)) = (iy, ix) {
                        best = best.max(channel[iy * shape.width + ix]);
                    }
                }
                y.push(best);
            }
        }
    }
    y
}

/// The pixel at `padded - padding`, unless that lies in the padding.
fn inside(padded: usize, padding: usize, side: usize) -> Option<usize> {
    padded.checked_sub(padding).filter(|&i| i < side)
}
