//! Writes a network with its weights as a model that other frameworks run.
//!
//! Formats and their sources: ONNX by onnx.proto and Operators.md of onnx/onnx, MindIR by mind_ir.proto and by what
//! MindSpore 2.10 itself exports.

mod lower;
mod lowered;
mod mindir;
mod onnx;
mod pools;
mod reads;

use crate::error::{Error, Result, named};
use crate::file::atomic;
use crate::graph::Shape;
use crate::model::Model;
use indexmap::IndexMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// A format that networks are exported in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum ExportFormat {
    /// An ONNX model of operator set 17, which ONNX Runtime and most other engines run.
    #[default]
    Onnx,
    /// A graph of MindSpore 2.10, which `mindspore.load` reads and `mindspore.nn.GraphCell` runs. Batch normalisation has
    /// its parameters under MindSpore's names (`gamma`, `beta`, `moving_mean`, `moving_variance`).
    MindIr,
}

impl ExportFormat {
    /// Every format.
    pub const ALL: &[Self] = &[Self::Onnx, Self::MindIr];

    /// The name that [`FromStr`] reads.
    pub fn name(self) -> &'static str {
        match self {
            Self::Onnx => "onnx",
            Self::MindIr => "mindir",
        }
    }

    /// The format that the name of `path` asks for: `.onnx` or `.mindir`; `None` for any other.
    pub fn of_path(path: impl AsRef<Path>) -> Option<Self> {
        match path.as_ref().extension()?.to_string_lossy().to_lowercase().as_str() {
            "onnx" => Some(Self::Onnx),
            "mindir" => Some(Self::MindIr),
            _ => None,
        }
    }
}

impl fmt::Display for ExportFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Onnx => "ONNX",
            Self::MindIr => "MindIR",
        })
    }
}

impl FromStr for ExportFormat {
    type Err = Error;

    /// Reads a [name](Self::name), or what [`Display`](fmt::Display) writes, in any case.
    ///
    /// # Errors
    /// [`Error::Usage`] that lists the names.
    fn from_str(text: &str) -> Result<Self> {
        named(text, "a format that networks are exported in", Self::ALL, Self::name)
    }
}

/// How [`Model::export`] writes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExportOptions {
    /// The format; ONNX by default.
    pub format: ExportFormat,
    /// Folds batch normalisation into the convolution before it, where nothing else reads what that gives: the
    /// convolution's weight keeps its name and changes its numbers, its bias is called `bias` beside it, and the
    /// normalisation's four parameters are gone.
    pub fold: bool,
    /// The image's shape; by default the network's usual one. The exported network takes any number of images, all of
    /// this shape.
    pub input: Option<Shape>,
    /// What the model says of itself beside the network's name, which it says under `network`;
    /// [`description`](crate::description()) tells `preset`, `activation` and `labels`.
    pub metadata: IndexMap<String, String>,
    /// Replaces what is at the target. By default that is an error.
    pub overwrite: bool,
}

impl Model {
    /// Writes the network and its weights, as far as the output needs them, to `path` as a model for other frameworks.
    ///
    /// It has one input, `input`: f32 images `[batch, channels, height, width]` of any number, or vectors
    /// `[batch, features]` where the network takes these; and one output, `output`, in which one pixel is
    /// `[batch, features]`. A softmax or log-softmax that the network's [head](crate::graph::Head) says was left out of the
    /// graph is put back. Parameters keep their names, as far as the format has no names of its own for them. As
    /// everything that is written here, it appears whole or not at all.
    ///
    /// ```no_run
    /// # use pretrained::{ExportOptions, Model, StateDict, Strictness};
    /// # fn main() -> pretrained::Result<()> {
    /// let model = Model::from_state_dict(&StateDict::open("model.pth")?, Strictness::AllowUnexpected)?;
    /// model.export("model.onnx", &ExportOptions { fold: true, ..ExportOptions::default() })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Usage`] where the input does not fit the network, or where two parameters share a name; [`Error::Limit`]
    /// over the 2 GiB at which protobuf ends; [`Error::Checkpoint`] where `path` exists and `overwrite` is not set;
    /// [`Error::Io`] where the system does not let the file be written.
    pub fn export(&self, path: impl AsRef<Path>, options: &ExportOptions) -> Result<()> {
        let path = path.as_ref();
        let network = self.network();
        let input = options.input.unwrap_or(network.input);
        let dialect = match options.format {
            ExportFormat::Onnx => onnx::DIALECT,
            ExportFormat::MindIr => mindir::DIALECT,
        };
        let lowered = lower::lower(&network.graph, network.head, self.weights(), input, dialect, options.fold)?;
        let mut metadata = options.metadata.clone();
        metadata.insert("network".into(), network.name.clone());
        let message = match options.format {
            ExportFormat::Onnx => onnx::model(&network.name, lowered, &metadata),
            ExportFormat::MindIr => mindir::model(&network.name, lowered, &metadata),
        };
        within_protobuf(path, options.format, message.len())?;
        atomic::file(path, options.overwrite, |out| message.write(out))
    }
}

/// No protobuf message may be larger: readers keep sizes in 31 bits.
const MOST_BYTES: u64 = i32::MAX as u64;

fn within_protobuf(path: &Path, format: ExportFormat, bytes: u64) -> Result<()> {
    if bytes <= MOST_BYTES {
        return Ok(());
    }
    let what = format!("the size in bytes of the {format} file (it is a protobuf; safetensors has no such limit)");
    Err(Error::Limit { path: path.to_owned(), what, found: bytes, limit: MOST_BYTES })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_is_larger_than_its_readers_can_read() {
        let path = Path::new("large.onnx");
        assert!(within_protobuf(path, ExportFormat::Onnx, 0x7fff_ffff).is_ok());
        let error = within_protobuf(path, ExportFormat::Onnx, 0x8000_0000).unwrap_err().to_string();
        assert!(
            error.contains("large.onnx") && error.contains("2147483648") && error.contains("safetensors"),
            "{error}"
        );
    }
}
