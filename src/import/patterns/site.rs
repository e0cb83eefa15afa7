//! The place where a rule may hold: a step, and the steps before it.

use crate::graph::{Activation, Op, Shape};
use crate::import::steps::{Kind, Source, Step, Steps};

/// What a step becomes, and what it reads then.
pub type Simpler = (Kind, Vec<Source>);

/// A step, what it reads, and what reads that.
pub struct Site<'s> {
    pub kind: &'s Kind,
    pub inputs: &'s [Source],
    /// The shape of what the step makes.
    pub shape: Shape,
    steps: &'s Steps,
    /// How many steps read each source.
    readers: &'s [usize],
}

impl<'s> Site<'s> {
    pub fn new(steps: &'s Steps, readers: &'s [usize], at: usize) -> Self {
        let step = &steps.list[at];
        Self { kind: &step.kind, inputs: &step.inputs, shape: steps.shapes[at + 1], steps, readers }
    }

    /// The step that makes the first input.
    pub fn before(&self) -> Option<&'s Step> {
        self.maker(*self.inputs.first()?)
    }

    /// The step that makes the first input, if this step alone reads that.
    pub fn only_before(&self) -> Option<&'s Step> {
        self.before().filter(|_| self.readers[self.inputs[0]] == 1)
    }

    /// The step that makes `source`.
    pub fn maker(&self, source: Source) -> Option<&'s Step> {
        self.steps.maker(source)
    }

    /// The shape of `source`.
    pub fn shape_of(&self, source: Source) -> Shape {
        self.steps.shapes[source]
    }
}

/// The function that `kind` is of each number, if it is one.
pub fn activation(kind: &Kind) -> Option<Activation> {
    match kind {
        Kind::Plain(Op::Activation(activation)) => Some(*activation),
        _ => None,
    }
}
