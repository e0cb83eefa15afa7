//! `pretrained`: the toolbox around `predict`: which devices there are, what a checkpoint holds, whether it is sound,
//! how it differs from another, writing it in other formats, how fast a model runs.

mod bench;
mod convert;
mod diff;
mod export;
mod inspect;
mod numbers;
mod rename;
mod verify;
#[path = "../common/weights.rs"]
mod weights;

use clap::{Parser, Subcommand};
use pretrained::{Device, Limits, Result, StateDict};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The toolbox around `predict`.
#[derive(Debug, Parser)]
#[command(name = "pretrained", version, max_term_width = 100, after_help = EXIT_CODES)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 all is well; 1 diff found a difference, or verify something wrong; 2 an error.";

#[derive(Debug, Subcommand)]
enum Command {
    /// List the devices
    Devices,
    /// List what a checkpoint holds, and the network that it is of
    Inspect(inspect::Inspect),
    /// Write a checkpoint in another format or precision
    ///
    /// The output appears whole or not at all; an error leaves what was there before.
    #[command(after_help = "Exit codes: 0 written; 2 an error.")]
    Convert(convert::Convert),
    /// Write the network that a checkpoint is of, with its weights, as a model that other frameworks run
    ///
    /// It takes any number of images, all of one size. The output appears whole or not at all.
    #[command(after_help = "Exit codes: 0 written; 2 an error.")]
    Export(export::Export),
    /// Compare two checkpoints name by name, in whatever formats they are
    #[command(
        after_help = "Exit codes: 0 the same names, element types, shapes and numbers; 1 a difference; 2 an error."
    )]
    Diff(diff::Diff),
    /// Read every byte of a checkpoint: does it open, do checksums match, is any number NaN or infinite
    ///
    /// Checksums are those of a zip archive's entries and of MindSpore's .ckpt; the other formats have none.
    #[command(after_help = "Exit codes: 0 nothing is wrong; 1 something is; 2 the checkpoint could not be looked at.")]
    Verify {
        /// The checkpoint
        file: PathBuf,
    },
    /// Time a model from input on the host to logits on the host
    Bench(bench::Bench),
}

/// What a command prints, and whether it found what it looks for, which makes the exit code 1.
struct Outcome {
    text: String,
    found: bool,
}

impl Outcome {
    fn good(text: String) -> Self {
        Self { text, found: false }
    }
}

fn main() -> ExitCode {
    let result = match Args::parse().command {
        Command::Devices => Ok(Outcome::good(devices())),
        Command::Inspect(inspect) => inspect.run(),
        Command::Convert(convert) => convert.run(),
        Command::Export(export) => export.run(),
        Command::Diff(diff) => diff.run(),
        Command::Verify { file } => verify::verify(&file),
        Command::Bench(bench) => bench.run().map(Outcome::good),
    };
    match result.and_then(|outcome| print(&outcome.text).map(|()| outcome.found)) {
        Ok(found) => ExitCode::from(u8::from(found)),
        Err(error) => {
            eprintln!("pretrained: {error}");
            ExitCode::from(2)
        }
    }
}

/// Opens a checkpoint, and says on standard error what reading it chose to do.
fn open(path: &Path, limits: &Limits) -> Result<StateDict> {
    let state = StateDict::open_with(path, limits)?;
    state.notes().iter().for_each(|note| eprintln!("pretrained: {}: {note}", path.display()));
    Ok(state)
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
