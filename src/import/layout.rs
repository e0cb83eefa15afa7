//! How an ONNX tensor lies in an image: each of its axes is a product of parts of the image's sides.
//!
//! So Reshape, Transpose, Flatten, Squeeze and Unsqueeze compute nothing, they only deal the parts out anew; and a
//! channel shuffle is seen where the channels' parts come out in another order.

use crate::graph::Shape;

/// More axes than any exporter makes of an image.
pub const MAX_RANK: usize = 8;

/// A side of a batch of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Batch,
    Channels,
    Rows,
    Columns,
}

/// Some of a side's index: `i` of `size` stands for `i * stride` along it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    pub side: Side,
    pub size: usize,
    pub stride: usize,
}

/// The parts of each axis, outermost first. Parts of size 1 are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout(Vec<Vec<Part>>);

/// What it takes to give every axis one whole side.
#[derive(Debug, PartialEq, Eq)]
pub enum Way {
    /// Nothing.
    Straight,
    /// A channel shuffle in so many groups, after which this is the layout.
    Shuffle(usize, Layout),
    /// A flattening of the image.
    Flatten(Layout),
}

impl Layout {
    /// One side an axis, for `batch` images of `shape`.
    pub fn new(sides: &[Side], batch: usize, shape: Shape) -> Self {
        let axis = |side: &Side| {
            let size = match side {
                Side::Batch => batch,
                Side::Channels => shape.channels,
                Side::Rows => shape.height,
                Side::Columns => shape.width,
            };
            whole(*side, size)
        };
        Self(sides.iter().map(axis).collect())
    }

    /// Channels first.
    pub fn image(batch: usize, shape: Shape) -> Self {
        Self::new(&[Side::Batch, Side::Channels, Side::Rows, Side::Columns], batch, shape)
    }

    pub fn rank(&self) -> usize {
        self.0.len()
    }

    pub fn axis(&self, axis: usize) -> &[Part] {
        self.0.get(axis).map_or(&[], Vec::as_slice)
    }

    pub fn axes(&self) -> impl DoubleEndedIterator<Item = &[Part]> {
        self.0.iter().map(Vec::as_slice)
    }

    /// The tensor's shape, as ONNX has it.
    pub fn dimensions(&self) -> Vec<usize> {
        self.0.iter().map(|axis| size(axis)).collect()
    }

    /// The same numbers in the same order under other dimensions; `None` where these cut through a part.
    pub fn reshape(&self, dimensions: &[usize]) -> Option<Self> {
        let mut parts = self.0.iter().flatten().copied();
        let mut rest: Option<Part> = None;
        let mut axes = Vec::with_capacity(dimensions.len());
        for &dimension in dimensions {
            let mut left = dimension;
            let mut axis = Vec::new();
            while left > 1 {
                let part = rest.take().or_else(|| parts.next())?;
                let taken = if left.is_multiple_of(part.size) { part.size } else { left };
                if !part.size.is_multiple_of(taken) {
                    return None;
                }
                let inner = part.size / taken;
                axis.push(Part { size: taken, stride: part.stride * inner, ..part });
                rest = (inner > 1).then_some(Part { size: inner, ..part });
                left /= taken;
            }
            axes.push(merged(axis));
        }
        (rest.is_none() && parts.next().is_none()).then_some(Self(axes))
    }

    /// The axes in another order.
    pub fn transpose(&self, order: &[usize]) -> Self {
        Self(order.iter().map(|&axis| self.axis(axis).to_vec()).collect())
    }

    /// The layout with the parts of `axes` gone, and the axes too unless they are to be kept.
    pub fn without(&self, axes: &[usize], keep: bool) -> Self {
        let kept = self.0.iter().enumerate().filter_map(|(at, parts)| match axes.contains(&at) {
            true => keep.then(Vec::new),
            false => Some(parts.clone()),
        });
        Self(kept.collect())
    }

    /// The layout with other parts on one axis.
    pub fn with(&self, axis: usize, parts: Vec<Part>) -> Self {
        let replaced = self.0.iter().enumerate();
        Self(replaced.map(|(at, old)| if at == axis { parts.clone() } else { old.clone() }).collect())
    }

    /// With new axes of size 1 on the left.
    pub fn widened(&self, rank: usize) -> Self {
        let new = rank.saturating_sub(self.rank());
        Self(std::iter::repeat_n(Vec::new(), new).chain(self.0.iter().cloned()).collect())
    }

    /// The channels' parts in the order in which they appear.
    pub fn channels(&self) -> impl Iterator<Item = Part> {
        self.0.iter().flatten().filter(|part| part.side == Side::Channels).copied()
    }

    /// The layout after the channels were moved into the order in which their parts appear here.
    pub fn renumbered(&self) -> Self {
        let mut stride = self.channels().map(|part| part.size).product::<usize>();
        let mut number = |part: &Part| match part.side {
            Side::Channels => {
                stride /= part.size.max(1);
                Part { stride, ..*part }
            }
            _ => *part,
        };
        Self(self.0.iter().map(|axis| merged(axis.iter().map(&mut number).collect())).collect())
    }

    /// The groups of the channel shuffle that puts the channels into the order in which their parts appear here: 1 where
    /// they are; `None` where it takes more than a shuffle.
    pub fn shuffle(&self) -> Option<usize> {
        match merged(self.channels().collect())[..] {
            [] | [_] => Some(1),
            [inner, outer] if inner.stride == 1 && outer.stride == inner.size => Some(outer.size),
            _ => None,
        }
    }

    /// How to make every axis a whole side; `None` where no operator of the graph does.
    pub fn way(&self, shape: Shape) -> Option<Way> {
        match self.shuffle()? {
            1 => {}
            groups => return Some(Way::Shuffle(groups, self.renumbered())),
        }
        if self.axes().all(|axis| axis.len() <= 1 && axis.iter().all(|part| is_whole(*part, shape))) {
            return Some(Way::Straight);
        }
        // All that is no batch, in its order, on one axis.
        let image = Self::image(1, shape).0.concat();
        let axis = self.axes().position(|axis| axis.len() > 1)?;
        let others = |at: usize, parts: &[Part]| at == axis || parts.iter().all(|part| part.side == Side::Batch);
        let flat = self.axis(axis) == image && self.axes().enumerate().all(|(at, parts)| others(at, parts));
        flat.then(|| Way::Flatten(self.with(axis, whole(Side::Channels, shape.elements()))))
    }
}

/// The numbers of an axis of these parts.
pub fn size(parts: &[Part]) -> usize {
    parts.iter().map(|part| part.size).product()
}

/// A side as an axis of its own.
pub fn whole(side: Side, size: usize) -> Vec<Part> {
    if size == 1 { Vec::new() } else { vec![Part { side, size, stride: 1 }] }
}

fn is_whole(part: Part, shape: Shape) -> bool {
    part.stride == 1
        && match part.side {
            Side::Batch => true,
            Side::Channels => part.size == shape.channels,
            Side::Rows => part.size == shape.height,
            Side::Columns => part.size == shape.width,
        }
}

/// Neighbours that go on from each other as one part.
fn merged(parts: Vec<Part>) -> Vec<Part> {
    let mut out: Vec<Part> = Vec::with_capacity(parts.len());
    for part in parts {
        match out.last_mut() {
            Some(last) if last.side == part.side && last.stride == part.stride * part.size => {
                *last = Part { size: last.size * part.size, ..part };
            }
            _ => out.push(part),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape::new(6, 4, 5);

    fn image() -> Layout {
        Layout::image(1, SHAPE)
    }

    #[test]
    fn a_shuffle_is_seen_whatever_the_axes() {
        let five = image().reshape(&[1, 2, 3, 4, 5]).unwrap();
        assert_eq!(five.dimensions(), [1, 2, 3, 4, 5]);
        let back = five.transpose(&[0, 2, 1, 3, 4]).reshape(&[1, 6, 4, 5]).unwrap();
        assert_eq!(back.way(SHAPE), Some(Way::Shuffle(2, image())));
        // Without the batch and with the pixels in a row, as some write it.
        let rows = image().reshape(&[3, 2, 20]).unwrap().transpose(&[1, 0, 2]).reshape(&[1, 6, 4, 5]).unwrap();
        assert_eq!(rows.way(SHAPE), Some(Way::Shuffle(3, image())));
        // Done and undone.
        let undone =
            back.reshape(&[1, 3, 2, 4, 5]).unwrap().transpose(&[0, 2, 1, 3, 4]).reshape(&[1, 6, 4, 5]).unwrap();
        assert_eq!(undone, image());
    }

    #[test]
    fn channels_last_and_back_is_nothing() {
        let last = image().transpose(&[0, 2, 3, 1]);
        assert_eq!((last.dimensions(), last.way(SHAPE)), (vec![1, 4, 5, 6], Some(Way::Straight)));
        assert_eq!(last.transpose(&[0, 3, 1, 2]), image());
        let flat = last.reshape(&[1, 120]).unwrap();
        assert_eq!(flat.way(SHAPE), None);
        assert_eq!(
            flat.axis(1).iter().map(|part| part.side).collect::<Vec<_>>(),
            [Side::Rows, Side::Columns, Side::Channels]
        );
        let straight = image().reshape(&[1, 120]).unwrap().way(SHAPE);
        assert_eq!(straight, Some(Way::Flatten(Layout::new(&[Side::Batch, Side::Channels], 1, Shape::vector(120)))));
    }

    #[test]
    fn what_cuts_through_a_side_is_refused() {
        assert_eq!(image().reshape(&[1, 4, 30]), None);
        assert_eq!(image().reshape(&[1, 6, 4, 6]), None);
        assert_eq!(image().reshape(&[1, 6, 4]), None);
        assert!(image().reshape(&[1, 6, 2, 2, 5, 1]).is_some());
        let batch = Layout::image(4, SHAPE);
        assert_eq!(batch.reshape(&[4, 120]).unwrap().dimensions(), [4, 120]);
        assert_eq!(batch.reshape(&[480]).unwrap().reshape(&[4, 6, 4, 5]).unwrap(), batch);
    }
}
