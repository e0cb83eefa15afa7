//! The table of activations: a row for each, which kernels, shaders, imports and exports read.
//!
//! `row.rs` says what the columns are. They see the settings of the row by name.

mod row;
#[cfg(test)]
mod tests;

pub(crate) use row::{Operator, Part, Row, Setting, Values};
use row::{SETTINGS, activations};

activations! {
    /// `max(x, 0)`.
    Relu {
        of: |x| x.max(0.0),
        wgsl: "max(v, vec4<f32>())",
        values: Values::Clamped(0.0, f32::INFINITY),
        torch: [("ReLU", &[])],
        onnx: Some(Operator::named("Relu")),
        mindir: Some(Operator::named("ReLU")),
        parts: vec![],
        example: [],
    }

    /// `torch.clamp(x, low, high)`.
    Clamp(
        /// The least result.
        low,
        /// The largest.
        high
    ) {
        of: |x| x.max(low).min(high),
        wgsl: "clamp(v, vec4<f32>(low), vec4<f32>(high))",
        values: Values::Clamped(low, high),
        torch: [
            ("ReLU6", &[Setting::Attribute("min_val"), Setting::Attribute("max_val")]),
            ("Hardtanh", &[Setting::Attribute("min_val"), Setting::Attribute("max_val")])
        ],
        onnx: Some(Operator::named("Clip").inputs(&["min", "max"])),
        mindir: Some(match [low, high] {
            [0.0, 6.0] => Operator::named("ReLU6"),
            _ => Operator::named("ClampScalar").inputs(&["low", "high"]),
        }),
        parts: vec![],
        example: [-0.25, 0.5],
    }

    /// `clamp(alpha x + beta, 0, 1)`, as ONNX has it.
    HardSigmoid(
        /// The slope; PyTorch's is 1/6.
        alpha,
        /// The value at 0; 1/2 as a rule.
        beta
    ) {
        of: |x| (alpha * x + beta).clamp(0.0, 1.0),
        wgsl: "clamp(v * alpha + beta, vec4<f32>(), vec4<f32>(1.0))",
        values: Values::Between(0.0, 1.0),
        torch: [("Hardsigmoid", &[Setting::Always(1.0 / 6.0), Setting::Always(0.5)])],
        onnx: Some(Operator::named("HardSigmoid").attributes(&[("alpha", 0.2), ("beta", 0.5)])),
        mindir: ([alpha, beta] == [1.0 / 6.0, 0.5]).then_some(Operator::named("HSigmoid")),
        parts: vec![Part::Scale(alpha), Part::Shift(beta), Part::Apply(Activation::Clamp { low: 0.0, high: 1.0 })],
        example: [0.9, 0.4],
    }

    /// `nn.Hardswish`: `x clamp(x / 6 + 1/2, 0, 1)`.
    HardSwish {
        of: |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
        wgsl: "v * clamp(v / 6.0 + 0.5, vec4<f32>(), vec4<f32>(1.0))",
        values: Values::Between(-0.375, f32::INFINITY),
        torch: [("Hardswish", &[])],
        onnx: Some(Operator::named("HardSwish")),
        mindir: Some(Operator::named("HSwish")),
        parts: vec![Part::Apply(Activation::HARD_SIGMOID), Part::TimesX],
        example: [],
    }

    /// `nn.LeakyReLU`: `x` where that is positive, and `negative_slope x` elsewhere.
    LeakyRelu(
        /// The slope below 0; 0.01 as a rule.
        negative_slope
    ) {
        of: |x| if x > 0.0 { x } else { negative_slope * x },
        wgsl: "select(negative_slope * v, v, v > vec4<f32>())",
        values: Values::Between(f32::NEG_INFINITY, f32::INFINITY),
        torch: [("LeakyReLU", &[Setting::Attribute("negative_slope")])],
        onnx: Some(Operator::named("LeakyRelu").attributes(&[("alpha", 0.01)])),
        mindir: None,
        parts: vec![
            Part::Apply(Activation::Clamp { low: f32::MIN, high: 0.0 }),
            Part::Scale(negative_slope),
            Part::Plus(Activation::Relu)
        ],
        example: [0.3],
    }

    /// `1 / (1 + exp(-x))`.
    Sigmoid {
        of: |x| 1.0 / (1.0 + (-x).exp()),
        wgsl: "1.0 / (1.0 + exp(-v))",
        values: Values::Between(0.0, 1.0),
        torch: [("Sigmoid", &[])],
        onnx: Some(Operator::named("Sigmoid")),
        mindir: Some(Operator::named("Sigmoid")),
        parts: vec![],
        example: [],
    }

    /// `nn.SiLU`: `x / (1 + exp(-x))`.
    Silu {
        of: |x| x / (1.0 + (-x).exp()),
        wgsl: "v / (1.0 + exp(-v))",
        values: Values::Between(-0.2785, f32::INFINITY),
        torch: [("SiLU", &[])],
        onnx: None,
        mindir: None,
        parts: vec![Part::Apply(Activation::Sigmoid), Part::TimesX],
        example: [],
    }
}

impl Activation {
    /// `nn.ReLU6`.
    pub const RELU6: Self = Self::Clamp { low: 0.0, high: 6.0 };

    /// `nn.Hardsigmoid`.
    pub const HARD_SIGMOID: Self = Self::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 };
}
