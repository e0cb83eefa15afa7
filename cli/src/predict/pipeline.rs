//! Images in, results out: while the device computes a batch, the next is decoded.

use crate::args::Args;
use crate::console::{Result, Sink, complain, is_quiet};
use crate::inputs::Input;
use crate::output::{Outcome, Output};
use crate::{Tally, Times, ahead, console, profile};
use indicatif::ProgressBar;
use pretrained::vision::{Limits, Planes, Preprocess};
use pretrained::{Classifier, Error, Ticket};
use std::any::Any;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{available_parallelism, scope};
use std::time::{Duration, Instant};

/// So many images are worth a progress bar.
const MANY: usize = 16;

pub struct Pipeline<'a> {
    args: &'a Args,
    classifier: &'a mut Classifier,
    output: Output,
    times: Times,
    tally: &'a mut Tally,
    bar: ProgressBar,
    /// Whether the table of steps was printed, or is not wanted.
    profiled: bool,
}

/// An image as the network takes it, and how long that took.
type Prepared = (Result<Planes, Error>, Duration);

/// A batch on its way through the device.
struct UnderWay<'a> {
    inputs: &'a [Input],
    planes: Vec<Result<Planes, Error>>,
    tickets: Result<Vec<Ticket>, Error>,
    /// How long it took to submit.
    submit: Duration,
}

impl<'a> Pipeline<'a> {
    pub fn new(args: &'a Args, classifier: &'a mut Classifier, sink: Sink, times: Times, tally: &'a mut Tally) -> Self {
        let page = !args.image_path.is_empty();
        let (model, device) = (classifier.name().to_owned(), classifier.device().name());
        let output = Output::new(sink, args.format, page, model, device, classifier.activation().name());
        Self { args, classifier, output, times, tally, bar: ProgressBar::hidden(), profiled: !args.profile }
    }

    /// Predicts all images, and returns how long the parts took.
    pub fn run(mut self, inputs: &[Input]) -> Result<Times> {
        let name = self.args.model.clone().unwrap_or_else(|| self.classifier.name().to_owned());
        self.output.begin(&name, self.times.init, self.times.load)?;
        if inputs.len() >= MANY && !is_quiet() {
            // It shows itself on standard error, and only where that is a terminal.
            self.bar = ProgressBar::new(inputs.len() as u64);
        }
        let preprocess = self.classifier.preprocess().clone();
        let prepare = |input: &Input| prepare(input, &preprocess);
        let threads = self.args.threads.or(available_parallelism().ok()).map_or(1, NonZeroUsize::get);
        // The first image does not wait for others. A profile is of a whole batch.
        let (first, rest) = inputs.split_at(if self.args.profile { 0 } else { 1.min(inputs.len()) });
        scope(|scope| {
            let mut prepared = ahead::in_order(scope, inputs, threads, &prepare);
            if !first.is_empty() {
                let begun = self.submit(first, &mut prepared);
                self.finish(begun)?;
            }
            let mut under_way = None;
            for batch in rest.chunks(self.args.batch_size.get()) {
                let begun = self.submit(batch, &mut prepared);
                if let Some(before) = under_way.replace(begun) {
                    self.finish(before)?;
                }
            }
            under_way.map_or(Ok(()), |last| self.finish(last))
        })?;
        self.bar.finish_and_clear();
        self.output.end()?;
        Ok(self.times)
    }

    fn submit<'b>(&mut self, inputs: &'b [Input], prepared: &mut impl Iterator<Item = Prepared>) -> UnderWay<'b> {
        let (planes, took): (Vec<_>, Vec<Duration>) = prepared.by_ref().take(inputs.len()).unzip();
        self.times.preprocess += took.iter().sum::<Duration>();
        let began = Instant::now();
        let sound: Vec<&Planes> = planes.iter().flatten().collect();
        if !self.profiled && !sound.is_empty() {
            self.profiled = true;
            match self.classifier.profile(&sound) {
                Ok(steps) => console::aside(&profile::table(&steps)),
                Err(error) => complain(error),
            }
        }
        let tickets = self.classifier.submit(&sound);
        UnderWay { inputs, planes, tickets, submit: began.elapsed() }
    }

    fn finish(&mut self, UnderWay { inputs, planes, tickets, submit }: UnderWay) -> Result<()> {
        let began = Instant::now();
        let outputs = self.infer(planes, tickets);
        let took = submit + began.elapsed();
        self.times.infer += took;
        let share = took / outputs.iter().filter(|row| row.is_ok()).count().max(1) as u32;
        for (input, outputs) in inputs.iter().zip(outputs) {
            let predictions = outputs.and_then(|outputs| self.classifier.top_k(&outputs, self.args.top_k.get()));
            self.tally.done += 1;
            self.tally.failed += usize::from(predictions.is_err());
            let outcome = Outcome { image: input.name(), predictions, infer: share };
            self.bar.suspend(|| {
                // Where results go elsewhere, this is all that the user sees of it.
                if let Err(error) = &outcome.predictions
                    && !self.output.is_seen()
                {
                    complain(error);
                }
                self.output.write(&outcome)
            })?;
            self.bar.inc(1);
        }
        Ok(())
    }

    /// The network's outputs for each image. Where a batch fails as a whole, its images run one by one, so that each has its own
    /// error.
    fn infer(
        &mut self,
        planes: Vec<Result<Planes, Error>>,
        tickets: Result<Vec<Ticket>, Error>,
    ) -> Vec<Result<Vec<f32>, Error>> {
        let outputs = self.classifier.outputs().max(1);
        let wait = |tickets: Vec<Ticket>| tickets.into_iter().map(Ticket::wait).collect::<Result<Vec<_>, Error>>();
        let whole = tickets.and_then(wait).ok().map(|rows| rows.concat());
        let mut rows = whole.as_deref().map(|rows| rows.chunks(outputs));
        planes
            .into_iter()
            .map(|planes| {
                let planes = planes?;
                match rows.as_mut().and_then(Iterator::next) {
                    Some(row) => Ok(row.to_vec()),
                    None => self.classifier.run(&[planes]),
                }
            })
            .collect()
    }
}

/// A network's input. A decoder that panics costs its own picture, and no other.
fn prepare(input: &Input, preprocess: &Preprocess) -> Prepared {
    let began = Instant::now();
    let planes = || input.prepare(&Limits::default(), preprocess);
    let planes = catch_unwind(AssertUnwindSafe(planes)).unwrap_or_else(|panic| Err(panicked(input, &*panic)));
    (planes, began.elapsed())
}

fn panicked(input: &Input, panic: &dyn Any) -> Error {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    let reason = format!("cannot be read for a bug in pretrained: {}", text.unwrap_or("a panic"));
    Error::image(input.name(), reason)
}
