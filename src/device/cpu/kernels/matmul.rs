//! Matrix products: 1x1 convolutions and fully connected layers.

use super::kernel::{Kernel, compiled};
use super::matrix::{LARGE_MATRIX, Matrix};
use super::sums::{Pixels, sums};
use crate::compile::Step;
use crate::device::cpu::isa::InstructionSet;
use crate::device::cpu::memory::Numbers;
use crate::device::cpu::operands::Operands;
use crate::device::cpu::packer::{INPUT, Packer};
use crate::device::cpu::places::Places;
use crate::device::cpu::reach::{Reach, end};
use crate::device::cpu::simd::Vector;
use crate::error::Result;
use crate::graph::{Conv2d, Linear};

/// Bytes of pixels that a block may have, to stay in the innermost cache.
const BLOCK_BYTES: usize = 16 << 10;

/// A 1x1 convolution, or a fully connected layer of images that are one pixel.
#[derive(Debug)]
pub(in crate::device::cpu) struct Matmul {
    matrix: Matrix,
    /// Pixels of an image.
    pixels: usize,
    /// Pixels of a block.
    block: usize,
    /// Whether all pixels meet one tile before the next.
    tile_by_tile: bool,
    /// Units into which it is divided, at most.
    units: usize,
}

impl Matmul {
    /// A fully connected layer.
    pub fn linear(
        packer: &Packer,
        step: &Step,
        planes: &[usize],
        linear: &Linear,
        [weight, bias]: [&[f32]; 2],
    ) -> Result<Self> {
        let source = &step.source;
        let pixels = source.height * source.width;
        packer.room.budget.take(planes.len().saturating_mul(pixels), INPUT)?;
        let places = planes.iter().flat_map(|plane| (0..pixels).map(move |p| plane + p * source.lanes));
        let inputs: Vec<usize> = places.collect();
        let row = linear.in_features;
        let value = |o: usize, k: usize| weight[o * row + k];
        let matrix = Matrix::pack(packer, step, linear.out_features, bias, |_| 0..row, &inputs, value)?;
        Ok(Self::new(packer, matrix, 1))
    }

    /// A 1x1 convolution.
    pub fn pointwise(
        packer: &Packer,
        step: &Step,
        planes: &[usize],
        conv: &Conv2d,
        [weight, bias]: [&[f32]; 2],
    ) -> Result<Self> {
        let row = conv.in_channels;
        let value = |o: usize, k: usize| weight[o * row + k];
        let matrix = Matrix::pack(packer, step, conv.out_channels, bias, |_| 0..row, planes, value)?;
        Ok(Self::new(packer, matrix, step.target.shape.pixels()))
    }

    fn new(packer: &Packer, matrix: Matrix, pixels: usize) -> Self {
        let (rows, _) = packer.set.tile();
        let depth = matrix.inputs.len().max(1);
        let block = rows * (BLOCK_BYTES / (size_of::<f32>() * depth * rows)).clamp(1, 8);
        let tile_by_tile = matrix.weights.len() * size_of::<f32>() > LARGE_MATRIX;
        Self { matrix, pixels, block, tile_by_tile, units: packer.units }
    }
}

impl Kernel for Matmul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn keeps_channels_apart(&self) -> bool {
        false
    }

    fn units(&self, _: &Operands, count: usize) -> usize {
        let (images, pixels) = if self.pixels == 1 { (1, count) } else { (count, self.pixels) };
        (images * pixels.div_ceil(self.block) * self.matrix.tiles.len()).min(self.units)
    }

    fn numbers(&mut self) -> Vec<&mut Numbers> {
        vec![&mut self.matrix.weights, &mut self.matrix.bias]
    }

    fn reach(&self, operands: &Operands, lanes: usize) -> Option<Reach> {
        let Self { matrix, pixels, .. } = self;
        let x = end(matrix.furthest()?, &[(*pixels, operands.x_pixel)], 1)?;
        let y = matrix.results_reach(operands.y_offset, operands.y_group, *pixels, lanes)?;
        Some(Reach { x, y, other: matrix.other_reach(operands, *pixels, lanes)?, scratch: 0 })
    }

    compiled!(Matmul);
}

/// A unit is a range of blocks, each some pixels by one tile; the order of blocks keeps in the cache what is larger, a
/// block's pixels or a tile's weights. Where images have one pixel each, a block's pixels are those of several images.
///
/// # Safety
/// As [`Kernel::compute`].
#[inline(always)]
unsafe fn compute<V: Vector>(matmul: &Matmul, operands: &Operands, unit: usize, places: Places) {
    let other_image = operands.other.map_or(0, |other| other.image);
    let (images, count, x_stride, y_stride, other_stride) = match matmul.pixels {
        1 => (1, places.count, operands.x_image, operands.y_image, other_image),
        pixels => (places.count, pixels, operands.x_pixel, V::LANES, V::LANES),
    };
    let per_image = count.div_ceil(matmul.block);
    let (rows, tiles) = (images * per_image, matmul.matrix.tiles.len());
    let (blocks, units) = (rows * tiles, matmul.units(operands, places.count));
    for block in blocks * unit / units..blocks * (unit + 1) / units {
        let (row, tile) =
            if matmul.tile_by_tile { (block % rows, block / rows) } else { (block / tiles, block % tiles) };
        let (image, first) = (row / per_image, row % per_image * matmul.block);
        // SAFETY: 1 and 3, for the block's pixels lie within the image, and the image within the batch; 4.
        unsafe {
            let pixels = Pixels {
                x: places.x.add(image * operands.x_image + first * x_stride),
                x_stride,
                y: places.y.add(image * operands.y_image + operands.y_offset + first * y_stride),
                y_stride,
                y_group: operands.y_group,
                other: operands.other_at(places.other, image).wrapping_add(first * other_stride),
                other_stride,
                count: matmul.block.min(count - first),
            };
            sums::<V>(&matmul.matrix, matmul.matrix.tiles[tile], pixels);
        }
    }
}
