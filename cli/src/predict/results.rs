//! Runs the pipeline over all images, and writes what comes of each.

use crate::args::Args;
use crate::console::{Result, Sink, complain, is_quiet};
use crate::inputs::{self, Inputs};
use crate::output::{Outcome, Output};
use crate::{Tally, Times, console, profile};
use indicatif::ProgressBar;
use pretrained::pipeline::{Event, Source};
use pretrained::{Classifier, Pipeline};
use std::io::{self, IsTerminal};
use std::num::NonZeroUsize;
use std::thread::available_parallelism;

/// So many images are worth a progress bar.
const MANY: usize = 16;

/// Predicts all images, and returns how long the parts took.
pub fn write(
    args: &Args,
    classifier: &Classifier,
    inputs: Inputs,
    sink: Sink,
    mut times: Times,
    tally: &mut Tally,
) -> Result<Times> {
    let page = !args.image_path.is_empty();
    let (model, device) = (classifier.name().to_owned(), classifier.device().name());
    let mut output = Output::new(sink, args.format, page, model, device, classifier.activation().name());
    output.begin(args.model.as_deref().unwrap_or(classifier.name()), times.init, times.load)?;
    let bar = bar(args, &inputs);
    let threads = args.threads.or(available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    let pipeline = Pipeline::new(classifier).batch(args.batch_size.get()).first_alone(true).threads(threads);
    let pipeline = pipeline.profile(args.profile).on_event(tell);
    for result in pipeline.run(inputs.into_items()) {
        times.preprocess += result.prepared;
        times.infer += result.ran;
        let predictions = result.outputs.and_then(|outputs| classifier.top_k(&outputs, args.top_k.get()));
        tally.done += 1;
        tally.failed += usize::from(predictions.is_err());
        let outcome = Outcome { image: result.source.name(), predictions, infer: result.ran };
        bar.suspend(|| {
            // Where results go elsewhere, this is all that the user sees of it.
            if let Err(error) = &outcome.predictions
                && !output.is_seen()
            {
                complain(error);
            }
            output.write(&outcome)
        })?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    output.end()?;
    Ok(times)
}

/// A bar on standard error, where that is a terminal and there are many images.
fn bar(args: &Args, inputs: &Inputs) -> ProgressBar {
    // How many are in an archive or a stream shows at its end.
    let is_counted = inputs.first.iter().all(|item| item.path().is_some());
    let is_seen = io::stderr().is_terminal() && !is_quiet() && (inputs.first.len() >= MANY || !inputs.is_all);
    match (is_seen, inputs.is_all) {
        (false, _) => ProgressBar::hidden(),
        (true, true) => ProgressBar::new(inputs.first.len() as u64),
        (true, false) if !is_counted => ProgressBar::no_length(),
        (true, false) => {
            let bar = ProgressBar::no_length();
            // Whatever is left when the program ends is lost, and is no more than a number.
            let (counted, files) = (bar.clone(), inputs::files(args));
            std::thread::spawn(move || counted.set_length(files.count() as u64));
            bar
        }
    }
}

/// Prints the table of steps.
fn tell(event: Event) {
    match event {
        Event::Profiled(Ok(steps)) => console::aside(&profile::table(&steps)),
        Event::Profiled(Err(error)) => complain(error),
        _ => {}
    }
}
