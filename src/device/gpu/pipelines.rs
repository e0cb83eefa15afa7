//! Compiled pipelines, each built at its first use, and those that a session needs all at once.

use super::lock::lock;
use super::shader::Pipeline;
use crate::error::Result;
use std::collections::{HashMap, HashSet};
use std::panic::resume_unwind;
use std::sync::Mutex;

/// What runs a step over numbers, and what does so over levels, where the step reads the input and can take them.
#[derive(Debug, Clone)]
pub(super) struct Variants<T> {
    pub numbers: T,
    pub levels: Option<T>,
}

impl<T> Variants<T> {
    /// That for `levels`, or for numbers.
    pub fn of(&self, levels: bool) -> &T {
        self.levels.as_ref().filter(|_| levels).unwrap_or(&self.numbers)
    }

    fn all(&self) -> impl Iterator<Item = &T> {
        std::iter::once(&self.numbers).chain(&self.levels)
    }
}

/// By what they are made of.
#[derive(Debug)]
pub(super) struct Pipelines<T>(Mutex<HashMap<Pipeline, T>>);

impl<T> Default for Pipelines<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone + Send> Pipelines<T> {
    /// One for each key; those that are not there yet are made on a thread each.
    pub fn get<'k>(
        &self,
        keys: impl Iterator<Item = &'k Variants<Pipeline>> + Clone,
        make: impl Fn(&Pipeline) -> Result<T> + Sync,
    ) -> Result<Vec<Variants<T>>> {
        let missing: HashSet<&Pipeline> = {
            let made = lock(&self.0);
            keys.clone().flat_map(Variants::all).filter(|key| !made.contains_key(*key)).collect()
        };
        let made: Vec<Result<(Pipeline, T)>> = std::thread::scope(|scope| {
            let make = &make;
            let started: Vec<_> =
                missing.into_iter().map(|key| scope.spawn(move || Ok((key.clone(), make(key)?)))).collect();
            started.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
        });
        let mut all = lock(&self.0);
        for made in made {
            let (key, pipeline) = made?;
            all.entry(key).or_insert(pipeline);
        }
        let of = |key: &Pipeline| all[key].clone();
        Ok(keys.map(|key| Variants { numbers: of(&key.numbers), levels: key.levels.as_ref().map(of) }).collect())
    }
}
