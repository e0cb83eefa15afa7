//! `predict`: image files in, labelled classes out.
//!
//! Results go to standard output in the order of the images, everything else to standard error. Exit codes: 0 all
//! images were predicted, 1 some were not, 2 nothing could start.

mod ahead;
mod args;
mod inputs;
mod output;
mod profile;
#[path = "../common/weights.rs"]
mod weights;

use args::Args;
use clap::Parser;
use indicatif::ProgressBar;
use inputs::Input;
use output::{Outcome, Output};
use pretrained::hub::Hub;
use pretrained::vision::{Limits, Planes, Preprocess, top_k};
use pretrained::{Classifier, ClassifierBuilder, CpuOptions, Device, DeviceChoice, Error, Result, Ticket, catalog};
use std::io::{self, IsTerminal};
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::thread::{available_parallelism, scope};
use std::time::{Duration, Instant};

/// So many images are worth a progress bar.
const MANY: usize = 16;

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            remark(&error.to_string());
            ExitCode::from(2)
        }
    }
}

/// Does what the arguments ask, and returns how many images failed.
fn run(args: &Args) -> Result<usize> {
    if args.list_devices {
        return list_devices();
    }
    if args.list_models {
        return list_models();
    }
    let inputs = inputs::expand(args.images.iter().chain(&args.image_path));
    if inputs.is_empty() {
        return Err(Error::Usage("no image is given; name files, folders, globs, or - (see --help)".into()));
    }
    let (mut classifier, times) = start(args, inputs.len())?;
    predict(args, &inputs, &mut classifier, times)
}

/// Seconds that each part took.
#[derive(Debug, Clone, Copy, Default)]
struct Times {
    init: Duration,
    load: Duration,
    preprocess: Duration,
    infer: Duration,
}

/// Opens the device and loads the model, for so many images.
fn start(args: &Args, images: usize) -> Result<(Classifier, Times)> {
    if args.model.is_none() && args.weights.is_none() {
        remark(&format!(
            "using {}, which knows ten classes; for ImageNet's thousand add --model shufflenetv2_x1_0",
            catalog::DEFAULT
        ));
    }
    let cpu = CpuOptions { threads: args.threads, ..CpuOptions::default() };
    let cache = Hub::from_env().ok().map(|hub| hub.cache).filter(|_| !args.no_cache);
    let began = Instant::now();
    let mut builder = match &args.device {
        // It takes the model to tell.
        DeviceChoice::Fastest => {
            Classifier::builder().device_choice(DeviceChoice::Fastest).cpu_options(cpu).cache(cache)
        }
        choice => {
            let device = Device::open_with(choice, cpu)?;
            cache.iter().for_each(|folder| device.keep_kernels(folder));
            Classifier::builder().device(device)
        }
    };
    let init = began.elapsed();

    builder = builder.strictness(args.strictness()).precision(args.precision);
    builder = args.rename.iter().cloned().fold(builder, ClassifierBuilder::rename);
    builder = builder.overrides(args.overrides()?).max_batch(args.batch_size.min(images));
    if let Some(preset) = args.preset {
        builder = builder.preset(preset);
    }
    if let Some(labels) = &args.labels {
        builder = builder.labels(args::read_labels(labels)?);
    }
    builder = weights::choose(builder, args.model.as_deref(), args.weights.as_deref(), remark)?;
    let began = Instant::now();
    let classifier = builder.build()?;
    let load = began.elapsed();

    classifier.notes().iter().for_each(|note| remark(note));
    for rule in classifier.unmatched_renames() {
        remark(&format!("--rename {rule} matches no parameter"));
    }
    let report = classifier.model().report();
    for initialised in &report.initialised {
        remark(&initialised.to_string());
    }
    let unexpected = &report.unexpected;
    if !unexpected.is_empty() {
        let names = unexpected.join(", ");
        remark(&format!("{} parameters of the checkpoint are of no use: {names}", unexpected.len()));
    }
    Ok((classifier, Times { init, load, ..Times::default() }))
}

/// A batch on its way through the device.
struct UnderWay<'a> {
    inputs: &'a [Input],
    prepared: Vec<Result<Planes>>,
    tickets: Result<Vec<Ticket>>,
    /// How long it took to submit.
    submit: Duration,
}

/// Predicts all images, batch by batch, and returns how many failed. While the device computes a batch, the next is
/// decoded.
fn predict(args: &Args, inputs: &[Input], classifier: &mut Classifier, mut times: Times) -> Result<usize> {
    let name = args.model.clone().unwrap_or_else(|| classifier.name().to_owned());
    let mut output = Output::new(args.format, classifier.name().to_owned(), classifier.device().name());
    output.begin(&name, times.init, times.load)?;
    let bar = if inputs.len() >= MANY && io::stdout().is_terminal() && io::stderr().is_terminal() {
        ProgressBar::new(inputs.len() as u64)
    } else {
        ProgressBar::hidden()
    };
    let mut failed = 0;
    let preprocess = classifier.preprocess().clone();
    let prepare = |input: &Input| prepare(input, &preprocess);
    let threads = args.threads.or(available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    scope(|scope| -> Result<()> {
        let mut ahead = ahead::in_order(scope, inputs, threads, &prepare);
        let mut profiled = !args.profile;
        let mut under_way = None;
        let mut batches = inputs.chunks(args.batch_size);
        loop {
            let next = batches.next().map(|inputs| {
                let (prepared, took): (Vec<Result<Planes>>, Vec<Duration>) = ahead.by_ref().take(inputs.len()).unzip();
                times.preprocess += took.iter().sum::<Duration>();
                let began = Instant::now();
                let planes: Vec<&Planes> = prepared.iter().flatten().collect();
                if !profiled && !planes.is_empty() {
                    profiled = true;
                    match classifier.profile(&planes) {
                        Ok(steps) => eprint!("{}", profile::table(&steps)),
                        Err(error) => remark(&error.to_string()),
                    }
                }
                let tickets = classifier.submit(&planes);
                UnderWay { inputs, prepared, tickets, submit: began.elapsed() }
            });
            let last = next.is_none();
            if let Some(UnderWay { inputs, prepared, tickets, submit }) = std::mem::replace(&mut under_way, next) {
                let began = Instant::now();
                let logits = infer(classifier, prepared, tickets);
                let took = submit + began.elapsed();
                times.infer += took;
                let share = took / logits.iter().filter(|l| l.is_ok()).count().max(1) as u32;
                for (input, logits) in inputs.iter().zip(logits) {
                    let predictions = logits.and_then(|logits| top_k(&logits, args.top_k, classifier.labels()));
                    failed += usize::from(predictions.is_err());
                    let outcome = Outcome { image: input.name(), predictions, infer: share };
                    bar.suspend(|| output.write(&outcome))?;
                    bar.inc(1);
                }
            }
            if last {
                break;
            }
        }
        Ok(())
    })?;
    bar.finish_and_clear();
    output.end()?;
    if args.timings {
        report(&times, inputs.len());
    }
    Ok(failed)
}

/// A network's input, and how long it took to make.
fn prepare(input: &Input, preprocess: &Preprocess) -> (Result<Planes>, Duration) {
    let began = Instant::now();
    let planes = input.decode(&Limits::default()).and_then(|image| preprocess.apply(&image));
    (planes, began.elapsed())
}

/// The logits of each image. Where a batch fails as a whole, its images run one by one, so that each has its own error.
fn infer(
    classifier: &mut Classifier,
    prepared: Vec<Result<Planes>>,
    tickets: Result<Vec<Ticket>>,
) -> Vec<Result<Vec<f32>>> {
    let classes = classifier.classes();
    let wait = |tickets: Vec<Ticket>| tickets.into_iter().map(Ticket::wait).collect::<Result<Vec<_>>>();
    let whole = tickets.and_then(wait).ok().map(|logits| logits.concat());
    let mut rows = whole.as_deref().map(|logits| logits.chunks(classes.max(1)));
    prepared
        .into_iter()
        .map(|input| {
            let input = input?;
            match rows.as_mut().and_then(Iterator::next) {
                Some(row) => Ok(row.to_vec()),
                None => classifier.run(&[input]),
            }
        })
        .collect()
}

fn report(times: &Times, images: usize) {
    let each = |time: Duration| time.as_secs_f64() * 1e3 / images as f64;
    eprintln!("init       {:9.3} ms", times.init.as_secs_f64() * 1e3);
    eprintln!("load       {:9.3} ms", times.load.as_secs_f64() * 1e3);
    eprintln!("preprocess {:9.3} ms an image", each(times.preprocess));
    eprintln!("infer      {:9.3} ms an image", each(times.infer));
}

fn list_devices() -> Result<usize> {
    let lines: Vec<String> = Device::list().iter().enumerate().map(|(i, info)| format!("{i}: {info}")).collect();
    output::print(&lines.join("\n")).map(|()| 0)
}

fn list_models() -> Result<usize> {
    let lines = catalog::MODELS.each_ref().map(|model| format!("{:28} {}", model.name, model.summary));
    output::print(&lines.join("\n")).map(|()| 0)
}

fn remark(text: &str) {
    eprintln!("predict: {text}");
}
