//! What a checkpoint may ask of memory, and its network of work, before it is refused.

/// Bounds that guard memory while a checkpoint is read, and whether its files are mapped or read; and bounds that guard
/// memory and time while its network is compiled and run, which a small file with a graph of its own could make as large
/// as it likes. All are checked before anything is spent.
///
/// A checkpoint costs its own size at most once, because tensors are slices of its file's bytes, plus what these limits
/// allow. Raise one where an honest file needs more; the error names the limit that was met.
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
    /// Bytes that compressed zip entries, the text in pickles and tensors gathered from strided views may take together,
    /// above the file's own size. 1 GiB by default. Stored entries and contiguous tensors are slices of the file and take none.
    pub expanded_bytes: u64,
    /// Files of at least so many bytes are mapped into memory instead of read into it. 64 KiB by default; `u64::MAX`
    /// reads every file.
    ///
    /// A map costs no copy, and pages come in as tensors are looked at. In return the file must stay as it is while
    /// any of its tensors lives: where another program writes into it, numbers change under the reader; where one cuts
    /// it off, a look at what is gone ends the process on Unix (`SIGBUS`), and on Windows the system forbids replacing
    /// or cutting it. Replacing the file by another of its name, as [`StateDict::save`](crate::StateDict::save) does, is
    /// safe on Unix: the old one lives on while it is mapped. So read what others may write in place. A file system
    /// that cannot map is read from.
    pub map_from_bytes: u64,
    /// Bytes that a compiled plan may take for tables that say where each channel lies, and for weights that are packed
    /// with zeros or several times over, above the size of its weights. 128 MiB by default; each channel of a value
    /// takes some 50 bytes, so that ShuffleNetV2 has less than 1 MB.
    pub plan_bytes: u64,
    /// Bytes of the buffers in which values lie between steps, and of the `cpu` device's threads' own memory. 4 GiB by
    /// default. Where four images at once would take more on the CPU, fewer run at once; on a GPU the buffers of one image
    /// are counted, and a batch may take what the driver has.
    pub activation_bytes: u64,
    /// Multiplications that one image may take, those of channels that fill vectors up included; comparisons and
    /// additions of pools count too. 2^41 by default, about 2 * 10^12: a hundred times a VGG-19 at 224x224.
    pub operations: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes: 16 << 30,
            header_bytes: 8 << 20,
            pickle_opcodes: 4_000_000,
            expanded_bytes: 1 << 30,
            map_from_bytes: 64 << 10,
            plan_bytes: 128 << 20,
            activation_bytes: 4 << 30,
            operations: 1 << 41,
        }
    }
}
