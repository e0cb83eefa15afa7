//! `pretrained inspect`: every parameter of a checkpoint, the totals, and the network that it is of.

use crate::Outcome;
use crate::numbers::{Statistics, statistics};
use crate::rename::Renames;
use clap::Args;
use pretrained::{Result, StateDict, Tensor, import, zoo};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Inspect {
    /// The checkpoint
    file: PathBuf,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    renames: Renames,
}

/// All that is known of a checkpoint; with `--json`, its keys.
#[derive(Debug, Serialize)]
struct Contents {
    file: String,
    format: Option<String>,
    tensors: Vec<Row>,
    elements: usize,
    bytes: usize,
    /// What the optimizer kept beside the parameters; `elements` and `bytes` do not count it.
    optimizer: Vec<Row>,
    metadata: BTreeMap<String, String>,
    notes: Vec<String>,
    /// The network, or null.
    network: Option<Network>,
    /// Why there is none, or null.
    network_error: Option<String>,
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    dtype: String,
    shape: Vec<usize>,
    /// Null for what is no float.
    statistics: Option<Statistics>,
}

#[derive(Debug, Serialize)]
struct Network {
    name: String,
    input: String,
}

impl Inspect {
    pub fn run(&self) -> Result<Outcome> {
        let contents = self.contents()?;
        Ok(Outcome::good(match self.json {
            // Strings and numbers always serialise; numbers that JSON lacks do not come up.
            true => serde_json::to_string(&contents).unwrap_or_default() + "\n",
            false => contents.text(),
        }))
    }

    fn contents(&self) -> Result<Contents> {
        let state = self.renames.apply(StateDict::open(&self.file)?)?;
        let network = match import::has_graph(&state) {
            true => import::network(&state).map(|(network, _)| network),
            false => zoo::detect(&state),
        };
        let (network, network_error) = match network {
            Ok(network) => (Some(Network { name: network.name, input: network.input.to_string() }), None),
            Err(error) => (None, Some(error.to_string())),
        };
        Ok(Contents {
            file: self.file.display().to_string(),
            format: state.format().map(|format| format.to_string()),
            tensors: state.iter().map(|(name, tensor)| Row::of(name, tensor)).collect(),
            elements: state.iter().map(|(_, tensor)| tensor.element_count()).sum(),
            bytes: state.iter().map(|(_, tensor)| tensor.bytes().len()).sum(),
            optimizer: state.optimizer().iter().map(|(name, tensor)| Row::of(name, tensor)).collect(),
            metadata: state.metadata().iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
            notes: state.notes().to_vec(),
            network,
            network_error,
        })
    }
}

impl Contents {
    fn text(&self) -> String {
        let mut text = table(&self.tensors);
        let (tensors, elements, bytes) = (self.tensors.len(), self.elements, self.bytes);
        line(&mut text, format_args!("\n{tensors} tensors, {elements} numbers, {bytes} bytes"));
        if !self.optimizer.is_empty() {
            let tensors = self.optimizer.len();
            line(&mut text, format_args!("\n{}\n{tensors} optimizer tensors", table(&self.optimizer)));
        }
        if let Some(format) = &self.format {
            line(&mut text, format_args!("format: {format}"));
        }
        for (key, value) in &self.metadata {
            line(&mut text, format_args!("metadata: {key} = {value}"));
        }
        for note in &self.notes {
            line(&mut text, format_args!("note: {note}"));
        }
        if let Some(Network { name, input }) = &self.network {
            line(&mut text, format_args!("network: {name}, usual input {input}"));
        }
        if let Some(error) = &self.network_error {
            line(&mut text, format_args!("network: none: {error}"));
        }
        text
    }
}

/// The rows, a line each, in columns.
fn table(rows: &[Row]) -> String {
    let rows: Vec<[String; 4]> = rows
        .iter()
        .map(|row| [row.name.clone(), row.dtype.clone(), format!("{:?}", row.shape), row.numbers()])
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let (name_width, dtype_width, shape_width) = (width(0), width(1), width(2));
    let mut text = String::new();
    for [name, dtype, shape, numbers] in &rows {
        let row = format!("{name:name_width$}  {dtype:dtype_width$}  {shape:shape_width$}  {numbers}");
        line(&mut text, format_args!("{}", row.trim_end()));
    }
    text
}

impl Row {
    fn of(name: &str, tensor: &Tensor) -> Self {
        Self {
            name: name.to_owned(),
            dtype: tensor.dtype().to_string(),
            shape: tensor.shape().to_vec(),
            statistics: statistics(tensor),
        }
    }

    /// Its statistics in words; empty where there are none.
    fn numbers(&self) -> String {
        let Some(found) = &self.statistics else { return String::new() };
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
}

fn line(text: &mut String, arguments: std::fmt::Arguments) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{arguments}");
}
