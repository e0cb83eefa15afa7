//! What stands behind the values of the file while its nodes are followed.

use super::constant::{Constant, Name};
use super::layout::{Layout, Part, Side, Way};
use super::memory::Memory;
use super::steps::{Kind, Source, Steps};
use crate::graph::{Op, Shape};

/// What stands behind a value of the file.
#[derive(Debug, Clone)]
pub enum Traced {
    /// Numbers that are known beforehand.
    Constant(Constant),
    /// What is computed from the image.
    View(View),
    /// Nobody knows, since a node before it was refused.
    Unknown,
}

/// A step's output as an ONNX tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    pub source: Source,
    pub layout: Layout,
}

/// What the nodes are traced with.
pub struct Trace {
    pub steps: Steps,
    /// Images in the file's batch; 1 where it is free, since every image is computed by itself.
    pub batch: usize,
    pub memory: Memory,
}

impl Trace {
    /// The shape of what a view looks at.
    pub fn shape(&self, view: &View) -> Shape {
        self.steps.shapes[view.source]
    }

    /// A step whose output is an image with channels first.
    pub fn image(&mut self, kind: Kind, input: Source, name: &Name) -> Result<Traced, String> {
        let source = self.steps.push(kind, &[input], name)?;
        Ok(Traced::View(View { source, layout: Layout::image(self.batch, self.steps.shapes[source]) }))
    }

    /// A step whose output has the layout of its first input.
    pub fn alike(&mut self, kind: Kind, inputs: &[Source], layout: &Layout, name: &Name) -> Result<View, String> {
        Ok(View { source: self.steps.push(kind, inputs, name)?, layout: layout.clone() })
    }

    /// The same tensor with a whole side on every axis.
    pub fn straight(&mut self, view: &View, name: &Name) -> Result<View, String> {
        match view.layout.way(self.shape(view)) {
            Some(Way::Straight) => Ok(view.clone()),
            Some(Way::Shuffle(groups, layout)) => {
                let shuffled = self.alike(Kind::Plain(Op::ChannelShuffle { groups }), &[view.source], &layout, name)?;
                self.straight(&shuffled, name)
            }
            Some(Way::Flatten(layout)) => self.alike(Kind::Plain(Op::Flatten), &[view.source], &layout, name),
            None => Err(format!(
                "it reads a tensor of shape {:?}, in which the channels and pixels of an image are mixed",
                view.layout.dimensions()
            )),
        }
    }

    /// The same tensor as an image with channels first.
    pub fn channels_first(&mut self, view: &View, name: &Name) -> Result<View, String> {
        let view = self.straight(view, name)?;
        let sides = [Side::Batch, Side::Channels, Side::Rows, Side::Columns];
        let holds = |(axis, side): (&[_], Side)| axis.iter().all(|part: &Part| part.side == side);
        if view.layout.rank() != 4 || !view.layout.axes().zip(sides).all(holds) {
            return Err(format!(
                "it should read images with channels first, and reads a tensor of shape {:?}, whose axes are others",
                view.layout.dimensions()
            ));
        }
        Ok(view)
    }
}

/// What a node makes, or why it cannot be imported.
pub type Made = Result<Vec<Traced>, String>;

/// A node's only output.
pub fn one(traced: Traced) -> Made {
    Ok(vec![traced])
}
