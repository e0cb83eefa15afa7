//! All that never changes: parameters, tables and weights of every step, in one buffer.

use super::context::Context;
use super::dispatch::Dispatch;
use crate::error::Result;

/// Bytes of a range of the constants' buffer.
pub(super) struct ConstantRange {
    pub offset: u64,
    pub size: u64,
}

/// The buffer's content, as it grows.
pub(super) struct Constants {
    bytes: Vec<u8>,
    alignment: usize,
}

impl Constants {
    pub fn new(limits: &wgpu::Limits) -> Self {
        let alignment = limits.min_storage_buffer_offset_alignment.max(limits.min_uniform_buffer_offset_alignment);
        Self { bytes: Vec::new(), alignment: alignment as usize }
    }

    /// The ranges of parameters, table and, where there are any, weight and bias.
    pub fn add(&mut self, dispatch: &Dispatch) -> Vec<ConstantRange> {
        let mut ranges = vec![self.push(bytemuck::bytes_of(&dispatch.params))];
        ranges.push(self.push(bytemuck::cast_slice(&dispatch.table)));
        if let Some([weight, bias]) = &dispatch.weights {
            ranges.push(match dispatch.pipeline.halves.weights {
                true => {
                    self.push(&weight.iter().flat_map(|w| half::f16::from_f32(*w).to_le_bytes()).collect::<Vec<u8>>())
                }
                false => self.push(bytemuck::cast_slice(weight)),
            });
            ranges.push(self.push(bytemuck::cast_slice(bias)));
        }
        ranges
    }

    fn push(&mut self, bytes: &[u8]) -> ConstantRange {
        let offset = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        // A binding may not be empty, nor end within a matrix.
        self.bytes.resize(self.bytes.len().next_multiple_of(64), 0);
        let size = self.bytes.len() - offset;
        self.bytes.resize(self.bytes.len().next_multiple_of(self.alignment), 0);
        ConstantRange { offset: offset as u64, size: size as u64 }
    }

    pub fn upload(self, context: &Context) -> Result<wgpu::Buffer> {
        let limit = context.device.limits().max_buffer_size;
        if self.bytes.len() as u64 > limit {
            return Err(
                context.too_large(format!("{} bytes of weights are over its limit of {limit}", self.bytes.len()))
            );
        }
        let buffer = context.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("constants"),
            size: self.bytes.len() as u64,
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        context.queue.write_buffer(&buffer, 0, &self.bytes);
        Ok(buffer)
    }
}
