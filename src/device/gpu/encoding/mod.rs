//! Dispatches that wgpu encodes for every run: what each of its backends can do.

mod backend;
mod in_flight;
mod mapping;
mod program;
mod slot;
mod work;

pub(super) use backend::Encoding;
pub(super) use slot::TIMESTAMPS;
