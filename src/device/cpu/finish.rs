//! What is applied to a result before it is stored.
#![allow(unsafe_code)] // Goes by vectors, as kernels do; each block cites what `places.rs` numbers.

use super::simd::Vector;
use crate::graph::{Activation, Values};

/// Which bounds there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bounds {
    None,
    Low,
    Both,
}

/// An activation as kernels take it: bounds, which cost next to nothing, and what is not made of bounds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Finish {
    low: f32,
    high: f32,
    curve: Option<Activation>,
}

impl Finish {
    /// The activation, or nothing.
    pub fn new(activation: Option<Activation>) -> Self {
        let (low, high, curve) = match activation.map(Activation::values) {
            Some(Values::Clamped(low, high)) => (low, high, None),
            _ => (f32::NEG_INFINITY, f32::INFINITY, activation),
        };
        Self { low, high, curve }
    }

    /// Which bounds there are.
    #[inline(always)]
    pub(super) fn bounds(self) -> Bounds {
        if self.high < f32::INFINITY {
            Bounds::Both
        } else if self.low > f32::NEG_INFINITY {
            Bounds::Low
        } else {
            Bounds::None
        }
    }

    /// `x`, under [`Bounds::None`].
    ///
    /// # Safety
    /// 4 of [`places`](super::places), for `V`.
    #[inline(always)]
    pub(super) unsafe fn unbound<V: Vector>(self, x: V) -> V {
        x
    }

    /// `x` or the lower bound.
    ///
    /// # Safety
    /// As [`Finish::unbound`].
    #[inline(always)]
    pub(super) unsafe fn at_least<V: Vector>(self, x: V) -> V {
        // SAFETY: 4.
        unsafe { x.max(V::splat(self.low)) }
    }

    /// `x` or one of the bounds.
    ///
    /// # Safety
    /// As [`Finish::unbound`].
    #[inline(always)]
    pub(super) unsafe fn between<V: Vector>(self, x: V) -> V {
        // SAFETY: 4.
        unsafe { self.at_least(x).min(V::splat(self.high)) }
    }

    /// The curve's values in place of `rows` by `columns` vectors that are stored already: kernels that keep sums in
    /// registers have none to spare for it.
    ///
    /// # Safety
    /// As [`Finish::unbound`]; and `y` plus any row's and column's stride points to a vector.
    #[inline(always)]
    pub(super) unsafe fn bend<V: Vector>(self, y: *mut f32, rows: (usize, usize), columns: (usize, usize)) {
        if let Some(curve) = self.curve {
            for row in 0..rows.0 {
                for column in 0..columns.0 {
                    // SAFETY: 4, and the caller's promise of where rows and columns lie.
                    unsafe {
                        let y = y.add(row * rows.1 + column * columns.1);
                        along::<V>(curve, V::load(y)).store(y);
                    }
                }
            }
        }
    }
}

/// The curve's values at a vector: by vectors where it was worth it, and number by number otherwise.
///
/// # Safety
/// As [`Finish::unbound`].
#[inline(always)]
unsafe fn along<V: Vector>(curve: Activation, x: V) -> V {
    // SAFETY: 4; 16 numbers hold any vector.
    unsafe {
        let ramp =
            |alpha: f32, beta: f32| x.mul_add(V::splat(alpha), V::splat(beta)).max(V::splat(0.0)).min(V::splat(1.0));
        match curve {
            Activation::HardSigmoid { alpha, beta } => ramp(alpha, beta),
            Activation::HardSwish => x.mul(ramp(1.0 / 6.0, 0.5)),
            Activation::LeakyRelu { negative_slope } => {
                let zero = V::splat(0.0);
                x.min(zero).mul_add(V::splat(negative_slope), x.max(zero))
            }
            _ => {
                let mut lanes = [0.0; 16];
                x.store(lanes.as_mut_ptr());
                lanes[..V::LANES].iter_mut().for_each(|lane| *lane = curve.of(*lane));
                V::load(lanes.as_ptr())
            }
        }
    }
}
