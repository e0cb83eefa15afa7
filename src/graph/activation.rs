//! Functions that are applied to one number at a time.

/// A function of each number by itself, under PyTorch's name.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `torch.clamp(x, low, high)`.
    Clamp {
        /// The least result.
        low: f32,
        /// The largest.
        high: f32,
    },
    /// `clamp(alpha x + beta, 0, 1)`, as ONNX has it.
    HardSigmoid {
        /// The slope; PyTorch's is 1/6.
        alpha: f32,
        /// The value at 0; 1/2 as a rule.
        beta: f32,
    },
    /// `nn.Hardswish`: `x clamp(x / 6 + 1/2, 0, 1)`.
    HardSwish,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `nn.SiLU`: `x / (1 + exp(-x))`.
    Silu,
}

impl Activation {
    /// `nn.ReLU6`.
    pub const RELU6: Self = Self::Clamp { low: 0.0, high: 6.0 };

    /// `nn.Hardsigmoid`.
    pub const HARD_SIGMOID: Self = Self::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 };

    /// Its value at `x`.
    pub fn of(self, x: f32) -> f32 {
        match self {
            Self::Relu => x.max(0.0),
            Self::Clamp { low, high } => x.max(low).min(high),
            Self::HardSigmoid { alpha, beta } => (alpha * x + beta).clamp(0.0, 1.0),
            Self::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
            Self::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Self::Silu => x / (1.0 + (-x).exp()),
        }
    }
}
