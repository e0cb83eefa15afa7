//! Rules for fully connected layers of a flattened image, which no device scales before the layer.

use super::site::{Simpler, Site};
use crate::graph::{Linear, Op};
use crate::import::constant::Constant;
use crate::import::memory::Memory;
use crate::import::steps::{Kind, PerChannel, Source, Step};

/// `W (a x + b) + c = (W a) x + (W b + c)`
pub fn linear_of_map(site: &Site, memory: &mut Memory) -> Option<Simpler> {
    let layer = Layer::of(site)?;
    let Kind::Affine { scale, shift } = &layer.before.kind else { return None };
    layer.take_room(memory)?;
    let spread = |numbers: &PerChannel| match numbers {
        PerChannel::All(value) => vec![*value; layer.columns],
        PerChannel::Each(each) => each.tensor.to_f32_vec(),
    };
    let (scale, shift) =
        spread(scale).into_iter().zip(spread(shift)).map(|(a, b)| (f64::from(a), f64::from(b))).unzip();
    layer.folded(scale, shift)
}

/// `W norm(x) + c = (W a) x + (W b + c)`, where `norm(x) = gamma (x - mean) / sqrt(variance + eps) + beta = a x + b`
pub fn linear_of_norm(site: &Site, memory: &mut Memory) -> Option<Simpler> {
    let layer = Layer::of(site)?;
    let Kind::Norm { norm, parameters } = &layer.before.kind else { return None };
    layer.take_room(memory)?;
    let [gamma, beta, mean, variance] = parameters.each_ref().map(|own| own.tensor.to_f32_vec());
    let scale = |i: usize| f64::from(gamma[i]) / (f64::from(variance[i]) + f64::from(norm.eps)).sqrt();
    let shift = |i: usize| f64::from(beta[i]) - f64::from(mean[i]) * scale(i);
    let (scale, shift) = (0..layer.columns).map(|i| (scale(i), shift(i))).unzip();
    layer.folded(scale, shift)
}

/// A fully connected layer, and the step between it and the flattened image.
struct Layer<'s> {
    linear: Linear,
    weight: &'s Constant,
    bias: Option<&'s Constant>,
    rows: usize,
    columns: usize,
    before: &'s Step,
}

impl<'s> Layer<'s> {
    /// The layer that the step is, if it is one of what a step makes of a flattened image.
    fn of(site: &Site<'s>) -> Option<Self> {
        let Kind::Linear { linear, weight, bias } = site.kind else { return None };
        let before = site.before().filter(|before| flattens(site, before.inputs[0]))?;
        let &[rows, columns] = weight.shape() else { return None };
        Some(Self { linear: *linear, weight, bias: bias.as_ref(), rows, columns, before })
    }

    /// Asks for what another weight and bias take.
    fn take_room(&self, memory: &mut Memory) -> Option<()> {
        memory.take(self.rows.checked_mul(self.columns)?.checked_mul(16)?).ok()
    }

    /// The layer that scales and shifts each feature before, as one without.
    fn folded(&self, scale: Vec<f64>, shift: Vec<f64>) -> Option<Simpler> {
        let mut weights = self.weight.tensor.to_f32_vec();
        let mut offsets = self.bias.map_or_else(|| vec![0.0; self.rows], |bias| bias.tensor.to_f32_vec());
        for (row, offset) in weights.chunks_mut(self.columns).zip(&mut offsets) {
            let sum: f64 = row.iter().zip(&shift).map(|(&weight, shift)| f64::from(weight) * shift).sum();
            *offset = (f64::from(*offset) + sum) as f32;
            row.iter_mut().zip(&scale).for_each(|(weight, scale)| *weight = (f64::from(*weight) * scale) as f32);
        }
        let name = |ending: &str| format!("{}.{ending}", self.weight.name).into();
        let weight = Constant::floats(&name("folded"), &[self.rows, self.columns], &weights).ok()?;
        let bias = Constant::floats(&name("bias"), &[self.rows], &offsets).ok()?;
        let linear = Linear { bias: true, ..self.linear };
        Some((Kind::Linear { linear, weight, bias: Some(bias) }, self.before.inputs.clone()))
    }
}

/// Whether `source` is a flattened image of several pixels.
fn flattens(site: &Site, source: Source) -> bool {
    let flatten = site.maker(source).filter(|step| matches!(step.kind, Kind::Plain(Op::Flatten)));
    flatten.is_some_and(|step| site.shape_of(step.inputs[0]).pixels() > 1)
}
