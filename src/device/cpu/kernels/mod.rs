//! The loops that compute, written once over [`Vector`] and compiled once for each instruction set.
//!
//! They go by pointers: bounds are checked when a step is packed, and checks in the innermost loops would cost more than
//! the arithmetic. What makes them sound is stated at [`Places`].
#![allow(unsafe_code)] // Confined to the files of this folder; each block says what it relies on.

mod convolution;
mod elementwise;
mod finish;
mod gather;
mod matmul;
mod mean;
mod softmax;
mod window;

pub(super) use finish::Finish;
pub(super) use gather::Region;
pub(super) use matmul::{Matrix, Tile};

use super::pack::{Kernel, Step};
use super::simd::Vector;

/// Where one step of one run reads and writes.
///
/// # Safety
/// Whoever makes one promises that `x`, `y` and, where the step has one, `other` point to as many images as units are asked for, each as the plan of the
/// step has it; that `scratch` points to [`Step::scratch`] numbers which no other thread uses; and that no two units
/// that are computed at once write the same numbers, which holds for different units of one step.
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

/// Computes one unit of a step.
///
/// # Safety
/// As [`Places`] has it; and the machine has the instruction set of `V`.
#[inline(always)]
pub(super) unsafe fn compute<V: Vector>(step: &Step, unit: usize, places: Places) {
    // SAFETY: the caller's promises are those of each kernel.
    unsafe {
        match &step.kernel {
            Kernel::Matmul(matmul) => matmul::compute::<V>(matmul, step, unit, places),
            Kernel::Convolution(conv) => convolution::compute::<V>(conv, step, unit, places),
            Kernel::Window(window) => window::compute::<V>(window, step, unit, places),
            Kernel::Mean => mean::compute::<V>(step, unit, places),
            Kernel::Softmax(channels) => softmax::compute::<V>(*channels, step, unit, places),
            Kernel::Elementwise(elementwise) => elementwise::compute::<V>(elementwise, step, unit, places),
        }
    }
}
