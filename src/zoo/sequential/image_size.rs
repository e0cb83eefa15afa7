//! The size of the image that a chain takes, by what its layers say of their inputs.

use crate::graph::{Graph, Shape};
use std::cmp::Reverse;
use std::ops::RangeInclusive;

/// A larger image is no classifier's.
const MOST_SIDE: usize = 4096;

/// The square image that goes in, and the shapes of all that is made of it; `flat` is what makes a vector of the image,
/// and how many numbers that must have.
pub(super) fn fitting(
    channels: Option<usize>,
    flat: Option<(&Graph, usize)>,
    shapes: impl Fn(Shape) -> Result<Vec<Shape>, String>,
) -> Result<(Shape, Vec<Shape>), String> {
    let mut reason = None;
    // Where no layer says so, as with pools before the first linear layer, it is grey or in colours.
    for channels in channels.map_or_else(|| vec![1, 3], |known| vec![known]) {
        let sides = flat.map_or(1..=MOST_SIDE, |(graph, features)| {
            sides(features, |side| {
                let shapes = graph.shapes(Shape::new(channels, side, side));
                shapes.ok().and_then(|shapes| shapes.last().map(Shape::elements)).unwrap_or(0)
            })
        });
        let usual = if channels == 1 { [28, 224] } else { [224, 32] };
        let bounded = *sides.end() < MOST_SIDE;
        let halving = sides.clone().filter(|_| bounded).max_by_key(|side| (side.trailing_zeros(), Reverse(*side)));
        for side in usual.into_iter().filter(|side| sides.contains(side)).chain(halving) {
            let input = Shape::new(channels, side, side);
            match shapes(input) {
                Ok(shapes) => return Ok((input, shapes)),
                Err(why) => reason = reason.or(Some(why)),
            }
        }
    }
    Err(reason.unwrap_or_else(|| {
        let features = flat.map_or(0, |(_, features)| features);
        format!("no square image becomes the {features} numbers that its first layer behind Flatten takes")
    }))
}

/// The sides of images that `numbers`, which grows with the side or stays, makes so many numbers of.
fn sides(wanted: usize, numbers: impl Fn(usize) -> usize) -> RangeInclusive<usize> {
    let first = |enough: usize| {
        // From the small end: sizes that are out of reach count as nothing.
        let (mut below, mut above) = (0, 1);
        while above <= MOST_SIDE && numbers(above) < enough {
            (below, above) = (above, 2 * above);
        }
        while above - below > 1 {
            let middle = (below + above) / 2;
            if numbers(middle) < enough { below = middle } else { above = middle }
        }
        above.min(MOST_SIDE + 1)
    };
    first(wanted)..=first(wanted + 1) - 1
}
