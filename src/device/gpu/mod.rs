//! The GPU device: runs a plan through wgpu, on Vulkan, Metal or DX12.

mod context;
mod kernels;
mod presence;
mod session;

pub use context::Context;
pub(super) use context::{Adapter, adapters};
pub(super) use kernels::LANES;
pub(super) use presence::possible;
pub use session::Session;
