//! Steps as the kernels take them: weights in tiles, tables of places, and how a step is divided into units of work.

use super::kernels::{Finish, Matrix, Region};
use super::memory::Numbers;
use crate::graph;
use std::ops::Range;

/// A step of the plan, ready to run.
#[derive(Debug)]
pub(super) struct Step {
    pub kernel: Kernel,
    /// The buffer that is read; none for the caller's images.
    pub source: Option<usize>,
    /// The buffer that is written.
    pub target: usize,
    /// Numbers from one image to the next, and from one pixel to the next.
    pub x_image: usize,
    pub x_pixel: usize,
    pub y_image: usize,
    /// Where the first vector of outputs begins, and numbers from one to the next.
    pub y_offset: usize,
    pub y_group: usize,
    /// The second operand.
    pub other: Option<Other>,
    /// What is applied to results.
    pub finish: Finish,
    /// Where each vector of outputs finds its channels. Only for kernels that keep channels apart.
    pub channels: Vec<Channels>,
    /// Pixels of a channel that is read.
    pub pixels: usize,
    /// Numbers of memory that a thread needs beside.
    pub scratch: usize,
    /// Units into which a matrix product is divided, at most.
    pub units: usize,
}

/// A second operand, whose vectors of channels are those of the outputs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Other {
    pub buffer: usize,
    /// Numbers from one image to the next.
    pub image: usize,
    /// Where the first vector begins, and numbers from one to the next.
    pub offset: usize,
    pub group: usize,
    /// Numbers from one pixel to the next: none where one pixel goes to all.
    pub pixel: usize,
}

/// Where a vector's channels lie.
#[derive(Debug)]
pub(super) enum Channels {
    /// Side by side, the first of them here.
    Together(usize),
    /// Each somewhere.
    Apart(Vec<usize>),
}

impl Channels {
    /// Where the channel of a lane begins.
    pub fn place(&self, lane: usize) -> usize {
        match self {
            Self::Together(first) => first + lane,
            Self::Apart(places) => places[lane],
        }
    }
}

#[derive(Debug)]
pub(super) enum Kernel {
    Matmul(Matmul),
    Convolution(Convolution),
    /// A depthwise convolution of 3x3 taps side by side, at every pixel of a row or every other.
    Depthwise(Window),
    Window(Window),
    Mean,
    /// Of so many channels.
    Softmax(usize),
    Elementwise(Elementwise),
}

impl Kernel {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Matmul(_) => "matmul",
            Self::Convolution(Convolution { pool: None, .. }) => "convolution",
            Self::Convolution(_) => "convolution_max_pool",
            Self::Depthwise(_) | Self::Window(Window { op: WindowOp::Sum { .. }, .. }) => "depthwise",
            Self::Window(Window { op: WindowOp::Max, .. }) => "max_pool",
            Self::Window(Window { op: WindowOp::Average { .. }, .. }) => "avg_pool",
            Self::Mean => "mean",
            Self::Softmax(_) => "softmax",
            Self::Elementwise(Elementwise { op: ElementwiseOp::Copy, .. }) => "copy",
            Self::Elementwise(Elementwise { op: ElementwiseOp::Add, .. }) => "add",
            Self::Elementwise(Elementwise { op: ElementwiseOp::Mul, .. }) => "mul",
        }
    }
}

/// A 1x1 convolution, or a fully connected layer of images that are one pixel.
#[derive(Debug)]
pub(super) struct Matmul {
    pub matrix: Matrix,
    /// Pixels of an image.
    pub pixels: usize,
    /// Pixels of a block.
    pub block: usize,
    /// Whether all pixels meet one tile before the next.
    pub tile_by_tile: bool,
}

#[derive(Debug)]
pub(super) struct Convolution {
    pub matrix: Matrix,
    /// Where each group of channels that is read begins.
    pub groups: Vec<usize>,
    pub region: Region,
    pub stride: [usize; 2],
    /// The output's size.
    pub height: usize,
    pub width: usize,
    /// Rows of output in a unit, and into how many parts the tiles are divided.
    pub rows: usize,
    pub parts: usize,
    /// What is written in place of the output.
    pub pool: Option<Box<Pool>>,
}

impl Convolution {
    /// Into how many bands of rows an image is divided.
    pub fn bands(&self) -> usize {
        match &self.pool {
            Some(pool) => pool.window.height.div_ceil(pool.window.rows),
            None => self.height.div_ceil(self.rows),
        }
    }

    /// A band's rows of the pool, or once anything where there is none, and the rows that are computed for them.
    pub fn band(&self, band: usize) -> (Range<usize>, Range<usize>) {
        match &self.pool {
            Some(pool) => {
                let first = band * pool.window.rows;
                let outputs = first..pool.window.height.min(first + pool.window.rows);
                (outputs.clone(), pool.sees(outputs, self.height))
            }
            None => (0..1, band * self.rows..self.height.min((band + 1) * self.rows)),
        }
    }
}

/// A max pool over what a convolution computes, rows of which lie in a thread's own memory.
#[derive(Debug)]
pub(super) struct Pool {
    pub window: Window,
    /// Vectors of channels.
    pub vectors: usize,
    /// Where in a thread's memory the convolution's rows lie, and how many for a unit.
    pub scratch: usize,
    pub rows: usize,
}

impl Pool {
    /// The convolution's rows, of `height`, that the outputs in `rows` see.
    pub fn sees(&self, rows: Range<usize>, height: usize) -> Range<usize> {
        let graph::Window { stride: [down, _], padding, .. } = self.window.window;
        let row = |padded: usize| padded.saturating_sub(padding.top).min(height);
        row(rows.start * down)..row((rows.end - 1) * down + self.window.window.extent()[0])
    }
}

/// What keeps channels apart.
#[derive(Debug)]
pub(super) struct Window {
    pub op: WindowOp,
    pub region: Region,
    pub window: graph::Window,
    /// The output's size.
    pub height: usize,
    pub width: usize,
    /// Rows of output in a unit.
    pub rows: usize,
}

#[derive(Debug)]
pub(super) enum WindowOp {
    /// Weights `[vector][height][width][lanes]`, bias `[vector][lanes]`.
    Sum { weights: Numbers, bias: Numbers },
    /// The largest.
    Max,
    /// The mean, of all taps that lie in the padded image or of those in the image.
    Average { count_include_pad: bool },
}

/// What goes number by number.
#[derive(Debug)]
pub(super) struct Elementwise {
    pub op: ElementwiseOp,
    /// Parts into which the pixels of a vector of channels are divided.
    pub parts: usize,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum ElementwiseOp {
    Copy,
    Add,
    Mul,
}

impl Step {
    /// Units of work for so many images.
    pub fn units(&self, count: usize) -> usize {
        match &self.kernel {
            Kernel::Matmul(matmul) => {
                let (images, pixels) = if matmul.pixels == 1 { (1, count) } else { (count, matmul.pixels) };
                (images * pixels.div_ceil(matmul.block) * matmul.matrix.tiles.len()).min(self.units)
            }
            Kernel::Convolution(conv) => count * conv.bands() * conv.parts,
            Kernel::Depthwise(window) | Kernel::Window(window) => {
                count * self.channels.len() * window.height.div_ceil(window.rows)
            }
            Kernel::Mean => count * self.channels.len(),
            Kernel::Softmax(_) => count,
            Kernel::Elementwise(elementwise) => count * self.channels.len() * elementwise.parts,
        }
    }

    /// What the step does not change.
    pub fn numbers(&mut self) -> Vec<&mut Numbers> {
        match &mut self.kernel {
            Kernel::Matmul(Matmul { matrix, .. }) | Kernel::Convolution(Convolution { matrix, .. }) => {
                vec![&mut matrix.weights, &mut matrix.bias]
            }
            Kernel::Depthwise(Window { op: WindowOp::Sum { weights, bias }, .. })
            | Kernel::Window(Window { op: WindowOp::Sum { weights, bias }, .. }) => vec![weights, bias],
            Kernel::Depthwise(_) | Kernel::Window(_) | Kernel::Mean | Kernel::Softmax(_) | Kernel::Elementwise(_) => {
                Vec::new()
            }
        }
    }

    /// Where the second operand of an image begins, if the step has one.
    pub fn other_at(&self, buffer: *const f32, image: usize) -> *const f32 {
        self.other.map_or(buffer, |other| buffer.wrapping_add(image * other.image + other.offset))
    }
}
