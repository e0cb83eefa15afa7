//! Depthwise 3x3 convolutions, the windows that networks have most of.

use super::kernel::{Kernel, compiled};
use super::window::{Band, Image, Window, WindowOp, within};
use crate::device::cpu::isa::InstructionSet;
use crate::device::cpu::memory::Numbers;
use crate::device::cpu::operands::Operands;
use crate::device::cpu::places::Places;
use crate::device::cpu::reach::Reach;
use crate::device::cpu::simd::Vector;
use std::ops::Range;

/// A depthwise convolution of 3x3 taps side by side, at every pixel of a row or every other.
#[derive(Debug)]
struct Depthwise(Window);

/// The kernel of a depthwise convolution.
pub(in crate::device::cpu) fn depthwise(window: Window) -> Box<dyn Kernel> {
    if window.is_plain() { Box::new(Depthwise(window)) } else { Box::new(window) }
}

impl Kernel for Depthwise {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn units(&self, operands: &Operands, count: usize) -> usize {
        self.0.units(operands, count)
    }

    fn numbers(&mut self) -> Vec<&mut Numbers> {
        self.0.numbers()
    }

    fn reach(&self, operands: &Operands, lanes: usize) -> Option<Reach> {
        self.0.reach(operands, lanes)
    }

    compiled!(Depthwise);
}

/// A unit is a [`Band`].
///
/// # Safety
/// As [`Kernel::compute`].
#[inline(always)]
unsafe fn compute<V: Vector>(Depthwise(window): &Depthwise, operands: &Operands, unit: usize, places: Places) {
    let WindowOp::Sum { weights, bias } = &window.op else { return };
    let [down, across] = window.window.stride;
    // SAFETY: 1 to 4; weights and bias are packed for every vector of channels, and the output has all the band's rows.
    unsafe {
        let Band { group, image, rows, y } = Band::new::<V>(window, operands, unit, places);
        let weights = weights.as_ptr().add(group * 9 * V::LANES);
        let kernel = Kernel3x3 { weights, bias: bias.as_ptr().add(group * V::LANES), image };
        for row in rows {
            let y = y.add(row * window.width * V::LANES);
            match across {
                1 => kernel.line::<V, 1>(operands, row, down, y, window.width),
                _ => kernel.line::<V, 2>(operands, row, down, y, window.width),
            }
        }
    }
}

/// One vector of channels.
#[derive(Clone, Copy)]
struct Kernel3x3 {
    weights: *const f32,
    bias: *const f32,
    image: Image,
}

impl Kernel3x3 {
    /// Row `row` of the outputs, `across` pixels apart.
    #[inline(always)]
    unsafe fn line<V: Vector, const ACROSS: usize>(
        self,
        operands: &Operands,
        row: usize,
        down: usize,
        y: *mut f32,
        outputs: usize,
    ) {
        let Image { top, height, first, .. } = self.image;
        let rows = within((row - first) * down, 3, 1, top, height);
        let most = V::TILE.0;
        let mut output = 0;
        // SAFETY: 1 and 4; `y` holds every output.
        unsafe {
            while output < outputs {
                let y = y.add(output * V::LANES);
                let n = most.min(outputs - output);
                macro_rules! arms {
                    ($($n:literal),*) => {
                        match n {
                            $($n.. if $n <= most => {
                                self.outputs::<V, ACROSS, $n>(operands, (row - first) * down, &rows, output, y);
                                output += $n;
                            })*
                            _ => return,
                        }
                    };
                }
                arms!(7, 4, 2, 1);
            }
        }
    }

    /// `N` outputs, all of whose sums are in registers, and which load a pixel once for all windows that see it.
    #[inline(always)]
    unsafe fn outputs<V: Vector, const ACROSS: usize, const N: usize>(
        self,
        operands: &Operands,
        start: usize,
        rows: &Range<usize>,
        output: usize,
        y: *mut f32,
    ) {
        let Self { weights, bias, image: Image { x, width, top, left, .. } } = self;
        // SAFETY: 1 and 4; rows and columns that lie in the padding are not loaded; `y` holds every output.
        unsafe {
            let mut sums = [V::load(bias); N];
            let begin = output * ACROSS;
            for ky in 0..3 {
                if !rows.contains(&ky) {
                    continue;
                }
                let w = [0, 1, 2].map(|kx| V::load(weights.add((ky * 3 + kx) * V::LANES)));
                let line = x.wrapping_add((start + ky - top) * width * V::LANES);
                let mut tap = |column: usize, value: V| {
                    for (i, sum) in sums.iter_mut().enumerate() {
                        if let Some(w) = column.checked_sub(i * ACROSS).and_then(|kx| w.get(kx)) {
                            *sum = value.mul_add(*w, *sum);
                        }
                    }
                };
                let columns = (N - 1) * ACROSS + 3;
                if begin >= left && begin + columns <= left + width {
                    let line = line.wrapping_add((begin - left) * V::LANES);
                    for column in 0..columns {
                        tap(column, V::load(line.wrapping_add(column * V::LANES)));
                    }
                } else {
                    for column in 0..columns {
                        let pixel = (begin + column).wrapping_sub(left);
                        let inside = pixel < width;
                        tap(column, if inside { V::load(line.add(pixel * V::LANES)) } else { V::splat(0.0) });
                    }
                }
            }
            for (i, sum) in sums.iter().enumerate() {
                operands.finish.between(*sum).store(y.add(i * V::LANES));
            }
            operands.finish.bend::<V>(y, (N, V::LANES), (1, 0));
        }
    }
}
