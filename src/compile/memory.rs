//! Lets storages whose lives do not overlap share a buffer.
//!
//! Greedy by first use: a storage takes the free buffer that fits it best, or a new one. Buffers stay apart, rather
//! than being ranges of one, because wgpu orders dispatches by whole buffer. None is free that the step before still uses,
//! where two steps could run side by side.

use super::Layout;
use super::placed::{Placed, PlacedStep, Plane, View};
use super::plan::{Kernel, Plan, Source, Step, Target, group_stride, plane};
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

/// A storage's place: a buffer, its size there, and from which moment to which it must hold.
#[derive(Clone, Copy)]
struct Storage {
    elements: usize,
    first: usize,
    last: usize,
    buffer: usize,
}

/// Gives every storage a buffer, and every plane an offset in it.
pub(super) fn assign(placed: Placed, layout: Layout) -> Plan {
    let lanes = layout.lanes;
    let producers = placed.storages.len();
    let output = producers - 1;
    // Producer `p` writes at moment `p`: the input at 0, step `i` at `i + 1`. Only a set's first producer has a storage.
    let unused = |producer: usize| {
        // A step that does not read what the step before it wrote may run side by side with that.
        let reads = |plane: &Plane| plane.producer == producer - 1;
        let waits = producer < 2 || placed.steps[producer - 1].views().flat_map(|view| &view.planes).any(reads);
        Storage { elements: 0, first: if waits { producer } else { producer - 1 }, last: producer, buffer: 0 }
    };
    let mut storages: Vec<Storage> = (0..producers).map(unused).collect();
    // The input lies in planes, as callers have it.
    let lanes_of = |producer| if producer == 0 { 1 } else { lanes };
    let mut offsets = vec![0; producers];
    for producer in 0..producers {
        let shape = placed.shape(producer);
        let storage = &mut storages[placed.storages[producer]];
        offsets[producer] = storage.elements;
        let groups = shape.channels.div_ceil(lanes_of(producer));
        storage.elements += groups * group_stride(shape, lanes_of(producer));
        storage.last = producer;
    }
    for (i, step) in placed.steps.iter().enumerate() {
        for plane in step.views().flat_map(|view| &view.planes) {
            let storage = &mut storages[placed.storages[plane.producer]];
            storage.last = storage.last.max(i + 1);
        }
    }
    storages[placed.storages[output]].last = usize::MAX;
    let chained: Vec<bool> =
        (0..placed.steps.len()).map(|i| layout.chained && is_chained(&placed, i, &storages)).collect();
    for (i, step) in placed.steps.iter().enumerate().filter(|(i, _)| chained[*i]) {
        for plane in &step.view.planes {
            let storage = &mut storages[placed.storages[plane.producer]];
            storage.last = storage.last.max(i + 2);
        }
    }
    let buffers = share(storages.iter_mut().filter(|storage| storage.elements > 0));

    let storage_of = |producer: usize| storages[placed.storages[producer]];
    let target = |producer: usize| {
        let storage = storage_of(producer);
        Target {
            buffer: storage.buffer,
            image_stride: storage.elements,
            offset: offsets[producer],
            lanes: lanes_of(producer),
            shape: placed.shape(producer),
        }
    };
    let source = |view: &View| {
        let first = view.planes.first().map_or(0, |plane| plane.producer);
        let storage = storage_of(first);
        let start =
            |at: &Plane| offsets[at.producer] + plane(placed.shape(at.producer), lanes_of(at.producer), at.channel);
        Source {
            buffer: storage.buffer,
            image_stride: storage.elements,
            planes: view.planes.iter().map(start).collect(),
            lanes: lanes_of(first),
            height: view.height,
            width: view.width,
        }
    };
    let (input, output) = (target(0), target(output));
    let place = |(i, step): (usize, &PlacedStep)| (source(&step.view), step.other.as_ref().map(source), target(i + 1));
    let places: Vec<_> = placed.steps.iter().enumerate().map(place).collect();
    let steps = placed.steps.into_iter().zip(places).zip(chained).map(|((step, (source, other, target)), chained)| {
        let PlacedStep { name, kernel, activation, pool, .. } = step;
        Step { name, kernel, activation, pool, source, other, target, chained }
    });
    Plan { input, steps: steps.collect(), output, buffers }
}

/// Whether step `i` is a depthwise convolution whose results only the next step reads, which is a 1x1 convolution.
fn is_chained(placed: &Placed, i: usize, storages: &[Storage]) -> bool {
    let (step, producer) = (&placed.steps[i], i + 1);
    let Some(next) = placed.steps.get(i + 1) else { return false };
    let (Kernel::Conv2d { conv, .. }, Kernel::Conv2d { conv: after, .. }) = (&step.kernel, &next.kernel) else {
        return false;
    };
    conv.is_depthwise()
        && step.other.is_none()
        && after.is_pointwise()
        && placed.storages[producer] == producer
        && storages[producer].last == producer + 1
        && next.view.planes.iter().all(|plane| plane.producer == producer)
        && next.other.iter().flat_map(|view| &view.planes).all(|plane| plane.producer != producer)
        // What is read and what is written may share a storage from the start.
        && step.view.planes.iter().all(|plane| placed.storages[plane.producer] != placed.storages[producer + 1])
        && placed.storages[producer + 1..].iter().all(|storage| *storage != producer)
}

/// Picks a buffer for each storage, in order of first use, and returns the buffers' sizes.
fn share<'s>(storages: impl Iterator<Item = &'s mut Storage>) -> Vec<usize> {
    let mut sizes: Vec<usize> = Vec::new();
    // Buffers that are taken, by the last moment at which they are, and those that are free, by size.
    let mut taken: BinaryHeap<Reverse<(usize, usize)>> = BinaryHeap::new();
    let mut free: BTreeSet<(usize, usize)> = BTreeSet::new();
    for storage in storages {
        while let Some(&Reverse((_, buffer))) = taken.peek().filter(|Reverse((last, _))| *last < storage.first) {
            taken.pop();
            free.insert((sizes[buffer], buffer));
        }
        // The smallest that holds it; failing that, the largest, which then grows.
        let best = free.range((storage.elements, 0)..).next().or_else(|| {
            let (largest, _) = free.last()?;
            free.range((*largest, 0)..).next()
        });
        storage.buffer = match best.copied() {
            Some(place) => {
                free.remove(&place);
                place.1
            }
            None => {
                sizes.push(0);
                sizes.len() - 1
            }
        };
        sizes[storage.buffer] = sizes[storage.buffer].max(storage.elements);
        taken.push(Reverse((storage.last, storage.buffer)));
    }
    sizes
}
