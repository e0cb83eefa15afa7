//! The kernels: each file has what a kernel keeps, how that is packed, how its work is divided, how far it reaches, and the
//! loop that computes.
//!
//! Loops are written once over [`Vector`](super::simd::Vector), and compiled once for each instruction set. What makes them
//! sound is numbered in [`places`](super::places), cited at each block, and asserted for each unit in builds that assert.
#![allow(unsafe_code)] // Confined to the files of this folder; each block cites what it relies on.

mod convolution;
mod depthwise;
mod elementwise;
mod kernel;
mod matmul;
mod matrix;
mod mean;
mod region;
mod softmax;
mod sums;
mod window;

pub(super) use convolution::Convolution;
pub(super) use depthwise::depthwise;
pub(super) use elementwise::{Elementwise, Operation};
pub(super) use kernel::Kernel;
pub(super) use matmul::Matmul;
pub(super) use matrix::LARGE_MATRIX;
pub(super) use mean::Mean;
pub(super) use softmax::Softmax;
pub(super) use window::{Window, WindowOp};
