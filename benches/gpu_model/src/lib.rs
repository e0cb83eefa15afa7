//! What pretrained's kernels take on GPUs that are not there: a compiler's counts, and a model of time over them.

pub mod cache;
pub mod compiler;
pub mod estimate;
pub mod gpus;
pub mod hlsl;
pub mod instruction;
pub mod kernel;
pub mod listing;
pub mod networks;
mod radv;
pub mod report;
pub mod study;
pub mod trips;
pub mod walk;

/// What went wrong, for whoever runs the tool.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;
