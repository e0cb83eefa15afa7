//! Pools, and depthwise convolutions of any kernel.

mod band;
mod geometry;
mod image;
mod kernel;
mod lines;

pub(super) use band::Band;
pub(in crate::device::cpu) use geometry::{Window, WindowOp};
pub(super) use image::{Image, within};
pub(super) use lines::max_line;
