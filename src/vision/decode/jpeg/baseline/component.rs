//! A component's samples: those blocks of it that the wanted part of the picture needs.

use super::super::header;
use super::ZIGZAG;
use super::huffman::Order;
use super::tables::Tables;
use super::transform::Side;
use crate::vision::picture::Area;
use std::ops::Range;

/// One of luma, blue and red chroma, or grey.
pub(super) struct Component {
    /// Blocks of a unit of the scan, across and down.
    pub blocks: (usize, usize),
    /// Pixels of the picture for each sample, across and down.
    pub ratio: (usize, usize),
    /// Samples that a block's side becomes.
    pub side: Side,
    /// Samples of the whole component, across and down.
    pub size: (usize, usize),
    pub order: Order,
    /// Which tables are for the first coefficient and for the others.
    pub tables: (usize, usize),
    /// Blocks that are wanted.
    columns: Range<usize>,
    rows: Range<usize>,
    stride: usize,
    samples: Vec<u8>,
}

/// How a component lies in the picture.
pub(super) struct Place {
    /// The component's own sampling factors, and the largest of all, across and down.
    pub factors: (usize, usize),
    pub most: (usize, usize),
    pub side: Side,
    /// Pixels that a block's side becomes where the sampling factors are the largest.
    pub pixels: Side,
}

impl Component {
    /// The component of a picture of `size` pixels, for the part of it that is wanted. None where the file does not say what
    /// is needed.
    pub fn new(
        named: &header::Component,
        selector: u8,
        place: &Place,
        size: (usize, usize),
        area: Area,
        tables: &Tables,
    ) -> Option<Self> {
        let factors = tables.factors.get(usize::from(named.table))?.as_ref()?;
        let order = Order {
            places: std::array::from_fn(|at| ZIGZAG.get(at).copied().unwrap_or(64)),
            factors: std::array::from_fn(|at| factors.get(at).copied().unwrap_or(0)),
        };
        let Place { factors, most, side, pixels } = *place;
        // Pixels over samples, along one direction.
        let ratio = |own: usize, most: usize| {
            let (pixels, samples) = (most * pixels as usize, own * side as usize);
            (samples > 0 && pixels.is_multiple_of(samples)).then(|| pixels / samples)
        };
        let ratio = (ratio(factors.0, most.0)?, ratio(factors.1, most.1)?);
        let samples = |pixels: usize, own: usize, most: usize| (pixels * own * side as usize).div_ceil(8 * most);
        let size = (samples(size.0, factors.0, most.0), samples(size.1, factors.1, most.1));
        let columns = blocks(area.left, area.width, ratio.0, size.0, side);
        let rows = blocks(area.top, area.height, ratio.1, size.1, side);
        let stride = columns.len() * side as usize;
        let samples = vec![0; stride * rows.len() * side as usize];
        let tables = (usize::from(selector >> 4), usize::from(selector & 15));
        Some(Self { blocks: factors, ratio, side, size, order, tables, columns, rows, stride, samples })
    }

    /// Whether a block's samples are wanted.
    #[inline(always)]
    pub fn is_wanted(&self, column: usize, row: usize) -> bool {
        self.columns.contains(&column) && self.rows.contains(&row)
    }

    /// Where a block's samples belong, and how far apart their rows are; none for a block that is not wanted.
    #[inline(always)]
    pub fn block(&mut self, column: usize, row: usize) -> Option<(&mut [u8], usize)> {
        if !self.is_wanted(column, row) {
            return None;
        }
        let side = self.side as usize;
        let at = (row - self.rows.start) * side * self.stride + (column - self.columns.start) * side;
        Some((&mut self.samples[at..], self.stride))
    }

    /// The samples of a part, where they are as many as the pixels.
    pub fn area(&self, area: Area) -> Vec<u8> {
        let columns = area.left..area.left + area.width;
        (area.top..area.top + area.height).flat_map(|row| self.row(row, columns.clone())).copied().collect()
    }

    /// Samples of a row.
    pub fn row(&self, row: usize, columns: Range<usize>) -> &[u8] {
        let side = self.side as usize;
        let (left, top) = (self.columns.start * side, self.rows.start * side);
        &self.samples[(row - top) * self.stride..][columns.start - left..columns.end - left]
    }
}

/// The blocks whose samples make the pixels from `start` on, with a neighbour on each side.
fn blocks(start: usize, length: usize, ratio: usize, samples: usize, side: Side) -> Range<usize> {
    let range = with_neighbours(start, length, ratio, samples);
    range.start / side as usize..range.end.div_ceil(side as usize)
}

/// The samples that make the pixels from `start` on, with a neighbour on each side where there is one.
pub(super) fn with_neighbours(start: usize, length: usize, ratio: usize, samples: usize) -> Range<usize> {
    let (first, last) = (start / ratio, (start + length.max(1) - 1) / ratio);
    first.saturating_sub(1).min(samples)..(last + 2).min(samples)
}
