//! Which numbers a graph expects of an image, as far as its first steps tell.

use super::constant::Constant;
use super::steps::{Kind, PerChannel, Steps};
use crate::graph::Op;

/// The range of an image's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// 0 to 255.
    Levels,
    /// 0 to 1.
    Unit,
}

impl Range {
    /// The preset that prepares images so and does nothing else.
    pub fn preset(self) -> &'static str {
        match self {
            Self::Levels => "levels",
            Self::Unit => "unit",
        }
    }
}

/// The range that the arithmetic which alone reads the image brings down to what layers take: the mean and the deviation
/// of levels are tens, and those of numbers up to 1 are less than 1. `None` where a layer reads the image as it is.
pub fn range(steps: &Steps) -> Option<Range> {
    let mut readers = vec![0usize; steps.shapes.len()];
    steps.list.iter().flat_map(|step| &step.inputs).for_each(|&source| readers[source] += 1);
    // The largest factor, and the largest sum, of all steps so far; each reads the one before, and alone.
    let (mut scale, mut shift, mut seen) = (1.0f32, 0.0f32, 0);
    for (at, step) in steps.list.iter().enumerate() {
        if step.inputs != [seen] {
            continue;
        }
        if readers[seen] != 1 {
            break;
        }
        match &step.kind {
            Kind::Affine { scale: by, shift: and } => {
                scale *= largest(by);
                shift = shift * largest(by) + largest(and);
            }
            // Other normalisations say nothing: those of standardised numbers look like those of others.
            Kind::Norm { parameters, .. } if (scale, shift) == (1.0, 0.0) => {
                let [_, _, mean, variance] = parameters.each_ref().map(|own| largest(&PerChannel::Each(own.clone())));
                return (mean > 8.0 && variance > 64.0).then_some(Range::Levels);
            }
            Kind::Plain(Op::Flatten) => {}
            _ => break,
        }
        seen = at + 1;
    }
    if (scale, shift) == (1.0, 0.0) {
        None
    } else if scale <= 1.0 / 32.0 || (scale <= 2.0 && shift > 8.0) {
        Some(Range::Levels)
    } else if shift > 0.0 && shift <= scale && scale >= 1.0 {
        Some(Range::Unit)
    } else {
        None
    }
}

/// The largest absolute value.
fn largest(numbers: &PerChannel) -> f32 {
    match numbers {
        PerChannel::All(value) => value.abs(),
        PerChannel::Each(Constant { tensor, .. }) => tensor.to_f32_vec().iter().fold(0.0, |most, v| most.max(v.abs())),
    }
}
