//! Bytes by name: files that are found, opened, mapped and written, and the protobuf messages that several of them hold.
//!
//! Nothing here knows a format of checkpoints.

mod archive;
pub(crate) mod atomic;
pub(crate) mod directory;
pub(crate) mod enclosure;
mod files;
mod held;
pub(crate) mod mapping;
pub(crate) mod memo;
pub(crate) mod protobuf;
pub(crate) mod regular_file;
pub(crate) mod sha256;
mod temporaries;

pub use files::Files;
pub(crate) use files::Item;
