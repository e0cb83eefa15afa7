//! A plan as wgpu encodes it.

use super::slot::EncodedSlot;
use super::work::EncodedWork;
use crate::device::profile::StepTime;
use crate::device::program::{Program, Slot};
use crate::error::Result;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct EncodedProgram(pub Arc<EncodedWork>);

impl Program for EncodedProgram {
    fn slot(self: Arc<Self>) -> Result<Box<dyn Slot>> {
        let _open = self.0.context.hold()?;
        let ports = self.0.context.guarded(|| Ok(self.0.work.ports(&self.0.context.device)))?;
        Ok(Box::new(EncodedSlot::new(self.0.clone(), ports)))
    }

    fn steps(&self) -> &[StepTime] {
        &self.0.work.profile
    }

    fn activation_bytes(&self) -> u64 {
        self.0.work.activation_bytes
    }

    fn takes_levels(&self) -> bool {
        self.0.work.takes_levels()
    }

    /// Drivers finish compiling at the first dispatch, which had better not be the first answer's.
    fn warms_up(&self) -> bool {
        true
    }
}
