//! The command line of `predict`.

use clap::Parser;
use pretrained::vision::{Crop, Filter, Labels, Overrides, Preset, Size};
use pretrained::{DeviceChoice, Result};
use std::path::{Path, PathBuf};

/// Classifies images with a pretrained network, on any GPU or the CPU.
#[derive(Debug, Parser)]
#[command(name = "predict", version, max_term_width = 100)]
pub struct Args {
    /// Image files, folders, globs, or - for standard input
    pub images: Vec<PathBuf>,

    /// A checkpoint: safetensors, or what torch.save wrote; the network is recognised from its parameters
    #[arg(long, value_name = "FILE", alias = "model_path")]
    pub weights: Option<PathBuf>,

    /// A model by name (see --list-models); with --weights, the network that these weights are for
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,

    /// One more image; the name that OneFlow's infer.py gives it
    #[arg(long = "image_path", value_name = "FILE", alias = "image-path", hide = true)]
    pub image_path: Vec<PathBuf>,

    /// auto, gpu, cpu, the number of a device, or part of its name (see --list-devices)
    #[arg(long, default_value = "auto")]
    pub device: DeviceChoice,

    /// How images are prepared: torchvision, oneflow, mnist or cifar10; by default, as the model was trained
    #[arg(long, value_name = "NAME")]
    pub preset: Option<Preset>,

    /// Resize to N (the shorter side, or a square where the preset has one) or WxH pixels
    #[arg(long, value_name = "N|WxH")]
    size: Option<Size>,

    /// Cut the middle N or WxH pixels out; none for no crop
    #[arg(long, value_name = "N|WxH|none")]
    crop: Option<Crop>,

    /// nearest, box, bilinear, bicubic or lanczos3
    #[arg(long, value_name = "FILTER")]
    resize_filter: Option<Filter>,

    /// What is subtracted from each channel, in units of 0..1
    #[arg(long, value_name = "R,G,B", value_delimiter = ',', allow_negative_numbers = true)]
    mean: Option<Vec<f32>>,

    /// What each channel is divided by, in units of 0..1
    #[arg(long, value_name = "R,G,B", value_delimiter = ',')]
    std: Option<Vec<f32>>,

    /// Turn colours into grey
    #[arg(long)]
    grayscale: bool,

    /// Turn light into dark
    #[arg(long)]
    invert: bool,

    /// A file with a label a line or a JSON list; or imagenet, cifar10, mnist
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,

    /// How many classes to show for each image
    #[arg(long, value_name = "K", default_value_t = 1)]
    pub top_k: usize,

    /// How results are written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,

    /// Images that run at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = at_least_one)]
    pub batch_size: usize,

    /// Refuse checkpoints with parameters that the network has no use for
    #[arg(long)]
    pub strict: bool,

    /// Say how long each part took
    #[arg(long)]
    pub timings: bool,

    /// Say what each step of the network takes, for the first batch
    #[arg(long)]
    pub profile: bool,

    /// List the devices, and stop
    #[arg(long)]
    pub list_devices: bool,

    /// List the models that have a name, and stop
    #[arg(long)]
    pub list_models: bool,
}

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Lines as OneFlow's infer.py prints them
    Text,
    /// One array of objects
    Json,
    /// An object a line
    Jsonl,
    /// A line a prediction, under a header
    Csv,
}

impl Args {
    /// The parts of the preprocessing that the command line sets.
    pub fn overrides(&self) -> Result<Overrides> {
        Ok(Overrides {
            size: self.size,
            crop: self.crop,
            filter: self.resize_filter,
            mean: self.mean.clone(),
            std: self.std.clone(),
            grayscale: self.grayscale.then_some(true),
            invert: self.invert.then_some(true),
        })
    }
}

/// A built-in list by its name, or else a file.
pub fn read_labels(name: &Path) -> Result<Labels> {
    match name.to_str().and_then(Labels::built_in) {
        Some(labels) if !name.exists() => Ok(labels),
        _ => Labels::read(name),
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "a whole number of at least 1 is expected".to_owned())
}
