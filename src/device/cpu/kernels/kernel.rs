//! What the CPU device asks of every kernel.

use crate::device::cpu::isa::InstructionSet;
use crate::device::cpu::memory::Numbers;
use crate::device::cpu::operands::Operands;
use crate::device::cpu::places::Places;
use crate::device::cpu::reach::Reach;
use std::fmt::Debug;

/// A packed kernel: what it computes, its weights, and how its work is divided.
pub(in crate::device::cpu) trait Kernel: Debug + Send + Sync {
    /// What a profile calls it.
    fn name(&self) -> &'static str;

    /// Whether it keeps channels apart, and so needs [`Operands::channels`].
    fn keeps_channels_apart(&self) -> bool {
        true
    }

    /// Units of work for `count` images.
    fn units(&self, operands: &Operands, count: usize) -> usize;

    /// What no run changes: weights and biases, in the order in which they are read.
    fn numbers(&mut self) -> Vec<&mut Numbers> {
        Vec::new()
    }

    /// How far it reads and writes; nothing where sizes overflow, or where tables and weights are too short.
    fn reach(&self, operands: &Operands, lanes: usize) -> Option<Reach>;

    /// Computes one unit.
    ///
    /// # Safety
    /// 1 to 4 of [`places`](crate::device::cpu::places), and `unit` is one of [`units`](Self::units).
    unsafe fn compute(&self, set: InstructionSet, operands: &Operands, unit: usize, places: Places);
}

/// [`Kernel::compute`] by the file's own `compute::<V>`, as a function for each instruction set, apart from the others': a
/// compiler that is given all of them at once optimises none as it could.
macro_rules! compiled {
    ($kernel:ty) => {
        unsafe fn compute(&self, set: InstructionSet, operands: &Operands, unit: usize, places: Places) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
            unsafe fn avx512(kernel: &$kernel, operands: &Operands, unit: usize, places: Places) {
                // SAFETY: 1 to 4.
                unsafe { compute::<crate::device::cpu::simd::Avx512>(kernel, operands, unit, places) }
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn avx2(kernel: &$kernel, operands: &Operands, unit: usize, places: Places) {
                // SAFETY: 1 to 4.
                unsafe { compute::<crate::device::cpu::simd::Avx2>(kernel, operands, unit, places) }
            }

            #[cfg(target_arch = "aarch64")]
            #[target_feature(enable = "neon")]
            unsafe fn neon(kernel: &$kernel, operands: &Operands, unit: usize, places: Places) {
                // SAFETY: 1 to 4.
                unsafe { compute::<crate::device::cpu::simd::Neon>(kernel, operands, unit, places) }
            }

            // SAFETY: 1 to 4; by 4, `set` is one that the machine has.
            unsafe {
                match set {
                    #[cfg(target_arch = "x86_64")]
                    InstructionSet::Avx512 => avx512(self, operands, unit, places),
                    #[cfg(target_arch = "x86_64")]
                    InstructionSet::Avx2 => avx2(self, operands, unit, places),
                    #[cfg(target_arch = "aarch64")]
                    InstructionSet::Neon => neon(self, operands, unit, places),
                    InstructionSet::Portable => {
                        compute::<crate::device::cpu::simd::Portable>(self, operands, unit, places);
                    }
                }
            }
        }
    };
}
pub(super) use compiled;
