//! ShuffleNetV2 as torchvision has it, for engines that read no ONNX: layers with batch normalisation folded in, and
//! the order in which they run is for the engine's own words to say.

use crate::{Case, Result};
use pretrained::StateDict;

/// A convolution with a bias, in PyTorch's order: outputs, inputs of a group, height, width.
#[derive(Debug)]
pub struct Conv {
    /// Its weights.
    pub weight: Vec<f32>,
    /// A number an output.
    pub bias: Vec<f32>,
    /// The shape of the weights.
    pub shape: [usize; 4],
    /// In both directions.
    pub stride: usize,
    /// 1, or as many as there are inputs.
    pub groups: usize,
}

impl Conv {
    /// Zeros around the picture, so that only the stride shrinks it.
    pub fn padding(&self) -> usize {
        self.shape[2] / 2
    }
}

/// The network with layers of type `L`, each a convolution; the last, `fc`, is one of 1x1 on one pixel.
#[derive(Debug)]
pub struct ShuffleNetV2<L> {
    /// 3x3 with stride 2; a ReLU and 3x3 max pooling with stride 2 follow.
    pub conv1: L,
    /// The units of all three stages.
    pub units: Vec<Unit<L>>,
    /// 1x1; a ReLU and the mean of each plane follow.
    pub conv5: L,
    /// To the classes.
    pub fc: L,
}

/// Its branches' results are concatenated, and their channels taken in turns.
#[derive(Debug)]
pub struct Unit<L> {
    /// Depthwise, 1x1, ReLU, of the whole input; where there is none, the first half of the input passes through, and
    /// the second branch takes the second half.
    pub branch1: Option<[L; 2]>,
    /// 1x1, ReLU, depthwise, 1x1, ReLU.
    pub branch2: [L; 3],
}

impl ShuffleNetV2<Conv> {
    /// Reads the checkpoint of a case.
    pub fn read(case: &Case) -> Result<Self> {
        if !case.model.starts_with("shufflenet") {
            return Err(format!("only ShuffleNetV2 is written down for this engine, not {}", case.model).into());
        }
        let state = StateDict::open(&case.weights)?;
        let mut units = Vec::new();
        for (stage, repeats) in [(2, 4), (3, 8), (4, 4)] {
            for unit in 0..repeats {
                let of = |branch, index, stride| {
                    folded(&state, &format!("stage{stage}.{unit}.branch{branch}"), index, stride)
                };
                let (branch1, stride) = if unit == 0 { (Some([of(1, 0, 2)?, of(1, 2, 1)?]), 2) } else { (None, 1) };
                units.push(Unit { branch1, branch2: [of(2, 0, 1)?, of(2, 3, stride)?, of(2, 5, 1)?] });
            }
        }
        let (weight, shape) = values(&state, "fc.weight")?;
        let fc = Conv {
            weight,
            bias: values(&state, "fc.bias")?.0,
            shape: [shape[0], shape[1], 1, 1],
            stride: 1,
            groups: 1,
        };
        Ok(Self { conv1: folded(&state, "conv1", 0, 2)?, units, conv5: folded(&state, "conv5", 0, 1)?, fc })
    }

    /// The same network with each layer made into an engine's.
    pub fn map<L>(self, layer: impl Fn(Conv) -> Result<L>) -> Result<ShuffleNetV2<L>> {
        let three = |[a, b, c]: [Conv; 3]| Ok::<_, Box<dyn std::error::Error>>([layer(a)?, layer(b)?, layer(c)?]);
        let units = self.units.into_iter().map(|unit| {
            let branch1 = match unit.branch1 {
                Some([a, b]) => Some([layer(a)?, layer(b)?]),
                None => None,
            };
            Ok(Unit { branch1, branch2: three(unit.branch2)? })
        });
        Ok(ShuffleNetV2 {
            units: units.collect::<Result<_>>()?,
            conv1: layer(self.conv1)?,
            conv5: layer(self.conv5)?,
            fc: layer(self.fc)?,
        })
    }
}

/// The convolution at `index` of a sequence, with the batch normalisation after it folded in.
fn folded(state: &StateDict, sequence: &str, index: usize, stride: usize) -> Result<Conv> {
    let (mut weight, shape) = values(state, &format!("{sequence}.{index}.weight"))?;
    let of =
        |name: &str| Ok::<_, Box<dyn std::error::Error>>(values(state, &format!("{sequence}.{}.{name}", index + 1))?.0);
    let (gamma, beta, mean, variance) = (of("weight")?, of("bias")?, of("running_mean")?, of("running_var")?);
    let shape: [usize; 4] = shape.try_into().map_err(|shape| format!("{sequence}: {shape:?} is no convolution"))?;
    let mut bias = Vec::new();
    for (output, weights) in weight.chunks_exact_mut(shape[1..].iter().product()).enumerate() {
        let scale = gamma[output] / (variance[output] + 1e-5).sqrt();
        weights.iter_mut().for_each(|weight| *weight *= scale);
        bias.push(beta[output] - mean[output] * scale);
    }
    // All its 3x3 convolutions are depthwise but the first, which sees three colours.
    let groups = if shape[1] == 1 { shape[0] } else { 1 };
    Ok(Conv { weight, bias, shape, stride, groups })
}

fn values(state: &StateDict, name: &str) -> Result<(Vec<f32>, Vec<usize>)> {
    let tensor = state.get(name).ok_or_else(|| format!("the checkpoint lacks {name}"))?;
    Ok((tensor.to_f32_vec(), tensor.shape().to_vec()))
}
