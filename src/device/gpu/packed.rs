//! A plan's steps with what each takes of a GPU: some of them two at a time.

use super::dispatch::Dispatch;
use super::family::Family;
use super::kernels;
use crate::compile::{Source, Step, Target, Touched};
use crate::device::profile::StepTime;
use crate::device::program::Terms;
use crate::error::{Error, Result};

/// A step whose weights are packed; the plan's are gone. Or two that are computed as one.
pub(super) struct Packed {
    pub dispatch: Dispatch,
    pub profile: StepTime,
    /// What it reads and writes.
    pub source: Source,
    pub other: Option<Source>,
    pub target: Target,
    /// Whether it waits for all before it.
    pub waits: bool,
}

impl Packed {
    /// All of `steps`, in order.
    ///
    /// # Errors
    /// [`Error::Limit`] where packed weights would take too much memory; [`Error::Device`] where a step counts to more than
    /// 32 bits.
    pub fn all(steps: Vec<Step>, family: Family, terms: &Terms) -> Result<Vec<Self>> {
        let mut rest = steps.into_iter().peekable();
        let (mut packed, mut touched) = (Vec::new(), Vec::new());
        while let Some(step) = rest.next() {
            let next = rest.next_if(|next| kernels::are_separable(&step, next, family, terms));
            let dispatch =
                Dispatch::of(&step, next.as_ref(), family, terms, rest.peek().is_none())?.ok_or_else(|| {
                    Error::unsupported(format!(
                        "{} counts to more than 32 bits, which is the shaders' limit",
                        called(&step)
                    ))
                })?;
            let kernel = dispatch.pipeline.shader.name();
            let (profile, touches) = (StepTime::of(&step, kernel, terms.precision), step.touched());
            let (profile, touches, source, last) = match next {
                None => (profile, touches, step.source.clone(), step),
                Some(next) => {
                    let profile = profile.and(StepTime::of(&next, kernel, terms.precision), terms.precision);
                    (profile, touches.and(next.touched()), step.source, next)
                }
            };
            let Step { other, target, .. } = last;
            packed.push(Self { dispatch, profile, source, other, target, waits: true });
            touched.push(touches);
        }
        take_levels(&mut packed);
        for (step, waits) in packed.iter_mut().zip(Touched::waits(touched.into_iter())) {
            step.waits = waits;
        }
        Ok(packed)
    }
}

/// Lets the step that reads the input take levels, where it is the only one: what others read would have to be numbers.
fn take_levels(steps: &mut [Packed]) {
    // Nothing else lies in planes.
    let is_input = |source: &Source| source.lanes == 1;
    let reads = |step: &&mut Packed| is_input(&step.source) || step.other.as_ref().is_some_and(is_input);
    let mut readers = steps.iter_mut().filter(reads);
    if let (Some(only), None) = (readers.next(), readers.next())
        && !only.other.as_ref().is_some_and(is_input)
    {
        only.dispatch.take_levels();
    }
}

/// What errors call a step.
fn called(step: &Step) -> &str {
    if step.name.is_empty() { "a step" } else { &step.name }
}
