//! Bytes by name: files that are opened, mapped and written, and the protobuf messages that several of them hold.
//!
//! Nothing here knows a format of checkpoints.

pub(crate) mod atomic;
pub(crate) mod enclosure;
pub(crate) mod mapping;
pub(crate) mod memo;
pub(crate) mod protobuf;
pub(crate) mod regular_file;
mod temporaries;
