//! What a graph takes: which axis of its input holds what, how large the image is, and in which numbers.

use super::options::ImportOptions;
use super::text::short;
use crate::checkpoint::{OnnxAttribute, OnnxGraph, OnnxInput, OnnxNode, StateDict, ValueId};
use crate::graph::Shape;
use crate::import::layout::Side;
use crate::zoo::image_of;
use std::collections::HashMap;

/// The side of an image whose size the file leaves free, where none is asked for.
const USUAL_SIDE: usize = 224;

/// No axis may be longer.
const MOST: usize = 1 << 20;

/// What a graph takes.
pub struct Image {
    pub shape: Shape,
    /// Images in the file's batch; 1 where it is free, since every image is computed by itself.
    pub batch: usize,
    /// What each axis of the tensor is.
    pub sides: Vec<Side>,
    /// Whether its numbers are integers, which are levels then.
    pub integers: bool,
    /// What was chosen since the file does not say.
    pub note: Option<String>,
}

/// One way to read the input's axes, where there are four: whether channels come last, and how many there are if the first
/// layer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    last: bool,
    channels: Option<usize>,
}

/// The ways to read the input's axes, the likeliest first; only one where a layer tells it.
pub fn readings(graph: &OnnxGraph, state: &StateDict, nodes: &[&OnnxNode], input: &OnnxInput) -> Vec<Reading> {
    // A layer that the output does not need says as much.
    let all: Vec<&OnnxNode> = graph.nodes.iter().collect();
    let first = first_layer(graph, state, nodes, input.value).or_else(|| first_layer(graph, state, &all, input.value));
    if let Some(FirstLayer { axis, channels }) = first {
        return vec![Reading { last: axis == 3, channels }];
    }
    let colours = |axis: usize| {
        let size = input.shape.as_ref().and_then(|shape| shape.get(axis)).copied().flatten();
        matches!(size, Some(1 | 3))
    };
    let last = !colours(1) && colours(3);
    let joined = joined_axis(nodes, input.value).map_or(last, |axis| axis == 3);
    [joined, !joined].map(|last| Reading { last, channels: None }).into()
}

/// Tells channels first from channels last as `reading` has it, a free batch from a fixed one, and takes sides that the
/// file leaves free from `options`.
pub fn image(graph: &OnnxGraph, input: &OnnxInput, reading: Reading, options: &ImportOptions) -> Result<Image, String> {
    let name = short(graph.name(input.value));
    let integers = match input.elements {
        // TensorProto.DataType: none said, float, float16, double, bfloat16.
        0 | 1 | 10 | 11 | 16 => false,
        // Of 8, 32 and 64 bits.
        2 | 6 | 7 | 12 | 13 => true,
        other => {
            return Err(format!(
                "its input `{name}` takes {}, and images are floats or levels of 0 to 255",
                elements(other)
            ));
        }
    };
    let mut file: Vec<Option<usize>> = input.shape.clone().unwrap_or_default();
    if file.is_empty() && reading.channels.is_some() {
        file = vec![None; 4];
    }
    let batch = file.first().copied().flatten().unwrap_or(1);
    let mut sizes = Sizes { file: &file, asked: options.sides, note: None };
    let (shape, sides) = match *file.as_slice() {
        [_, _, _, _] => {
            let [channels, rows, columns] = if reading.last { [3, 1, 2] } else { [1, 2, 3] };
            let channels =
                file[channels].or(reading.channels).ok_or_else(|| sizes.unknown("its channels are not known"))?;
            let [height, width] = sizes.sides([rows, columns])?;
            let mut sides = vec![Side::Batch, Side::Rows, Side::Columns];
            sides.insert(if reading.last { 3 } else { 1 }, Side::Channels);
            (Shape::new(channels, height, width), sides)
        }
        [_, Some(_), Some(_)] => {
            let [height, width] = sizes.sides([1, 2])?;
            (Shape::new(1, height, width), vec![Side::Batch, Side::Rows, Side::Columns])
        }
        [_, Some(features)] => {
            let shape = image_of(features);
            sizes.only([shape.height, shape.width])?;
            (shape, vec![Side::Batch, Side::Channels])
        }
        _ => return Err(sizes.unknown("it is not a batch of images")),
    };
    if [shape.channels, shape.height, shape.width, batch].into_iter().any(|size| size > MOST) {
        return Err(format!("its input of {shape} in a batch of {batch} is too large"));
    }
    Ok(Image { shape, batch, sides, integers, note: sizes.note })
}

/// What a type of numbers in the file is called.
fn elements(number: u64) -> String {
    match number {
        3 => "signed bytes (int8)".into(),
        4 => "integers of 16 bits (uint16)".into(),
        5 => "integers of 16 bits (int16)".into(),
        8 => "text (string)".into(),
        9 => "true and false (bool)".into(),
        14 | 15 => "complex numbers".into(),
        other => format!("elements of type {other}"),
    }
}

/// The sizes of the input's axes, in the file and as they are asked for.
struct Sizes<'f> {
    file: &'f [Option<usize>],
    asked: Option<[usize; 2]>,
    note: Option<String>,
}

impl Sizes<'_> {
    /// Rows and columns, which are these axes.
    fn sides(&mut self, axes: [usize; 2]) -> Result<[usize; 2], String> {
        let file = axes.map(|axis| self.file.get(axis).copied().flatten());
        let usual = file[0].or(file[1]).unwrap_or(USUAL_SIDE);
        let asked = self.asked.unwrap_or([file[0].unwrap_or(usual), file[1].unwrap_or(usual)]);
        if file.iter().zip(asked).any(|(file, asked)| file.is_some_and(|file| file != asked)) {
            let text = file.map(|size| size.map_or("?".into(), |size| size.to_string()));
            return Err(fixed(&text.join("x"), asked));
        }
        if self.asked.is_none() && file.contains(&None) {
            let [height, width] = asked;
            self.note = Some(format!(
                "the graph in the file leaves the image's height and width free; {height}x{width} pixels were taken"
            ));
        }
        Ok(asked)
    }

    /// Refuses other sides than these, where any are asked for.
    fn only(&self, sides: [usize; 2]) -> Result<(), String> {
        match self.asked {
            Some(asked) if asked != sides => Err(fixed(&format!("{}x{}", sides[0], sides[1]), asked)),
            _ => Ok(()),
        }
    }

    fn unknown(&self, reason: &str) -> String {
        let text: Vec<String> = self.file.iter().map(|size| size.map_or("?".into(), |size| size.to_string())).collect();
        format!("its input has the shape [{}]: {reason}", text.join(", "))
    }
}

fn fixed(file: &str, [height, width]: [usize; 2]) -> String {
    format!(
        "the graph in the file takes images of {file} pixels (height x width) alone, and {height}x{width} are asked for; \
         export it with a free height and width for other sizes"
    )
}

/// The first layer that knows which axis is that of the channels.
struct FirstLayer {
    /// Of the input.
    axis: usize,
    /// How many channels it takes, if it says.
    channels: Option<usize>,
}

/// Follows the input to the first layer, through what leaves its axes whole. Only an input of rank 4 has one.
fn first_layer(graph: &OnnxGraph, state: &StateDict, nodes: &[&OnnxNode], input: ValueId) -> Option<FirstLayer> {
    let mut constants: HashMap<ValueId, &[usize]> = HashMap::new();
    let mut images = Images::of(input);
    for node in nodes {
        if let ([(_, OnnxAttribute::Tensor(tensor))], [Some(made)]) =
            (node.attributes.as_slice(), node.outputs.as_slice())
        {
            constants.insert(*made, tensor.shape());
        }
        let Some((axes, apart)) = images.read_by(node) else { continue };
        let shape_of = |input: usize| -> Option<&[usize]> {
            let value = node.inputs.get(input)?.as_ref()?;
            let of_file = || state.get(graph.tensors.get(value)?).map(|tensor| tensor.shape());
            constants.get(value).copied().or_else(of_file)
        };
        let found = |channels: Option<usize>| Some(FirstLayer { axis: axes[1], channels: channels.filter(|_| !apart) });
        match node.op.as_str() {
            "Conv" => {
                let groups = usize::try_from(int(node, "group").unwrap_or(1)).ok();
                let per_group = shape_of(1).and_then(|shape| shape.get(1)).copied();
                return found(per_group.zip(groups).and_then(|(channels, groups)| channels.checked_mul(groups)));
            }
            "BatchNormalization" => return found(shape_of(1).and_then(|shape| shape.first()).copied()),
            "MaxPool" | "AveragePool" | "GlobalAveragePool" | "GlobalMaxPool" => return found(None),
            "ReduceMean" | "ReduceMax" => {
                let Some(&[a, b]) = ints(node, "axes") else { continue };
                let over = [place(a), place(b)];
                let rest = (1..4).find(|axis| !over.contains(&Some(*axis)))?;
                return Some(FirstLayer { axis: axes[rest], channels: None });
            }
            _ => images.follow(node),
        }
    }
    None
}

/// The axis along which images are joined or cut first, which can be no other than that of the channels.
fn joined_axis(nodes: &[&OnnxNode], input: ValueId) -> Option<usize> {
    let mut images = Images::of(input);
    for node in nodes {
        let Some((axes, _)) = images.read_by(node) else { continue };
        let axis = match node.op.as_str() {
            "Concat" | "Split" | "Gather" => int(node, "axis").and_then(place).filter(|axis| *axis > 0),
            _ => None,
        };
        if let Some(axis) = axis.and_then(|axis| axes.get(axis)) {
            return Some(*axis);
        }
        images.follow(node);
    }
    None
}

/// The values that are the image still: for each, the input's axis that each of its axes is, and whether its channels were
/// taken apart.
struct Images(HashMap<ValueId, ([usize; 4], bool)>);

impl Images {
    fn of(input: ValueId) -> Self {
        Self(HashMap::from([(input, ([0, 1, 2, 3], false))]))
    }

    /// The one that `node` reads first.
    fn read_by(&self, node: &OnnxNode) -> Option<([usize; 4], bool)> {
        node.inputs.iter().flatten().find_map(|value| self.0.get(value).copied())
    }

    /// Takes in what `node` makes, if that has the axes of what it reads.
    fn follow(&mut self, node: &OnnxNode) {
        let Some((mut axes, mut apart)) = self.read_by(node) else { return };
        match node.op.as_str() {
            "Transpose" => {
                let order = ints(node, "perm").unwrap_or(&[3, 2, 1, 0]);
                let moved: Option<Vec<usize>> = order.iter().map(|&at| axes.get(place(at)?).copied()).collect();
                let Some(Ok(moved)) = moved.map(TryInto::try_into) else { return };
                axes = moved;
            }
            "Slice" | "Split" | "Concat" | "Gather" => apart = true,
            "Add" | "Sub" | "Mul" | "Div" | "Cast" | "Identity" | "Clip" | "Pad" | "Relu" | "Neg" | "Max" | "Min"
            | "Dropout" | "Sigmoid" | "HardSigmoid" | "HardSwish" | "Softmax" => {}
            _ => return,
        }
        for &value in node.outputs.iter().flatten() {
            self.0.insert(value, (axes, apart));
        }
    }
}

/// An axis of four, which may be counted from the end.
fn place(axis: i64) -> Option<usize> {
    usize::try_from(if axis < 0 { axis.checked_add(4)? } else { axis }).ok().filter(|axis| *axis < 4)
}

/// An attribute of a node.
fn int(node: &OnnxNode, name: &str) -> Option<i64> {
    node.attributes.iter().find_map(|(own, value)| match value {
        OnnxAttribute::Int(value) if own == name => Some(*value),
        _ => None,
    })
}

fn ints<'n>(node: &'n OnnxNode, name: &str) -> Option<&'n [i64]> {
    node.attributes.iter().find_map(|(own, value)| match value {
        OnnxAttribute::Ints(values) if own == name => Some(values.as_slice()),
        _ => None,
    })
}
