//! Vectors of `f32` as wide as the machine's registers: one kernel text, several instruction sets.
#![allow(unsafe_code)] // Intrinsics are unsafe where the machine may lack them, and so are their loads and stores.
#![allow(unsafe_op_in_unsafe_fn)] // Every function here is one intrinsic, with its caller's promise.

/// A register of `LANES` numbers.
///
/// # Safety
/// Every function needs the instruction set that the type stands for. `load` and `store` need `LANES` numbers at `at`,
/// of any alignment.
pub(super) trait Vector: Copy {
    /// Numbers in a register.
    const LANES: usize;
    /// Pixels, and vectors of outputs, of the largest tile of sums that fits the registers.
    const TILE: (usize, usize);
    /// Whether a last vector of which at most half is used costs half as much as `Half`.
    const HALVES: bool;
    /// A register of half as many numbers; itself where there is none.
    type Half: Vector;

    unsafe fn load(at: *const f32) -> Self;
    unsafe fn store(self, at: *mut f32);
    unsafe fn splat(value: f32) -> Self;
    /// `self * b + c`, rounded once where the machine can.
    unsafe fn mul_add(self, b: Self, c: Self) -> Self;
    unsafe fn add(self, b: Self) -> Self;
    unsafe fn mul(self, b: Self) -> Self;
    unsafe fn max(self, b: Self) -> Self;
    unsafe fn min(self, b: Self) -> Self;
    /// Asks for what lies `at` to be brought into the core's own cache, where the machine can be asked. Nothing need lie
    /// there.
    unsafe fn fetch(_at: *const f32) {}
}

/// Arrays, which the compiler turns into whatever vectors the target has.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Portable([f32; 8]);

impl Portable {
    #[inline(always)]
    fn zip(self, b: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        let mut result = self.0;
        for (x, y) in result.iter_mut().zip(b.0) {
            *x = f(*x, y);
        }
        Self(result)
    }
}

impl Vector for Portable {
    const LANES: usize = 8;
    const TILE: (usize, usize) = (2, 2);
    const HALVES: bool = false;
    type Half = Self;

    #[inline(always)]
    unsafe fn load(at: *const f32) -> Self {
        Self(at.cast::<[f32; 8]>().read_unaligned())
    }
    #[inline(always)]
    unsafe fn store(self, at: *mut f32) {
        at.cast::<[f32; 8]>().write_unaligned(self.0);
    }
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; 8])
    }
    #[inline(always)]
    unsafe fn mul_add(self, b: Self, c: Self) -> Self {
        // Not `f32::mul_add`, which is a call into the C library where the target has no such instruction.
        self.zip(b, |x, y| x * y).zip(c, |x, y| x + y)
    }
    #[inline(always)]
    unsafe fn add(self, b: Self) -> Self {
        self.zip(b, |x, y| x + y)
    }
    #[inline(always)]
    unsafe fn mul(self, b: Self) -> Self {
        self.zip(b, |x, y| x * y)
    }
    #[inline(always)]
    unsafe fn max(self, b: Self) -> Self {
        self.zip(b, |x, y| if x > y { x } else { y })
    }
    #[inline(always)]
    unsafe fn min(self, b: Self) -> Self {
        self.zip(b, |x, y| if x < y { x } else { y })
    }
}

/// A `Vector` over one intrinsic a function.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! vector {
    ($(#[$doc:meta])* $name:ident($register:ty) $lanes:literal $tile:expr, $halves:literal $half:ty; load $load:ident store $store:ident
     splat $splat:ident fused($a:ident, $b:ident, $c:ident) $fused:expr; add $add:ident mul $mul:ident max $max:ident
     min $min:ident $(fetch $fetch:ident)?) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        #[repr(transparent)]
        pub(in crate::device::cpu) struct $name($register);

        impl Vector for $name {
            const LANES: usize = $lanes;
            const TILE: (usize, usize) = $tile;
            const HALVES: bool = $halves;
            type Half = $half;

            #[inline(always)]
            unsafe fn load(at: *const f32) -> Self {
                Self($load(at))
            }
            #[inline(always)]
            unsafe fn store(self, at: *mut f32) {
                $store(at, self.0);
            }
            #[inline(always)]
            unsafe fn splat(value: f32) -> Self {
                Self($splat(value))
            }
            #[inline(always)]
            unsafe fn mul_add(self, b: Self, c: Self) -> Self {
                let ($a, $b, $c) = (self.0, b.0, c.0);
                Self($fused)
            }
            #[inline(always)]
            unsafe fn add(self, b: Self) -> Self {
                Self($add(self.0, b.0))
            }
            #[inline(always)]
            unsafe fn mul(self, b: Self) -> Self {
                Self($mul(self.0, b.0))
            }
            #[inline(always)]
            unsafe fn max(self, b: Self) -> Self {
                Self($max(self.0, b.0))
            }
            #[inline(always)]
            unsafe fn min(self, b: Self) -> Self {
                Self($min(self.0, b.0))
            }
            $(
                #[inline(always)]
                unsafe fn fetch(at: *const f32) {
                    $fetch::<_MM_HINT_T1>(at.cast());
                }
            )?
        }
    };
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Vector;
    use std::arch::x86_64::*;

    vector! {
        /// AVX-512F: 32 registers of 16 numbers.
        Avx512(__m512) 16 (7, 3), true Avx2; load _mm512_loadu_ps store _mm512_storeu_ps splat _mm512_set1_ps
        fused(a, b, c) _mm512_fmadd_ps(a, b, c); add _mm512_add_ps mul _mm512_mul_ps max _mm512_max_ps
        min _mm512_min_ps fetch _mm_prefetch
    }
    vector! {
        /// AVX2 and FMA: 16 registers of 8 numbers.
        Avx2(__m256) 8 (4, 3), false Self; load _mm256_loadu_ps store _mm256_storeu_ps splat _mm256_set1_ps
        fused(a, b, c) _mm256_fmadd_ps(a, b, c); add _mm256_add_ps mul _mm256_mul_ps max _mm256_max_ps
        min _mm256_min_ps fetch _mm_prefetch
    }
}

#[cfg(target_arch = "aarch64")]
pub(super) use arm::Neon;

#[cfg(target_arch = "aarch64")]
mod arm {
    use super::Vector;
    use std::arch::aarch64::*;

    vector! {
        /// NEON: 32 registers of 4 numbers.
        Neon(float32x4_t) 4 (7, 3), false Self; load vld1q_f32 store vst1q_f32 splat vdupq_n_f32
        fused(a, b, c) vfmaq_f32(c, a, b); add vaddq_f32 mul vmulq_f32 max vmaxq_f32
        min vminq_f32
    }
}
