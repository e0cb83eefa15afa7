//! The GPU device: runs a plan on what wgpu reaches, by Vulkan, Metal or DX12.

mod backend;
mod constants;
mod context;
mod encoding;
mod family;
mod kernels;
mod pack;
mod pipelines;
mod presence;
/// Where wgpu has Vulkan.
#[cfg(any(windows, target_os = "linux", target_os = "android", target_os = "freebsd"))]
mod recording;
mod session;
mod shader;
mod ticket;

pub use context::Context;
pub(super) use context::{Adapter, adapters};
pub(super) use kernels::LAYOUT;
pub(super) use presence::possible;
pub use session::Session;
pub(super) use ticket::{Staged, Ticket};
