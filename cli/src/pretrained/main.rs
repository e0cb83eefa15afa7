//! `pretrained`: the toolbox around `predict`: which devices there are, what a checkpoint holds, whether it is sound,
//! how it differs from another, writing it in other formats, how fast a model runs.

mod bench;
mod completions;
#[allow(dead_code)] // `predict` uses the rest.
#[path = "../common/console.rs"]
mod console;
mod convert;
#[path = "../common/device.rs"]
mod device;
mod diff;
mod export;
mod inspect;
#[path = "../common/json.rs"]
mod json;
mod manual;
mod numbers;
#[path = "../common/parts.rs"]
mod parts;
mod programs;
mod rename;
mod verify;
#[path = "../common/weights.rs"]
mod weights;
#[path = "../common/whole.rs"]
mod whole;

use clap::{Parser, Subcommand};
use console::{Result, Sink, remark};
use pretrained::{Device, Error, Limits, StateDict, printable};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The toolbox around `predict`.
#[derive(Debug, Parser)]
#[command(name = "pretrained", version, max_term_width = 100, after_help = EXIT_CODES)]
struct Args {
    #[command(subcommand)]
    command: Command,

    /// Say nothing on standard error but what went wrong, and show no progress
    #[arg(short, long, global = true)]
    quiet: bool,
}

const EXIT_CODES: &str = "\
Examples:
  pretrained inspect model.pth
  pretrained convert model.pth model.safetensors
  pretrained export model.pth model.onnx
  pretrained bench --model resnet18 --device cpu --batch 1,8

Pictures are classified by the other program: predict --weights model.pth cat.jpg

Exit codes: 0 all is well; 1 diff found a difference, or verify something wrong; 2 an error, which results that could not be
written are too. A reader of the results that leaves early, such as head, changes none of it.";

const CONVERT: &str = "\
Examples:
  pretrained convert model.pth model.safetensors
  pretrained convert model.ckpt half.pth --dtype f16

Exit codes: 0 written; 2 an error.";

const EXPORT: &str = "\
Examples:
  pretrained export model.pth model.onnx --fold
  pretrained export model.pth wide.onnx --size 320x240

Exit codes: 0 written; 2 an error.";

const DIFF: &str = "\
Examples:
  pretrained diff model.pth model.safetensors
  pretrained diff model.pth half.pth --tolerance 1e-3

Exit codes: 0 the same names, element types, shapes and numbers; 1 a difference; 2 an error.";

const VERIFY: &str = "\
Example:
  pretrained verify model.pth

Exit codes: 0 nothing is wrong; 1 something is; 2 the checkpoint could not be looked at.";

const INSPECT: &str = "\
Examples:
  pretrained inspect model.pth
  pretrained inspect --json model.pth | jq .network

Names and metadata are escaped and cut to fit on a line; --json has them whole.

Exit codes: 0 listed, whether or not the network is known; 2 an error.";

const BENCH: &str = "\
Examples:
  pretrained bench --weights model.onnx --device cpu --threads 1
  pretrained bench --model resnet18 --batch 1,8 --size 320x240 --json

Exit codes: 0 measured; 2 an error.";

const COMPLETIONS: &str = "\
Examples:
  source <(pretrained completions bash)
  pretrained completions fish > ~/.config/fish/conf.d/pretrained.fish

Exit codes: 0 printed; 2 an error.";

const MAN: &str = "\
Examples:
  pretrained man ~/.local/share/man/man1
  pretrained man | man -l -

Exit codes: 0 printed or written; 2 an error.";

#[derive(Debug, Subcommand)]
enum Command {
    /// List the devices
    Devices,
    /// List what a checkpoint holds, and the network that it is of
    #[command(after_help = INSPECT)]
    Inspect(inspect::Inspect),
    /// Write a checkpoint in another format or precision
    ///
    /// The output appears whole or not at all; an error leaves what was there before.
    #[command(after_help = CONVERT)]
    Convert(convert::Convert),
    /// Write the network that a checkpoint is of, with its weights, as a model that other frameworks run
    ///
    /// It takes any number of images, all of one size. The output appears whole or not at all.
    #[command(after_help = EXPORT)]
    Export(export::Export),
    /// Compare two checkpoints name by name, in whatever formats they are
    #[command(after_help = DIFF)]
    Diff(diff::Diff),
    /// Read every byte of a checkpoint: does it open, do checksums match, is any number NaN or infinite
    ///
    /// Checksums are those of a zip archive's entries and of MindSpore's .ckpt; the other formats have none.
    #[command(after_help = VERIFY)]
    Verify {
        /// The checkpoint
        file: PathBuf,
    },
    /// Time a model from input on the host to logits on the host
    #[command(after_help = BENCH)]
    Bench(bench::Bench),
    /// Print what a shell completes the command lines of both programs by
    #[command(after_help = COMPLETIONS)]
    Completions(completions::Completions),
    /// Print or write the manual pages of both programs
    #[command(after_help = MAN)]
    Man(manual::Manual),
    /// Not here: the program `predict` classifies pictures
    #[command(hide = true, disable_help_flag = true)]
    Predict {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
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
    console::report_panics();
    let args: Args = match console::arguments() {
        Ok(args) => args,
        Err(code) => return code.into(),
    };
    if args.quiet {
        console::be_quiet();
    }
    let mut found = false;
    let ended = run(&args.command, &mut found);
    console::exit_code(ended, u8::from(found), |error| hints(error, &args.command)).into()
}

/// Does what `command` asks, and sets `found` where it found what it looks for.
fn run(command: &Command, found: &mut bool) -> Result<()> {
    let mut out = Sink::stdout();
    let outcome = match command {
        Command::Inspect(inspect) => return inspect.run(&mut out),
        Command::Bench(bench) => return bench.run(&mut out),
        Command::Completions(completions) => return completions.run(&mut out),
        Command::Man(manual) => return manual.run(&mut out),
        Command::Predict { arguments } => return Err(not_here(arguments).into()),
        Command::Devices => Outcome::good(devices()),
        Command::Convert(convert) => convert.run()?,
        Command::Export(export) => export.run()?,
        Command::Diff(diff) => diff.run()?,
        Command::Verify { file } => verify::verify(file)?,
    };
    *found = outcome.found;
    out.put(outcome.text)?;
    out.flush()
}

/// The ways out of `error` in the words of the command line, which the library does not know.
fn hints(error: &Error, command: &Command) -> Vec<String> {
    let hint = match (error, command) {
        (Error::Device { .. }, Command::Bench(bench)) => return device::hint(&bench.device).into_iter().collect(),
        (Error::Ambiguous { prefixes, .. }, _) => return parts::hint(prefixes).into_iter().collect(),
        (Error::Download { .. }, _) => "--weights FILE takes a file that you have",
        (Error::Limit { .. }, Command::Export(_)) => "`pretrained convert` writes safetensors of any size",
        _ => return Vec::new(),
    };
    vec![hint.to_owned()]
}

fn not_here(arguments: &[String]) -> Error {
    let line = arguments.iter().fold("predict".to_owned(), |line, argument| line + " " + argument);
    Error::Usage(format!("`predict` is a program of its own; run: {line}"))
}

/// Opens a checkpoint, and says on standard error what reading it chose to do.
fn open(path: &Path, limits: &Limits) -> Result<StateDict, Error> {
    let state = StateDict::open_with(path, limits)?;
    tell_notes(path, &state);
    Ok(state)
}

/// Says what reading the checkpoint at `path` chose to do.
fn tell_notes(path: &Path, state: &StateDict) {
    state.notes().iter().for_each(|note| remark(format_args!("{}: {note}", printable::path(path))));
}

fn devices() -> String {
    let devices = Device::list();
    devices.iter().enumerate().map(|(i, info)| format!("{i}: {info}\n")).collect()
}
