//! All that never changes: parameters and tables of every step in one buffer, and weights in one that programs share.

use super::context::Context;
use super::dispatch::Dispatch;
use super::shelf::Placed;
use crate::error::Result;

/// Bytes of a buffer.
pub(super) type Range = std::ops::Range<usize>;

/// What is to be one buffer, as it grows.
pub(super) struct Content {
    pub bytes: Vec<u8>,
    pub ranges: Vec<Range>,
    alignment: usize,
}

impl Content {
    fn push(&mut self, bytes: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        // A binding may not be empty, nor end within a matrix.
        self.bytes.resize(self.bytes.len().max(start + 1).next_multiple_of(64), 0);
        self.ranges.push(start..self.bytes.len());
        self.bytes.resize(self.bytes.len().next_multiple_of(self.alignment), 0);
    }

    pub fn of(&self, range: &Range) -> &[u8] {
        &self.bytes[range.clone()]
    }

    /// Leaves out the ranges that are not to be kept, and tells where the others lie then.
    pub fn keep(&mut self, is_kept: impl Fn(usize) -> bool) -> Vec<Option<Range>> {
        let mut end = 0;
        let ends = self.ranges.iter().skip(1).map(|next| next.start).chain([self.bytes.len()]);
        let keep = |(index, (range, next)): (usize, (&Range, usize))| {
            is_kept(index).then(|| {
                let start = end;
                end += next - range.start;
                (range.start..next, start..start + range.len())
            })
        };
        let kept: Vec<Option<(Range, Range)>> = self.ranges.iter().zip(ends).enumerate().map(keep).collect();
        kept.iter().flatten().for_each(|(from, to)| self.bytes.copy_within(from.clone(), to.start));
        self.bytes.truncate(end);
        kept.into_iter().map(|kept| kept.map(|(_, to)| to)).collect()
    }
}

/// The constants of all steps, as they grow.
pub(super) struct Constants {
    /// Parameters and a table of each step.
    shapes: Content,
    /// A weight and a bias of each step that has them.
    weights: Content,
}

impl Constants {
    pub fn new(limits: &wgpu::Limits) -> Self {
        let alignment = limits.min_storage_buffer_offset_alignment.max(limits.min_uniform_buffer_offset_alignment);
        let content = || Content { bytes: Vec::new(), ranges: Vec::new(), alignment: alignment as usize };
        Self { shapes: content(), weights: content() }
    }

    pub fn add(&mut self, dispatch: &Dispatch) {
        self.shapes.push(bytemuck::bytes_of(&dispatch.params));
        self.shapes.push(bytemuck::cast_slice(&dispatch.table));
        if let Some([weight, bias]) = &dispatch.weights {
            match dispatch.pipeline.halves.weights {
                true => {
                    let halves = weight.iter().flat_map(|w| half::f16::from_f32(*w).to_le_bytes());
                    self.weights.push(&halves.collect::<Vec<u8>>());
                }
                false => self.weights.push(bytemuck::cast_slice(weight)),
            }
            self.weights.push(bytemuck::cast_slice(bias));
        }
    }

    /// Brings them to the device.
    pub fn upload(self, context: &Context) -> Result<Uploaded> {
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let buffer = context.buffer_of("shapes", &self.shapes.bytes, usage)?;
        let shapes = self.shapes.ranges.into_iter().map(|range| (buffer.clone(), range)).collect();
        Ok(Uploaded { shapes, weights: context.shelf.place(context, self.weights)? })
    }
}

/// Where the constants lie, in the order in which they were added.
pub(super) struct Uploaded {
    /// Parameters and a table of each step.
    pub shapes: Vec<(wgpu::Buffer, Range)>,
    /// A weight and a bias of each step that has them.
    pub weights: Vec<Placed>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_kept_is_closed_up() {
        let mut content = Content { bytes: Vec::new(), ranges: Vec::new(), alignment: 256 };
        (1..=4u8).for_each(|value| content.push(&vec![value; 100 * usize::from(value)]));
        let values = |content: &Content, ranges: &[Option<Range>]| -> Vec<Option<Vec<u8>>> {
            ranges.iter().map(|range| range.as_ref().map(|range| content.of(range).to_vec())).collect()
        };
        let before: Vec<_> = content.ranges.iter().map(|range| Some(content.of(range).to_vec())).collect();
        let ranges = content.keep(|_| true);
        assert_eq!(values(&content, &ranges), before);
        let ranges = content.keep(|index| index % 2 == 1);
        let expected = [None, before[1].clone(), None, before[3].clone()];
        assert_eq!(values(&content, &ranges), expected);
        assert!(ranges.iter().flatten().all(|range| range.start % 256 == 0));
        assert_eq!(content.bytes.len(), 256 + 512);
    }
}
