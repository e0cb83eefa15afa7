//! The four distributions that every initialiser comes down to, and the generator that they are drawn with.

use chacha20::ChaCha8Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use std::f64::consts::TAU;

/// What numbers are drawn from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Distribution {
    Constant(f64),
    Uniform {
        low: f64,
        high: f64,
    },
    Normal {
        mean: f64,
        std: f64,
    },
    /// Normal, within two deviations of the mean.
    TruncatedNormal {
        mean: f64,
        std: f64,
    },
}

impl Distribution {
    /// Whether bounds are in order, no deviation is negative, and all that can be drawn is finite as `f32`.
    pub(super) fn makes_sense(&self) -> bool {
        /// Further from the mean than any number that [`Generator::normal`] draws: sqrt(2 * 53 ln 2) is 8.6.
        const FURTHEST: f64 = 9.0;
        let largest = match *self {
            Self::Constant(value) => value.abs(),
            Self::Uniform { low, high } if low <= high => low.abs().max(high.abs()),
            Self::Normal { mean, std } | Self::TruncatedNormal { mean, std } if std >= 0.0 => {
                mean.abs() + FURTHEST * std
            }
            _ => return false,
        };
        largest <= f32::MAX.into()
    }

    pub(super) fn draw(&self, generator: &mut Generator) -> f32 {
        let number = match *self {
            Self::Constant(value) => value,
            Self::Uniform { low, high } => low + (high - low) * generator.unit(),
            Self::Normal { mean, std } => mean + std * generator.normal(),
            Self::TruncatedNormal { mean, std } => loop {
                // One in 22 is drawn again.
                let z = generator.normal();
                if z.abs() <= 2.0 {
                    break mean + std * z;
                }
            },
        };
        number as f32
    }
}

/// Numbers that depend on a seed and a name alone, on any platform and in any version of this crate.
///
/// ChaCha's stream is fixed by its definition. What is made of it here is not left to a crate for random numbers,
/// because those improve their methods, and logarithm and cosine not to the platform, which may round otherwise.
pub(super) struct Generator(ChaCha8Rng);

impl Generator {
    /// The seed is the key, and the name chooses one of its 2^64 streams.
    pub(super) fn new(seed: u64, name: &str) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        let mut stream = ChaCha8Rng::from_seed(key);
        stream.set_stream(fnv1a(name));
        Self(stream)
    }

    /// From 0 to below 1, in steps of 2^-53.
    fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 * (-53f64).exp2()
    }

    /// Of mean 0 and deviation 1 (Box and Muller 1958).
    fn normal(&mut self) -> f64 {
        // 1 - x is above 0, where the logarithm is finite.
        let radius = (-2.0 * libm::log(1.0 - self.unit())).sqrt();
        radius * libm::cos(TAU * self.unit())
    }
}

/// The 64-bit FNV-1a hash of a name (Fowler, Noll, Vo), which unlike the standard library's never changes.
fn fnv1a(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
