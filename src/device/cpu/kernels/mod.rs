//! The loops that compute, written once over [`Vector`](super::simd::Vector) and compiled once for each instruction set.
//! Of each kernel `compute` computes one unit of a step.
//!
//! They go by pointers: bounds are checked when a step is packed (`reach.rs`), and checks in the innermost loops would
//! cost more than the arithmetic. What makes them sound is stated at [`Places`], and asserted for each unit in builds that
//! assert.
#![allow(unsafe_code)] // Confined to the files of this folder; each block says what it relies on.

pub(super) mod convolution;
pub(super) mod depthwise;
pub(super) mod elementwise;
mod finish;
mod gather;
pub(super) mod matmul;
pub(super) mod mean;
pub(super) mod softmax;
pub(super) mod window;

pub(super) use finish::Finish;
pub(super) use gather::Region;
pub(super) use matmul::{Matrix, Tile};

/// Where one step of one run reads and writes.
///
/// # Safety
/// Whoever makes one promises:
///
/// 1. The pointers point to as many numbers as are told beside them, which live as long as it is used, and the step
///    [stays within](super::step::Step::stays_within) one image of each and [fits](super::step::Step::fits) them.
/// 2. No other thread uses the scratch memory.
/// 3. No two units that are computed at once write the same numbers, which holds for different units of one step.
/// 4. The machine has the instruction set that the kernel is compiled for, and the step was packed for its lanes.
#[derive(Clone, Copy)]
pub(super) struct Places {
    pub x: *const f32,
    pub x_numbers: usize,
    pub y: *mut f32,
    pub y_numbers: usize,
    /// The second operand, of a step that has one.
    pub other: *const f32,
    pub other_numbers: usize,
    pub scratch: *mut f32,
    pub scratch_numbers: usize,
    /// Images.
    pub count: usize,
}
