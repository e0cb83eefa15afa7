//! How a batch comes to the device and its results to the host: two buffers that the host sees, of every slot.

use super::context::Context;
use crate::compile::Target;
use crate::device::batch::Batch;
use crate::error::Result;
use bytemuck::Pod;

/// A buffer in which images lie one after the other.
#[derive(Debug)]
pub(super) struct Port {
    pub buffer: wgpu::Buffer,
    /// How they lie there.
    pub at: Target,
}

impl Port {
    /// Bytes of `count` images of numbers.
    pub fn bytes(&self, count: usize) -> u64 {
        self.bytes_of(count, false)
    }

    /// Bytes of `count` images, which are numbers or `levels`; in units of 4, which is what copies come in.
    pub fn bytes_of(&self, count: usize, levels: bool) -> u64 {
        let element = if levels { size_of::<u8>() } else { size_of::<f32>() };
        (self.at.image_stride * element * count).next_multiple_of(4) as u64
    }
}

/// The buffers of one slot.
#[derive(Debug)]
pub(super) struct Ports {
    /// Where the batch goes; mapped while the slot is idle.
    pub upload: wgpu::Buffer,
    /// Where its results come; mapped from the end of a run to the next.
    pub readback: wgpu::Buffer,
}

impl Ports {
    /// New buffers for up to `max_batch` images; the first is mapped.
    pub fn new(device: &wgpu::Device, [input, output]: [&Port; 2], max_batch: usize) -> Self {
        let buffer = |label, usage, port: &Port, mapped_at_creation| {
            let size = port.bytes(max_batch).next_multiple_of(16);
            device.create_buffer(&wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation })
        };
        let upload = wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC;
        let readback = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        Self { upload: buffer("upload", upload, input, true), readback: buffer("readback", readback, output, false) }
    }

    /// Lays a batch out as the input's buffer has it: planes at their stride, and images at theirs.
    pub fn write(&self, context: &Context, input: &Port, batch: &Batch) -> Result<()> {
        match batch {
            Batch::Numbers(numbers) => self.lay_out(context, input, numbers, false),
            Batch::Levels(levels) => self.lay_out(context, input, levels, true),
        }
    }

    fn lay_out<T: Pod>(&self, context: &Context, input: &Port, batch: &[T], levels: bool) -> Result<()> {
        let _open = context.hold()?;
        let Target { shape, image_stride, .. } = input.at;
        let size = input.bytes_of(batch.len() / shape.elements(), levels);
        let mut view = self.upload.get_mapped_range_mut(0..size).map_err(|error| context.error(error))?;
        if image_stride == shape.elements() {
            let batch: &[u8] = bytemuck::cast_slice(batch);
            view.slice(..batch.len()).copy_from_slice(batch);
        } else {
            let planes = batch.chunks_exact(shape.pixels());
            for (index, plane) in planes.enumerate() {
                let (image, channel) = (index / shape.channels, index % shape.channels);
                let start = (image * image_stride + input.at.plane(channel)) * size_of::<T>();
                let plane: &[u8] = bytemuck::cast_slice(plane);
                view.slice(start..start + plane.len()).copy_from_slice(plane);
            }
        }
        Ok(())
    }

    /// Takes the results of `count` images out of the layout of the output's buffer.
    pub fn read(&self, context: &Context, output: &Port, count: usize) -> Result<Vec<f32>> {
        let _open = context.hold()?;
        let view = self.readback.get_mapped_range(0..output.bytes(count)).map_err(|error| context.error(error))?;
        let (images, at) = (bytemuck::cast_slice::<u8, f32>(&view), &output.at);
        let (shape, lanes) = (at.shape, at.lanes);
        let mut results = Vec::with_capacity(count * shape.elements());
        for image in images.chunks_exact(at.image_stride) {
            if shape.pixels() == 1 {
                // Vectors are dense.
                results.extend_from_slice(&image[at.offset..at.offset + shape.channels]);
            } else {
                for c in 0..shape.channels {
                    results.extend(image[at.plane(c)..].iter().step_by(lanes).take(shape.pixels()));
                }
            }
        }
        Ok(results)
    }
}
