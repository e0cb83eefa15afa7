//! `pretrained`: the toolbox around `predict`: which devices there are, what a checkpoint holds, how fast a model runs.

mod bench;
mod inspect;
#[path = "../common/weights.rs"]
mod weights;

use clap::{Parser, Subcommand};
use pretrained::{Device, Result};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// The toolbox around `predict`.
#[derive(Debug, Parser)]
#[command(name = "pretrained", version, max_term_width = 100)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the devices
    Devices,
    /// List what a checkpoint holds, and the network that it is of
    Inspect {
        /// The checkpoint
        file: PathBuf,
    },
    /// Time a model from input on the host to logits on the host
    Bench(bench::Bench),
}

fn main() -> ExitCode {
    let result = match Args::parse().command {
        Command::Devices => Ok(devices()),
        Command::Inspect { file } => inspect::inspect(&file),
        Command::Bench(bench) => bench.run(),
    };
    match result.and_then(|text| print(&text)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pretrained: {error}");
            ExitCode::from(2)
        }
    }
}

fn devices() -> String {
    let devices = Device::list();
    devices.iter().enumerate().map(|(i, info)| format!("{i}: {info}\n")).collect()
}

/// Writes to standard output. A reader that has seen enough, such as `head`, is no error.
fn print(text: &str) -> Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(pretrained::Error::io("standard output", error)),
        _ => Ok(()),
    }
}
