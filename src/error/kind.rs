//! What went wrong, as a program matches on it.

/// The kind of an [`Error`](crate::Error), by which a program decides what to do next.
///
/// ```
/// use pretrained::{Device, DeviceChoice, ErrorKind};
///
/// let choice = DeviceChoice::Named("a GPU that nobody has".into());
/// assert_eq!(Device::open(&choice).unwrap_err().kind(), ErrorKind::DeviceAbsent);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The machine does not have the device that was asked for.
    DeviceAbsent,
    /// The device is gone or was closed. Open it again, and make new sessions.
    DeviceLost,
    /// The device does not have the memory, or the limits that were set do not leave it. Drop other sessions, or take a
    /// smaller batch.
    DeviceMemory,
    /// The device cannot do this at all: it lacks an instruction set, a precision, or a size of buffers.
    DeviceUnsupported,
    /// The device failed, or computed values that are not finite.
    DeviceFailed,
    /// The file or folder is no checkpoint, is in a format that is not read, or does not say which checkpoint is meant.
    CheckpointFormat,
    /// The checkpoint is damaged or hostile.
    CheckpointDamaged,
    /// The checkpoint was read, but is of no known network, or computes what no network here can.
    CheckpointNetwork,
    /// The checkpoint's parameters do not fit the network.
    CheckpointMismatch,
    /// Several parts of a checkpoint hold all parameters of the network.
    CheckpointAmbiguous,
    /// A checkpoint cannot be written as asked: its path is taken, or the format cannot hold a name or a value.
    CheckpointUnwritable,
    /// Something is larger than the limit that guards memory or time.
    Limit,
    /// An image is damaged, or of a kind that is not read.
    Image,
    /// Weights could not be downloaded, or are not what was published.
    Download,
    /// The operating system refused to read or write a file.
    Io,
    /// The caller asked for something that does not exist or does not fit.
    Usage,
}
