//! What tasks of all kernels have in common: which values they read and write, and how those lie.

use super::finish::Finish;

/// What a task reads and writes.
#[derive(Debug)]
pub(super) struct Operands {
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
}

impl Operands {
    /// Where the second operand of an image begins, if there is one.
    pub fn other_at(&self, buffer: *const f32, image: usize) -> *const f32 {
        self.other.map_or(buffer, |other| buffer.wrapping_add(image * other.image + other.offset))
    }
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
