//! Barriers: what is done, and whose writes are seen, before what may begin.

use ash::vk;

pub(super) struct Barrier {
    pub before: (vk::PipelineStageFlags, vk::AccessFlags),
    pub after: (vk::PipelineStageFlags, vk::AccessFlags),
}

pub(super) const SHADER: vk::PipelineStageFlags = vk::PipelineStageFlags::COMPUTE_SHADER;
const COPY: vk::PipelineStageFlags = vk::PipelineStageFlags::TRANSFER;
const SHADER_AND_COPY: vk::PipelineStageFlags = vk::PipelineStageFlags::from_raw(SHADER.as_raw() | COPY.as_raw());
const SHADER_WRITE: vk::AccessFlags = vk::AccessFlags::SHADER_WRITE;
const COPY_WRITE: vk::AccessFlags = vk::AccessFlags::TRANSFER_WRITE;
const SHADER_ACCESS: vk::AccessFlags =
    vk::AccessFlags::from_raw(vk::AccessFlags::SHADER_READ.as_raw() | SHADER_WRITE.as_raw());

/// An earlier batch has done with the session's buffers before this one overwrites them.
pub(super) const BATCHES: Barrier = Barrier {
    before: (SHADER_AND_COPY, vk::AccessFlags::from_raw(SHADER_WRITE.as_raw() | COPY_WRITE.as_raw())),
    after: (SHADER_AND_COPY, vk::AccessFlags::from_raw(SHADER_ACCESS.as_raw() | COPY_WRITE.as_raw())),
};

/// Dispatches read what was copied in, and may write there later.
pub(super) const COPIED_IN: Barrier = Barrier { before: (COPY, COPY_WRITE), after: (SHADER, SHADER_ACCESS) };

/// Dispatches use what earlier ones wrote.
pub(super) const DISPATCHES: Barrier = Barrier { before: (SHADER, SHADER_WRITE), after: (SHADER, SHADER_ACCESS) };

/// The results are there to be copied.
pub(super) const COMPUTED: Barrier =
    Barrier { before: (SHADER, SHADER_WRITE), after: (COPY, vk::AccessFlags::TRANSFER_READ) };

/// The host reads what was copied out.
pub(super) const COPIED_OUT: Barrier =
    Barrier { before: (COPY, COPY_WRITE), after: (vk::PipelineStageFlags::HOST, vk::AccessFlags::HOST_READ) };
