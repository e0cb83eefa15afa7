//! A step as the GPU takes it: a pipeline, its parameters, its table and its weights, and how many workgroups run it.

use super::family::Family;
use super::groups::LANES;
use super::kernels::{self, Kernel};
use super::shader::{Narrow, Params, Pipeline};
use super::workgroups::Workgroups;
use crate::compile::Step;
use crate::device::precision::Precision;
use crate::device::program::Terms;
use crate::error::Result;
use crate::graph::{Activation, Padding, Window};
use std::cell::Cell;

/// A step that is packed, and not bound to buffers yet.
pub(super) struct Dispatch {
    pub pipeline: Pipeline,
    /// The pipeline for levels, where the step reads the input and can take them.
    pub levels: Option<Pipeline>,
    pub params: Params,
    pub table: Vec<u32>,
    /// Weight and bias, packed.
    pub weights: Option<[Vec<f32>; 2]>,
    pub workgroups: Workgroups,
    /// Whether two steps are computed as one.
    pub joined: bool,
}

impl Dispatch {
    /// Chooses the kernel for `step`, and packs what it needs on these `terms`; nothing where a size or a place is over the
    /// 32 bits that shaders count in. The input and the `last` step's output are never halves.
    /// A `next` step is computed with it.
    pub fn of(step: &Step, next: Option<&Step>, family: Family, terms: &Terms, last: bool) -> Result<Option<Self>> {
        let half = terms.precision == Precision::F16;
        let joined = next.map(|next| Step { source: step.source.clone(), ..next.clone() });
        let whole = joined.as_ref().unwrap_or(step);
        let narrow = Narrow {
            x: half && step.source.lanes == LANES,
            y: half && !last,
            weights: half,
            other: half && whole.other.is_some(),
        };
        let kernel = match next {
            None => kernels::of(step, family, terms, narrow.y)?,
            Some(next) => kernels::separable(step, next, terms)?,
        };
        let number = |activation: Option<Activation>| activation.map_or(0, |activation| activation.place() + 1);
        let applied = kernel.shader.parts().activations.iter().zip([whole.activation, kernel.inner]);
        let activated = applied.map(|(applied, activation)| (applied.number, number(activation)));
        let counts = Counts { fit: Cell::new(true) };
        let constants = kernel.constants.iter().copied().chain(activated);
        let dispatch = Self {
            pipeline: Pipeline {
                shader: kernel.shader,
                narrow,
                constants: constants.map(|(name, value)| (name, counts.narrow(value))).collect(),
            },
            levels: None,
            params: counts.params(whole, &kernel),
            table: kernel.table.into_iter().map(|value| counts.narrow(value)).collect(),
            weights: kernel.weights,
            workgroups: kernel.workgroups,
            joined: next.is_some(),
        };
        Ok(counts.fit.get().then_some(dispatch))
    }

    /// Gives it a pipeline for levels, if its shader can take them.
    pub fn take_levels(&mut self) {
        if self.pipeline.shader.parts().x.is_some_and(|x| x.has_levels) {
            let narrow = Narrow { x: true, ..self.pipeline.narrow };
            self.levels = Some(Pipeline { narrow, ..self.pipeline.clone() });
        }
    }

    /// Bytes of the packed weight.
    pub fn weight_bytes(&self) -> u64 {
        let bytes = if self.pipeline.narrow.weights { Precision::F16 } else { Precision::F32 }.bytes();
        self.weights.as_ref().map_or(0, |[weight, _]| (weight.len() * bytes) as u64)
    }
}

/// Counts of 32 bits, and whether all that were asked for fit.
struct Counts {
    fit: Cell<bool>,
}

impl Counts {
    fn narrow(&self, value: usize) -> u32 {
        u32::try_from(value).unwrap_or_else(|_| {
            self.fit.set(false);
            0
        })
    }

    fn params(&self, step: &Step, kernel: &Kernel) -> Params {
        let n = |value| self.narrow(value);
        let (source, target, other) = (&step.source, &step.target, step.other.as_ref());
        let Window { stride, padding: Padding { top, left, bottom, right }, dilation, .. } = kernel.window;
        Params {
            x_image: n(source.image_stride),
            y_image: n(target.image_stride),
            y_offset: n(target.offset),
            y_group: n(target.group_stride()),
            x_height: n(source.height),
            x_width: n(source.width),
            y_height: n(target.shape.height),
            y_width: n(target.shape.width),
            x_pixel: n(source.lanes),
            inputs: n(kernel.inputs),
            runs: n(kernel.runs),
            out_groups: n(target.shape.channels.div_ceil(LANES)),
            rows: n(kernel.rows),
            stride: stride.map(n),
            dilation: dilation.map(n),
            padding: [top, left, bottom, right].map(n),
            other_image: n(other.map_or(0, |other| other.image_stride)),
            other_offset: n(other.and_then(|other| other.planes.first().copied()).unwrap_or(0)),
            other_pixel: n(other.filter(|other| other.height * other.width > 1).map_or(0, |other| other.lanes)),
            images: n(kernel.images),
            activation: step.activation.map_or([0.0; 2], Activation::settings),
            inner: kernel.inner.map_or([0.0; 2], Activation::settings),
            unused: [0; 3],
        }
    }
}
