//! The sessions of a classifier: one for each part of the network and each size of input, as many as memory allows.

use crate::device::Session;
use crate::error::{Error, Result};
use crate::graph::Shape;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Sessions that are kept, however small they are: each has objects of the device beside what is counted.
const MOST: usize = 16;

/// How much of the network runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it.
    Whole,
    /// What comes before its last fully connected layer.
    Features,
    /// All up to the layer of this name.
    Layer(String),
}

/// Sessions, of which those that were used last are kept.
#[derive(Debug)]
pub(super) struct Sessions {
    /// The one that was used last comes last.
    kept: Mutex<Vec<Kept>>,
    /// Bytes that all of them may have, unless there is one only.
    most_bytes: u64,
    /// Bytes of the weights, which they share.
    weights: u64,
    compilations: AtomicUsize,
}

#[derive(Debug)]
struct Kept {
    part: Part,
    shape: Shape,
    place: Arc<Mutex<Option<Session>>>,
    /// Values between steps.
    bytes: u64,
}

impl Kept {
    fn is(&self, part: &Part, shape: Shape) -> bool {
        self.shape == shape && self.part == *part
    }
}

impl Sessions {
    /// None yet, of a network with `weights` numbers.
    pub fn new(weights: usize, most_bytes: u64) -> Self {
        let weights = (weights as u64).saturating_mul(size_of::<f32>() as u64);
        Self { kept: Mutex::default(), most_bytes, weights, compilations: AtomicUsize::new(0) }
    }

    /// The session of `part` for inputs of `shape`, which `make` makes if there is none. Threads that ask for it
    /// meanwhile wait for it; those that ask for others do not.
    pub fn get(&self, part: &Part, shape: Shape, make: impl Fn() -> Result<Session>) -> Result<Session> {
        let place = self.place(part, shape);
        let mut session = lock(&place);
        if let Some(session) = &*session {
            return Ok(session.clone());
        }
        self.compilations.fetch_add(1, Relaxed);
        // Room for one more first. Its weights are those of the others, so that only their number counts yet.
        self.trim(part, shape, 0);
        let made = make().or_else(|error| match error {
            // It may be full of sessions that nobody needs now.
            Error::Device { .. } if self.trim(part, shape, self.most_bytes) => make(),
            error => Err(error),
        });
        match made {
            Ok(made) => {
                *session = Some(made.clone());
                self.trim(part, shape, made.activation_bytes());
                Ok(made)
            }
            Err(error) => {
                lock(&self.kept).retain(|kept| !kept.is(part, shape));
                Err(error)
            }
        }
    }

    pub fn compilations(&self) -> usize {
        self.compilations.load(Relaxed)
    }

    /// The place of a session, which is now the one that was used last.
    fn place(&self, part: &Part, shape: Shape) -> Arc<Mutex<Option<Session>>> {
        let mut kept = lock(&self.kept);
        let known = kept.iter().position(|kept| kept.is(part, shape)).map(|index| kept.remove(index));
        let last = known.unwrap_or_else(|| Kept { part: part.clone(), shape, place: Arc::default(), bytes: 0 });
        let place = last.place.clone();
        kept.push(last);
        place
    }

    /// Lets those go that were not used for longest, until one of `part` and `shape` has room for `bytes`. Returns whether
    /// there were any.
    fn trim(&self, part: &Part, shape: Shape, bytes: u64) -> bool {
        let mut kept = lock(&self.kept);
        kept.iter_mut().filter(|kept| kept.is(part, shape)).for_each(|kept| kept.bytes = bytes);
        let mut gone = Vec::new();
        loop {
            let all = kept.iter().fold(self.weights, |sum, kept| sum.saturating_add(kept.bytes));
            let fits = all <= self.most_bytes && kept.len() <= MOST;
            match kept.iter().position(|kept| !kept.is(part, shape)).filter(|_| !fits) {
                Some(oldest) => gone.push(kept.remove(oldest)),
                None => break,
            }
        }
        // What they hold goes after the lock.
        drop(kept);
        !gone.is_empty()
    }
}

/// A panic while one of these locks was held leaves nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
