//! Runs the pipeline over all images, and writes what comes of each.

use crate::args::Args;
use crate::console::{Result, Sink, complain, is_quiet};
use crate::inputs::Input;
use crate::output::{Outcome, Output};
use crate::{Tally, Times, console, profile};
use indicatif::ProgressBar;
use pretrained::pipeline::{Event, Source};
use pretrained::{Classifier, Pipeline};
use std::num::NonZeroUsize;
use std::thread::available_parallelism;

/// So many images are worth a progress bar.
const MANY: usize = 16;

/// Predicts all images, and returns how long the parts took.
pub fn write(
    args: &Args,
    classifier: &Classifier,
    inputs: Vec<Input>,
    sink: Sink,
    mut times: Times,
    tally: &mut Tally,
) -> Result<Times> {
    let page = !args.image_path.is_empty();
    let (model, device) = (classifier.name().to_owned(), classifier.device().name());
    let mut output = Output::new(sink, args.format, page, model, device, classifier.activation().name());
    output.begin(args.model.as_deref().unwrap_or(classifier.name()), times.init, times.load)?;
    let bar = match inputs.len() >= MANY && !is_quiet() {
        // It shows itself on standard error, and only where that is a terminal.
        true => ProgressBar::new(inputs.len() as u64),
        false => ProgressBar::hidden(),
    };
    let threads = args.threads.or(available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    let pipeline = Pipeline::new(classifier).batch(args.batch_size.get()).first_alone(true).threads(threads);
    let pipeline = pipeline.profile(args.profile).on_event(tell);
    for result in pipeline.run(inputs) {
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

/// Prints the table of steps.
fn tell(event: Event) {
    match event {
        Event::Profiled(Ok(steps)) => console::aside(&profile::table(&steps)),
        Event::Profiled(Err(error)) => complain(error),
        _ => {}
    }
}
