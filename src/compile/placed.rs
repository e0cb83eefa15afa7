//! Steps that know which planes they read, and where planes lie.

use super::plan::{Kernel, Pool};
use crate::graph::{Activation, Shape};

/// One channel of what a producer wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Plane {
    pub producer: usize,
    pub channel: usize,
}

impl Plane {
    /// Whether it is the graph's input, which nobody computes.
    pub fn is_input(&self) -> bool {
        self.producer == 0
    }
}

/// The planes that a value stands for, all of one size.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct View {
    pub planes: Vec<Plane>,
    pub height: usize,
    pub width: usize,
}

/// A step that knows which planes it reads. It is the producer with its own index plus one; producer 0 is the input.
pub(super) struct PlacedStep {
    pub name: String,
    pub kernel: Kernel,
    pub activation: Option<Activation>,
    pub pool: Option<Pool>,
    pub view: View,
    /// The second operand.
    pub other: Option<View>,
    pub shape: Shape,
}

impl PlacedStep {
    /// A copy of a view.
    pub fn copy(view: View) -> Self {
        let shape = Shape::new(view.planes.len(), view.height, view.width);
        let (name, kernel) = (String::new(), Kernel::Copy);
        Self { name, kernel, activation: None, pool: None, view, other: None, shape }
    }

    /// All that it reads: the source, and perhaps another.
    pub fn views(&self) -> impl Iterator<Item = &View> {
        [&self.view].into_iter().chain(&self.other)
    }

    /// The same, to be changed.
    pub fn views_mut(&mut self) -> impl Iterator<Item = &mut View> {
        [&mut self.view].into_iter().chain(&mut self.other)
    }
}

/// All steps, and in which storage each producer's planes lie.
pub(super) struct Placed {
    pub input: Shape,
    pub steps: Vec<PlacedStep>,
    /// For each producer, its storage: the index of the first producer that lies there.
    pub storages: Vec<usize>,
}

impl Placed {
    /// What producer `index` writes.
    pub fn shape(&self, producer: usize) -> Shape {
        producer.checked_sub(1).map_or(self.input, |step| self.steps[step].shape)
    }
}

/// Bytes that a plane takes in a view, and in all that becomes of a view which a step reads.
pub(super) const VIEW: usize = size_of::<Plane>();
pub(super) const READ: usize = VIEW + 3 * size_of::<usize>();
