//! A batch on its way: written, submitted, and its results taken.

use super::backend::Slot;
use super::context::{Context, lock};
use crate::compile::Target;
use crate::error::Result;
use std::sync::{Arc, Mutex};
use std::task::Waker;

/// Slots that no ticket has. Of some a batch may be under way still, whose results nobody wants.
pub(super) type Pool = Arc<Mutex<Vec<Box<dyn Slot>>>>;

/// A batch that lies in a slot, of which no run is under way.
#[derive(Debug)]
pub(in crate::device) struct Staged(pub(super) Ticket);

impl Staged {
    /// Lets all steps run; see [`crate::Staged::submit`].
    pub fn submit(mut self) -> Result<Ticket> {
        let Ticket { context, slot, count, .. } = &mut self.0;
        let open = context.hold()?;
        slot.iter_mut().try_for_each(|slot| slot.submit(*count))?;
        drop(open);
        Ok(self.0)
    }
}

/// A batch on its way through the device.
#[derive(Debug)]
pub(in crate::device) struct Ticket {
    pub(super) context: Arc<Context>,
    /// Taken when the ticket goes.
    pub(super) slot: Option<Box<dyn Slot>>,
    pub(super) pool: Pool,
    pub(super) output: Target,
    pub(super) count: usize,
}

impl Ticket {
    /// Whether the results are there; if not, `waker` is called when they are.
    pub fn is_ready(&mut self, waker: &Waker) -> bool {
        self.slot.as_mut().is_none_or(|slot| slot.is_ready(Some(waker)))
    }

    /// Blocks until the results are there, takes them, and gives the slot back to the session.
    pub fn wait(mut self) -> Result<Vec<f32>> {
        // A slot that failed is not used again.
        let Some(mut slot) = self.slot.take() else { return Err(self.context.error("the results were taken")) };
        slot.wait()?;
        let _open = self.context.hold()?;
        let size = (self.count * self.output.image_stride * size_of::<f32>()) as u64;
        let view = slot.readback().get_mapped_range(0..size).map_err(|error| self.context.error(error))?;
        let results = collect(bytemuck::cast_slice(&view), &self.output);
        drop(view);
        self.slot = Some(slot);
        Ok(results)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        lock(&self.pool).extend(self.slot.take());
    }
}
/// Takes images out of the layout of the output's buffer.
fn collect(images: &[f32], output: &Target) -> Vec<f32> {
    let (shape, lanes) = (output.shape, output.lanes);
    let mut results = Vec::with_capacity(images.len());
    for image in images.chunks_exact(output.image_stride) {
        if shape.pixels() == 1 {
            // Vectors are dense.
            results.extend_from_slice(&image[output.offset..output.offset + shape.channels]);
        } else {
            for c in 0..shape.channels {
                results.extend(image[output.plane(c)..].iter().step_by(lanes).take(shape.pixels()));
            }
        }
    }
    results
}
