//! A node with what it reads: typed access to its attributes and to inputs that must be known beforehand.

use super::constant::{Constant, Name};
use super::traced::{Traced, View};
use crate::checkpoint::{OnnxAttribute, OnnxNode};

/// One node to be traced.
#[derive(Debug)]
pub struct Call<'g> {
    pub node: &'g OnnxNode,
    /// What to call it.
    pub name: Name,
    /// What the file calls its first output.
    pub made: Name,
    /// The version of ONNX's operators.
    pub opset: u64,
    /// Whether the image that it reads holds integers.
    pub of_integers: bool,
    pub inputs: Vec<Option<&'g Traced>>,
}

impl Call<'_> {
    fn attribute(&self, name: &str) -> Option<&OnnxAttribute> {
        self.node.attributes.iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    pub fn int(&self, name: &str, default: i64) -> Result<i64, String> {
        match self.attribute(name) {
            None => Ok(default),
            Some(OnnxAttribute::Int(value)) => Ok(*value),
            Some(_) => Err(format!("its attribute {name} is not an integer")),
        }
    }

    pub fn float(&self, name: &str, default: f32) -> Result<f32, String> {
        match self.attribute(name) {
            None => Ok(default),
            Some(OnnxAttribute::Float(value)) => Ok(*value),
            Some(_) => Err(format!("its attribute {name} is not a number")),
        }
    }

    pub fn text(&self, name: &str, default: &'static str) -> Result<&str, String> {
        match self.attribute(name) {
            None => Ok(default),
            Some(OnnxAttribute::Text(value)) => Ok(value),
            Some(_) => Err(format!("its attribute {name} is not text")),
        }
    }

    pub fn ints(&self, name: &str) -> Result<Option<&[i64]>, String> {
        match self.attribute(name) {
            None => Ok(None),
            Some(OnnxAttribute::Ints(values)) => Ok(Some(values)),
            Some(_) => Err(format!("its attribute {name} is not a list of integers")),
        }
    }

    pub fn tensor(&self, name: &str) -> Result<Option<&crate::tensor::Tensor>, String> {
        match self.attribute(name) {
            None => Ok(None),
            Some(OnnxAttribute::Tensor(tensor)) => Ok(Some(tensor)),
            Some(_) => Err(format!("its attribute {name} is not a tensor of numbers")),
        }
    }

    /// What it reads at `index`, unless that is left out.
    pub fn input(&self, index: usize) -> Option<&Traced> {
        *self.inputs.get(index)?
    }

    /// The image that it reads first.
    pub fn view(&self) -> Result<&View, String> {
        match self.input(0) {
            Some(Traced::View(view)) => Ok(view),
            Some(_) => Err("it reads numbers where an image should be".into()),
            None => Err("it reads nothing".into()),
        }
    }

    /// The numbers at `index`, which must be known beforehand; none where they are left out.
    pub fn optional_constant(&self, index: usize) -> Result<Option<&Constant>, String> {
        match self.input(index) {
            None => Ok(None),
            Some(Traced::Constant(constant)) => Ok(Some(constant)),
            Some(_) => Err(format!("its input {index} is computed from the image, and must be known beforehand")),
        }
    }

    pub fn constant(&self, index: usize) -> Result<&Constant, String> {
        self.optional_constant(index)?.ok_or_else(|| format!("it lacks its input {index}"))
    }

    /// A list of integers that is an attribute in some versions, and an input in others.
    pub fn list(&self, attribute: &str, input: usize) -> Result<Option<Vec<i64>>, String> {
        match self.ints(attribute)? {
            Some(list) => Ok(Some(list.to_vec())),
            None => self.optional_constant(input)?.map(Constant::to_ints).transpose(),
        }
    }
}

/// An axis of a tensor of `rank`, which may be counted from the end.
pub fn axis(axis: i64, rank: usize) -> Result<usize, String> {
    let signed = i64::try_from(rank).unwrap_or(i64::MAX);
    let from_front = if axis < 0 { axis.checked_add(signed) } else { Some(axis) };
    let found = from_front.and_then(|axis| usize::try_from(axis).ok()).filter(|axis| *axis < rank);
    found.ok_or_else(|| format!("it has no axis {axis}, only {rank}"))
}

/// Axes of a tensor of `rank`, each once.
pub fn axes(list: &[i64], rank: usize) -> Result<Vec<usize>, String> {
    let mut axes = Vec::new();
    for &one in list {
        let one = axis(one, rank)?;
        if axes.contains(&one) {
            return Err(format!("it names axis {one} twice"));
        }
        axes.push(one);
    }
    Ok(axes)
}
