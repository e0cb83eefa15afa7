//! The weights that programs have on a device, those of the same network once.

use super::content::{Content, Range};
use super::context::Context;
use super::lock::lock;
use crate::error::Result;
use std::sync::{Arc, Mutex, Weak};

/// Bytes that are compared at once.
const PART: usize = 16 << 20;

/// The packed weights that a program has brought to the device.
#[derive(Debug)]
pub(super) struct Shelved {
    pub buffer: wgpu::Buffer,
    /// Where each of its weights and biases lies, in the order of the steps; none of those that another program brought.
    ranges: Vec<Option<Range>>,
}

/// A range of what a program has brought.
pub(super) type Placed = (Arc<Shelved>, Range);

/// The weights of a device's programs, as long as these live.
#[derive(Debug, Default)]
pub(super) struct Shelf(Mutex<Vec<Weak<Shelved>>>);

impl Shelf {
    /// Brings weights to the device, and tells where each of their ranges lies. What another program has at the same place of
    /// its order is shared with it.
    pub fn place(&self, context: &Context, mut weights: Content) -> Result<Vec<Placed>> {
        let found = self.find(context, &weights)?;
        let ranges = weights.keep(|index| found[index].is_none());
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
        let mut own = None;
        if !weights.bytes.is_empty() {
            let buffer = context.buffer_of("weights", &weights.bytes, usage)?;
            let shelved = Arc::new(Shelved { buffer, ranges: ranges.clone() });
            lock(&self.0).push(Arc::downgrade(&shelved));
            own = Some(shelved);
        }
        let own = ranges.into_iter().map(|range| Some((own.clone()?, range?)));
        Ok(found.into_iter().zip(own).filter_map(|(found, own)| found.or(own)).collect())
    }

    /// Where other programs have the same weights.
    fn find(&self, context: &Context, weights: &Content) -> Result<Vec<Option<Placed>>> {
        let mut found = vec![None; weights.ranges.len()];
        for other in self.alive() {
            let comparison = Comparison::new(context, &other.buffer);
            for ((found, own), range) in found.iter_mut().zip(&weights.ranges).zip(&other.ranges) {
                if let (None, Some(range)) = (&found, range)
                    && comparison.is_same(range, weights.of(own))?
                {
                    *found = Some((other.clone(), range.clone()));
                }
            }
        }
        Ok(found)
    }

    /// What is still there.
    fn alive(&self) -> Vec<Arc<Shelved>> {
        let mut shelf = lock(&self.0);
        shelf.retain(|shelved| shelved.strong_count() > 0);
        shelf.iter().filter_map(Weak::upgrade).collect()
    }
}

/// Compares what lies on the device with what may be brought there. It is brought back for that, part by part: a sum would
/// have to be made of the first program's too, which mostly is the only one.
struct Comparison<'c> {
    context: &'c Context,
    buffer: &'c wgpu::Buffer,
    readback: wgpu::Buffer,
}

impl<'c> Comparison<'c> {
    fn new(context: &'c Context, buffer: &'c wgpu::Buffer) -> Self {
        let readback = context.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("comparison"),
            size: buffer.size().min(PART as u64),
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        Self { context, buffer, readback }
    }

    fn is_same(&self, range: &Range, bytes: &[u8]) -> Result<bool> {
        let context = self.context;
        if range.end - range.start != bytes.len() {
            return Ok(false);
        }
        for (part, offset) in bytes.chunks(PART).zip((range.start..).step_by(PART)) {
            let size = part.len() as u64;
            let mut encoder = context.device.create_command_encoder(&Default::default());
            encoder.copy_buffer_to_buffer(self.buffer, offset as u64, &self.readback, 0, size);
            encoder.map_buffer_on_submit(&self.readback, wgpu::MapMode::Read, 0..size, |_| {});
            context.submit(encoder.finish());
            context.wait()?;
            let view = self.readback.get_mapped_range(0..size).map_err(|error| context.error(error))?;
            let is_same = *view == *part;
            drop(view);
            self.readback.unmap();
            if !is_same {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
