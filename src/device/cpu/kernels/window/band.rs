//! The part of an image that a unit computes.

use super::geometry::{Window, WindowOp};
use super::image::Image;
use crate::device::cpu::kernels::region::Region;
use crate::device::cpu::operands::{Channels, Operands};
use crate::device::cpu::places::Places;
use crate::device::cpu::simd::Vector;
use std::ops::Range;

/// Some rows of one vector of channels of one image.
pub(in crate::device::cpu::kernels) struct Band {
    pub group: usize,
    pub image: Image,
    /// Rows of the output, and where its very first is.
    pub rows: Range<usize>,
    pub y: *mut f32,
}

impl Band {
    /// That of a unit.
    ///
    /// # Safety
    /// 1 to 4 of [`places`](crate::device::cpu::places).
    #[inline(always)]
    pub unsafe fn new<V: Vector>(window: &Window, operands: &Operands, unit: usize, places: Places) -> Self {
        let (groups, bands) = (operands.channels.len(), window.height.div_ceil(window.rows));
        let (number, group, band) = (unit / (groups * bands), unit / bands % groups, unit % bands);
        let first = band * window.rows;
        let region = &window.region;
        // SAFETY: 1 and 2, for the band fits the scratch memory; 1 and 3, for the rows of the unit lie within the image, and the
        // image within the batch; 4.
        unsafe {
            let x = places.x.add(number * operands.x_image);
            let image = match &operands.channels[group] {
                Channels::Together(at) => {
                    let Region { height, width, top, left, .. } = *region;
                    Image { x: x.add(*at), height, width, top, left, first: 0 }
                }
                Channels::Apart(lanes) => {
                    let outside = match window.op {
                        WindowOp::Max => f32::NEG_INFINITY,
                        WindowOp::Sum { .. } | WindowOp::Average { .. } => 0.0,
                    };
                    for (lane, at) in lanes.iter().enumerate() {
                        region.copy_lane(
                            x.add(*at),
                            places.scratch.add(lane),
                            first * window.window.stride[0],
                            outside,
                        );
                    }
                    let (height, width) = (region.rows, region.columns);
                    Image { x: places.scratch, height, width, top: 0, left: 0, first }
                }
            };
            let y = places.y.add(number * operands.y_image + operands.y_offset + group * operands.y_group);
            Self { group, image, rows: first..window.height.min(first + window.rows), y }
        }
    }
}
