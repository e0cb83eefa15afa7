//! Replaces chunk, concat and shuffle by tables that say where each channel lies.
//!
//! Every plane is written once, by the step that computes it, and stays where it is. Moving channels only changes the
//! list of planes that a value stands for; the step that reads the value gets that list. Planes that are read together
//! must lie in one buffer, so those that meet in a concat share a storage from the start.

use super::fuse::{Kind, Move, Operation};
use super::plan::Kernel;
use super::widen;
use crate::error::{Error, Result};
use crate::graph::{Shape, Value};

/// One channel of what a producer wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// Follows the channels through all operations, for a device that keeps `lanes` of them side by side.
pub(super) fn place(operations: Vec<Operation>, shapes: &[Shape], output: Value, lanes: usize) -> Result<Placed> {
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
                let step = PlacedStep { name, kernel, view: view.clone(), shape };
                let (step, channels) = widen::whole_groups(step, lanes);
                let written = whole(steps.len() + 1, step.shape);
                steps.push(step);
                rearranged(&written, channels.into_iter().map(|c| written.planes[c]))
            }
        };
        views[output.0] = Some(result);
    }
    let output = views[output.0].take().unwrap_or_else(|| whole(0, input));
    Ok(settle(Placed { input, steps, storages: Vec::new() }, output, lanes))
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

/// Decides on storages, with a copy wherever a step would otherwise read the buffer that it writes, or the input's
/// planes where it reads channels side by side.
fn settle(mut placed: Placed, output: View, lanes: usize) -> Placed {
    // The output must be planes of their own, in order: what the last step writes, which no other step reads.
    let last = placed.steps.len();
    if last == 0 || output != whole(last, placed.shape(last)) {
        let shape = Shape::new(output.planes.len(), output.height, output.width);
        let copy = Kernel::Copy { relu: false };
        placed.steps.push(PlacedStep { name: String::new(), kernel: copy, view: output, shape });
    }
    while let Some(step) = placed.steps.iter().position(|step| misreads_planes(step, lanes)) {
        insert_copy(&mut placed.steps, step, &Plane::is_input);
    }
    loop {
        placed.storages = storages(&placed);
        let clash = (0..placed.steps.len()).find(|&i| {
            let planes = &placed.steps[i].view.planes;
            planes.iter().any(|plane| placed.storages[plane.producer] == placed.storages[i + 1])
        });
        match clash {
            Some(step) => insert_copy(&mut placed.steps, step, &|_| true),
            None => return placed,
        }
    }
}

/// Whether a step reads the input, which lies in planes, with a kernel that reads `lanes` channels side by side or
/// together with channels that lie so.
fn misreads_planes(step: &PlacedStep, lanes: usize) -> bool {
    let input = step.view.planes.iter().filter(|plane| plane.is_input()).count();
    let reads_planes = match &step.kernel {
        // With fewer channels than lanes, going by planes costs less than a copy.
        Kernel::Conv2d { conv, .. } => !conv.is_depthwise() && conv.groups == 1 && conv.in_channels < lanes,
        Kernel::Linear { .. } | Kernel::Copy { .. } => true,
        Kernel::MaxPool2d(_) | Kernel::Mean => false,
    };
    lanes > 1 && input > 0 && (!reads_planes || input < step.view.planes.len())
}

/// Lets step `index` read a copy of the planes that `copied` tells instead of the planes themselves.
fn insert_copy(steps: &mut Vec<PlacedStep>, index: usize, copied: &dyn Fn(&Plane) -> bool) {
    // All producers from here on move up by one; those before stay.
    let own = index + 1;
    for plane in steps[index..].iter_mut().flat_map(|step| &mut step.view.planes) {
        plane.producer += usize::from(plane.producer >= own);
    }
    let View { planes, height, width } = &mut steps[index].view;
    let mut moved = Vec::new();
    for plane in planes.iter_mut().filter(|plane| copied(plane)) {
        moved.push(*plane);
        *plane = Plane { producer: own, channel: moved.len() - 1 };
    }
    let shape = Shape::new(moved.len(), *height, *width);
    let view = View { planes: moved, ..steps[index].view };
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
