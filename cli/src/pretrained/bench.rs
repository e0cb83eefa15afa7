//! `pretrained bench`: times a model from input on the host to logits on the host, after a warm-up, and the parts of the
//! way from an image file to them.

use crate::console::{self, Sink, remark};
use crate::json;
use crate::weights;
use crate::whole::at_least_one;
use clap::Args;
use image::codecs::jpeg::JpegEncoder;
use pretrained::graph::Shape;
use pretrained::vision::{Limits, RgbImage, Size, decode};
use pretrained::{
    CpuOptions, Device, DeviceChoice, Error, Package, Precision, Result, Session, SessionOptions, Ticket, catalog,
    printable,
};
use serde::Serialize;
use std::collections::VecDeque;
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

    /// auto, gpu, cpu, fastest, the number of a device, or part of its name
    #[arg(short, long, default_value = "auto")]
    pub device: DeviceChoice,

    /// Images in a batch, or several numbers of them, each of which is timed by itself
    #[arg(short, long, value_name = "N[,N...]", value_delimiter = ',', default_value = "1", value_parser = at_least_one)]
    batch: Vec<NonZeroUsize>,

    /// The input's side, or its width and height, in pixels, as for predict; by default the model's own
    #[arg(long, value_name = "N|WxH")]
    size: Option<Size>,

    /// How wide numbers are in a GPU's memory: f32 or f16
    #[arg(long, value_name = "P", default_value_t = Precision::F32)]
    precision: Precision,

    /// Keep neither times nor compiled kernels for the next run
    #[arg(long)]
    no_cache: bool,

    /// Threads of the cpu device; by default the cores that there are
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,

    /// The image whose decoding and preprocessing are timed; by default a JPEG of noise, 500 x 375 pixels
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,

    /// Runs that are timed
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = whole)]
    runs: usize,

    /// Print a JSON object a batch size, each on a line
    #[arg(long)]
    json: bool,
}

/// Batches on their way at once, where throughput is measured.
const IN_FLIGHT: usize = 3;

/// What was measured, in milliseconds. The parts are medians: decoding and preprocessing of one image; for the batch,
/// `upload` until it lies where the device reads it, `gpu` by the device's own clock, and `readback`, which is the rest.
/// `submit_cpu` is what encoding and submitting a run costs the thread that calls. The cpu device leaves these out, and
/// every other one its threads.
#[derive(Debug, Serialize)]
struct Figures {
    model: String,
    device: String,
    batch: usize,
    precision: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    threads: Option<usize>,
    runs: usize,
    min_ms: f64,
    mean_ms: f64,
    median_ms: f64,
    p95_ms: f64,
    p99_ms: f64,
    load_ms: f64,
    first_run_ms: f64,
    images_per_second: f64,
    decode_ms: f64,
    preprocess_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    upload_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gpu_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    readback_ms: Option<f64>,
    activation_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    submit_cpu_min_us: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    submit_cpu_median_us: Option<f64>,
}

impl Bench {
    /// Writes what was measured of each batch as soon as it is.
    pub fn run(&self, out: &mut Sink) -> console::Result<()> {
        if self.runs == 0 {
            return Err(Error::Usage("--runs is at least 1".into()).into());
        }
        for batch in &self.batch {
            out.put(self.text(&self.measure(batch.get())?))?;
            out.flush()?;
        }
        Ok(())
    }

    fn text(&self, figures: &Figures) -> String {
        if self.json {
            return json::text(figures) + "\n";
        }
        let Figures { model, device, batch, precision, runs, .. } = figures;
        let model = printable::line(model);
        let mut text = format!(
            "{model} on {device}, batch {batch}, {precision}, {runs} runs\n\
             min {:.3} ms, mean {:.3} ms, median {:.3} ms, p95 {:.3} ms, p99 {:.3} ms\n\
             {:.1} images a second with {IN_FLIGHT} batches in flight\n\
             load {:.3} ms, first run {:.3} ms\n\
             values between steps take {:.1} MB at most\n\
             an image: decode {:.3} ms, preprocess {:.3} ms\n",
            figures.min_ms,
            figures.mean_ms,
            figures.median_ms,
            figures.p95_ms,
            figures.p99_ms,
            figures.images_per_second,
            figures.load_ms,
            figures.first_run_ms,
            figures.activation_bytes as f64 * 1e-6,
            figures.decode_ms,
            figures.preprocess_ms
        );
        if let (Some(upload), Some(gpu), Some(readback)) = (figures.upload_ms, figures.gpu_ms, figures.readback_ms) {
            text += &format!("a batch: upload {upload:.3} ms, gpu {gpu:.3} ms, readback {readback:.3} ms\n");
        }
        if let (Some(min), Some(median)) = (figures.submit_cpu_min_us, figures.submit_cpu_median_us) {
            text += &format!("encode + submit, CPU time: min {min:.0} us, median {median:.0} us\n");
        }
        text
    }

    fn measure(&self, batch: usize) -> Result<Figures> {
        let model = self.model.as_deref().or(self.weights.is_none().then_some(catalog::DEFAULT));
        let builder = weights::choose(Package::builder(), model, self.weights.as_deref(), || Ok(()))?;

        let began = Instant::now();
        let package = builder.build()?;
        let mut load = began.elapsed();
        package.notes().iter().for_each(|note| remark(format_args!("the checkpoint: {note}")));
        let device = self.open(&package, batch)?;
        let began = Instant::now();
        let (input, precision) = (self.input(&package), self.precision);
        let session = Session::new(
            &device,
            &*package.model_for(input)?,
            input,
            &SessionOptions::default().max_batch(batch).precision(precision),
        )?;
        load += began.elapsed();

        let images = noise(session.input().elements() * batch);
        let (mut uploads, mut submits) = (Vec::new(), Vec::new());
        let mut time = || -> Result<Duration> {
            let began = Instant::now();
            let staged = session.stage(&images)?;
            uploads.push(began.elapsed());
            let before = cpu_time();
            let ticket = staged.submit()?;
            submits.extend(cpu_time().zip(before).map(|(now, before)| now.saturating_sub(before)));
            ticket.wait()?;
            Ok(began.elapsed())
        };
        let first_run = time()?;
        for _ in 0..WARM_UP {
            time()?;
        }
        let times = sorted((0..self.runs).map(|_| time()))?;
        let of_timed = |parts: Vec<Duration>| sorted(parts.into_iter().skip(1 + WARM_UP).map(Ok));
        let upload = percentile(&of_timed(uploads)?, 50);
        let submits = of_timed(submits)?;
        // The cpu device has no way there and back, and is done when it has submitted.
        let gpu = match device.is_cpu() {
            true => None,
            false => Some(ms(session.profile(&images)?.iter().map(|step| step.time).sum())),
        };
        let submits = gpu.and(submits.first()).map(|least| (ms(*least) * 1e3, percentile(&submits, 50) * 1e3));
        let median = percentile(&times, 50);
        let (decode, preprocess) = self.prepare(&package)?;
        let threads = self.threads.or(available_parallelism().ok()).map_or(1, NonZeroUsize::get);
        Ok(Figures {
            model: package.name().to_owned(),
            device: device.name(),
            batch,
            precision: precision.to_string(),
            threads: device.is_cpu().then_some(threads),
            runs: self.runs,
            min_ms: ms(times[0]),
            mean_ms: ms(times.iter().sum::<Duration>()) / times.len() as f64,
            median_ms: median,
            p95_ms: percentile(&times, 95),
            p99_ms: percentile(&times, 99),
            load_ms: ms(load),
            first_run_ms: ms(first_run),
            images_per_second: self.throughput(&session, &images, batch)?,
            decode_ms: decode,
            preprocess_ms: preprocess,
            upload_ms: gpu.map(|_| upload),
            gpu_ms: gpu,
            readback_ms: gpu.map(|gpu| (median - upload - gpu).max(0.0)),
            activation_bytes: session.activation_bytes(),
            submit_cpu_min_us: submits.map(|(min, _)| min),
            submit_cpu_median_us: submits.map(|(_, median)| median),
        })
    }

    fn open(&self, package: &Package, batch: usize) -> Result<Device> {
        let cpu = CpuOptions { threads: self.threads, ..CpuOptions::default() };
        let cache = weights::cache().filter(|_| !self.no_cache);
        let device = match &self.device {
            DeviceChoice::Fastest => {
                let remembered = cache.as_ref().map(|folder| folder.join("fastest.json"));
                Device::fastest(
                    package.model(),
                    self.input(package),
                    batch,
                    self.precision,
                    cpu,
                    remembered.as_deref(),
                )?
            }
            choice => Device::open_with(choice, cpu)?,
        };
        cache.iter().for_each(|folder| device.keep_kernels(folder));
        if self.threads.is_some() && !device.is_cpu() {
            remark(format_args!("--threads is for the cpu device; {} has no use for it", device.name()));
        }
        Ok(device)
    }

    /// Images a second with several batches in flight.
    fn throughput(&self, session: &Session, images: &[f32], batch: usize) -> Result<f64> {
        let mut in_flight: VecDeque<Ticket> = VecDeque::new();
        let began = Instant::now();
        for _ in 0..self.runs {
            if in_flight.len() == IN_FLIGHT
                && let Some(oldest) = in_flight.pop_front()
            {
                oldest.wait()?;
            }
            in_flight.push_back(session.submit(images)?);
        }
        for ticket in in_flight {
            ticket.wait()?;
        }
        Ok((self.runs * batch) as f64 / began.elapsed().as_secs_f64())
    }

    /// The median times to decode an image and to prepare it, in milliseconds.
    fn prepare(&self, package: &Package) -> Result<(f64, f64)> {
        let path = self.image.clone().unwrap_or_else(|| PathBuf::from("noise.jpg"));
        let bytes = match &self.image {
            Some(path) => std::fs::read(path).map_err(|source| Error::io(path, source))?,
            None => noise_jpeg().map_err(|error| Error::image(&path, error.to_string()))?,
        };
        let decoded = || decode(&path, &bytes, &Limits::default());
        let image: RgbImage = decoded()?;
        let timed = |part: &dyn Fn() -> Result<()>| -> Result<Duration> {
            let began = Instant::now();
            part()?;
            Ok(began.elapsed())
        };
        let decode = sorted((0..self.runs).map(|_| timed(&|| decoded().map(drop))))?;
        let preprocess = sorted((0..self.runs).map(|_| timed(&|| package.preprocess().apply(&image).map(drop))))?;
        Ok((percentile(&decode, 50), percentile(&preprocess, 50)))
    }

    fn input(&self, package: &Package) -> Shape {
        let usual = package.model().network().input;
        let size =
            package.preprocess().fixed_size().map_or((usual.height, usual.width), |(w, h)| (h as usize, w as usize));
        let (height, width) = match self.size {
            None => size,
            Some(Size::Side(side)) => (side as usize, side as usize),
            Some(Size::Exact { width, height }) => (height as usize, width as usize),
        };
        Shape::new(usual.channels, height, width)
    }
}

/// What the calling thread has had of the processor, where the system says so.
#[cfg(unix)]
fn cpu_time() -> Option<Duration> {
    Duration::try_from(rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime)).ok()
}

#[cfg(not(unix))]
fn cpu_time() -> Option<Duration> {
    None
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The time that so many percent of the runs did not exceed (nearest rank). `times` is sorted and not empty.
fn percentile(times: &[Duration], percent: usize) -> f64 {
    let rank = (times.len() * percent).div_ceil(100).clamp(1, times.len());
    ms(times[rank - 1])
}

/// All times, the shortest first.
fn sorted(times: impl Iterator<Item = Result<Duration>>) -> Result<Vec<Duration>> {
    let mut times = times.collect::<Result<Vec<Duration>>>()?;
    times.sort();
    Ok(times)
}

/// A picture that compresses as badly as a photo full of detail.
fn noise_jpeg() -> image::ImageResult<Vec<u8>> {
    let (width, height) = (500, 375);
    let level = |v: f32| (v * 40.0 + 128.0) as u8;
    let pixels = noise((width * height * 3) as usize).into_iter().map(level).collect();
    let picture = RgbImage::from_raw(width, height, pixels).unwrap_or_default();
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 90).encode_image(&picture)?;
    Ok(bytes)
}

/// Numbers between -1 and 1.
fn noise(n: usize) -> Vec<f32> {
    (0..n).map(|i| ((i as u32).wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32 - 1.0).collect()
}

fn whole(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "a whole number is expected".to_owned())
}
