//! `pretrained convert`: writes a checkpoint again, in another format or precision.

use crate::Outcome;
use crate::console::remark;
use crate::rename::Renames;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use pretrained::{DType, Error, Limits, Result, SaveFormat, SaveOptions, printable};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Convert {
    /// The checkpoint
    input: PathBuf,

    /// The file or folder to write
    output: PathBuf,

    /// The format; by default told from the output's extension: .safetensors, .pth or .pt or .bin (torch), .ckpt
    /// (mindspore), none (a oneflow folder)
    #[arg(long, value_name = "FORMAT", value_parser = formats())]
    to: Option<SaveFormat>,

    /// Round floats to this type; statistics of batch normalisation become f32
    #[arg(long, value_name = "TYPE", value_parser = dtypes())]
    dtype: Option<DType>,

    /// Round the statistics of batch normalisation to --dtype too
    #[arg(long, requires = "dtype")]
    force_dtype: bool,

    /// Replace the output where it exists
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    renames: Renames,
}

fn formats() -> impl TypedValueParser<Value = SaveFormat> {
    PossibleValuesParser::new(SaveFormat::ALL.iter().map(|format| format.name())).try_map(|name| name.parse())
}

/// The types that floats can be rounded to.
fn dtypes() -> impl TypedValueParser<Value = DType> {
    let floats = [DType::F32, DType::F16, DType::BF16];
    PossibleValuesParser::new(floats.map(DType::name)).try_map(|name| name.parse())
}

impl Convert {
    pub fn run(&self) -> Result<Outcome> {
        let format = match self.to {
            Some(format) => format,
            None => SaveFormat::of_path(&self.output).ok_or_else(|| {
                Error::Usage(format!(
                    "{}: the extension names no format; use .safetensors, .pth, .pt, .ckpt or none, or give --to",
                    self.output.display()
                ))
            })?,
        };
        // Before the input is read, which may take long.
        if !self.force && self.output.symlink_metadata().is_ok() {
            let output = self.output.display();
            return Err(Error::Usage(format!("{output}: exists already; choose another name, or give --force")));
        }
        // Not mapped: the output may be the input, and Windows replaces no file that is mapped.
        let state = crate::open(&self.input, &Limits { map_from_bytes: u64::MAX, ..Limits::default() })?;
        let state = self.renames.apply(state)?;
        if format != SaveFormat::Safetensors && !state.metadata().is_empty() {
            let (input, keys) = (printable::path(&self.input), state.metadata().keys().cloned().collect::<Vec<_>>());
            remark(format_args!(
                "{input}: the {format} has no place for its metadata, which is left out: {}",
                printable::cut(&keys.join(", "), 1000)
            ));
        }
        let options = SaveOptions { format, dtype: self.dtype, force_dtype: self.force_dtype, overwrite: self.force };
        state.save(&self.output, &options)?;
        Ok(Outcome::good(format!("wrote {} tensors as {format} to {}\n", state.len(), printable::path(&self.output))))
    }
}
