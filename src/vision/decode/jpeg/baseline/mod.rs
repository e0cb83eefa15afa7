//! Common JPEGs, which are one scan of Huffman codes (T.81, annex F): what libjpeg makes of them to the bit, and of no more
//! pixels than are wanted; or smaller, from the lowest frequencies alone.
//!
//! Every code of the file is read, so that a damaged one is noticed wherever it lies; blocks that are not wanted are passed
//! over. Whatever is out of the ordinary is none: other decoders know what to say of it.

mod colour;
mod component;
mod data;
mod huffman;
mod tables;
mod transform;

use super::Colour;
use super::header::{Frame, Header};
use crate::vision::picture::{Area, Samples};
use component::{Component, Place};
use data::{Bits, Data};
use huffman::{Block, END};
use tables::Tables;
pub(super) use transform::Side;

/// Where the coefficients of the file belong in a block (T.81, figure A.6).
const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

/// Whether a file is of the common kind, by its header.
pub(super) fn suits(header: &Header, frame: &Frame, colour: Colour) -> bool {
    let [scan] = &header.scans[..] else { return false };
    let in_order = scan.components.iter().copied().eq(0..frame.components.len());
    let whole = scan.band == (0, 63) && scan.low_bits == 0;
    let finest = frame.components.first().is_some_and(|luma| (luma.h, luma.v) == frame.most());
    let kinds = matches!((frame.components.len(), colour), (1, Colour::Grey) | (3, Colour::YCbCr));
    matches!(frame.process, 0xc0 | 0xc1) && in_order && whole && finest && kinds
}

/// Width and height of a picture whose blocks of 8x8 become `side` pixels.
pub(super) fn size(frame: &Frame, side: Side) -> (u32, u32) {
    let scaled = |pixels: u32| (pixels * side as u32).div_ceil(8);
    (scaled(frame.width), scaled(frame.height))
}

/// The wanted part of a picture whose blocks of 8x8 become `side` pixels.
pub(super) fn decode(bytes: &[u8], header: &Header, frame: &Frame, side: Side, area: Area) -> Option<Samples<'static>> {
    let tables = Tables::read(&header.tables)?;
    let mut components = components(header, frame, side, area, &tables)?;
    let data = Data::read(bytes.get(header.data?..)?)?;
    // A component by itself has units of one block, whatever its factors.
    let (across, down) = frame.most();
    let (across, down) = if components.len() == 1 { (1, 1) } else { (across, down) };
    let units = (frame.width.div_ceil(8 * across) as usize, frame.height.div_ceil(8 * down) as usize);
    let last = read(&data, &tables, units, &mut components)?;
    // Where the end was missing, the picture has already been found to be whole, and anything may follow.
    if if header.has_end { !last.is_spent() } else { last.is_overdrawn() } {
        return None;
    }
    let components: [Component; 3] = match components.try_into() {
        Ok(components) => components,
        Err(grey) => return Some(Samples::Grey(grey.first()?.area(area))),
    };
    Some(Samples::Rgb(colour::rgb(&components, area).into()))
}

fn components(header: &Header, frame: &Frame, side: Side, area: Area, tables: &Tables) -> Option<Vec<Component>> {
    let selectors = &header.scans.first()?.selectors;
    let most = frame.most();
    let alone = frame.components.len() == 1;
    let component = |(named, selector): (&super::header::Component, &u8)| {
        let (most, factors) = if alone { ((1, 1), (1, 1)) } else { (most, (named.h, named.v)) };
        // A smaller picture takes more of what has fewer samples, as libjpeg does.
        let mut own = side;
        let mut spread = (most.0 / factors.0, most.1 / factors.1);
        while let (Some(doubled), (0, 0)) = (own.doubled(), (spread.0 % 2, spread.1 % 2)) {
            (own, spread) = (doubled, (spread.0 / 2, spread.1 / 2));
        }
        let own = if side == Side::Eight { side } else { own };
        let wide = |(across, down): (u32, u32)| (across as usize, down as usize);
        let place = Place { factors: wide(factors), most: wide(most), side: own, pixels: side };
        let size = (frame.width as usize, frame.height as usize);
        Component::new(named, *selector, &place, size, area, tables)
    };
    frame.components.iter().zip(selectors).map(component).collect()
}

/// Reads all blocks, and makes samples of those that are wanted. The bits after the last; none where the data are not what
/// the header says.
fn read<'d>(data: &'d Data, tables: &Tables, units: (usize, usize), components: &mut [Component]) -> Option<Bits<'d>> {
    let total = units.0.checked_mul(units.1)?;
    let restart = tables.restart.unwrap_or(total);
    if data.intervals() != total.div_ceil(restart) {
        return None;
    }
    let mut bits = data.interval(0)?;
    let mut before = [0i16; 4];
    for unit in 0..total {
        if unit > 0 && unit % restart == 0 {
            bits = bits.is_spent().then(|| data.interval(unit / restart))??;
            before = [0; 4];
        }
        let (column, row) = (unit % units.0, unit / units.0);
        for (component, before) in components.iter_mut().zip(&mut before) {
            read_unit(&mut bits, tables, component, before, (column, row))?;
        }
    }
    Some(bits)
}

/// Reads a component's blocks of a unit. `before` is its last first coefficient.
#[inline(always)]
fn read_unit(
    bits: &mut Bits,
    tables: &Tables,
    component: &mut Component,
    before: &mut i16,
    (column, row): (usize, usize),
) -> Option<()> {
    let first = tables.first.get(component.tables.0)?.as_ref()?;
    let others = tables.others.get(component.tables.1)?.as_ref()?;
    let (across, down) = component.blocks;
    let side = component.side;
    for at in 0..across * down {
        let (column, row) = (column * across + at % across, row * down + at / across);
        *before = before.wrapping_add(first.value(bits));
        let dc = before.wrapping_mul(component.order.factors[0]);
        if component.is_wanted(column, row) && side != Side::One {
            let mut block: Block = [0; 65];
            block[0] = dc;
            let end = others.block(bits, &mut block, &component.order, side.last())?;
            let (out, stride) = component.block(column, row)?;
            match end {
                END => transform::flat(dc, side, out, stride),
                _ => transform::transform(&block, side, out, stride),
            }
        } else {
            others.skip(bits, 0)?;
            if let Some((out, stride)) = component.block(column, row) {
                transform::flat(dc, side, out, stride);
            }
        }
    }
    Some(())
}
