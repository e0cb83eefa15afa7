//! The threads of a pipeline: each takes whatever is to be done next, to decode an image or to run a batch.

use super::state::{Ran, Sizes, State, Submitted, Task, unfilled};
use super::{Event, Pipeline, Source};
use crate::classifier::Prepared;
use crate::device::Ticket;
use crate::device::clock::Stopwatch;
use crate::error::{Error, Result};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Batches that the threads of the CPU run at once, each on one of them. Where there are more threads, they share batches,
/// since every batch under way has memory of its own.
const MOST_RUNNING: usize = 4;

/// Batches under way on a GPU: one that it runs, and one that waits for it.
const SUBMITTED: usize = 2;

/// What the threads work on.
pub(super) struct Crew<S> {
    pipeline: Pipeline,
    state: Mutex<State<S>>,
    changed: Condvar,
    is_profiled: AtomicBool,
}

impl<S: Source> Crew<S> {
    pub fn new(pipeline: Pipeline, sources: Box<dyn Iterator<Item = S> + Send>) -> Self {
        let is_cpu = pipeline.classifier.device().is_cpu();
        let Pipeline { batch, threads, first_alone, profile, .. } = pipeline;
        let running = if is_cpu { threads.min(MOST_RUNNING) } else { SUBMITTED };
        let window = batch.saturating_mul(running + 1).saturating_add(threads);
        // A profile is of a whole batch.
        let sizes = Sizes { batch, first_alone: first_alone && !profile, running, window };
        let state = Mutex::new(State::new(sources, sizes));
        Self { pipeline, state, changed: Condvar::new(), is_profiled: AtomicBool::new(!profile) }
    }

    /// Threads besides the one that asks for results.
    pub fn threads(&self) -> usize {
        if self.pipeline.threads > 1 { self.pipeline.threads } else { 0 }
    }

    pub fn lock(&self) -> MutexGuard<'_, State<S>> {
        // What threads do under the lock leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something has changed.
    pub fn wait<'c>(&self, state: MutexGuard<'c, State<S>>) -> MutexGuard<'c, State<S>> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets all threads see what has changed.
    pub fn notify(&self) {
        self.changed.notify_all();
    }

    /// Works until nothing is left to do.
    pub fn work(&self) {
        let mut state = self.lock();
        loop {
            match self.task(&mut state) {
                Some(task) => {
                    drop(state);
                    self.perform(task);
                    state = self.lock();
                }
                None if state.is_finished() => break,
                None => state = self.wait(state),
            }
        }
        state.alive -= 1;
        drop(state);
        self.notify();
    }

    /// What can be done now.
    pub fn task(&self, state: &mut State<S>) -> Option<Task<S>> {
        state.task(self.pipeline.threads)
    }

    /// Does it. A panic is kept for whoever asks for results.
    pub fn perform(&self, task: Task<S>) {
        let done = catch_unwind(AssertUnwindSafe(|| match task {
            Task::Take(sources) => self.take(sources),
            Task::Run { batch, inputs, alone } => self.run(batch, inputs, alone),
        }));
        if let Err(panic) = done {
            let mut state = self.lock();
            state.panic.get_or_insert(panic);
            state.is_stopped = true;
        }
        self.notify();
    }

    /// Takes the next image, and prepares it.
    fn take(&self, mut sources: Box<dyn Iterator<Item = S> + Send>) {
        let next = sources.next();
        let mut state = self.lock();
        let Some(source) = next else {
            state.end();
            return;
        };
        let place = state.begin();
        state.sources = Some(sources);
        drop(state);
        self.notify();
        let (input, took) = self.prepare(&source);
        self.tell(Event::Prepared { name: source.name(), is_sound: input.is_ok(), took });
        self.lock().fill(place, source, input, took);
    }

    /// The network's input. A decoder that panics costs its own image, and no other.
    fn prepare(&self, source: &S) -> (Result<Prepared<'static>>, Duration) {
        let began = Stopwatch::start();
        let Pipeline { classifier, limits, .. } = &self.pipeline;
        let preprocess = classifier.preprocess();
        let input = || {
            let levels = classifier.takes_levels().then(|| source.prepare_levels(limits, preprocess)).flatten();
            match levels {
                Some(levels) => levels.map(Prepared::from),
                None => source.prepare(limits, preprocess).map(Prepared::from),
            }
        };
        let input = catch_unwind(AssertUnwindSafe(input)).unwrap_or_else(|panic| Err(panicked(source, &*panic)));
        (input, began.elapsed())
    }

    fn run(&self, batch: usize, inputs: Vec<Result<Prepared<'static>>>, alone: bool) {
        let Pipeline { classifier, threads, .. } = &self.pipeline;
        let sound: Vec<&Prepared> = inputs.iter().flatten().collect();
        if !sound.is_empty() && !self.is_profiled.swap(true, Relaxed) {
            self.tell(Event::Profiled(classifier.profile_prepared(&sound)));
        }
        let began = Stopwatch::start();
        if classifier.device().is_cpu() {
            let alone = alone && (2..=MOST_RUNNING).contains(threads);
            let outputs = if alone { classifier.run_alone(&sound) } else { classifier.run_prepared(&sound) };
            let ran = self.ran(inputs, outputs, began, Duration::ZERO);
            self.lock().ran(batch, ran);
        } else {
            let tickets = classifier.submit_prepared(&sound);
            self.lock().submitted(batch, Submitted { inputs, tickets, took: began.elapsed() });
        }
    }

    /// Waits for the oldest batch, which was submitted.
    pub fn finish(&self, batch: usize, Submitted { inputs, tickets, took }: Submitted) {
        let began = Stopwatch::start();
        let wait = |tickets: Vec<Ticket>| tickets.into_iter().map(Ticket::wait).collect::<Result<Vec<_>>>();
        let outputs = tickets.and_then(wait).map(|rows| rows.concat());
        let ran = self.ran(inputs, outputs, began, took);
        self.lock().ran(batch, ran);
        self.notify();
    }

    /// The outputs of each image. Where a batch failed as a whole, its images run one by one, so that each has its own
    /// error.
    fn ran(
        &self,
        inputs: Vec<Result<Prepared<'static>>>,
        outputs: Result<Vec<f32>>,
        began: Stopwatch,
        before: Duration,
    ) -> Ran {
        let classifier = &self.pipeline.classifier;
        let images = inputs.iter().flatten().count();
        if let Err(error) = &outputs {
            self.tell(Event::Failed { images, error });
        }
        let each = classifier.outputs().max(1);
        let mut rows = outputs.as_deref().ok().map(|outputs| outputs.chunks(each));
        let of = |input: Result<Prepared<'static>>| {
            let input = input?;
            match rows.as_mut() {
                Some(rows) => rows.next().map(<[f32]>::to_vec).ok_or_else(unfilled),
                None => classifier.run_prepared(&[input]),
            }
        };
        let outputs = inputs.into_iter().map(of).collect();
        let took = before + began.elapsed();
        self.tell(Event::Ran { images, took });
        Ran { outputs, took }
    }

    fn tell(&self, event: Event) {
        if let Some(events) = &self.pipeline.events {
            events(event);
        }
    }
}

fn panicked(source: &impl Source, panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    let reason = format!("cannot be read for a bug in pretrained: {}", text.unwrap_or("a panic"));
    Error::image(source.name(), reason)
}
