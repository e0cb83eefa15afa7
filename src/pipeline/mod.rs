//! Many images in, results out in the order of the images: threads decode, while the device computes.

mod crew;
mod run;
mod source;
mod state;

pub use run::{Canceller, Results};
pub use source::Source;

use crate::classifier::Classifier;
use crate::device::StepTime;
use crate::error::{Error, Result};
use crate::vision::Limits;
use crew::Crew;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

/// Classifies many images: some threads read, decode and prepare them a little ahead, and the device runs them in batches.
///
/// ```no_run
/// use pretrained::{Classifier, Pipeline};
/// use std::path::PathBuf;
///
/// let classifier = Classifier::builder().weights("shufflenetv2_x1-5666bf0f80.pth").build()?;
/// let photos = std::fs::read_dir("photos").into_iter().flatten().flatten().map(|entry| entry.path());
/// for result in Pipeline::new(&classifier).run(photos) {
///     let best = result.outputs.and_then(|outputs| classifier.top_k(&outputs, 1));
///     println!("{}: {best:?}", result.source.display());
/// }
/// # Ok::<(), pretrained::Error>(())
/// ```
///
/// - Results come in the order of the images, each as soon as its batch has run and those before it are taken.
/// - An image that fails has an error, and costs the others nothing. Where a batch fails as a whole, its images run one by
///   one. Where a decoder panics, its image has an error.
/// - Memory is bounded: threads stop while as many images wait as a few batches hold.
/// - To drop the [`Results`] stops everything, and so does their [`Canceller`].
#[derive(Clone)]
pub struct Pipeline {
    classifier: Classifier,
    batch: usize,
    first_alone: bool,
    threads: usize,
    limits: Limits,
    profile: bool,
    events: Option<Arc<Listener>>,
}

/// Who is told of events.
type Listener = dyn Fn(Event) + Send + Sync;

/// What happens on the way, for progress bars and statistics. Threads of the pipeline tell it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// An image was read, decoded and prepared, or could not be.
    Prepared {
        /// What the image is called.
        name: &'a Path,
        /// Whether it can be run.
        is_sound: bool,
        /// How long it took.
        took: Duration,
    },
    /// A batch has run.
    Ran {
        /// Its images, but for those that could not be prepared.
        images: usize,
        /// How long it took.
        took: Duration,
    },
    /// A batch failed as a whole, and its images run one by one.
    Failed {
        /// Its images.
        images: usize,
        /// Why.
        error: &'a Error,
    },
    /// How long each step took for the first batch, where [`Pipeline::profile`] asks for it.
    Profiled(Result<Vec<StepTime>>),
}

/// An image, and what became of it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome<S> {
    /// Where it came from.
    pub source: S,
    /// The network's outputs, as many as [`Classifier::outputs`] says; [`Classifier::top_k`] ranks the classes by them.
    pub outputs: Result<Vec<f32>>,
    /// How long it took to read, decode and prepare it.
    pub prepared: Duration,
    /// Its share of the time in which its batch ran.
    pub ran: Duration,
}

impl Pipeline {
    /// A pipeline in batches of as many images as `classifier` takes, on as many threads as there are cores.
    pub fn new(classifier: &Classifier) -> Self {
        Self {
            classifier: classifier.clone(),
            batch: classifier.options().max_batch,
            first_alone: false,
            threads: available_parallelism().map_or(1, NonZeroUsize::get),
            limits: Limits::default(),
            profile: false,
            events: None,
        }
    }

    /// Images of a batch, at most; at least 1.
    pub fn batch(self, images: usize) -> Self {
        Self { batch: images.max(1), ..self }
    }

    /// Whether the first image runs by itself, so that its result does not wait for others.
    pub fn first_alone(self, is_alone: bool) -> Self {
        Self { first_alone: is_alone, ..self }
    }

    /// Threads that decode; on the `cpu` device the same threads compute, so that there are not more of both together than
    /// this. With 1, whoever asks for results does all of it.
    pub fn threads(self, threads: usize) -> Self {
        Self { threads: threads.max(1), ..self }
    }

    /// What images may ask of memory.
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Whether the first batch runs step by step before it runs, for [`Event::Profiled`].
    pub fn profile(self, is_wanted: bool) -> Self {
        Self { profile: is_wanted, ..self }
    }

    /// Calls `events` with what happens on the way. It is called by several threads, and should return soon.
    pub fn on_event(self, events: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self { events: Some(Arc::new(events)), ..self }
    }

    /// Begins with `sources`, and gives their results in their order. Threads take the sources from the iterator as they
    /// need them, one at a time.
    pub fn run<S: Source, I>(&self, sources: I) -> Results<S>
    where
        I: IntoIterator<Item = S>,
        I::IntoIter: Send + 'static,
    {
        Results::begin(Crew::new(self.clone(), Box::new(sources.into_iter())))
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { batch, threads, .. } = self;
        f.debug_struct("Pipeline").field("batch", batch).field("threads", threads).finish_non_exhaustive()
    }
}
