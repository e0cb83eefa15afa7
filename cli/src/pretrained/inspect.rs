//! `pretrained inspect`: every parameter of a checkpoint, the totals, and the network that it is of.

use crate::console::{Result, Sink};
use crate::json;
use crate::numbers::{Statistics, statistics};
use crate::rename::{self, Renames};
use clap::Args;
use pretrained::printable::{self, shape};
use pretrained::{Error, Package, StateDict, Tensor, zoo};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Inspect {
    /// The checkpoint
    file: PathBuf,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

    /// Of an ONNX graph with several outputs, the one that gives the classes
    #[arg(long, value_name = "NAME")]
    output: Option<String>,

    #[command(flatten)]
    renames: Renames,
}

/// All that is known of a checkpoint: with `--json`, its keys.
#[derive(Serialize)]
struct Contents<'a> {
    file: Cow<'a, str>,
    /// Only where the name is not Unicode.
    #[serde(skip_serializing_if = "Option::is_none")]
    file_bytes: Option<&'a [u8]>,
    format: Option<String>,
    tensors: Rows<'a>,
    elements: usize,
    bytes: usize,
    /// What the optimizer kept beside the parameters; `elements` and `bytes` do not count it.
    optimizer: Rows<'a>,
    metadata: BTreeMap<&'a str, &'a str>,
    /// What was chosen on the way, of the file and then of the network.
    notes: Vec<String>,
    /// The network, or null.
    network: Option<Network>,
    /// Why there is none, or null.
    network_error: Option<String>,
}

#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    dtype: String,
    shape: &'a [usize],
    /// Null for what is no float.
    statistics: Option<Statistics>,
}

#[derive(Serialize)]
struct Network {
    name: String,
    input: String,
}

/// Tensors, each of which becomes a row when its turn comes.
struct Rows<'a>(Vec<(&'a str, &'a Tensor)>);

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|(name, tensor)| Row {
            name,
            dtype: tensor.dtype().to_string(),
            shape: tensor.shape(),
            statistics: statistics(tensor),
        }))
    }
}

/// Characters of a name that are printed, and those that other columns make room for.
const NAME: usize = 200;
const NAME_COLUMN: usize = 100;

/// Characters of a value of the metadata that are printed; JSON has it whole.
const VALUE: usize = 1000;

impl Inspect {
    /// Writes row by row, as the tensors are looked at.
    pub fn run(&self, out: &mut Sink) -> Result<()> {
        let mut builder = self.renames.add_to(Package::builder().weights(&self.file));
        if let Some(output) = &self.output {
            builder = builder.output(output);
        }
        let draft = builder.open()?;
        rename::tell(draft.unmatched_renames());
        let (state, network) = (draft.state_dict(), draft.network());
        match self.json {
            true => self.json(state, network, out)?,
            false => text(state, network, out)?,
        }
        out.flush()
    }

    fn json(&self, state: &StateDict, network: Result<zoo::Network, Error>, out: &mut Sink) -> Result<()> {
        let mut notes = state.notes().to_vec();
        notes.extend(network.iter().flat_map(|network| network.notes.clone()));
        let (network, network_error) = match network {
            Ok(network) => (Some(Network { name: network.name, input: network.input.to_string() }), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let contents = Contents {
            file: self.file.to_string_lossy(),
            file_bytes: self.file.to_str().is_none().then_some(self.file.as_os_str().as_encoded_bytes()),
            format: state.format().map(|format| format.to_string()),
            tensors: Rows(state.iter().collect()),
            elements: elements(state),
            bytes: bytes(state),
            optimizer: Rows(optimizer(state)),
            metadata: state.metadata().iter().map(|(key, value)| (&**key, &**value)).collect(),
            notes,
            network,
            network_error,
        };
        let written = json::write(&mut *out, &contents);
        out.arrived(written)?;
        out.put("\n")
    }
}

fn text(state: &StateDict, network: Result<zoo::Network, Error>, out: &mut Sink) -> Result<()> {
    table(state.iter().collect(), out)?;
    out.put(format!("\n{} tensors, {} numbers, {} bytes\n", state.len(), elements(state), bytes(state)))?;
    let optimizer = optimizer(state);
    if !optimizer.is_empty() {
        let tensors = optimizer.len();
        out.put("\n")?;
        table(optimizer, out)?;
        out.put(format!("\n{tensors} optimizer tensors\n"))?;
    }
    if let Some(format) = state.format() {
        out.put(format!("format: {format}\n"))?;
    }
    for (key, value) in state.metadata() {
        out.put(format!("metadata: {} = {}\n", printable::cut(key, NAME), printable::cut(value, VALUE)))?;
    }
    for note in state.notes().iter().chain(network.iter().flat_map(|network| &network.notes)) {
        out.put(format!("note: {}\n", printable::line(note)))?;
    }
    match network {
        Ok(zoo::Network { name, input, .. }) => {
            out.put(format!("network: {}, usual input {input}\n", printable::line(&name)))
        }
        Err(error) => out.put(format!("network: none: {error}\n")),
    }
}

/// The tensors, a line each, in columns.
fn table(tensors: Vec<(&str, &Tensor)>, out: &mut Sink) -> Result<()> {
    let names = tensors.iter().map(|(name, _)| printable::cut(name, NAME).chars().count());
    let name_width = names.filter(|width| *width <= NAME_COLUMN).max().unwrap_or(0);
    let dtype_width = tensors.iter().map(|(_, tensor)| tensor.dtype().to_string().len()).max().unwrap_or(0);
    let shape_width = tensors.iter().map(|(_, tensor)| shape(tensor.shape()).len()).max().unwrap_or(0);
    for (name, tensor) in tensors {
        let (name, dtype, shape) = (printable::cut(name, NAME), tensor.dtype(), shape(tensor.shape()));
        let numbers = statistics(tensor).map(|found| words(&found)).unwrap_or_default();
        let row = format!("{name:name_width$}  {dtype:dtype_width$}  {shape:shape_width$}  {numbers}");
        out.put(format!("{}\n", row.trim_end()))?;
    }
    Ok(())
}

/// A tensor's statistics in words; empty where there is nothing to say.
fn words(found: &Statistics) -> String {
    let mut parts = Vec::new();
    if let (Some(min), Some(max), Some(mean), Some(std)) = (found.min, found.max, found.mean, found.std) {
        parts.push(format!("min {min:.4e} max {max:.4e} mean {mean:.4e} std {std:.4e}"));
    }
    if found.nan > 0 {
        parts.push(format!("NaN {}", found.nan));
    }
    if found.inf > 0 {
        parts.push(format!("infinite {}", found.inf));
    }
    parts.join(" ")
}

fn elements(state: &StateDict) -> usize {
    state.iter().map(|(_, tensor)| tensor.element_count()).sum()
}

fn bytes(state: &StateDict) -> usize {
    state.iter().map(|(_, tensor)| tensor.bytes().len()).sum()
}

fn optimizer(state: &StateDict) -> Vec<(&str, &Tensor)> {
    state.optimizer().iter().map(|(name, tensor)| (name.as_str(), tensor)).collect()
}
