//! PyTorch checkpoints: a pickle that describes tensors, beside the raw storages that they are views of.

mod archive;
mod choose;
mod keys;
mod left;
mod legacy;
mod module;
mod names;
mod optimizer;
mod script;
mod select;
mod strided;
mod tensors;

pub(super) use archive::open as open_zip;
pub(super) use legacy::open as open_legacy;
pub(super) use tensors::number;
