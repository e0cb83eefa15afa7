//! A model made ready on one device for one input size.

use super::batch::Batch;
use super::program::{Program, Slot, Terms};
use super::ticket::{IdleSlots, Staged, Ticket};
use super::{Device, Precision, StepTime};
use crate::checkpoint::Limits;
use crate::compile::{Budget, compile_within};
use crate::error::{Error, Result};
use crate::graph::Shape;
use crate::model::Model;
use crate::vision::Normalisation;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

/// How a session is made.
///
/// ```
/// use pretrained::{Precision, SessionOptions};
/// let options = SessionOptions::default().max_batch(8).precision(Precision::F16);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionOptions {
    /// Images that run at once, at most; 1 by default.
    pub max_batch: usize,
    /// How wide numbers are in the device's memory; `f32` by default.
    pub precision: Precision,
    /// How levels are normalised, for [`Session::run_levels`] and its like, which are refused without it; none by default.
    pub levels: Option<Normalisation>,
    /// What the plan may take of memory and work: [`Limits::plan_bytes`], [`Limits::activation_bytes`] and
    /// [`Limits::operations`].
    pub limits: Limits,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self { max_batch: 1, precision: Precision::F32, levels: None, limits: Limits::default() }
    }
}

impl SessionOptions {
    /// Sets [`max_batch`](Self::max_batch).
    pub fn max_batch(self, images: usize) -> Self {
        Self { max_batch: images, ..self }
    }

    /// Sets [`precision`](Self::precision).
    pub fn precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// Sets [`levels`](Self::levels).
    pub fn levels(self, normalisation: Normalisation) -> Self {
        Self { levels: Some(normalisation), ..self }
    }

    /// Sets [`limits`](Self::limits).
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }
}

/// A model made ready on one device for one input size, and any batch up to a maximum.
///
/// A clone is the same session. Threads may share one: each run has memory of its own, and results do not depend on what
/// else runs.
#[derive(Debug, Clone)]
pub struct Session(Arc<Ready>);

#[derive(Debug)]
struct Ready {
    program: Arc<dyn Program>,
    idle: IdleSlots,
    input: Shape,
    outputs: usize,
    max_batch: usize,
    levels: Option<Normalisation>,
}

impl Session {
    /// Compiles `model` for images of shape `input`, and puts it on `device`. Blocks until the device is ready.
    ///
    /// # Errors
    /// [`Error::Usage`] where the shape does not fit the network, `max_batch` is 0, or levels are normalised for another number
    /// of channels; [`Error::Limit`] where the plan would
    /// take more memory or work than the [`Limits`] allow; [`Error::Device`] where the device has not the memory or does not
    /// store numbers of this width, or where a buffer is over its limit.
    pub fn new(device: &Device, model: &Model, input: Shape, options: &SessionOptions) -> Result<Self> {
        let (session, first) = Self::prepare(device, model, input, options)?;
        if let Some(mut slot) = first {
            slot.wait()?;
            session.warmed_up(slot);
        }
        Ok(session)
    }

    /// As [`new`](Self::new). Compiling takes the thread that polls; the device's first run is awaited.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub async fn create(device: &Device, model: &Model, input: Shape, options: &SessionOptions) -> Result<Self> {
        let (session, first) = Self::prepare(device, model, input, options)?;
        if let Some(mut slot) = first {
            poll_fn(|cx| if slot.poll(Some(cx.waker())) { Poll::Ready(()) } else { Poll::Pending }).await;
            slot.wait()?;
            session.warmed_up(slot);
        }
        Ok(session)
    }

    /// A session, and the slot in which its first run is under way, if it takes one.
    fn prepare(
        device: &Device,
        model: &Model,
        input: Shape,
        options: &SessionOptions,
    ) -> Result<(Self, Option<Box<dyn Slot>>)> {
        let &SessionOptions { max_batch, precision, ref levels, ref limits } = options;
        if max_batch == 0 {
            return Err(Error::Usage("a batch holds at least one image".into()));
        }
        let graph = &model.network().graph;
        let shapes = graph.shapes(input)?;
        let outputs = shapes[graph.output().0].elements();
        if let Some(channels) = levels.as_ref().map(Normalisation::channels).filter(|count| *count != input.channels) {
            let message = format!("levels are normalised for {channels} channels, and images are of {input}");
            return Err(Error::Usage(message));
        }
        let engine = device.engine();
        engine.stores(precision)?;
        let budget = Budget::new(limits, model.weights());
        let plan = compile_within(graph, model.weights(), &shapes, engine.layout(), limits, &budget)?;
        let terms = Terms { max_batch, precision, levels: levels.as_ref(), limits, budget: &budget };
        let program = engine.clone().program(plan, &terms)?;
        let mut slot = program.clone().slot()?;
        let idle = IdleSlots::default();
        let first = if program.warms_up() {
            slot.write(&match program.takes_levels() {
                true => Batch::Levels(vec![0; input.elements()].into()),
                false => Batch::Numbers(vec![0.0; input.elements()].into()),
            })?;
            slot.submit(1)?;
            Some(slot)
        } else {
            idle.give(slot);
            None
        };
        Ok((Self(Arc::new(Ready { program, idle, input, outputs, max_batch, levels: levels.clone() })), first))
    }

    fn warmed_up(&self, slot: Box<dyn Slot>) {
        self.0.program.warmed_up();
        self.0.idle.give(slot);
    }

    /// Runs a batch: images one after the other, channels first, each of [`Session::input`]'s shape.
    /// Returns [`Session::outputs`] numbers an image, before any softmax.
    ///
    /// # Errors
    /// [`Error::Usage`] where the batch is empty, over the maximum, or not a whole number of images;
    /// [`Error::Device`] where the device fails.
    pub fn run(&self, batch: &[f32]) -> Result<Vec<f32>> {
        self.run_batch(batch.into())
    }

    /// As [`run`](Self::run), of images before they are normalised: a level from 0 to 255 in the place of each number. The
    /// session normalises them as [`SessionOptions::levels`] says, on the device where that suits it: a quarter of the bytes is
    /// copied there then. A session that takes levels takes numbers too.
    ///
    /// # Errors
    /// As [`run`](Self::run), and [`Error::Usage`] where the session was made without [`SessionOptions::levels`].
    pub fn run_levels(&self, batch: &[u8]) -> Result<Vec<f32>> {
        self.run_batch(batch.into())
    }

    /// Begins to run a batch as [`run`](Self::run) would, and does not wait for its results. Several batches may be on
    /// their way at once; they begin in the order in which they were submitted.
    ///
    /// # Errors
    /// As [`run`](Self::run); what goes wrong later, the ticket tells.
    pub fn submit(&self, batch: &[f32]) -> Result<Ticket> {
        self.submit_batch(batch.into())
    }

    /// As [`submit`](Self::submit), of images before they are normalised.
    ///
    /// # Errors
    /// As [`run_levels`](Self::run_levels); what goes wrong later, the ticket tells.
    pub fn submit_levels(&self, batch: &[u8]) -> Result<Ticket> {
        self.submit_batch(batch.into())
    }

    /// Copies a batch to where the device reads it, while others may run, and does not run it yet. To submit it is then a
    /// matter of microseconds.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn stage(&self, batch: &[f32]) -> Result<Staged> {
        self.stage_batch(batch.into())
    }

    /// As [`stage`](Self::stage), of images before they are normalised.
    ///
    /// # Errors
    /// As [`run_levels`](Self::run_levels).
    pub fn stage_levels(&self, batch: &[u8]) -> Result<Staged> {
        self.stage_batch(batch.into())
    }

    /// Runs a batch, and says how long each step took. Steps are timed one by one, so that they take longer together than
    /// a run does.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn profile(&self, batch: &[f32]) -> Result<Vec<StepTime>> {
        self.profile_batch(batch.into())
    }

    /// The shape of one image.
    pub fn input(&self) -> Shape {
        self.0.input
    }

    /// Numbers that come out for one image.
    pub fn outputs(&self) -> usize {
        self.0.outputs
    }

    /// The largest batch.
    pub fn max_batch(&self) -> usize {
        self.0.max_batch
    }

    /// Bytes of the buffers in which values lie between steps. Values whose lives do not overlap share a buffer, so this is
    /// their peak; weights, and the way in and out, come on top. On a GPU it is for the largest batch, and all runs share
    /// them; the `cpu` device runs a large batch a few images at a time, and has such memory for each run under way.
    pub fn activation_bytes(&self) -> u64 {
        self.0.program.activation_bytes()
    }
}

/// The same for numbers and levels.
impl Session {
    pub(crate) fn run_batch(&self, batch: Batch) -> Result<Vec<f32>> {
        let (batch, count) = self.accepted(batch)?;
        self.0.idle.take(&self.0.program)?.with(|slot| slot.run(&batch, count))
    }

    /// As [`run_batch`](Self::run_batch); on the `cpu` device without other threads than this one.
    pub(crate) fn run_alone(&self, batch: Batch) -> Result<Vec<f32>> {
        let (batch, count) = self.accepted(batch)?;
        self.0.idle.take(&self.0.program)?.with(|slot| slot.run_alone(&batch, count))
    }

    pub(crate) fn submit_batch(&self, batch: Batch) -> Result<Ticket> {
        self.stage_batch(batch)?.submit()
    }

    fn stage_batch(&self, batch: Batch) -> Result<Staged> {
        let (batch, count) = self.accepted(batch)?;
        let mut lease = self.0.idle.take(&self.0.program)?;
        lease.with(|slot| slot.write(&batch))?;
        Ok(Staged::new(lease, count))
    }

    pub(crate) fn profile_batch(&self, batch: Batch) -> Result<Vec<StepTime>> {
        let (batch, count) = self.accepted(batch)?;
        let mut lease = self.0.idle.take(&self.0.program)?;
        lease.with(|slot| slot.write(&batch))?;
        let Some(slot) = lease.into_slot() else { return Ok(Vec::new()) };
        let (count, times) = slot.profile(count)?;
        let steps = self.0.program.steps().iter().zip(times);
        Ok(steps.map(|(step, time)| step.clone().of_batch(count, time)).collect())
    }

    /// The batch as the program takes it, and how many images it holds.
    fn accepted<'b>(&self, batch: Batch<'b>) -> Result<(Batch<'b>, usize)> {
        let Ready { program, input, max_batch, levels, .. } = &*self.0;
        let (length, unit) = (batch.len(), batch.unit());
        let count = length / input.elements();
        if count == 0 || count > *max_batch || count * input.elements() != length {
            let message = format!("a batch of {length} {unit} is not 1 to {max_batch} images of {input}");
            return Err(Error::Usage(message));
        }
        let Batch::Levels(bytes) = &batch else { return Ok((batch, count)) };
        let normalisation = levels.as_ref().ok_or_else(|| {
            Error::Usage("the session takes numbers, not levels: `SessionOptions::levels` says how to normalise".into())
        })?;
        if program.takes_levels() {
            return Ok((batch, count));
        }
        let numbers = normalisation.numbers(bytes, input.pixels());
        Ok((Batch::Numbers(numbers.into()), count))
    }
}
