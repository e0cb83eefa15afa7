//! Images on their way from a preprocessing to a session: normalised, or as levels that the device normalises.

use crate::device::Batch;
use crate::error::Result;
use crate::graph::Shape;
use crate::vision::{Levels, Planes, Preprocess, RgbImage};
use std::borrow::{Borrow, Cow};

/// An image that is prepared.
#[derive(Debug)]
pub(crate) enum Prepared<'p> {
    /// Normalised.
    Planes(Cow<'p, Planes>),
    /// As the device takes it.
    Levels(Levels),
}

impl From<Planes> for Prepared<'_> {
    fn from(planes: Planes) -> Self {
        Self::Planes(Cow::Owned(planes))
    }
}

impl From<Levels> for Prepared<'_> {
    fn from(levels: Levels) -> Self {
        Self::Levels(levels)
    }
}

impl<'p> Prepared<'p> {
    /// `image` as `preprocess` has it, but for normalising where the device takes levels.
    pub fn of(image: &RgbImage, preprocess: &Preprocess, levels: bool) -> Result<Self> {
        match levels {
            true => preprocess.levels(image).map(Self::from),
            false => preprocess.apply(image).map(Self::from),
        }
    }

    /// Images that callers have.
    pub fn all<P: Borrow<Planes>>(inputs: &'p [P]) -> Vec<Self> {
        inputs.iter().map(|planes| Self::Planes(Cow::Borrowed(planes.borrow()))).collect()
    }

    pub fn shape(&self) -> Shape {
        let (channels, height, width) = match self {
            Self::Planes(planes) => (planes.channels, planes.height, planes.width),
            Self::Levels(levels) => (levels.channels, levels.height, levels.width),
        };
        Shape::new(channels, height, width)
    }

    /// Whether a batch may hold both.
    fn is_like(&self, other: &Self) -> bool {
        self.shape() == other.shape() && matches!(self, Self::Levels(_)) == matches!(other, Self::Levels(_))
    }
}

/// `inputs` in batches of one shape, of `most` images at most.
pub(super) fn batches<'i, 'p: 'i, P: Borrow<Prepared<'p>>>(
    inputs: &'i [P],
    most: usize,
) -> impl Iterator<Item = &'i [P]> {
    inputs.chunk_by(|a, b| a.borrow().is_like(b.borrow())).flat_map(move |alike| alike.chunks(most))
}

/// Images that are alike as a session takes them.
pub(super) fn joined<'b, 'p: 'b, P: Borrow<Prepared<'p>>>(images: &'b [P]) -> Batch<'b> {
    let planes = images.iter().filter_map(|image| match image.borrow() {
        Prepared::Planes(planes) => Some(&planes.values[..]),
        Prepared::Levels(_) => None,
    });
    let levels = images.iter().filter_map(|image| match image.borrow() {
        Prepared::Levels(levels) => Some(&levels.levels[..]),
        Prepared::Planes(_) => None,
    });
    match images.first().map(Borrow::borrow) {
        Some(Prepared::Levels(_)) => Batch::Levels(concat(levels)),
        _ => Batch::Numbers(concat(planes)),
    }
}

/// All of `parts`, which is one of them where there is one.
fn concat<'b, T: Copy>(mut parts: impl Iterator<Item = &'b [T]> + Clone) -> Cow<'b, [T]> {
    let all = parts.clone();
    match (parts.next(), parts.next()) {
        (Some(one), None) => Cow::Borrowed(one),
        _ => {
            // In one piece: it is megabytes, which would be copied as they grow, and given back to the system and taken again.
            let mut values = Vec::with_capacity(all.clone().map(<[T]>::len).sum());
            all.for_each(|part| values.extend_from_slice(part));
            values.into()
        }
    }
}
