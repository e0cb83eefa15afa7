//! A plan on the CPU, shared by all runs.

use super::slot::CpuSlot;
use super::work::CpuWork;
use crate::device::profile::StepTime;
use crate::device::program::{Program, Slot};
use crate::error::Result;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct CpuProgram(pub Arc<CpuWork>);

impl Program for CpuProgram {
    fn slot(self: Arc<Self>) -> Result<Box<dyn Slot>> {
        Ok(Box::new(CpuSlot::new(self.0.clone())?))
    }

    fn steps(&self) -> &[StepTime] {
        &self.0.profile
    }

    fn activation_bytes(&self) -> u64 {
        self.0.activation_bytes()
    }
}
