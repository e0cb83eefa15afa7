//! What a parameter starts as where no checkpoint has it: the initialisers of PyTorch and TensorFlow, by name.

mod distribution;
mod layers;
mod text;

pub(crate) use layers::of_graph;

use crate::error::{Error, Result};
use crate::tensor::{DType, Tensor};
use distribution::{Distribution, Generator};

/// How the numbers of a new parameter are drawn.
///
/// Xavier and Kaiming are `torch.nn.init`'s (Glorot and Bengio 2010; He et al. 2015, arXiv:1502.01852), variance
/// scaling is `tf.keras.initializers.VarianceScaling`, which OneFlow's `variance_scaling_initializer` follows. Their
/// fans are those of a weight `[out, in, ...]`: fan_in is `in` times what follows, fan_out is `out` times what follows.
///
/// It is read from, and shown as, a name and, after a colon, numbers: `xavier_uniform`, `normal:0,0.02`,
/// `variance_scaling:2,fan_out,uniform`. Numbers that are left out are PyTorch's defaults, and TensorFlow's for variance
/// scaling. `glorot_` is read for `xavier_`, and `he_` for `kaiming_`; the normal ones of TensorFlow, which are cut at
/// two deviations, are `variance_scaling:1,fan_avg` and `variance_scaling:2`.
///
/// ```
/// use pretrained::Initialiser;
///
/// let initialiser: Initialiser = "normal:0,0.02".parse()?;
/// let weight = initialiser.tensor("fc.weight", &[10, 512], 7)?;
/// assert_eq!(weight.shape(), [10, 512]);
/// assert_eq!("glorot_uniform".parse::<Initialiser>()?.to_string(), "xavier_uniform:1");
/// # Ok::<(), pretrained::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Initialiser {
    /// What PyTorch gives a new layer: for convolutions and fully connected layers Kaiming uniform with a = sqrt 5 and
    /// biases uniform within 1 / sqrt(fan_in), for batch normalisation 1, 0, 0 and 1. The name is `default`.
    #[default]
    LayerDefault,
    /// One number everywhere; 0 and 1 are also called `zeros` and `ones`.
    Constant(f64),
    /// Every number between two is as likely.
    Uniform {
        /// The lower bound.
        low: f64,
        /// The upper bound.
        high: f64,
    },
    /// The normal distribution.
    Normal {
        /// Its mean.
        mean: f64,
        /// Its standard deviation.
        std: f64,
    },
    /// The normal distribution, drawn again where a number lies further than two deviations from the mean:
    /// `tf.random.truncated_normal`, and `trunc_normal_` with a and b there.
    TruncatedNormal {
        /// Its mean.
        mean: f64,
        /// Its standard deviation before anything is cut off.
        std: f64,
    },
    /// Uniform within `gain * sqrt(6 / (fan_in + fan_out))`: `xavier_uniform_`, Glorot's.
    XavierUniform {
        /// A factor, for the function that follows the layer.
        gain: f64,
    },
    /// Normal with deviation `gain * sqrt(2 / (fan_in + fan_out))`: `xavier_normal_`, Glorot's.
    XavierNormal {
        /// A factor, for the function that follows the layer.
        gain: f64,
    },
    /// Uniform within `sqrt(6 / ((1 + a^2) fan))`: `kaiming_uniform_`, He's.
    KaimingUniform {
        /// The slope of the leaky ReLU that follows, for negative numbers; 0 for a ReLU.
        a: f64,
        /// Which fan.
        fan: Fan,
    },
    /// Normal with deviation `sqrt(2 / ((1 + a^2) fan))`: `kaiming_normal_`, He's.
    KaimingNormal {
        /// The slope of the leaky ReLU that follows, for negative numbers; 0 for a ReLU.
        a: f64,
        /// Which fan.
        fan: Fan,
    },
    /// Any of three distributions with the variance `scale / fan`.
    VarianceScaling {
        /// The variance, times the fan.
        scale: f64,
        /// Which fan.
        fan: Fan,
        /// How numbers of that variance are drawn.
        draw: Draw,
    },
}

/// How many numbers meet in one: what a variance is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Fan {
    /// As many as one output is summed from: `fan_in`.
    #[default]
    In,
    /// As many as one input goes to: `fan_out`.
    Out,
    /// The mean of both: `fan_avg`.
    Average,
}

/// A distribution of mean 0, by the name that TensorFlow has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Draw {
    /// Normal within two deviations of what would be cut off, and widened so that the variance is met after the cut:
    /// `truncated_normal`.
    #[default]
    TruncatedNormal,
    /// Normal: `untruncated_normal`.
    Normal,
    /// Uniform: `uniform`.
    Uniform,
}

/// The deviation of the standard normal distribution once what lies beyond two deviations is cut off:
/// sqrt(1 - 4 phi(2) / (2 Phi(2) - 1)).
const STD_WITHIN_TWO: f64 = 0.879_625_661_034_239_8;

impl Initialiser {
    /// 0 everywhere.
    pub const ZEROS: Self = Self::Constant(0.0);
    /// 1 everywhere.
    pub const ONES: Self = Self::Constant(1.0);

    /// A new `f32` tensor of `shape` for the parameter called `name`.
    ///
    /// The numbers depend on the initialiser, `name`, `shape` and `seed`, and on nothing else: they are the same on every
    /// platform, whatever was drawn before. They come from ChaCha8 with the seed as its key.
    ///
    /// # Errors
    /// [`Error::Usage`] for [`LayerDefault`](Self::LayerDefault), which depends on the layer, for a fan of a shape with
    /// fewer than two axes, for bounds or deviations that make no sense, and for a shape that overflows.
    pub fn tensor(&self, name: &str, shape: &[usize], seed: u64) -> Result<Tensor> {
        let values = self.values(name, shape, seed)?;
        Tensor::from_f32(shape, &values).map_err(|error| Error::Usage(format!("{name}: {error}")))
    }

    /// The numbers of that tensor.
    pub(crate) fn values(&self, name: &str, shape: &[usize], seed: u64) -> Result<Vec<f32>> {
        let usage = |reason: String| Error::Usage(format!("{name}: {reason}"));
        let bytes = Tensor::byte_count(DType::F32, shape).map_err(|error| usage(error.to_string()))?;
        let distribution = self.distribution(shape).map_err(usage)?;
        let mut generator = Generator::new(seed, name);
        Ok((0..bytes / DType::F32.size()).map(|_| distribution.draw(&mut generator)).collect())
    }

    /// Whether it needs a weight's fans, which a vector has none of.
    fn needs_fan(&self) -> bool {
        match self {
            Self::LayerDefault
            | Self::Constant(_)
            | Self::Uniform { .. }
            | Self::Normal { .. }
            | Self::TruncatedNormal { .. } => false,
            Self::XavierUniform { .. }
            | Self::XavierNormal { .. }
            | Self::KaimingUniform { .. }
            | Self::KaimingNormal { .. }
            | Self::VarianceScaling { .. } => true,
        }
    }

    /// What the numbers of a parameter of `shape` are drawn from, or what is wrong.
    fn distribution(&self, shape: &[usize]) -> Result<Distribution, String> {
        let scaled = |scale: f64, fan: Fan, draw: Draw| {
            let variance = scale / fan.of(shape).ok_or_else(|| format!("{self} needs a shape of two axes or more"))?;
            Ok::<_, String>(match draw {
                Draw::TruncatedNormal => {
                    Distribution::TruncatedNormal { mean: 0.0, std: variance.sqrt() / STD_WITHIN_TWO }
                }
                Draw::Normal => Distribution::Normal { mean: 0.0, std: variance.sqrt() },
                Draw::Uniform => {
                    let bound = (3.0 * variance).sqrt();
                    Distribution::Uniform { low: -bound, high: bound }
                }
            })
        };
        let leaky = |a: f64| 2.0 / (1.0 + a * a);
        let distribution = match *self {
            Self::LayerDefault => return Err("the default depends on the layer".into()),
            Self::Constant(value) => Distribution::Constant(value),
            Self::Uniform { low, high } => Distribution::Uniform { low, high },
            Self::Normal { mean, std } => Distribution::Normal { mean, std },
            Self::TruncatedNormal { mean, std } => Distribution::TruncatedNormal { mean, std },
            Self::XavierUniform { gain } => scaled(gain * gain, Fan::Average, Draw::Uniform)?,
            Self::XavierNormal { gain } => scaled(gain * gain, Fan::Average, Draw::Normal)?,
            Self::KaimingUniform { a, fan } => scaled(leaky(a), fan, Draw::Uniform)?,
            Self::KaimingNormal { a, fan } => scaled(leaky(a), fan, Draw::Normal)?,
            Self::VarianceScaling { scale, fan, draw } => scaled(scale, fan, draw)?,
        };
        if distribution.makes_sense() { Ok(distribution) } else { Err(format!("{self} makes no sense")) }
    }
}

impl Fan {
    /// This fan of a weight of `shape`, at least 1; none for a vector.
    fn of(self, shape: &[usize]) -> Option<f64> {
        let [out, inp, field @ ..] = shape else { return None };
        let field: f64 = field.iter().map(|&side| side as f64).product();
        let (fan_in, fan_out) = (*inp as f64 * field, *out as f64 * field);
        let fan = match self {
            Self::In => fan_in,
            Self::Out => fan_out,
            Self::Average => f64::midpoint(fan_in, fan_out),
        };
        Some(fan.max(1.0))
    }
}

#[cfg(test)]
mod tests;
