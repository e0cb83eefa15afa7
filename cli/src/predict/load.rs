//! Opens the device and loads the model, and says what was chosen and guessed on the way.

use crate::args::{self, Args};
use crate::console::{is_quiet, remark};
use crate::inputs::Inputs;
use crate::{Times, weights};
use pretrained::{Classifier, CpuOptions, Device, DeviceChoice, Package, PackageBuilder, Result, catalog, printable};
use std::time::Instant;

/// Names of parameters that one remark has room for.
const NAMED: usize = 20;

/// The classifier that the arguments ask for, ready for `inputs`.
pub fn load(args: &Args, inputs: &Inputs) -> Result<(Classifier, Times)> {
    if args.model.is_none() && args.weights.is_none() {
        remark(format_args!(
            "using {}, which knows ten classes; for ImageNet's thousand add --model shufflenetv2_x1_0",
            catalog::DEFAULT
        ));
    }
    let cpu = CpuOptions { threads: args.threads, ..CpuOptions::default() };
    let cache = weights::cache().filter(|_| !args.no_cache);
    let began = Instant::now();
    let mut classifier = match &args.device {
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

    let batch = if inputs.is_all { args.batch_size.get().min(inputs.first.len()) } else { args.batch_size.get() };
    classifier = classifier.precision(args.precision).max_batch(batch);
    let mut builder = Package::builder().strictness(args.strictness()).overrides(args.overrides()?);
    builder = args.rename.iter().cloned().fold(builder, PackageBuilder::rename);
    if let Some(preset) = args.preset {
        builder = builder.preset(preset);
    }
    if let Some(labels) = &args.labels {
        builder = builder.labels(args::read_labels(labels)?);
    }
    if let Some(activation) = args.activation {
        builder = builder.activation(activation);
    }
    if let Some(output) = &args.output {
        builder = builder.output(output);
    }
    // A download is worth nothing where no picture is there.
    let worth_it = || inputs.absent().map_or(Ok(()), Err);
    builder = weights::choose(builder, args.model.as_deref(), args.weights.as_deref(), worth_it)?;
    let began = Instant::now();
    let classifier = classifier.package(builder.build()?).build()?;
    let times = Times { init, load: began.elapsed(), ..Times::default() };
    if !is_quiet() {
        tell(args, &classifier, &times);
    }
    Ok((classifier, times))
}

fn tell(args: &Args, classifier: &Classifier, times: &Times) {
    classifier.notes().iter().for_each(remark);
    if let Some(guess) = classifier.guess() {
        remark(format_args!("{guess}; --preset NAME, or --mean and --std, set it"));
    }
    for rule in classifier.unmatched_renames() {
        remark(format_args!("--rename {rule} matches no parameter"));
    }
    let report = classifier.model().report();
    report.initialised.iter().for_each(remark);
    if !report.unexpected.is_empty() {
        let count = report.unexpected.len();
        remark(format_args!("{count} parameters of the checkpoint are of no use: {}", names(&report.unexpected)));
    }
    if args.verbose {
        let network = classifier.model().network();
        remark(format_args!(
            "{} runs on {}, for images of {}",
            network.name,
            classifier.device().name(),
            network.input
        ));
        remark(format_args!("images are prepared so: {}", classifier.preprocess()));
        remark(format_args!(
            "probabilities are made of {} outputs by: {}",
            classifier.outputs(),
            classifier.activation()
        ));
        remark(format_args!("{} parameters loaded, {} passed over", report.loaded.len(), report.ignored.len()));
        report.renamed.iter().for_each(|rule| remark(format_args!("names were matched by a rule: {rule}")));
        remark(format_args!(
            "init {:.1} ms, load {:.1} ms",
            times.init.as_secs_f64() * 1e3,
            times.load.as_secs_f64() * 1e3
        ));
    }
}

/// The first names, and how many more there are.
fn names(all: &[String]) -> String {
    let named: Vec<_> = all.iter().take(NAMED).map(|name| printable::cut(name, 120)).collect();
    let more = all.len() - named.len();
    named.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() }
}
