//! Writes a state dict as a checkpoint of another framework, whole or not at all.
//!
//! Formats and their sources: safetensors by its specification (huggingface/safetensors); PyTorch's zip by what
//! `torch.save` of PyTorch 2 writes and `torch.load(weights_only=True)` reads; OneFlow's snapshot folder and
//! MindSpore's `.ckpt` by files that OneFlow 0.9 and MindSpore 2 wrote.

mod checkpoints;
mod dtype;
pub(crate) mod mindspore;
mod oneflow;
mod pickle;
mod safetensors;
mod torch;

pub use checkpoints::{CheckpointConfig, Checkpoints};

use super::StateDict;
use super::source::short;
use crate::error::{Error, Result, named};
use crate::file::atomic;
use crate::tensor::{DType, Tensor};
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// A format that checkpoints are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum SaveFormat {
    /// One safetensors file; the only one that carries [`StateDict::metadata`].
    #[default]
    Safetensors,
    /// The zip archive of `torch.save(state_dict)`, which `torch.load(weights_only=True)` reads.
    Torch,
    /// OneFlow's snapshot: a folder that holds a folder with `meta` and `out` for each parameter, and `snapshot_done`.
    /// OneFlow 0.9 itself reads f64, f32, f16, i64, i32, i8, u8 and bool, and refuses the other types.
    OneFlow,
    /// MindSpore's `.ckpt`, with batch normalisation under MindSpore's names (`gamma`, `beta`, `moving_mean`,
    /// `moving_variance`) and without `num_batches_tracked`, which MindSpore does not have. It keeps numbers of the
    /// training among the parameters, so a scalar that belongs to no module comes back as [`StateDict::metadata`].
    MindSpore,
}

impl SaveFormat {
    /// Every format.
    pub const ALL: &[Self] = &[Self::Safetensors, Self::Torch, Self::OneFlow, Self::MindSpore];

    /// The name that [`FromStr`] reads.
    pub fn name(self) -> &'static str {
        match self {
            Self::Safetensors => "safetensors",
            Self::Torch => "torch",
            Self::OneFlow => "oneflow",
            Self::MindSpore => "mindspore",
        }
    }

    /// The format that the name of `path` asks for: `.safetensors`; `.pth`, `.pt` or `.bin` for PyTorch; `.ckpt` for
    /// MindSpore; OneFlow where there is no extension or a slash at the end. `None` for any other extension.
    pub fn of_path(path: impl AsRef<Path>) -> Option<Self> {
        let path = path.as_ref();
        if path.as_os_str().to_string_lossy().ends_with(std::path::is_separator) {
            return Some(Self::OneFlow);
        }
        match path.extension().map(|extension| extension.to_string_lossy().to_lowercase()).as_deref() {
            Some("safetensors") => Some(Self::Safetensors),
            Some("pth" | "pt" | "bin") => Some(Self::Torch),
            Some("ckpt") => Some(Self::MindSpore),
            None => Some(Self::OneFlow),
            Some(_) => None,
        }
    }
}

impl fmt::Display for SaveFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Safetensors => "safetensors",
            Self::Torch => "PyTorch zip",
            Self::OneFlow => "OneFlow snapshot",
            Self::MindSpore => "MindSpore .ckpt",
        })
    }
}

impl FromStr for SaveFormat {
    type Err = Error;

    /// Reads a [name](Self::name), or what [`Display`](fmt::Display) writes, in any case.
    ///
    /// # Errors
    /// [`Error::Usage`] that lists the names.
    fn from_str(text: &str) -> Result<Self> {
        named(text, "a format that checkpoints are written in", Self::ALL, Self::name)
    }
}

/// How [`StateDict::save`] writes.
///
/// ```
/// use pretrained::{DType, SaveFormat, SaveOptions};
/// let options = SaveOptions { format: SaveFormat::Torch, dtype: Some(DType::F16), ..SaveOptions::default() };
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SaveOptions {
    /// The format; safetensors by default.
    pub format: SaveFormat,
    /// The element type that float tensors are rounded to, to nearest, ties to even: `F32`, `F16` or `BF16`. By
    /// default, and for all other tensors, elements stay as they are.
    pub dtype: Option<DType>,
    /// Converts the statistics of batch normalisation (names that end in `running_mean`, `running_var`, `moving_mean`
    /// or `moving_variance`) to `dtype` too. By default they become `F32`, because a variance suffers most from
    /// rounding: it is divided by.
    pub force_dtype: bool,
    /// Replaces what is at the target. By default that is an error.
    pub overwrite: bool,
}

impl StateDict {
    /// Writes all tensors to `path`, in one of four formats; order is kept where the format has one.
    ///
    /// The checkpoint appears under its name only when it is complete and on the disk. An error half way (a full disk)
    /// leaves what was there before, and no temporary; a process that is killed leaves what was there before, and its
    /// temporary beside it, `.pretrained-PROCESS-NUMBER.tmp`, which the next writer to the folder removes (on Unix). A
    /// folder is replaced by two renames, so a machine that stops between them leaves the old one beside the target,
    /// in `.pretrained-PROCESS-NUMBER.old`. Only a file replaces a file, and only a folder that is empty or a OneFlow
    /// snapshot is ever replaced.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] where `path` exists and `overwrite` is not set, or where a tensor has a name or a value
    /// that the format or the element type cannot hold; [`Error::Usage`] for an element type that is no `F32`, `F16` or
    /// `BF16`; [`Error::Io`] where the system does not let the file be written.
    pub fn save(&self, path: impl AsRef<Path>, options: &SaveOptions) -> Result<()> {
        let (path, overwrite) = (path.as_ref(), options.overwrite);
        let tensors = self
            .iter()
            .map(|(name, tensor)| Ok((name, dtype::convert(path, name, tensor, options)?)))
            .collect::<Result<Vec<Named>>>()?;
        match options.format {
            SaveFormat::Safetensors => {
                let layout = safetensors::layout(path, &tensors, self.metadata())?;
                atomic::file(path, overwrite, |out| layout.write(out))
            }
            SaveFormat::Torch => atomic::file(path, overwrite, |out| torch::write(out, &tensors)),
            SaveFormat::OneFlow => {
                oneflow::check(path, &tensors)?;
                atomic::folder(path, overwrite, oneflow::REPLACEABLE, |folder| oneflow::write(folder, &tensors))
            }
            SaveFormat::MindSpore => {
                let renamed = mindspore::rename(path, &tensors)?;
                atomic::file(path, overwrite, |out| mindspore::write(out, &renamed, mindspore::SLICE_BYTES))
            }
        }
    }
}

/// A tensor as it is to be written, and its name.
type Named<'a> = (&'a str, Tensor);

/// What keeps the tensor called `name` from being written to `path`.
fn fault(path: &Path, name: &str, reason: impl fmt::Display) -> Error {
    Error::unwritable(path, format!("tensor `{}`: {reason}", short(name)))
}
