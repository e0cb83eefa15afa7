//! The weights of one program in one place.

use super::line::Line;
use memmap2::MmapMut;
use std::ops::Range;

/// What one program has gathered, step after step. Nobody writes there.
#[derive(Debug)]
pub(super) struct Gathered {
    pub pages: MmapMut,
    /// The lines of each of its numbers; none of those that it has from another program.
    pub places: Vec<Range<usize>>,
}

impl Gathered {
    pub fn lines(&self, place: &Range<usize>) -> &[Line] {
        &bytemuck::cast_slice(&self.pages)[place.clone()]
    }

    /// Where it has the same lines, to the bit, at the same place of its order.
    pub fn place_of(&self, index: usize, lines: &[Line]) -> Option<Range<usize>> {
        let place = self.places.get(index).filter(|place| !place.is_empty())?;
        let bytes: &[u8] = bytemuck::cast_slice(self.lines(place));
        (bytes == bytemuck::cast_slice::<Line, u8>(lines)).then(|| place.clone())
    }
}
