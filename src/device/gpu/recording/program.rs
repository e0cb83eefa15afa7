//! A plan as recorded commands run it.

use super::cache::Cache;
use super::slot::RecordedSlot;
use super::work::RecordedWork;
use crate::device::profile::StepTime;
use crate::device::program::{Program, Slot};
use crate::error::Result;
use std::sync::{Arc, OnceLock};

#[derive(Debug)]
pub(super) struct RecordedProgram {
    work: Arc<RecordedWork>,
    /// Where the device's pipelines are kept, if they are.
    cache: Arc<OnceLock<Option<Cache>>>,
}

impl RecordedProgram {
    pub fn new(work: RecordedWork, cache: Arc<OnceLock<Option<Cache>>>) -> Self {
        Self { work: Arc::new(work), cache }
    }
}

impl Program for RecordedProgram {
    fn slot(self: Arc<Self>) -> Result<Box<dyn Slot>> {
        let context = &self.work.context;
        let _open = context.hold()?;
        context.guarded(|| Ok(Box::new(RecordedSlot::new(self.work.clone())?) as Box<dyn Slot>))
    }

    fn steps(&self) -> &[StepTime] {
        &self.work.work.profile
    }

    fn activation_bytes(&self) -> u64 {
        self.work.work.activation_bytes
    }

    fn takes_levels(&self) -> bool {
        self.work.work.takes_levels()
    }

    /// Drivers finish compiling at the first dispatch, which had better not be the first answer's.
    fn warms_up(&self) -> bool {
        true
    }

    fn warmed_up(&self) {
        self.cache.get().into_iter().flatten().for_each(Cache::save);
    }
}
