//! Works out the shape of every value from the input's, and refuses what does not fit.

use super::shape::{MAX_ELEMENTS, MAX_SIDE};
use super::{Conv2d, Graph, Node, Op, Padding, Shape, Value, Window};
use crate::error::{Error, Result};

impl Graph {
    /// The shape of every value for one input of shape `input`: index 0 is the input, `i + 1` the output of node `i`.
    ///
    /// # Errors
    /// [`Error::Usage`] that names the operator which the shape does not fit, or which reads another builder's value.
    pub fn shapes(&self, input: Shape) -> Result<Vec<Shape>> {
        // The sides first: only then is their product sure not to overflow.
        let elements = input.elements();
        if input.height.max(input.width).max(input.channels) > MAX_SIDE || elements == 0 || elements == usize::MAX {
            return Err(Error::Usage(format!("an input of {input} is empty, or has a side of over {MAX_SIDE}")));
        }
        let unit = self.side_unit;
        if !input.height.is_multiple_of(unit) || !input.width.is_multiple_of(unit) {
            return Err(Error::Usage(format!(
                "an input of {input} does not fit: its sides must be multiples of {unit}"
            )));
        }
        if let Some(only) = self.only_input.filter(|only| *only != input) {
            return Err(Error::Usage(format!(
                "an input of {input} does not fit: sizes in this graph follow from an input of {only}, and it takes no other"
            )));
        }
        let mut shapes = vec![input];
        for (value, node) in self.steps() {
            let inputs: Option<Vec<Shape>> = node.inputs.iter().map(|v| shapes.get(v.0).copied()).collect();
            let inputs = inputs.ok_or_else(|| foreign(&describe(value, node)))?;
            let shape = node.op.output_shape(&inputs).map_err(|reason| {
                Error::Usage(format!("an input of {input} does not fit {}: {reason}", describe(value, node)))
            })?;
            shapes.push(shape);
        }
        if self.output.0 >= shapes.len() { Err(foreign("the graph's output")) } else { Ok(shapes) }
    }
}

impl Op {
    /// The shape of its output for inputs of these shapes, or why they do not fit it.
    pub(crate) fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        output_shape(self, inputs).and_then(of_reasonable_size)
    }
}

fn foreign(what: &str) -> Error {
    Error::Usage(format!("{what} refers to a value that is not of this graph; a builder takes only values of its own"))
}

fn describe(value: Value, node: &Node) -> String {
    if node.name.is_empty() { format!("operator {} ({:?})", value.0, node.op) } else { node.name.clone() }
}

fn of_reasonable_size(shape: Shape) -> Result<Shape, String> {
    let Shape { channels, height, width } = shape;
    let elements = (height.max(width) <= MAX_SIDE).then(|| channels.checked_mul(shape.pixels())).flatten();
    if elements.is_some_and(|n| (1..=MAX_ELEMENTS).contains(&n)) {
        Ok(shape)
    } else {
        Err(format!("it would give {shape}"))
    }
}

fn output_shape(op: &Op, inputs: &[Shape]) -> Result<Shape, String> {
    let [x, ..] = *inputs else { return Err("it reads nothing".into()) };
    match op {
        Op::Conv2d { conv, .. } => convolved(conv, x),
        Op::BatchNorm2d { norm, .. } => expect_channels(norm.channels, x).map(|()| x),
        Op::Activation(_) | Op::Softmax => Ok(x),
        Op::MaxPool2d(pool) => pooled(&pool.window, pool.ceil_mode, x),
        Op::AvgPool2d(pool) => pooled(&pool.window, pool.ceil_mode, x),
        Op::Add | Op::Mul => match inputs {
            [_, b] if *b == x || *b == Shape::vector(x.channels) => Ok(x),
            [_, b] => Err(format!("{x} and {b} are not of one shape, and {b} is not one number for each channel")),
            _ => Err("it takes two values".into()),
        },
        Op::Chunk { index, count } => {
            if *count == 0 || index >= count || !x.channels.is_multiple_of(*count) {
                return Err(format!("{} channels do not split into {count} equal parts", x.channels));
            }
            Ok(Shape { channels: x.channels / count, ..x })
        }
        Op::Narrow { start, length } => match start.checked_add(*length) {
            Some(end) if end <= x.channels && *length > 0 => Ok(Shape { channels: *length, ..x }),
            _ => Err(format!("{} channels have no {length} from {start} on", x.channels)),
        },
        Op::Concat => {
            if let Some(other) = inputs.iter().find(|o| (o.height, o.width) != (x.height, x.width)) {
                return Err(format!("{x} and {other} differ in size"));
            }
            // A sum that is over what a number holds is over what is reasonable.
            let channels = inputs.iter().fold(0, |sum: usize, input| sum.saturating_add(input.channels));
            Ok(Shape { channels, ..x })
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
    let [height, width] = conv.window.applications([x.height, x.width], false)?;
    Ok(Shape::new(conv.out_channels, height, width))
}

fn pooled(window: &Window, ceil: bool, x: Shape) -> Result<Shape, String> {
    let [height, width] = window.applications([x.height, x.width], ceil)?;
    let Padding { top, left, bottom, right } = window.padding;
    let [down, across] = window.extent();
    if top.max(bottom) >= down || left.max(right) >= across {
        return Err(format!("its padding leaves windows of {down}x{across} with no pixel"));
    }
    Ok(Shape { height, width, ..x })
}

fn expect_channels(expected: usize, x: Shape) -> Result<(), String> {
    if x.channels == expected { Ok(()) } else { Err(format!("it takes {expected} channels, found {x}")) }
}
