//! Pools, and the mean of a plane.

use super::kernel::Kernel;
use crate::compile::Source;
use crate::device::gpu::family::Family;
use crate::device::gpu::groups::planes;
use crate::device::gpu::shader::Shader;
use crate::device::gpu::workgroups::{invocations, per_group, per_pixel, per_strip, rows};
use crate::graph::{AvgPool2d, Shape, Window};

/// By the numbers of `OPERATION` in pool.wgsl.
#[derive(Debug, Clone, Copy)]
enum Operation {
    Largest = 0,
    MeanOfImage = 1,
    MeanOfPaddedImage = 2,
}

pub(super) fn max(family: Family, source: &Source, out: Shape, window: Window) -> Kernel {
    let ([side, _], [stride, _]) = (window.kernel, window.stride);
    let square = Window { padding: window.padding, stride: [stride; 2], ..Window::square(side) };
    if window != square {
        return any(source, out, window, Operation::Largest);
    }
    let (table, grouped) = planes(source);
    let rows = rows(family, out);
    let kernel = Kernel::new(Shader::MaxPool, table, per_strip(family, out, rows))
        .constant("KERNEL", side)
        .constant("STRIDE", stride)
        .constant("GROUPED", grouped.into())
        .constant("WORKGROUP", invocations(family));
    Kernel { window, rows, ..kernel }
}

pub(super) fn average(source: &Source, out: Shape, pool: &AvgPool2d) -> Kernel {
    let operation = if pool.count_include_pad { Operation::MeanOfPaddedImage } else { Operation::MeanOfImage };
    any(source, out, pool.window, operation)
}

fn any(source: &Source, out: Shape, window: Window, operation: Operation) -> Kernel {
    let (table, grouped) = planes(source);
    let kernel = Kernel::new(Shader::Pool, table, per_pixel(out))
        .constant("KERNEL_Y", window.kernel[0])
        .constant("KERNEL_X", window.kernel[1])
        .constant("GROUPED", grouped.into())
        .constant("OPERATION", operation as usize);
    Kernel { window, ..kernel }
}

pub(super) fn mean(family: Family, source: &Source, out: Shape) -> Kernel {
    let (table, grouped) = planes(source);
    Kernel::new(Shader::Mean, table, per_group(family, out))
        .constant("GROUPED", grouped.into())
        .constant("WORKGROUP", invocations(family))
}
