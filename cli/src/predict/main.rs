//! `predict`: image files in, labelled classes out.
//!
//! Results go to standard output in the order of the images, everything else to standard error. Exit codes: 0 all
//! images were predicted, 1 some were not, 2 nothing could start or results could not be written.

mod allocator;
mod args;
#[path = "../common/console.rs"]
mod console;
#[path = "../common/device.rs"]
mod device;
mod hints;
mod inputs;
#[path = "../common/json.rs"]
mod json;
mod load;
mod output;
#[path = "../common/parts.rs"]
mod parts;
mod profile;
mod replaced;
mod results;
#[path = "../common/weights.rs"]
mod weights;
#[path = "../common/whole.rs"]
mod whole;

use args::Args;
use clap::CommandFactory;
use console::{Result, Sink, complain};
use inputs::Inputs;
use pretrained::{Device, Error, catalog};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    console::report_panics();
    allocator::keep_freed();
    let args: Args = match console::arguments() {
        Ok(args) => args,
        Err(code) => return code.into(),
    };
    let mut tally = Tally::default();
    let ended = run(&args, &mut tally);
    console::exit_code(ended, u8::from(tally.failed > 0), |error| hints::of(error, &args)).into()
}

/// What became of the images so far.
#[derive(Debug, Default)]
struct Tally {
    done: usize,
    failed: usize,
}

/// Time that each part took.
#[derive(Debug, Clone, Copy, Default)]
struct Times {
    init: Duration,
    load: Duration,
    preprocess: Duration,
    infer: Duration,
}

/// Does what the arguments ask.
fn run(args: &Args, tally: &mut Tally) -> Result<()> {
    if args.quiet {
        console::be_quiet();
    }
    if args.list_devices {
        let devices = Device::list();
        return print(devices.iter().enumerate().map(|(i, info)| format!("{i}: {info}\n")).collect());
    }
    if args.list_models {
        return print(catalog::MODELS.iter().map(|model| format!("{:28} {}\n", model.name, model.summary)).collect());
    }
    if args.images.first().is_some_and(|first| first == Path::new("help") && !first.exists()) {
        return print(format!("{}\n", Args::command().render_long_help().to_string().trim_end()));
    }
    if args.images.is_empty() && args.image_path.is_empty() && args.files_from.is_empty() {
        return Err(Error::Usage("no image is given; name files, folders, globs, or - (see --help)".into()).into());
    }
    let inputs = Inputs::of(args);
    if inputs.first.is_empty() {
        return Err(Error::Usage("no image is given: the lists name none".into()).into());
    }
    if let Some(error) = hints::misplaced(args, &inputs) {
        return Err(error.into());
    }
    replaced::refuse(args)?;
    let (classifier, times) = load::load(args, &inputs)?;
    let sink = match &args.results {
        None => Sink::stdout(),
        Some(file) => Sink::file(file)?,
    };
    let times = results::write(args, &classifier, inputs, sink, times, tally)?;
    if tally.failed > 0 && tally.done > 1 {
        complain(format_args!("{} of {} failed", tally.failed, tally.done));
    }
    if args.timings {
        report(&times, tally.done.max(1));
    }
    Ok(())
}

fn print(text: String) -> Result<()> {
    let mut sink = Sink::stdout();
    sink.put(text)?;
    sink.flush()
}

fn report(times: &Times, images: usize) {
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let each = |time: Duration| ms(time) / images as f64;
    console::aside(&format!(
        "init       {:9.3} ms\nload       {:9.3} ms\npreprocess {:9.3} ms an image\ninfer      {:9.3} ms an image\n",
        ms(times.init),
        ms(times.load),
        each(times.preprocess),
        each(times.infer)
    ));
}
