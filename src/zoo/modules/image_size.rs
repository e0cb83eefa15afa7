//! The size of the image that a network takes once its modules have changed it.

use crate::graph::{Graph, Shape};

/// The input for which `graph` works out, where that is not the `usual` one: a square of a common size, or near it.
pub(super) fn sized(graph: &Graph, usual: Shape) -> Shape {
    const COMMON: [usize; 5] = [28, 32, 64, 96, 224];
    const FURTHEST: usize = 64;
    let square = |side| Shape::new(usual.channels, side, side);
    if graph.shapes(usual).is_ok() {
        return usual;
    }
    let near = (1..=FURTHEST.min(usual.height)).flat_map(|by| [usual.height - by, usual.height + by]);
    let side = COMMON.into_iter().chain(near).find(|side| *side > 0 && graph.shapes(square(*side)).is_ok());
    side.map_or(usual, square)
}
