//! Opens checkpoints: tells the format from the content, never the extension, and reads it into a [`StateDict`].
//!
//! Formats and their sources: safetensors by its specification (huggingface/safetensors), PyTorch's zip and legacy
//! stream by what `torch.save` writes, pickles by the opcodes that Python's `pickletools` documents, OneFlow's four layouts
//! by what its releases 0.1 to 0.9 write, MindSpore's `.ckpt` by its `checkpoint.proto` and `save_checkpoint`, ONNX and
//! MindIR by onnx.proto and mind_ir.proto.

mod deepspeed;
mod folder;
mod foreign_file;
mod limits;
mod listing;
mod mindir;
mod mindspore;
mod module_tree;
mod numpy;
mod oneflow;
mod onnx;
mod pickle;
pub(crate) mod prefix;
pub mod remap;
mod rename;
mod reparametrised;
mod run;
mod safetensors;
pub(crate) mod save;
mod sharded;
mod sniff;
mod source;
mod state_dict;
mod torch;

pub use limits::Limits;
pub use module_tree::{Attribute, Module, ModuleTree};
pub(crate) use onnx::{OnnxAttribute, OnnxGraph, OnnxInput, OnnxNode, ValueId};
pub use rename::{Rename, Renaming};
pub use save::{CheckpointConfig, Checkpoints, SaveFormat, SaveOptions};
pub use state_dict::StateDict;

use crate::error::{Error, Result, named};
use crate::file::directory::Directory;
use crate::file::enclosure::Enclosure;
use crate::file::{Files, Item};
use bytes::Bytes;
use folder::Content;
use source::{Opening, Source};
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// A checkpoint's file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// One safetensors file.
    Safetensors,
    /// Several safetensors files under one `*.index.json`.
    ShardedSafetensors,
    /// Several files of `torch.save` under one `*.index.json`.
    ShardedTorch,
    /// The zip archive that `torch.save` writes since PyTorch 1.6.
    TorchZip,
    /// The zip archive that `torch.jit.save` writes, with code that is not read.
    TorchScript,
    /// The stream of pickles and raw storages that `torch.save` wrote before.
    TorchLegacy,
    /// An exported ONNX model: the initializers, and the graph that [`import`](crate::import) makes a network of.
    Onnx,
    /// A graph that MindSpore exported, of which the parameters are read.
    MindIr,
    /// OneFlow's oldest: a folder per parameter with the raw `f32` values, without shapes.
    OneFlowLegacy,
    /// A folder per parameter with `meta` (shape and element type) and the raw values, by OneFlow.
    OneFlowSnapshot,
    /// A folder with `pickled_data` and a folder per tensor, by `oneflow.save`.
    OneFlowPickledData,
    /// One pickle file with NumPy arrays, by `oneflow.save` of recent versions.
    OneFlowSingleFile,
    /// The protobuf file that MindSpore's `save_checkpoint` writes.
    MindSpore,
}

impl Format {
    /// Every format.
    pub const ALL: &[Self] = &[
        Self::Safetensors,
        Self::ShardedSafetensors,
        Self::ShardedTorch,
        Self::TorchZip,
        Self::TorchScript,
        Self::TorchLegacy,
        Self::Onnx,
        Self::MindIr,
        Self::OneFlowLegacy,
        Self::OneFlowSnapshot,
        Self::OneFlowPickledData,
        Self::OneFlowSingleFile,
        Self::MindSpore,
    ];

    /// The name that [`FromStr`] reads.
    pub fn name(self) -> &'static str {
        match self {
            Self::Safetensors => "safetensors",
            Self::ShardedSafetensors => "sharded-safetensors",
            Self::ShardedTorch => "sharded-torch",
            Self::TorchZip => "torch-zip",
            Self::TorchScript => "torchscript",
            Self::TorchLegacy => "torch-legacy",
            Self::Onnx => "onnx",
            Self::MindIr => "mindir",
            Self::OneFlowLegacy => "oneflow-legacy",
            Self::OneFlowSnapshot => "oneflow-snapshot",
            Self::OneFlowPickledData => "oneflow-pickled-data",
            Self::OneFlowSingleFile => "oneflow-single-file",
            Self::MindSpore => "mindspore",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Safetensors => "safetensors",
            Self::ShardedSafetensors => "sharded safetensors",
            Self::ShardedTorch => "sharded PyTorch",
            Self::TorchZip => "PyTorch zip",
            Self::TorchScript => "TorchScript archive",
            Self::TorchLegacy => "PyTorch legacy stream",
            Self::Onnx => "ONNX model",
            Self::MindIr => "MindIR graph",
            Self::OneFlowLegacy => "OneFlow folders without shapes",
            Self::OneFlowSnapshot => "OneFlow snapshot",
            Self::OneFlowPickledData => "OneFlow pickled_data",
            Self::OneFlowSingleFile => "OneFlow single file",
            Self::MindSpore => "MindSpore",
        })
    }
}

impl FromStr for Format {
    type Err = Error;

    /// Reads a [name](Self::name), or what [`Display`](fmt::Display) writes, in any case.
    ///
    /// # Errors
    /// [`Error::Usage`] that lists the names.
    fn from_str(text: &str) -> Result<Self> {
        named(text, "a format of checkpoints", Self::ALL, Self::name)
    }
}

/// What PyTorch's DataParallel puts before every name.
const DATA_PARALLEL: &str = "module.";

/// What [`StateDict::open_with`] does.
fn open(path: &Path, limits: &Limits) -> Result<StateDict> {
    if !std::fs::metadata(path).map_err(|e| Error::io(path, e))?.is_dir() {
        return open_file(Opening::new(path, limits)?);
    }
    open_folder(&Directory::on_disk(path), limits)
}

/// What [`StateDict::from_files`] does.
fn open_files(files: &Files, name: &str, limits: &Limits) -> Result<StateDict> {
    match files.find(name)? {
        Item::Folder(directory) => open_folder(&directory, limits),
        Item::File(found, enclosure) => open_file(Opening::found(&files.path().join(name), &found, enclosure, limits)?),
    }
}

fn open_folder(directory: &Directory, limits: &Limits) -> Result<StateDict> {
    let path = directory.path();
    let enclosure = Enclosure::of_folder(directory).map_err(|e| Error::io(path, e))?;
    match folder::content(directory, &enclosure)? {
        Content::File { name, note } => {
            let found = enclosure.entry(name.as_ref()).map_err(|astray| listing::astray(path, &name, astray))?;
            let mut dict = open_file(Opening::found(&path.join(&name), &found, enclosure, limits)?)?;
            note.into_iter().for_each(|note| dict.note(note));
            Ok(dict)
        }
        Content::OneFlow(format) => {
            let mut dict = match format {
                Format::OneFlowPickledData => oneflow::open_pickled(directory, enclosure, limits),
                format => oneflow::open_snapshot(directory, enclosure, format, limits),
            }?;
            dict.strip_prefix(DATA_PARALLEL);
            Ok(dict)
        }
    }
}

fn open_file(opening: Opening) -> Result<StateDict> {
    let mut dict = match sniff::file(opening.path, &opening.head)? {
        Format::ShardedSafetensors => sharded::open_index(opening),
        format => read(format, &opening.load()?),
    }?;
    dict.strip_prefix(DATA_PARALLEL);
    Ok(dict)
}

/// What [`StateDict::from_bytes`] does.
fn open_bytes(name: &Path, bytes: Bytes, limits: &Limits) -> Result<StateDict> {
    let head = &bytes[..bytes.len().min(source::HEAD_BYTES)];
    let format = sniff::file(name, head)?;
    let mut dict = read(format, &Source::new(name, bytes, limits))?;
    dict.strip_prefix(DATA_PARALLEL);
    Ok(dict)
}

fn read(format: Format, source: &Source) -> Result<StateDict> {
    let mut dict = decode(format, source)?;
    reparametrised::fold(source, &mut dict)?;
    Ok(dict)
}

/// The tensors of one file as they lie in it.
fn decode(format: Format, source: &Source) -> Result<StateDict> {
    match format {
        Format::Safetensors => safetensors::open(source),
        Format::TorchZip | Format::TorchScript => torch::open_zip(source),
        Format::TorchLegacy => torch::open_legacy(source),
        Format::Onnx => onnx::open(source),
        Format::MindIr => mindir::open(source),
        Format::OneFlowSingleFile => oneflow::open_file(source),
        Format::MindSpore => mindspore::open(source),
        Format::OneFlowLegacy | Format::OneFlowSnapshot | Format::OneFlowPickledData => {
            Err(source.fault(format!("is a file, and {format} is a folder")))
        }
        Format::ShardedSafetensors | Format::ShardedTorch => {
            Err(source.fault("is an index of other files, which bytes alone do not lead to"))
        }
    }
}
