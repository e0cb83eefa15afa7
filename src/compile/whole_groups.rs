//! Lets a depthwise convolution run over whole groups of channels as they lie, in place of channels picked one by one.
//!
//! What keeps channels apart may compute them in any order, and a few more than are asked for. So a step that would pick
//! its channels from the middle of several groups computes all channels of those groups, in the groups' order; whoever
//! reads the result picks from it.

use super::Layout;
use super::placed::{PlacedStep, Plane, View};
use super::plan::Kernel;
use crate::graph::{Conv2d, Shape};
use std::collections::{HashMap, HashSet};

/// The step over whole groups of lanes, as far as the device widens for that, and which of its channels are those that were asked for.
pub(super) fn widen(step: PlacedStep, layout: Layout) -> (PlacedStep, Vec<usize>) {
    let Layout { lanes, widening, .. } = layout;
    let asked = step.view.planes.len();
    let as_it_is: Vec<usize> = (0..step.shape.channels).collect();
    let Kernel::Conv2d { conv, weight, bias } = &step.kernel else { return (step, as_it_is) };
    if lanes == 1 || step.other.is_some() || !conv.is_depthwise() || step.view.planes.iter().any(Plane::is_input) {
        return (step, as_it_is);
    }
    // The first planes of the groups that are read, each once.
    let mut groups: Vec<Plane> = Vec::new();
    let mut seen = HashSet::new();
    for plane in &step.view.planes {
        let first = Plane { channel: plane.channel / lanes * lanes, ..*plane };
        if seen.insert(first) {
            groups.push(first);
        }
    }
    let planes: Vec<Plane> = groups
        .iter()
        .flat_map(|first| (0..lanes).map(|lane| Plane { channel: first.channel + lane, ..*first }))
        .collect();
    if planes.starts_with(&step.view.planes) || groups.len() > widening * asked.div_ceil(lanes) {
        return (step, as_it_is);
    }
    let area = conv.window.taps();
    let place: HashMap<&Plane, usize> = planes.iter().enumerate().map(|(at, plane)| (plane, at)).collect();
    let mut used = vec![false; planes.len()];
    let (mut wide_weight, mut wide_bias) = (vec![0.0; planes.len() * area], vec![0.0; planes.len()]);
    let mut channels = Vec::with_capacity(asked);
    for (c, plane) in step.view.planes.iter().enumerate() {
        let at = place[plane];
        if std::mem::replace(&mut used[at], true) {
            // A plane that is asked for twice may have two weights.
            return (step, as_it_is);
        }
        wide_weight[at * area..][..area].copy_from_slice(&weight[c * area..][..area]);
        wide_bias[at] = bias[c];
        channels.push(at);
    }
    let shape = Shape { channels: planes.len(), ..step.shape };
    let conv = Conv2d { in_channels: planes.len(), out_channels: planes.len(), groups: planes.len(), ..*conv };
    let kernel = Kernel::Conv2d { conv, weight: wide_weight.into(), bias: wide_bias.into() };
    let view = View { planes, ..step.view };
    (PlacedStep { kernel, view, shape, ..step }, channels)
}
