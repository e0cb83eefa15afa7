//! What a checkpoint may ask of memory before it is refused.

/// Bounds that guard memory while a checkpoint is read.
///
/// A checkpoint costs its own size once, because tensors are slices of the bytes that were read, plus what these
/// limits allow. Raise one where an honest file needs more; the error names the limit that was met.
///
/// ```
/// use pretrained::Limits;
/// let limits = Limits { file_bytes: 1 << 30, ..Limits::default() };
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that a file, or all shards of a sharded checkpoint together, may have. 16 GiB by default.
    pub file_bytes: u64,
    /// Bytes of JSON in the header of a safetensors file, and in the index of a sharded one. 8 MiB by default, which
    /// is about 60,000 tensors; parsing takes up to some forty times as much for a moment.
    pub header_bytes: u64,
    /// Opcodes of one pickle, where an opcode that copies a container counts once more for each item. 4 million by
    /// default; each takes at most about 100 bytes. A state dict has about 30 for a tensor. How deep containers nest
    /// is not limited, because nothing here recurses.
    pub pickle_opcodes: u64,
    /// Bytes that compressed zip entries and tensors gathered from strided views may take together, above the file's
    /// own size. 1 GiB by default. Stored entries and contiguous tensors are slices of the file and take none.
    pub expanded_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { file_bytes: 16 << 30, header_bytes: 8 << 20, pickle_opcodes: 4_000_000, expanded_bytes: 1 << 30 }
    }
}
