//! The loops that compute, written once over [`Vector`](super::simd::Vector) and compiled once for each instruction set.
//! Of each kernel `compute` computes one unit of a step.
//!
//! They go by pointers: bounds are checked when a step is packed, and checks in the innermost loops would cost more than
//! the arithmetic. What makes them sound is stated at [`Places`].
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
/// Whoever makes one promises that `x`, `y` and, where the step has one, `other` point to as many images as units are
/// asked for, each as the plan of the step has it; that `scratch` points to
/// [`Step::scratch`](super::step::Step::scratch) numbers which no other thread uses; and that no two units that are
/// computed at once write the same numbers, which holds for different units of one step.
#[derive(Clone, Copy)]
pub(super) struct Places {
    pub x: *const f32,
    pub y: *mut f32,
    /// The second operand, of a step that has one.
    pub other: *const f32,
    pub scratch: *mut f32,
    /// Images.
    pub count: usize,
}
