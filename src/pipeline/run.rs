//! The results of a pipeline, for whoever iterates over them; and how to stop it.

use super::crew::Crew;
use super::state::Front;
use super::{Outcome, Source};
use std::collections::VecDeque;
use std::fmt;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

/// The results of a [`Pipeline`](super::Pipeline), in the order of the images. To drop it stops the pipeline, and waits
/// until no thread of it works.
pub struct Results<S: Source> {
    crew: Arc<Crew<S>>,
    threads: Vec<JoinHandle<()>>,
    done: VecDeque<Outcome<S>>,
}

/// Stops a pipeline from any thread.
#[derive(Clone)]
pub struct Canceller(Arc<dyn Stop>);

trait Stop: Send + Sync {
    fn stop(&self);
}

impl<S: Source> Stop for Crew<S> {
    fn stop(&self) {
        self.lock().is_stopped = true;
        self.notify();
    }
}

impl Canceller {
    /// Stops the pipeline: no image is begun any more, and no more results come than those of a batch that was being given
    /// out.
    pub fn cancel(&self) {
        self.0.stop();
    }
}

impl<S: Source> Results<S> {
    pub(super) fn begin(crew: Crew<S>) -> Self {
        let crew = Arc::new(crew);
        let mut threads = Vec::new();
        for number in 0..crew.threads() {
            crew.lock().alive += 1;
            let work = {
                let crew = crew.clone();
                move || crew.work()
            };
            match Builder::new().name(format!("pretrained-pipeline-{number}")).spawn(work) {
                Ok(thread) => threads.push(thread),
                // Without any, whoever asks for results does the work.
                Err(_) => crew.lock().alive -= 1,
            }
        }
        Self { crew, threads, done: VecDeque::new() }
    }

    /// What stops it from another thread.
    pub fn canceller(&self) -> Canceller {
        Canceller(self.crew.clone())
    }

    /// Works or waits until the next results are there; none after the last.
    fn more(&mut self) -> Option<VecDeque<Outcome<S>>> {
        let crew = &self.crew;
        let mut state = crew.lock();
        loop {
            if let Some(panic) = state.panic.take() {
                drop(state);
                resume_unwind(panic);
            }
            if state.is_stopped {
                return None;
            }
            let front = state.front();
            let is_submitted = matches!(front, Front::Submitted);
            match front {
                Front::Over => return None,
                Front::Done(outcomes) => {
                    drop(state);
                    crew.notify();
                    return Some(outcomes.into());
                }
                Front::Submitted | Front::Unfinished => {}
            }
            let is_alone = state.alive == 0;
            let task = match is_alone && !(is_submitted && state.has_next()) {
                true => crew.task(&mut state),
                false => None,
            };
            let submitted = if task.is_none() { state.take_submitted() } else { None };
            match (task, submitted) {
                (Some(task), _) => {
                    drop(state);
                    crew.perform(task);
                    state = crew.lock();
                }
                (None, Some((batch, submitted))) => {
                    drop(state);
                    crew.finish(batch, submitted);
                    state = crew.lock();
                }
                (None, None) => state = crew.wait(state),
            }
        }
    }
}

impl<S: Source> Iterator for Results<S> {
    type Item = Outcome<S>;

    fn next(&mut self) -> Option<Outcome<S>> {
        while self.done.is_empty() {
            self.done = self.more()?;
        }
        self.done.pop_front()
    }
}

impl<S: Source> Drop for Results<S> {
    fn drop(&mut self) {
        self.canceller().cancel();
        for thread in self.threads.drain(..) {
            // Panics were kept, and told or not wanted.
            let _ = thread.join();
        }
    }
}

impl<S: Source> fmt::Debug for Results<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Results").field("threads", &self.threads.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Canceller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Canceller").finish_non_exhaustive()
    }
}
