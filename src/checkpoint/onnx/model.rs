//! What the models of ONNX and MindIR have in common: a graph, metadata, and how faults are told.

use crate::checkpoint::source::{Source, short};
use crate::checkpoint::{Format, StateDict};
use crate::error::{Error, Result};
use crate::file::protobuf::{Field, Fields};
use bytes::Bytes;
use std::borrow::Cow;

/// What is wrong with a part of a model.
pub(in crate::checkpoint) enum Fault {
    /// A reason that whoever knows the part's name puts after it.
    Reason(Cow<'static, str>),
    /// An error that needs no more words.
    Error(Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<&'static str> for Fault {
    fn from(reason: &'static str) -> Self {
        Self::Reason(reason.into())
    }
}

impl From<String> for Fault {
    fn from(reason: String) -> Self {
        Self::Reason(reason.into())
    }
}

impl Fault {
    /// The error about the part that `called` names.
    pub fn of(self, source: &Source, called: impl FnOnce() -> String) -> Error {
        match self {
            Self::Reason(reason) => source.fault(format!("{}: {reason}", called())),
            Self::Error(error) => error,
        }
    }
}

/// The fault of a message that is none of `format`.
pub(in crate::checkpoint) fn unsound(source: &Source, format: Format, what: &str) -> Error {
    source.fault(format!("is no sound {format}: it has {}", short(what)))
}

/// Walks over the model's fields once: metadata goes into `dict`, and messages under other tags to `other`. Returns the
/// message of the graph.
pub(in crate::checkpoint) fn walk(
    source: &Source,
    format: Format,
    dict: &mut StateDict,
    mut other: impl FnMut(u32, &Bytes) -> Result<()>,
) -> Result<Bytes> {
    const GRAPH: u32 = 7;
    const METADATA: u32 = 14;
    let mut graph = None;
    for field in Fields::of(&source.bytes) {
        let (tag, Field::Bytes(message)) = field.map_err(|what| unsound(source, format, what))? else { continue };
        match tag {
            GRAPH => {
                if graph.replace(message).is_some() {
                    return Err(unsound(source, format, "two graphs"));
                }
            }
            METADATA => {
                source.expand(|| "the metadata".into(), 256 + message.len() as u64)?;
                // What is no text describes nothing.
                if let Ok((key, value)) = entry(source, &message) {
                    dict.describe(key, value);
                }
            }
            tag => other(tag, &message)?,
        }
    }
    graph.ok_or_else(|| unsound(source, format, "no graph; was the download cut short?"))
}

/// Key and value of `message`, a `StringStringEntryProto`.
pub(super) fn entry(source: &Source, message: &Bytes) -> Result<(String, String)> {
    let (mut key, mut value) = (String::new(), String::new());
    for field in Fields::of(message) {
        match field.map_err(|what| unsound(source, Format::Onnx, what))? {
            (1, field) => key = text(source, &field)?,
            (2, field) => value = text(source, &field)?,
            _ => {}
        }
    }
    Ok((key, value))
}

/// The text that `field` is.
pub(super) fn text(source: &Source, field: &Field) -> Result<String> {
    let text = field.text().ok_or_else(|| unsound(source, Format::Onnx, "a name in its graph that is no text"))?;
    keep(source, text.len())?;
    Ok(text.to_owned())
}

/// Asks for the memory that a part of the graph takes.
pub(super) fn keep(source: &Source, bytes: usize) -> Result<()> {
    source.expand(|| "its graph of operators".into(), bytes as u64)
}
