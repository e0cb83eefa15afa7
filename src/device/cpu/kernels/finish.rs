//! What is done to a result before it is stored: another value added, and a function applied.

use crate::device::cpu::simd::Vector;
use crate::graph::Activation;

/// An activation as kernels take it: bounds, which cost next to nothing, and what is not made of bounds.
#[derive(Debug, Clone, Copy)]
pub(in crate::device::cpu) struct Finish {
    low: f32,
    high: f32,
    curve: Option<Activation>,
}

impl Finish {
    /// The activation, or nothing.
    pub fn new(activation: Option<Activation>) -> Self {
        let nothing = Self { low: f32::NEG_INFINITY, high: f32::INFINITY, curve: None };
        match activation {
            None => nothing,
            Some(Activation::Relu) => Self { low: 0.0, ..nothing },
            Some(Activation::Clamp { low, high }) => Self { low, high, curve: None },
            curve => Self { curve, ..nothing },
        }
    }

    /// The result for `x`, unless there is a curve.
    ///
    /// # Safety
    /// The machine has the instruction set of `V`.
    #[inline(always)]
    pub(super) unsafe fn bound<V: Vector>(self, x: V) -> V {
        // SAFETY: the caller's promise.
        unsafe { x.max(V::splat(self.low)).min(V::splat(self.high)) }
    }

    /// The curve's values in place of `rows` by `columns` vectors that are stored already: kernels that keep sums in
    /// registers have none to spare for it.
    ///
    /// # Safety
    /// As [`Finish::bound`]; and `y` plus any row's and column's stride points to a vector.
    #[inline(always)]
    pub(super) unsafe fn bend<V: Vector>(self, y: *mut f32, rows: (usize, usize), columns: (usize, usize)) {
        if let Some(curve) = self.curve {
            for row in 0..rows.0 {
                for column in 0..columns.0 {
                    // SAFETY: the caller's promise.
                    unsafe {
                        let y = y.add(row * rows.1 + column * columns.1);
                        along::<V>(curve, V::load(y)).store(y);
                    }
                }
            }
        }
    }
}

/// # Safety
/// As [`Finish::bound`].
#[inline(always)]
unsafe fn along<V: Vector>(curve: Activation, x: V) -> V {
    // SAFETY: the caller's promise; a cache line holds any vector.
    unsafe {
        let ramp =
            |alpha: f32, beta: f32| x.mul_add(V::splat(alpha), V::splat(beta)).max(V::splat(0.0)).min(V::splat(1.0));
        match curve {
            Activation::HardSigmoid { alpha, beta } => ramp(alpha, beta),
            Activation::HardSwish => x.mul(ramp(1.0 / 6.0, 0.5)),
            _ => {
                let mut lanes = [0.0; 16];
                x.store(lanes.as_mut_ptr());
                lanes[..V::LANES].iter_mut().for_each(|lane| *lane = curve.of(*lane));
                V::load(lanes.as_ptr())
            }
        }
    }
}
