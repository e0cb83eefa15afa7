//! Copies, sums and products number by number, and the softmax.

use super::kernel::Kernel;
use crate::compile::{Source, Step};
use crate::device::gpu::groups;
use crate::device::gpu::shader::Shader;
use crate::device::gpu::workgroups::{Workgroups, per_pixel};

/// By the numbers of `OPERATION` in elementwise.wgsl.
#[derive(Debug, Clone, Copy)]
pub(super) enum Operation {
    Copy = 0,
    Add = 1,
    Mul = 2,
}

pub(super) fn of(step: &Step, operation: Operation) -> Kernel {
    let table = groups::padded(step.source.planes.iter().copied());
    Kernel::new(Shader::Elementwise, table, per_pixel(step.target.shape)).constant("OPERATION", operation as usize)
}

/// One workgroup a pixel.
pub(super) fn softmax(source: &Source) -> Kernel {
    let kernel =
        Kernel::new(Shader::Softmax, source.planes.clone(), Workgroups::Each([source.height * source.width, 1]));
    Kernel { inputs: source.planes.len(), ..kernel }
}
