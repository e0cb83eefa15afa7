//! Weights in memory: where there are many, in huge pages if the system has them, since a core knows the places of only so
//! many pages at once, and a fully connected layer walks through a thousand small ones.

use memmap2::MmapMut;
use std::ops::Deref;

/// Bytes from which huge pages are asked for: less than one of them gains nothing.
const LARGE: usize = 2 << 20;

/// Numbers that do not change.
#[derive(Debug)]
pub(super) enum Numbers {
    Heap(Vec<f32>),
    Pages(MmapMut, usize),
}

impl From<Vec<f32>> for Numbers {
    fn from(values: Vec<f32>) -> Self {
        match huge_pages(size_of_val(&values[..])) {
            Some(mut pages) => {
                let bytes: &[u8] = bytemuck::cast_slice(&values);
                pages[..bytes.len()].copy_from_slice(bytes);
                Self::Pages(pages, bytes.len())
            }
            None => Self::Heap(values),
        }
    }
}

impl Deref for Numbers {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Self::Heap(values) => values,
            // Pages are aligned to far more than a number.
            Self::Pages(pages, bytes) => bytemuck::cast_slice(&pages[..*bytes]),
        }
    }
}

#[cfg(target_os = "linux")]
fn huge_pages(bytes: usize) -> Option<MmapMut> {
    if bytes < LARGE {
        return None;
    }
    let pages = MmapMut::map_anon(bytes.next_multiple_of(LARGE)).ok()?;
    pages.advise(memmap2::Advice::HugePage).ok()?;
    Some(pages)
}

#[cfg(not(target_os = "linux"))]
fn huge_pages(_bytes: usize) -> Option<MmapMut> {
    None
}
