//! Pools, and the mean of a plane.

use super::kernel::Kernel;
use crate::compile::Source;
use crate::device::gpu::family::Family;
use crate::device::gpu::groups::{LANES, planes};
use crate::device::gpu::shader::Shader;
use crate::device::gpu::workgroups::{
    MOST, per_group, per_pixel, per_rows, per_shared_group, per_strip, rows, rows_at_once,
};
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
    let kernel = match family {
        Family::Spread => {
            let rows = rows(out);
            Kernel { rows, ..Kernel::new(Shader::MaxPool, table, per_strip(out, rows)) }
        }
        Family::Plain { .. } => {
            let rows = rows_at_once(window);
            Kernel::new(Shader::MaxPoolRows, table, per_rows(out, rows)).constant("ROWS", rows)
        }
    };
    let kernel = kernel.constant("KERNEL", side).constant("STRIDE", stride).constant("GROUPED", grouped.into());
    Kernel { window, ..kernel }
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
    let kernel = match family {
        Family::Plain { .. } if out.channels.div_ceil(LANES) <= MOST => {
            Kernel::new(Shader::MeanSliced, table, per_shared_group(out.channels))
        }
        _ => Kernel::new(Shader::Mean, table, per_group(out)),
    };
    kernel.constant("GROUPED", grouped.into())
}
