//! Works out the shape of every value from the input's, and refuses what does not fit.

use super::{Conv2d, Graph, MaxPool2d, Node, Op, Value};
use crate::error::{Error, Result};
use std::fmt;

/// The shape of one image or feature map. A vector of `n` features is `n` channels of one pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Channels.
    pub channels: usize,
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
}

impl Shape {
    /// An image's shape.
    pub const fn new(channels: usize, height: usize, width: usize) -> Self {
        Self { channels, height, width }
    }

    /// A vector's shape.
    pub const fn vector(features: usize) -> Self {
        Self::new(features, 1, 1)
    }

    /// Pixels of one channel.
    pub const fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// Numbers in all.
    pub const fn elements(&self) -> usize {
        self.channels * self.pixels()
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.channels, self.height, self.width)
    }
}

/// No side of an image may have more pixels: products of three such numbers still fit 64 bits.
const MAX_SIDE: usize = 1 << 20;

impl Graph {
    /// The shape of every value for one input of shape `input`: index 0 is the input, `i + 1` the output of node `i`.
    ///
    /// # Errors
    /// [`Error::Usage`] that names the operator which the shape does not fit.
    pub fn shapes(&self, input: Shape) -> Result<Vec<Shape>> {
        // The sides first: only then is their product sure not to overflow.
        if input.height.max(input.width).max(input.channels) > MAX_SIDE || input.elements() == 0 {
            return Err(Error::Usage(format!("an input of {input} is empty, or has a side of over {MAX_SIDE}")));
        }
        let mut shapes = vec![input];
        for (value, node) in self.steps() {
            let inputs: Vec<Shape> = node.inputs.iter().map(|v| shapes[v.0]).collect();
            let shape = output_shape(&node.op, &inputs).map_err(|reason| {
                Error::Usage(format!("an input of {input} does not fit {}: {reason}", describe(value, node)))
            })?;
            shapes.push(shape);
        }
        Ok(shapes)
    }
}

fn describe(value: Value, node: &Node) -> String {
    if node.name.is_empty() { format!("operator {} ({:?})", value.0, node.op) } else { node.name.clone() }
}

fn output_shape(op: &Op, inputs: &[Shape]) -> Result<Shape, String> {
    let [x, ..] = *inputs else { return Err("it reads nothing".into()) };
    match op {
        Op::Conv2d { conv, .. } => convolved(conv, x),
        Op::BatchNorm2d { norm, .. } => expect_channels(norm.channels, x).map(|()| x),
        Op::Relu => Ok(x),
        Op::MaxPool2d(pool) => pooled(pool, x),
        Op::Chunk { index, count } => {
            if *count == 0 || index >= count || !x.channels.is_multiple_of(*count) {
                return Err(format!("{} channels do not split into {count} equal parts", x.channels));
            }
            Ok(Shape { channels: x.channels / count, ..x })
        }
        Op::Concat => {
            if let Some(other) = inputs.iter().find(|o| (o.height, o.width) != (x.height, x.width)) {
                return Err(format!("{x} and {other} differ in size"));
            }
            Ok(Shape { channels: inputs.iter().map(|s| s.channels).sum(), ..x })
        }
        Op::ChannelShuffle { groups } => {
            if *groups == 0 || !x.channels.is_multiple_of(*groups) {
                return Err(format!("{} channels do not make {groups} groups", x.channels));
            }
            Ok(x)
        }
        Op::Mean => Ok(Shape::vector(x.channels)),
        Op::Flatten => Ok(Shape::vector(x.elements())),
        Op::Linear { linear, .. } => {
            if x.pixels() != 1 {
                return Err(format!("it takes a vector, found {x}"));
            }
            if x.channels != linear.in_features {
                return Err(format!("it takes {} features, found {}", linear.in_features, x.channels));
            }
            Ok(Shape::vector(linear.out_features))
        }
    }
}

fn convolved(conv: &Conv2d, x: Shape) -> Result<Shape, String> {
    expect_channels(conv.in_channels, x)?;
    let groups = conv.groups;
    if groups == 0 || !conv.in_channels.is_multiple_of(groups) || !conv.out_channels.is_multiple_of(groups) {
        return Err(format!("{} to {} channels do not make {groups} groups", conv.in_channels, conv.out_channels));
    }
    let size = |side| windows(side, conv.kernel, conv.stride, conv.padding);
    Ok(Shape::new(conv.out_channels, size(x.height)?, size(x.width)?))
}

fn pooled(pool: &MaxPool2d, x: Shape) -> Result<Shape, String> {
    if pool.padding >= pool.kernel {
        return Err(format!("padding {} leaves windows of {} with no pixel", pool.padding, pool.kernel));
    }
    let size = |side| windows(side, pool.kernel, pool.stride, pool.padding);
    Ok(Shape { height: size(x.height)?, width: size(x.width)?, ..x })
}

/// How many windows fit: `(side + 2 padding - kernel) / stride + 1`, rounded down.
fn windows(side: usize, kernel: usize, stride: usize, padding: usize) -> Result<usize, String> {
    let padded = side + 2 * padding;
    if kernel == 0 || stride == 0 || padded < kernel {
        return Err(format!("{side} pixels with padding {padding} are fewer than the kernel's {kernel}"));
    }
    Ok((padded - kernel) / stride + 1)
}

fn expect_channels(expected: usize, x: Shape) -> Result<(), String> {
    if x.channels == expected { Ok(()) } else { Err(format!("it takes {expected} channels, found {x}")) }
}
