//! The GPU device: runs a plan on what wgpu reaches, by Vulkan, Metal or DX12.

mod backend;
mod constants;
mod context;
mod encoding;
mod family;
mod kernels;
mod pack;
mod pipelines;
mod ports;
mod presence;
mod program;
/// Where wgpu has Vulkan.
#[cfg(any(windows, target_os = "linux", target_os = "android", target_os = "freebsd"))]
mod recording;
mod shader;
mod watcher;

pub(super) use context::{Adapter, Context, adapters};
pub(super) use presence::possible;
