//! All that never changes: parameters and tables of every step in one buffer, and weights in one that programs share.

use super::content::{Content, Range};
use super::context::Context;
use super::dispatch::Dispatch;
use super::shelf::{Placed, Shelf};
use crate::error::Result;

/// The constants of all steps, as they grow.
pub(super) struct Constants {
    /// Parameters and a table of each step.
    shapes: Content,
    /// A weight and a bias of each step that has them; of two steps that are joined, two that are empty, and then theirs.
    weights: Content,
}

impl Constants {
    pub fn new(limits: &wgpu::Limits) -> Self {
        let alignment = limits.min_storage_buffer_offset_alignment.max(limits.min_uniform_buffer_offset_alignment);
        let content = || Content::new(alignment as usize);
        Self { shapes: content(), weights: content() }
    }

    pub fn add(&mut self, dispatch: &Dispatch) {
        self.shapes.push(bytemuck::bytes_of(&dispatch.params));
        self.shapes.push(bytemuck::cast_slice(&dispatch.table));
        if dispatch.joined {
            // In place of the first step's, so that later ones lie where they lie in a program that joins none.
            (0..2).for_each(|_| self.weights.push(&[]));
        }
        if let Some([weight, bias]) = &dispatch.weights {
            match dispatch.pipeline.narrow.weights {
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
    pub fn upload(self, context: &Context, shelf: &Shelf) -> Result<Uploaded> {
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let buffer = context.buffer_of("shapes", &self.shapes.bytes, usage)?;
        let shapes = self.shapes.ranges.into_iter().map(|range| (buffer.clone(), range)).collect();
        Ok(Uploaded { shapes, weights: shelf.place(context, self.weights)? })
    }
}

/// Where the constants lie, in the order in which they were added.
pub(super) struct Uploaded {
    /// Parameters and a table of each step.
    pub shapes: Vec<(wgpu::Buffer, Range)>,
    /// A weight and a bias of each step that has them.
    pub weights: Vec<Placed>,
}
