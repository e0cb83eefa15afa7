//! Windows as a kernel.

use super::band::Band;
use super::geometry::{Window, WindowOp};
use super::lines::any_line;
use crate::device::cpu::isa::InstructionSet;
use crate::device::cpu::kernels::kernel::{Kernel, compiled};
use crate::device::cpu::memory::Numbers;
use crate::device::cpu::operands::{Channels, Operands};
use crate::device::cpu::places::Places;
use crate::device::cpu::reach::{Reach, end, exactly, holds};
use crate::device::cpu::simd::Vector;

impl Kernel for Window {
    fn name(&self) -> &'static str {
        match self.op {
            WindowOp::Sum { .. } => "depthwise",
            WindowOp::Max => "max_pool",
            WindowOp::Average { .. } => "avg_pool",
        }
    }

    fn units(&self, operands: &Operands, count: usize) -> usize {
        count * operands.channels.len() * self.height.div_ceil(self.rows)
    }

    fn numbers(&mut self) -> Vec<&mut Numbers> {
        match &mut self.op {
            WindowOp::Sum { weights, bias } => vec![weights, bias],
            WindowOp::Max | WindowOp::Average { .. } => Vec::new(),
        }
    }

    fn reach(&self, operands: &Operands, lanes: usize) -> Option<Reach> {
        let Self { op, region, window: geometry, height, width, rows } = self;
        if let WindowOp::Sum { weights, bias } = op {
            let [down, across] = geometry.kernel;
            holds(weights, exactly(&[operands.channels.len(), down, across, lanes])?)?;
            holds(bias, exactly(&[operands.channels.len(), lanes])?)?;
        }
        let apart = operands.channels.iter().any(|channels| matches!(channels, Channels::Apart(_)));
        let [down, across] = geometry.extent();
        // A band has whatever the windows of its outputs see.
        let seen_rows = end(0, &[(*rows, geometry.stride[0])], down)?;
        let seen_columns = end(0, &[(*width, geometry.stride[1])], across)?;
        let sound = region.lanes == lanes && seen_rows <= region.rows && seen_columns <= region.columns;
        let scratch = if apart { exactly(&[region.rows, region.columns, region.lanes])? } else { 0 };
        let reach = operands.reach(height.checked_mul(*width)?, 0, lanes)?;
        let image = region.height.checked_mul(region.width)? == operands.pixels;
        (sound && image).then_some(Reach { scratch, ..reach })
    }

    compiled!(Window);
}

/// A unit is a [`Band`].
///
/// # Safety
/// As [`Kernel::compute`].
#[inline(always)]
unsafe fn compute<V: Vector>(window: &Window, operands: &Operands, unit: usize, places: Places) {
    // SAFETY: 1 to 4; the output has all the band's rows.
    unsafe {
        let Band { group, image, rows, y } = Band::new::<V>(window, operands, unit, places);
        for row in rows {
            any_line::<V>(operands, window, group, image, row, y.add(row * window.width * V::LANES));
        }
    }
}
