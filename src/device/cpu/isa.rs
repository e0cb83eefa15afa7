//! The instruction sets that kernels are compiled for, and which of them this machine has.

use super::simd::{Portable, Vector};
use crate::error::{Error, named};
use std::fmt;
use std::str::FromStr;

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

/// A constant of the vectors that an instruction set has.
macro_rules! of_vector {
    ($set:expr, $constant:ident) => {
        match $set {
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => Avx512::$constant,
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => Avx2::$constant,
            #[cfg(target_arch = "aarch64")]
            InstructionSet::Neon => Neon::$constant,
            InstructionSet::Portable => Portable::$constant,
        }
    };
}

impl InstructionSet {
    /// All that kernels are compiled for on this architecture, the fastest first, whether or not this machine has them.
    pub const ALL: &[Self] = &[
        #[cfg(target_arch = "x86_64")]
        Self::Avx512,
        #[cfg(target_arch = "x86_64")]
        Self::Avx2,
        #[cfg(target_arch = "aarch64")]
        Self::Neon,
        Self::Portable,
    ];

    /// The name that [`FromStr`] reads.
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "avx2",
            #[cfg(target_arch = "aarch64")]
            Self::Neon => "neon",
            Self::Portable => "portable",
        }
    }

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
        of_vector!(self, LANES)
    }

    /// Pixels, and vectors of outputs, of the largest tile of sums that fits the registers.
    pub(super) fn tile(self) -> (usize, usize) {
        of_vector!(self, TILE)
    }

    /// Whether a last vector of which at most half is used is computed as half a vector.
    pub(super) fn halves(self) -> bool {
        of_vector!(self, HALVES)
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

impl FromStr for InstructionSet {
    type Err = Error;

    /// Reads a [name](Self::name), or what [`Display`](fmt::Display) writes, in any case.
    ///
    /// # Errors
    /// [`Error::Usage`] that lists the names.
    fn from_str(text: &str) -> Result<Self, Error> {
        named(text, "an instruction set that kernels are compiled for here", Self::ALL, Self::name)
    }
}
