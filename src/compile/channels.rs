//! Replaces chunk, concat and shuffle by tables that say where each channel lies.
//!
//! Every plane is written once, by the step that computes it, and stays where it is. Moving channels only changes the
//! list of planes that a value stands for; the step that reads the value gets that list. Planes that are read together
//! must lie in one buffer, so those that meet in a concat share a storage from the start.

use super::fuse::{Kind, Move, Operation};
use super::plan::Kernel;
use crate::error::{Error, Result};
use crate::graph::{Shape, Value};

/// One channel of what a producer wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plane {
    pub producer: usize,
    pub channel: usize,
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
    pub view: View,
    pub shape: Shape,
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

pub(super) fn place(operations: Vec<Operation>, shapes: &[Shape], output: Value) -> Result<Placed> {
    let input = shapes[0];
    let mut views: Vec<Option<View>> = vec![None; shapes.len()];
    views[0] = Some(whole(0, input));
    let mut steps = Vec::new();
    for Operation { name, inputs, output, kind } in operations {
        let inputs: Vec<&View> = inputs.iter().filter_map(|v| views[v.0].as_ref()).collect();
        let [view, ..] = inputs[..] else { continue };
        let result = match kind {
            Kind::Move(Move::Flatten) => view.clone(),
            Kind::Move(Move::Concat) => concat(&inputs)?,
            Kind::Move(Move::Chunk { index, count }) => {
                let size = view.planes.len() / count;
                rearranged(view, (index * size..(index + 1) * size).map(|c| view.planes[c]))
            }
            Kind::Move(Move::Shuffle { groups }) => {
                let per_group = view.planes.len() / groups;
                let from = |c: usize| (c % groups) * per_group + c / groups;
                rearranged(view, (0..view.planes.len()).map(|c| view.planes[from(c)]))
            }
            Kind::Compute(kernel) => {
                let shape = produced(&kernel, view, shapes[output.0])?;
                steps.push(PlacedStep { name, kernel, view: view.clone(), shape });
                whole(steps.len(), shape)
            }
        };
        views[output.0] = Some(result);
    }
    let output = views[output.0].take().unwrap_or_else(|| whole(0, input));
    Ok(settle(Placed { input, steps, storages: Vec::new() }, output))
}

/// All planes of one producer, in order.
fn whole(producer: usize, shape: Shape) -> View {
    let planes = (0..shape.channels).map(|channel| Plane { producer, channel }).collect();
    View { planes, height: shape.height, width: shape.width }
}

fn rearranged(view: &View, planes: impl Iterator<Item = Plane>) -> View {
    View { planes: planes.collect(), ..*view }
}

fn concat(views: &[&View]) -> Result<View> {
    let first = views[0];
    if views.iter().any(|v| (v.height, v.width) != (first.height, first.width)) {
        return Err(Error::Usage("a concat of flattened images of different sizes is not supported".into()));
    }
    Ok(rearranged(first, views.iter().flat_map(|v| v.planes.iter().copied())))
}

/// The shape that a kernel writes. After a flatten the planes are still images, which only some kernels may read.
fn produced(kernel: &Kernel, view: &View, shape: Shape) -> Result<Shape> {
    match kernel {
        Kernel::Copy { .. } => Ok(Shape::new(view.planes.len(), view.height, view.width)),
        Kernel::Linear { .. } => Ok(shape),
        Kernel::Conv2d { conv, .. } if conv.in_channels != view.planes.len() => {
            Err(Error::Usage("a convolution of a flattened image is not supported".into()))
        }
        _ => Ok(shape),
    }
}

/// Decides on storages, with a copy wherever a step would otherwise read the buffer that it writes.
fn settle(mut placed: Placed, output: View) -> Placed {
    // The output must be planes of their own, in order: what the last step writes, which no other step reads.
    let last = placed.steps.len();
    if last == 0 || output != whole(last, placed.shape(last)) {
        let shape = Shape::new(output.planes.len(), output.height, output.width);
        let copy = Kernel::Copy { relu: false };
        placed.steps.push(PlacedStep { name: String::new(), kernel: copy, view: output, shape });
    }
    loop {
        placed.storages = storages(&placed);
        let clash = (0..placed.steps.len()).find(|&i| {
            let planes = &placed.steps[i].view.planes;
            planes.iter().any(|plane| placed.storages[plane.producer] == placed.storages[i + 1])
        });
        match clash {
            Some(step) => insert_copy(&mut placed.steps, step),
            None => return placed,
        }
    }
}

/// Lets step `index` read a copy of its planes instead of the planes themselves.
fn insert_copy(steps: &mut Vec<PlacedStep>, index: usize) {
    let view = steps[index].view.clone();
    let shape = Shape::new(view.planes.len(), view.height, view.width);
    // All producers from here on move up by one; those before stay.
    let own = index + 1;
    for plane in steps[index..].iter_mut().flat_map(|step| &mut step.view.planes) {
        plane.producer += usize::from(plane.producer >= own);
    }
    steps[index].view = whole(own, shape);
    steps.insert(index, PlacedStep { name: String::new(), kernel: Kernel::Copy { relu: false }, view, shape });
}

/// Joins the producers that are read together, and returns for each the first of its set.
fn storages(placed: &Placed) -> Vec<usize> {
    let mut parent: Vec<usize> = (0..=placed.steps.len()).collect();
    fn root(parent: &[usize], mut i: usize) -> usize {
        while parent[i] != i {
            i = parent[i];
        }
        i
    }
    for step in &placed.steps {
        let mut planes = step.view.planes.iter();
        let Some(first) = planes.next() else { continue };
        for plane in planes {
            let (a, b) = (root(&parent, first.producer), root(&parent, plane.producer));
            parent[a.max(b)] = a.min(b);
        }
    }
    (0..parent.len()).map(|i| root(&parent, i)).collect()
}
