//! Replaces chunk, concat and shuffle by tables that say where each channel lies.
//!
//! Every plane is written once, by the step that computes it, and stays where it is. Moving channels only changes the
//! list of planes that a value stands for; the step that reads the value gets that list. Planes that are read together
//! must lie in one buffer, so those that meet in a concat share a storage from the start.

use super::fuse::{Kind, Move, Operation};
use super::placed::{Placed, PlacedStep, Plane, READ, VIEW, View};
use super::plan::Kernel;
use super::{Budget, Layout, whole_groups};
use crate::error::{Error, Result};
use crate::graph::{Shape, Value};

/// Follows the channels through all operations, for a device that wants its plans in this `layout`.
pub(super) fn place(
    operations: Vec<Operation>,
    shapes: &[Shape],
    output: Value,
    layout: Layout,
    budget: &Budget,
) -> Result<Placed> {
    let input = shapes[0];
    let mut views: Vec<Option<View>> = vec![None; shapes.len()];
    budget.take(input.channels, VIEW)?;
    views[0] = Some(whole(0, input));
    let mut steps = Vec::new();
    for Operation { name, inputs, output, kind, activation, pool, other } in operations {
        let other = other.and_then(|v| views[v.0].clone());
        let flattened = inputs.first().map_or(1, |v| flattened(&views[v.0], shapes[v.0]));
        let inputs: Vec<&View> = inputs.iter().filter_map(|v| views[v.0].as_ref()).collect();
        let [view, ..] = inputs[..] else { continue };
        let planes = inputs.iter().map(|view| view.planes.len()).fold(0, usize::saturating_add);
        match &kind {
            Kind::Move(_) => budget.take(planes, VIEW)?,
            Kind::Compute(_) => {
                let other = other.as_ref().map_or(0, |other| other.planes.len());
                budget.take(planes.saturating_add(other), READ)?;
                // All that is written, and what of it the operator stands for.
                budget.take(shapes[output.0].channels, 2 * VIEW)?;
            }
        }
        let result = match kind {
            Kind::Move(Move::Nothing) => view.clone(),
            Kind::Move(Move::Concat) => concat(&inputs)?,
            Kind::Move(Move::Chunk { index, count }) => {
                let size = whole_planes(view.planes.len(), count)?;
                rearranged(view, (index * size..(index + 1) * size).map(|c| view.planes[c]))
            }
            Kind::Move(Move::Narrow { start, length }) => {
                let (start, length) = (whole_planes(start, flattened)?, whole_planes(length, flattened)?);
                rearranged(view, (start..start + length).map(|c| view.planes[c]))
            }
            Kind::Move(Move::Shuffle { groups }) => {
                let per_group = whole_planes(view.planes.len(), groups)?;
                whole_planes(1, flattened)?;
                let from = |c: usize| (c % groups) * per_group + c / groups;
                rearranged(view, (0..view.planes.len()).map(|c| view.planes[from(c)]))
            }
            Kind::Compute(kernel) => {
                let shape = produced(&kernel, view, flattened, shapes[output.0])?;
                if other.as_ref().is_some_and(|other| other.planes.len() != shape.channels) {
                    return Err(Error::Usage("a sum or product with a flattened image is not supported".into()));
                }
                let step = PlacedStep { name, kernel, activation, pool, view: view.clone(), other, shape };
                let (step, channels) = whole_groups::widen(step, layout);
                let written = whole(steps.len() + 1, step.shape);
                steps.push(step);
                rearranged(&written, channels.into_iter().map(|c| written.planes[c]))
            }
        };
        views[output.0] = Some(result);
    }
    let output = views[output.0].take().unwrap_or_else(|| whole(0, input));
    settle(Placed { input, steps, storages: Vec::new() }, output, layout, budget)
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

/// Channels of a value's shape that one plane of its view stands for: more than 1 after a flatten, which leaves planes as
/// they are.
fn flattened(view: &Option<View>, shape: Shape) -> usize {
    view.as_ref().map_or(1, |view| shape.channels / view.planes.len().max(1)).max(1)
}

/// `channels / parts`, if planes stay whole.
fn whole_planes(channels: usize, parts: usize) -> Result<usize> {
    match channels.is_multiple_of(parts) {
        true => Ok(channels / parts),
        false => Err(Error::Usage("taking a flattened image apart within a plane is not supported".into())),
    }
}

/// The shape that a kernel writes. After a flatten the planes are still images, which only some kernels may read.
fn produced(kernel: &Kernel, view: &View, flattened: usize, shape: Shape) -> Result<Shape> {
    match kernel {
        Kernel::Linear { .. } => Ok(shape),
        Kernel::Copy => Ok(Shape::new(view.planes.len(), view.height, view.width)),
        _ if flattened > 1 => {
            Err(Error::Usage("of a flattened image only a fully connected layer is supported".into()))
        }
        _ => Ok(shape),
    }
}

/// Decides on storages, with a copy wherever a step would otherwise read the buffer that it writes, the input's planes
/// where it reads channels side by side, or a second operand that is not in whole groups.
fn settle(mut placed: Placed, output: View, layout: Layout, budget: &Budget) -> Result<Placed> {
    let lanes = layout.lanes;
    // The output must be planes of their own, in order: what the last step writes, which no other step reads.
    let last = placed.steps.len();
    if last == 0 || output != whole(last, placed.shape(last)) {
        budget.take(output.planes.len(), READ)?;
        placed.steps.push(PlacedStep::copy(output));
    }
    if lanes > 1 {
        copy_input(&mut placed, layout);
    }
    let apart = |step: &PlacedStep| step.other.as_ref().is_some_and(|other| !in_whole_groups(other, lanes));
    let apart = placed.steps.iter().map(|step| [false, apart(step)]).collect();
    insert_copies(&mut placed.steps, apart, budget)?;
    // A copy reads what the step read, and writes a storage of its own: what is joined stays joined, and nothing more is.
    placed.storages = storages(&placed);
    let overwrites = |i: usize, view: &View| {
        view.planes.iter().any(|plane| placed.storages[plane.producer] == placed.storages[i + 1])
    };
    let both = |(i, step): (usize, &PlacedStep)| {
        [overwrites(i, &step.view), step.other.as_ref().is_some_and(|other| overwrites(i, other))]
    };
    let overwritten = placed.steps.iter().enumerate().map(both).collect();
    insert_copies(&mut placed.steps, overwritten, budget)?;
    placed.storages = storages(&placed);
    Ok(placed)
}

/// Whether the planes are one producer's, side by side from the start of a group of `lanes` channels on.
fn in_whole_groups(view: &View, lanes: usize) -> bool {
    let Some(first) = view.planes.first() else { return true };
    let in_order = |(i, plane): (usize, &Plane)| *plane == Plane { channel: first.channel + i, ..*first };
    let aligned = first.channel.is_multiple_of(lanes) && (lanes == 1 || !first.is_input());
    aligned && view.planes.iter().enumerate().all(in_order)
}

/// Lets steps read a copy of the input, which lies in planes, if they cannot read it as it is.
fn copy_input(placed: &mut Placed, layout: Layout) {
    let reads_input = |view: &View| view.planes.iter().any(Plane::is_input);
    let misread = |step: &PlacedStep| misreads_planes(step, layout) || step.other.as_ref().is_some_and(reads_input);
    let misread: Vec<bool> = placed.steps.iter().map(misread).collect();
    if !misread.contains(&true) {
        return;
    }
    for (step, misread) in placed.steps.iter_mut().zip(misread) {
        for plane in step.views_mut().flat_map(|view| &mut view.planes) {
            // The copy is the first step now, and the first producer after the input.
            plane.producer += usize::from(misread || !plane.is_input());
        }
    }
    placed.steps.insert(0, PlacedStep::copy(whole(0, placed.input)));
}

/// Whether a step reads the input with a kernel that reads channels side by side, or together with channels that lie so.
fn misreads_planes(step: &PlacedStep, layout: Layout) -> bool {
    let input = step.view.planes.iter().filter(|plane| plane.is_input()).count();
    let reads_planes = match &step.kernel {
        Kernel::Conv2d { conv, .. } => {
            !conv.is_depthwise() && conv.groups == 1 && conv.in_channels < layout.grouped_channels
        }
        Kernel::Linear { .. } | Kernel::Copy => true,
        Kernel::MaxPool2d(_) | Kernel::AvgPool2d(_) | Kernel::Mean | Kernel::Softmax | Kernel::Add | Kernel::Mul => {
            false
        }
    };
    input > 0 && (!reads_planes || input < step.view.planes.len())
}

/// Lets steps read copies of their sources and of their second operands, where `wanted` says so of the step.
fn insert_copies(steps: &mut Vec<PlacedStep>, wanted: Vec<[bool; 2]>, budget: &Budget) -> Result<()> {
    // Producers move up by as many copies as come before them.
    let mut moved = vec![0];
    let mut all = Vec::with_capacity(steps.len());
    for (mut step, copies) in std::mem::take(steps).into_iter().zip(wanted) {
        step.views_mut().flat_map(|view| &mut view.planes).for_each(|plane| plane.producer = moved[plane.producer]);
        for (view, copy) in step.views_mut().zip(copies) {
            if copy {
                budget.take(view.planes.len(), READ)?;
                let own = all.len() + 1;
                let planes = (0..view.planes.len()).map(|channel| Plane { producer: own, channel }).collect();
                all.push(PlacedStep::copy(std::mem::replace(view, View { planes, ..*view })));
            }
        }
        all.push(step);
        moved.push(all.len());
    }
    *steps = all;
    Ok(())
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
    for view in placed.steps.iter().flat_map(PlacedStep::views) {
        let mut planes = view.planes.iter();
        let Some(first) = planes.next() else { continue };
        for plane in planes {
            let (a, b) = (root(&parent, first.producer), root(&parent, plane.producer));
            parent[a.max(b)] = a.min(b);
        }
    }
    (0..parent.len()).map(|i| root(&parent, i)).collect()
}
