//! The GPU device: runs a plan on what wgpu reaches, by Vulkan, Metal or DX12.

mod adapter;
mod backend;
/// Where naga writes what Vulkan takes.
#[cfg(any(windows, target_os = "linux", target_os = "android", target_os = "freebsd"))]
pub mod blueprint;
mod constants;
mod content;
mod context;
mod dispatch;
mod encoding;
mod engine;
mod family;
mod groups;
mod kernels;
mod lock;
mod packed;
mod pipelines;
mod ports;
mod presence;
mod program;
/// Where wgpu has Vulkan.
#[cfg(any(windows, target_os = "linux", target_os = "android", target_os = "freebsd"))]
mod recording;
mod shader;
mod shelf;
#[cfg(any(windows, target_os = "linux", target_os = "android", target_os = "freebsd"))]
mod spirv;
mod watcher;
mod weights;
mod workgroups;

pub(super) use adapter::{Adapter, adapters};
pub(super) use engine::Gpu;
pub(super) use presence::possible;
