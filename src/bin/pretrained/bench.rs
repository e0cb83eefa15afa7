//! `pretrained bench`: times a model from input on the host to logits on the host, after a warm-up.

use crate::weights;
use clap::Args;
use pretrained::graph::Shape;
use pretrained::vision::{Overrides, Size};
use pretrained::{Classifier, CpuOptions, Device, DeviceChoice, Error, Result, Session, catalog};
use serde::Serialize;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

/// So many runs come before those that are timed, besides the first.
const WARM_UP: usize = 3;

#[derive(Debug, Args)]
pub struct Bench {
    /// A model by name; the shipped CIFAR-10 model by default
    #[arg(long, value_name = "NAME")]
    model: Option<String>,

    /// A checkpoint, in the place of the model's own weights
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,

    /// auto, gpu, cpu, the number of a device, or part of its name
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,

    /// Images in a batch
    #[arg(long, default_value_t = 1)]
    batch: usize,

    /// Height, or height and width, of the input in pixels; by default the model's own
    #[arg(long, value_name = "H[xW]")]
    size: Option<Size>,

    /// Threads of the cpu device; by default the cores that there are
    #[arg(long)]
    threads: Option<NonZeroUsize>,

    /// Runs that are timed
    #[arg(long, default_value_t = 50)]
    runs: usize,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What was measured, in milliseconds.
#[derive(Debug, Serialize)]
struct Figures {
    model: String,
    device: String,
    batch: usize,
    threads: usize,
    runs: usize,
    min_ms: f64,
    median_ms: f64,
    p95_ms: f64,
    p99_ms: f64,
    load_ms: f64,
    first_run_ms: f64,
}

impl Bench {
    /// Runs it, and returns what to print.
    pub fn run(&self) -> Result<String> {
        if self.batch == 0 || self.runs == 0 {
            return Err(Error::Usage("--batch and --runs are at least 1".into()));
        }
        let figures = self.measure()?;
        if self.json {
            // Strings and numbers always serialise.
            return Ok(serde_json::to_string(&figures).unwrap_or_default() + "\n");
        }
        let Figures { model, device, batch, runs, .. } = &figures;
        Ok(format!(
            "{model} on {device}, batch {batch}, {runs} runs\n\
             min {:.3} ms, median {:.3} ms, p95 {:.3} ms, p99 {:.3} ms\n\
             load {:.3} ms, first run {:.3} ms\n",
            figures.min_ms, figures.median_ms, figures.p95_ms, figures.p99_ms, figures.load_ms, figures.first_run_ms
        ))
    }

    fn measure(&self) -> Result<Figures> {
        let device = Device::open_with(&self.device, CpuOptions { threads: self.threads, ..CpuOptions::default() })?;
        let model = self.model.as_deref().or(self.weights.is_none().then_some(catalog::DEFAULT));
        let builder =
            weights::choose(Classifier::builder().max_batch(self.batch), model, self.weights.as_deref(), |note| {
                eprintln!("pretrained: {note}");
            })?;

        let began = Instant::now();
        // The classifier is here for its model and the usual size of its input; its own session stays on the CPU.
        let classifier = builder.device(Device::cpu()).overrides(Overrides::default()).build()?;
        classifier.notes().iter().for_each(|note| eprintln!("pretrained: the checkpoint: {note}"));
        let mut session = Session::new(&device, classifier.model(), self.input(&classifier), self.batch)?;
        let load = began.elapsed();

        let images = noise(session.input().elements() * self.batch);
        let mut time = || -> Result<Duration> {
            let began = Instant::now();
            session.run(&images)?;
            Ok(began.elapsed())
        };
        let first_run = time()?;
        for _ in 0..WARM_UP {
            time()?;
        }
        let mut times = (0..self.runs).map(|_| time()).collect::<Result<Vec<Duration>>>()?;
        times.sort();
        Ok(Figures {
            model: classifier.name().to_owned(),
            device: device.name(),
            batch: self.batch,
            threads: self.threads.or(available_parallelism().ok()).map_or(1, NonZeroUsize::get),
            runs: self.runs,
            min_ms: ms(times[0]),
            median_ms: percentile(&times, 50),
            p95_ms: percentile(&times, 95),
            p99_ms: percentile(&times, 99),
            load_ms: ms(load),
            first_run_ms: ms(first_run),
        })
    }

    fn input(&self, classifier: &Classifier) -> Shape {
        let usual = classifier.model().network().input;
        let size =
            classifier.preprocess().fixed_size().map_or((usual.height, usual.width), |(w, h)| (h as usize, w as usize));
        let (height, width) = match self.size {
            None => size,
            Some(Size::Side(side)) => (side as usize, side as usize),
            // On this command line the height comes first.
            Some(Size::Exact { width, height }) => (width as usize, height as usize),
        };
        Shape::new(usual.channels, height, width)
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The time that so many percent of the runs did not exceed (nearest rank). `times` is sorted and not empty.
fn percentile(times: &[Duration], percent: usize) -> f64 {
    let rank = (times.len() * percent).div_ceil(100).clamp(1, times.len());
    ms(times[rank - 1])
}

/// Numbers between -1 and 1.
fn noise(n: usize) -> Vec<f32> {
    (0..n).map(|i| ((i as u32).wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32 - 1.0).collect()
}
