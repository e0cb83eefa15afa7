//! `pretrained inspect`: every parameter of a checkpoint, the totals, and the network that it is of.

use pretrained::{Result, StateDict, zoo};
use std::fmt::Write;
use std::path::Path;

/// What the checkpoint at `path` holds, as text.
pub fn inspect(path: &Path) -> Result<String> {
    let state = StateDict::open(path)?;
    let rows: Vec<[String; 3]> = state
        .iter()
        .map(|(name, tensor)| [name.to_owned(), tensor.dtype().to_string(), format!("{:?}", tensor.shape())])
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let (name_width, dtype_width) = (width(0), width(1));
    let mut text = String::new();
    for [name, dtype, shape] in &rows {
        line(&mut text, format_args!("{name:name_width$}  {dtype:dtype_width$}  {shape}"));
    }
    let elements: usize = state.iter().map(|(_, tensor)| tensor.element_count()).sum();
    let bytes: usize = state.iter().map(|(_, tensor)| tensor.bytes().len()).sum();
    line(&mut text, format_args!("\n{} tensors, {elements} numbers, {bytes} bytes", state.len()));
    if !state.optimizer().is_empty() {
        line(&mut text, format_args!("{} optimizer tensors beside them", state.optimizer().len()));
    }
    if let Some(format) = state.format() {
        line(&mut text, format_args!("format: {format}"));
    }
    for (key, value) in state.metadata() {
        line(&mut text, format_args!("metadata: {key} = {value}"));
    }
    for note in state.notes() {
        line(&mut text, format_args!("note: {note}"));
    }
    match zoo::detect(&state) {
        Ok(network) => line(&mut text, format_args!("network: {}, usual input {}", network.name, network.input)),
        Err(error) => line(&mut text, format_args!("network: none: {error}")),
    }
    Ok(text)
}

fn line(text: &mut String, arguments: std::fmt::Arguments) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{arguments}");
}
