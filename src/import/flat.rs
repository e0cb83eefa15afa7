//! Refuses what no device computes of a flattened image: there its pixels lie a plane beside the other still, which a
//! fully connected layer reads in that order, and most other layers cannot.

use super::steps::{Kind, Source, Steps};
use super::text::short;
use crate::graph::Op;

/// The planes that a value is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Planes {
    height: usize,
    width: usize,
}

impl Planes {
    fn pixels(self) -> usize {
        self.height * self.width
    }
}

/// Refuses the first step on the way to `output` that reads a flattened image and cannot, by its node.
pub fn check(steps: &Steps, output: Source) -> Result<(), String> {
    let live = steps.live(output);
    let shape = |source: Source| steps.shapes[source];
    let mut planes: Vec<Planes> = Vec::with_capacity(steps.shapes.len());
    planes.push(Planes { height: shape(0).height, width: shape(0).width });
    for (at, step) in steps.list.iter().enumerate() {
        let made = shape(at + 1);
        let own = Planes { height: made.height, width: made.width };
        let inputs: Vec<Planes> = step.inputs.iter().map(|&source| planes[source]).collect();
        let flattened = |&&source: &&Source| shape(source).pixels() < planes[source].pixels();
        planes.push(match (&step.kind, inputs.first()) {
            (Kind::Plain(Op::Flatten), Some(&x)) => x,
            (kind, Some(&x)) if step.inputs.iter().find(flattened).is_some() => match kept(kind, &inputs) {
                Ok(true) => x,
                Ok(false) => own,
                Err(reason) if live[at + 1] => {
                    return Err(format!("node `{}` of its graph cannot be imported: {reason}", short(&step.name)));
                }
                Err(_) => own,
            },
            _ => own,
        });
    }
    Ok(())
}

/// Whether what `kind` makes of flattened images is one still.
fn kept(kind: &Kind, inputs: &[Planes]) -> Result<bool, String> {
    let alike = inputs.windows(2).all(|two| two[0] == two[1]);
    let pixels = inputs.first().map_or(1, |planes| planes.pixels());
    match kind {
        Kind::Linear { .. } => Ok(false),
        Kind::Plain(Op::Activation(_)) => Ok(true),
        Kind::Plain(Op::Concat) if alike => Ok(true),
        Kind::Plain(Op::Narrow { start, length }) if start.is_multiple_of(pixels) && length.is_multiple_of(pixels) => {
            Ok(true)
        }
        Kind::Plain(Op::Concat) => Err("it joins flattened images of different sizes, or one with a vector".into()),
        Kind::Plain(Op::Narrow { .. }) => Err("it cuts a flattened image apart within a channel".into()),
        _ => Err("it computes on a flattened image, of which only a fully connected layer is supported".into()),
    }
}
