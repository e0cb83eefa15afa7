//! How far a task reads and writes, worked out from the very tables that its kernel goes by, which checks nothing itself.
//! Memory is bounded by what is said here, whatever a file says of sizes.

use super::memory::Numbers;
use super::operands::{Channels, Operands};

/// The numbers of one image's source, target and second operand, and of a thread's own memory, from the first on, that a
/// task touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reach {
    pub x: usize,
    pub y: usize,
    pub other: usize,
    pub scratch: usize,
}

impl Operands {
    /// How far a kernel reaches that keeps channels apart, and writes `pixels` of each.
    pub fn reach(&self, pixels: usize, other: usize, lanes: usize) -> Option<Reach> {
        let y = end(self.y_offset, &[(self.channels.len(), self.y_group), (pixels, lanes)], lanes)?;
        let mut x = 0;
        for channels in &self.channels {
            let (last, width) = match channels {
                Channels::Together(first) => (*first, lanes),
                Channels::Apart(places) if places.len() <= lanes => (*places.iter().max()?, 1),
                Channels::Apart(_) => return None,
            };
            x = x.max(end(last, &[(self.pixels, self.x_pixel)], width)?);
        }
        Some(Reach { x, y, other, scratch: 0 })
    }
}

/// The end of `width` numbers that lie some strides, each a number of times, after `first`.
pub(super) fn end(first: usize, strides: &[(usize, usize)], width: usize) -> Option<usize> {
    let far = |at: usize, &(count, stride): &(usize, usize)| at.checked_add(count.checked_sub(1)?.checked_mul(stride)?);
    strides.iter().try_fold(first, far)?.checked_add(width)
}

pub(super) fn exactly(factors: &[usize]) -> Option<usize> {
    factors.iter().try_fold(1usize, |product, factor| product.checked_mul(*factor))
}

pub(super) fn holds(numbers: &Numbers, count: usize) -> Option<()> {
    (count <= numbers.len()).then_some(())
}
