//! Dispatches that Vulkan records once, so that a run costs one call: wgpu's devices, buffers and shaders, with commands of
//! our own, since those of wgpu run once.
//!
//! # What the `unsafe` blocks rest on
//! Each block in this folder cites by number what it relies on.
//!
//! 1. **Alive.** [`Vulkan`](vulkan::Vulkan) keeps wgpu's device, and with it the VkDevice and its queue. Every object is
//!    [`Owned`](objects::Owned), which keeps `Vulkan`. Whoever has a raw handle also has its owner:
//!    [`RecordedWork`](work::RecordedWork) those of pipelines, layouts, descriptor sets and the session's buffers, and
//!    [`RecordedSlot`](slot::RecordedSlot) those of its pool, its fence, its ports and its work.
//! 2. **Whole.** A description passed to Vulkan is built in the same function, from handles as in 1 and from slices that
//!    outlive the call, and its counts are those of the slices.
//! 3. **Alone.** Vulkan wants pools, sets, command buffers and fences used by one thread at a time. A pool and what is
//!    allocated from it stay with one owner, who has them by `&mut self` or is not shared yet. Whoever submits holds
//!    [`Context::alone`](super::context::Context::alone), as wgpu's own submissions in this crate do.
//! 4. **Idle.** Nothing that the device uses is recorded, reset or let go of. A slot's `running` is set by each submission
//!    and cleared only by a wait for its fence; recording and starting happen while it is not set, and `Drop` waits. Closing
//!    the device waits for all of it. A lost device uses nothing.
//! 5. **Recording.** A [`Recorder`](commands::Recorder) exists between the begin and the end of one command buffer, and
//!    refers to nothing but what 1 keeps for as long as the slot lives.
//! 6. **Within.** A batch has at most [`Work::max_batch`](super::backend::Work) images, which `RecordedSlot` checks, and
//!    buffers are as large as so many take. Workgroups were compared with the device's limit before. Bindings lie
//!    within their buffers, for wgpu's program gives whole buffers and ranges of the constants that it has itself laid out.
//! 7. **Open.** Handles of wgpu's buffers are taken and used while [`Context::hold`](super::context::Context::hold) keeps
//!    the device open, and never destroyed here.
//! 8. **Valid code.** naga writes SPIR-V from a module that it has validated, and keeps accesses within their bindings
//!    wherever the device does not.

#![allow(unsafe_code)]

mod backend;
mod barriers;
mod cache;
mod commands;
mod descriptors;
mod layouts;
mod objects;
mod program;
mod slot;
mod vulkan;
mod work;

pub(super) use backend::Recording;
