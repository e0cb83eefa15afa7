//! How far a pipeline has come: which images wait, which are being decoded, and which batches run.

use super::Outcome;
use crate::classifier::Prepared;
use crate::device::Ticket;
use crate::error::{Error, Result};
use std::any::Any;
use std::collections::VecDeque;
use std::time::Duration;

/// All that threads share, behind one lock.
pub(super) struct State<S> {
    /// The images that are to come; none while a thread asks for the next, and after the last.
    pub sources: Option<Box<dyn Iterator<Item = S> + Send>>,
    /// Whether the last image was taken.
    pub is_exhausted: bool,
    /// Whether nothing more is to be done.
    pub is_stopped: bool,
    /// What a thread panicked with, for whoever asks for results.
    pub panic: Option<Box<dyn Any + Send>>,
    /// Threads that work.
    pub alive: usize,
    /// Images that were taken from the sources, and those whose results were given out.
    begun: usize,
    given: usize,
    /// Batches that were given out.
    gone: usize,
    batches: VecDeque<Batch<S>>,
    sizes: Sizes,
}

/// How much is done at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub batch: usize,
    pub first_alone: bool,
    /// Batches that run at once.
    pub running: usize,
    /// Images that are begun, and of which no results were given out.
    pub window: usize,
}

/// Neighbours that run together.
struct Batch<S> {
    images: Vec<Image<S>>,
    /// Whether no more come.
    is_closed: bool,
    progress: Progress,
}

/// An image; empty while a thread decodes it.
struct Image<S> {
    source: Option<S>,
    input: Option<Result<Prepared<'static>>>,
    prepared: Duration,
}

enum Progress {
    Gathering,
    /// A thread has it.
    Running,
    Submitted(Submitted),
    Done(Ran),
}

/// A batch on its way through a GPU.
pub(super) struct Submitted {
    pub inputs: Vec<Result<Prepared<'static>>>,
    pub tickets: Result<Vec<Ticket>>,
    /// How long it took to submit.
    pub took: Duration,
}

/// A batch that has run.
pub(super) struct Ran {
    pub outputs: Vec<Result<Vec<f32>>>,
    pub took: Duration,
}

/// What a thread is to do next.
pub(super) enum Task<S> {
    /// Takes the next image, and prepares it.
    Take(Box<dyn Iterator<Item = S> + Send>),
    /// Runs a batch.
    Run {
        batch: usize,
        inputs: Vec<Result<Prepared<'static>>>,
        /// Whether other threads have no time for it.
        alone: bool,
    },
}

/// What has come of the oldest batch.
pub(super) enum Front<S> {
    /// There is none, and none will come.
    Over,
    Unfinished,
    Submitted,
    Done(Vec<Outcome<S>>),
}

impl<S> State<S> {
    pub fn new(sources: Box<dyn Iterator<Item = S> + Send>, sizes: Sizes) -> Self {
        Self {
            sources: Some(sources),
            is_exhausted: false,
            is_stopped: false,
            panic: None,
            alive: 0,
            begun: 0,
            given: 0,
            gone: 0,
            batches: VecDeque::new(),
            sizes,
        }
    }

    /// What can be done now, if anything can.
    pub fn task(&mut self, threads: usize) -> Option<Task<S>> {
        if self.is_stopped {
            return None;
        }
        let under_way = |batch: &Batch<S>| matches!(batch.progress, Progress::Running | Progress::Submitted(_));
        let running = self.batches.iter().filter(|batch| under_way(batch)).count();
        let ready = self.batches.iter().position(Batch::is_ready).filter(|_| running < self.sizes.running);
        if let Some(index) = ready {
            let unfinished = self.batches.iter().filter(|batch| !matches!(batch.progress, Progress::Done(_))).count();
            // At the end, threads without work help.
            let is_end = self.is_exhausted && unfinished < threads;
            let batch = &mut self.batches[index];
            batch.progress = Progress::Running;
            let inputs = batch.images.iter_mut().filter_map(|image| image.input.take()).collect();
            return Some(Task::Run { batch: self.gone + index, inputs, alone: !is_end });
        }
        if self.begun - self.given >= self.sizes.window {
            return None;
        }
        self.sources.take().map(Task::Take)
    }

    /// Whether a thread that found no task has none to wait for either.
    pub fn is_finished(&self) -> bool {
        let gathering = |batch: &Batch<S>| matches!(batch.progress, Progress::Gathering);
        self.is_stopped || self.is_exhausted && !self.batches.iter().any(gathering)
    }

    /// Makes a place for the next image: the number of its batch, and its index there.
    pub fn begin(&mut self) -> (usize, usize) {
        if self.batches.back().is_none_or(|batch| batch.is_closed) {
            self.batches.push_back(Batch { images: Vec::new(), is_closed: false, progress: Progress::Gathering });
        }
        self.begun += 1;
        let number = self.gone + self.batches.len() - 1;
        let size = if number == 0 && self.sizes.first_alone { 1 } else { self.sizes.batch };
        let Some(batch) = self.batches.back_mut() else { return (number, 0) };
        batch.images.push(Image { source: None, input: None, prepared: Duration::ZERO });
        batch.is_closed = batch.images.len() >= size;
        (number, batch.images.len() - 1)
    }

    /// There are no more images.
    pub fn end(&mut self) {
        self.is_exhausted = true;
        self.batches.back_mut().into_iter().for_each(|batch| batch.is_closed = true);
    }

    /// Fills an image's place.
    pub fn fill(&mut self, place: (usize, usize), source: S, input: Result<Prepared<'static>>, prepared: Duration) {
        let batch = self.batch(place.0);
        if let Some(image) = batch.and_then(|batch| batch.images.get_mut(place.1)) {
            *image = Image { source: Some(source), input: Some(input), prepared };
        }
    }

    pub fn submitted(&mut self, batch: usize, submitted: Submitted) {
        if let Some(batch) = self.batch(batch) {
            batch.progress = Progress::Submitted(submitted);
        }
    }

    pub fn ran(&mut self, batch: usize, ran: Ran) {
        if let Some(batch) = self.batch(batch) {
            batch.progress = Progress::Done(ran);
        }
    }

    fn batch(&mut self, number: usize) -> Option<&mut Batch<S>> {
        self.batches.get_mut(number.checked_sub(self.gone)?)
    }

    /// What has come of the oldest batch, which goes if it is done.
    pub fn front(&mut self) -> Front<S> {
        match self.batches.front().map(|batch| &batch.progress) {
            None if self.is_exhausted => Front::Over,
            Some(Progress::Submitted(_)) => Front::Submitted,
            Some(Progress::Done(_)) => self.give(),
            _ => Front::Unfinished,
        }
    }

    fn give(&mut self) -> Front<S> {
        let Some(Batch { images, progress: Progress::Done(ran), .. }) = self.batches.pop_front() else {
            return Front::Unfinished;
        };
        self.gone += 1;
        self.given += images.len();
        let Ran { outputs, took } = ran;
        let sound = outputs.iter().filter(|outputs| outputs.is_ok()).count();
        let ran = took / u32::try_from(sound.max(1)).unwrap_or(u32::MAX);
        let outcomes = images.into_iter().zip(outputs).filter_map(|(image, outputs)| {
            Some(Outcome { source: image.source?, outputs, prepared: image.prepared, ran })
        });
        Front::Done(outcomes.collect())
    }

    /// The oldest batch that was submitted, for the thread that waits for it; and its number. It need not be the oldest of
    /// all: that may still gather, and cannot run while the device is full of later ones.
    pub fn take_submitted(&mut self) -> Option<(usize, Submitted)> {
        for (batch, number) in self.batches.iter_mut().zip(self.gone..) {
            match std::mem::replace(&mut batch.progress, Progress::Running) {
                Progress::Submitted(submitted) => return Some((number, submitted)),
                other => batch.progress = other,
            }
        }
        None
    }

    /// Whether the device has a batch to go on with while the oldest is waited for, or needs none.
    pub fn has_next(&self) -> bool {
        let is_first = self.gone == 0 && self.sizes.first_alone;
        let submitted = |batch: &&Batch<S>| matches!(batch.progress, Progress::Submitted(_));
        is_first || self.batches.iter().filter(submitted).count() > 1
    }
}

impl<S> Batch<S> {
    /// Whether all of its images are prepared, and nobody runs it.
    fn is_ready(&self) -> bool {
        let prepared = || self.images.iter().all(|image| image.input.is_some());
        self.is_closed && matches!(self.progress, Progress::Gathering) && prepared()
    }
}

/// An error of a batch's place that no thread filled, which is a bug.
pub(super) fn unfilled() -> Error {
    Error::Usage("an image has no outputs; this is a bug in pretrained".into())
}
