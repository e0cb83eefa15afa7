//! Groups of 4 channels that lie side by side, pixel by pixel: which of them a step reads.

use crate::compile::Source;
use std::collections::HashMap;

/// The plan keeps 4 channels side by side, so that a load is a vector.
pub(super) const LANES: usize = 4;

/// The groups that a dense convolution reads, and which of its inputs are which of their channels.
pub(super) struct Groups {
    /// Where each group begins, in units of 4 elements.
    starts: Vec<usize>,
    /// For each input its group, and its place there.
    pub inputs: Vec<(usize, usize)>,
    /// Pixels, which is how far two groups of one value lie apart.
    pixels: usize,
}

impl Groups {
    /// The groups in the order in which their first channel appears.
    pub fn of(source: &Source) -> Self {
        let mut starts: Vec<usize> = Vec::new();
        let mut inputs = Vec::new();
        let mut index_of = HashMap::new();
        for plane in &source.planes {
            let start = plane / LANES;
            let index = *index_of.entry(start).or_insert_with(|| {
                starts.push(start);
                starts.len() - 1
            });
            inputs.push((index, plane % LANES));
        }
        Self { starts, inputs, pixels: source.height * source.width }
    }

    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Where each group begins, in units of 4 elements.
    pub fn starts(&self) -> &[usize] {
        &self.starts
    }

    /// The first and the end of each run of groups that follow each other.
    pub fn runs(&self) -> Vec<[usize; 2]> {
        let mut runs: Vec<[usize; 2]> = Vec::new();
        for &start in &self.starts {
            match runs.last_mut() {
                Some([_, end]) if *end == start => *end += self.pixels,
                _ => runs.push([start, start + self.pixels]),
            }
        }
        runs
    }
}

/// Where each channel lies, padded to whole groups, and whether the channels make whole groups.
pub(super) fn planes(source: &Source) -> (Vec<usize>, bool) {
    (padded(source.planes.iter().copied()), whole(source))
}

/// Whether the source's channels make whole groups, in order.
pub(super) fn whole(source: &Source) -> bool {
    let in_order = |group: &[usize]| {
        group[0].is_multiple_of(LANES) && group.iter().zip(group[0]..).all(|(plane, expected)| *plane == expected)
    };
    source.lanes == LANES && source.planes.chunks(LANES).all(in_order)
}

/// `values` padded to whole groups by repeating the last.
pub(super) fn padded(values: impl IntoIterator<Item = usize>) -> Vec<usize> {
    let mut values: Vec<usize> = values.into_iter().collect();
    let last = values.last().copied().unwrap_or(0);
    values.resize(values.len().next_multiple_of(LANES), last);
    values
}
