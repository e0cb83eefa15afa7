//! What stands for GPUs in a build without the feature `gpu`: there are none.

use super::{Device, DeviceInfo};
use crate::error::Result;
use std::convert::Infallible;

/// An adapter that never is.
pub(super) struct Adapter {
    pub info: DeviceInfo,
    never: Infallible,
}

impl Adapter {
    pub async fn open(&self) -> Result<Device> {
        match self.never {}
    }
}

pub(super) async fn adapters() -> Vec<Adapter> {
    Vec::new()
}

pub(super) fn possible() -> bool {
    false
}
