//! What a caller wants of a package, where it would be otherwise.

use crate::graph::OutputActivation;
use crate::load::Strictness;
use crate::vision::{Labels, Overrides, Preset};
use crate::zoo::Network;

/// The caller's own parts and choices; [`PackageBuilder`](super::PackageBuilder) says what each is.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    pub network: Option<Network>,
    pub strictness: Strictness,
    pub preset: Option<Preset>,
    pub overrides: Overrides,
    pub activation: Option<OutputActivation>,
    pub output: Option<String>,
    pub labels: Option<Labels>,
}
