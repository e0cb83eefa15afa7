//! The instruction sets that kernels are compiled for, and which of them this machine has.
#![allow(unsafe_code)] // Calls code that is compiled for instructions which not every machine has.

use super::kernels::{self, Places};
use super::simd::{Portable, Vector};
use super::step::{Convolution, Elementwise, Kernel, Matmul, Step, Window};
use std::fmt;

#[cfg(target_arch = "aarch64")]
use super::simd::Neon;
#[cfg(target_arch = "x86_64")]
use super::simd::{Avx2, Avx512};

/// An instruction set that the CPU device's kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InstructionSet {
    /// Vectors of 16 numbers.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// Vectors of 8 numbers, with fused multiplication and addition.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// Vectors of 4 numbers.
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// Whatever vectors the compiler may use on every machine of this architecture.
    Portable,
}

impl InstructionSet {
    /// Those that this machine has, the fastest first. The portable one is always there, and is the last.
    pub fn available() -> Vec<Self> {
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                // Of AVX-512 half vectors need the part called VL, which only the Xeon Phi lacks.
                if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl") {
                    found.push(Self::Avx512);
                }
                found.push(Self::Avx2);
            }
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("neon") {
            found.push(Self::Neon);
        }
        found.push(Self::Portable);
        found
    }

    /// The fastest that this machine has.
    pub fn widest() -> Self {
        Self::available().first().copied().unwrap_or(Self::Portable)
    }

    /// Numbers in a vector.
    pub(super) fn lanes(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => Avx512::LANES,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => Avx2::LANES,
            #[cfg(target_arch = "aarch64")]
            Self::Neon => Neon::LANES,
            Self::Portable => Portable::LANES,
        }
    }

    /// Pixels, and vectors of outputs, of the largest tile of sums that fits the registers.
    pub(super) fn tile(self) -> (usize, usize) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => Avx512::TILE,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => Avx2::TILE,
            #[cfg(target_arch = "aarch64")]
            Self::Neon => Neon::TILE,
            Self::Portable => Portable::TILE,
        }
    }

    /// Whether a last vector of which at most half is used is computed as half a vector.
    pub(super) fn halves(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => Avx512::HALVES,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => Avx2::HALVES,
            #[cfg(target_arch = "aarch64")]
            Self::Neon => Neon::HALVES,
            Self::Portable => Portable::HALVES,
        }
    }

    /// Computes one unit of a step.
    ///
    /// # Safety
    /// As [`Places`] has it; and this is one of [`InstructionSet::available`].
    pub(super) unsafe fn compute(self, step: &Step, unit: usize, places: Places) {
        debug_assert!(step.fits(&places), "the memory is that of the step's images");
        debug_assert!(unit < step.units(places.count), "a unit is one of the step's");
        // SAFETY: the machine has the instruction set, and the caller promises the rest.
        unsafe {
            match &step.kernel {
                Kernel::Matmul(matmul) => matmul::compute(self, matmul, step, unit, places),
                Kernel::Convolution(conv) => convolution::compute(self, conv, step, unit, places),
                Kernel::Depthwise(window) => depthwise::compute(self, window, step, unit, places),
                Kernel::Window(window) => window::compute(self, window, step, unit, places),
                Kernel::Mean => mean::compute(self, &(), step, unit, places),
                Kernel::Softmax(channels) => softmax::compute(self, channels, step, unit, places),
                Kernel::Elementwise(elementwise) => elementwise::compute(self, elementwise, step, unit, places),
            }
        }
    }
}

impl fmt::Display for InstructionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "AVX-512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "AVX2",
            #[cfg(target_arch = "aarch64")]
            Self::Neon => "NEON",
            Self::Portable => "portable",
        })
    }
}

/// For each kernel a function for each instruction set, apart from the others': a compiler that is given all of them at
/// once optimises none as it could.
macro_rules! compiled {
    ($($kernel:ident($packed:ty)),* $(,)?) => {$(
        mod $kernel {
            use super::*;

            /// # Safety
            /// As [`InstructionSet::compute`].
            pub unsafe fn compute(set: InstructionSet, packed: &$packed, step: &Step, unit: usize, places: Places) {
                // SAFETY: the machine has the instruction set, and the caller promises the rest.
                unsafe {
                    match set {
                        #[cfg(target_arch = "x86_64")]
                        InstructionSet::Avx512 => avx512(packed, step, unit, places),
                        #[cfg(target_arch = "x86_64")]
                        InstructionSet::Avx2 => avx2(packed, step, unit, places),
                        #[cfg(target_arch = "aarch64")]
                        InstructionSet::Neon => neon(packed, step, unit, places),
                        InstructionSet::Portable => {
                            kernels::$kernel::compute::<Portable>(packed, step, unit, places);
                        }
                    }
                }
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
            unsafe fn avx512(packed: &$packed, step: &Step, unit: usize, places: Places) {
                // SAFETY: handed on.
                unsafe { kernels::$kernel::compute::<Avx512>(packed, step, unit, places) }
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn avx2(packed: &$packed, step: &Step, unit: usize, places: Places) {
                // SAFETY: handed on.
                unsafe { kernels::$kernel::compute::<Avx2>(packed, step, unit, places) }
            }

            #[cfg(target_arch = "aarch64")]
            #[target_feature(enable = "neon")]
            unsafe fn neon(packed: &$packed, step: &Step, unit: usize, places: Places) {
                // SAFETY: handed on.
                unsafe { kernels::$kernel::compute::<Neon>(packed, step, unit, places) }
            }
        }
    )*};
}

compiled! {
    matmul(Matmul),
    convolution(Convolution),
    depthwise(Window),
    window(Window),
    mean(()),
    softmax(usize),
    elementwise(Elementwise),
}
