//! A shader as pipelines take it: its text, its parameters, its bindings and its constants.

mod bindings;
mod params;
mod source;

pub(super) use bindings::{BySignature, Declaration, Signature};
pub(super) use params::Params;
pub(super) use source::{Narrow, Shader};

use crate::graph::Activation;

/// A shader with values for its `override`s: what one compiled pipeline is made of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Pipeline {
    pub shader: Shader,
    pub narrow: Narrow,
    pub constants: Vec<(&'static str, u32)>,
}
