//! The GPU device: runs a plan through wgpu, on Vulkan, Metal or DX12.

mod context;
mod kernels;
mod session;

pub use context::Context;
pub(super) use context::adapters;
pub(super) use kernels::LANES;
pub use session::Session;
