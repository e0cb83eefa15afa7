//! The command line of `predict`.

use crate::whole::at_least_one;
use clap::Parser;
use pretrained::graph::OutputActivation;
use pretrained::vision::{Crop, Decoding, Filter, Labels, Overrides, Preset, Size};
use pretrained::{DeviceChoice, Initialiser, Precision, Rename, Result, Strictness};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;

const AFTER: &str = "\
Examples:
  predict photos/                                        the shipped model, for every picture below photos/
  predict --model resnet18 cat.jpg                       torchvision's weights, downloaded once
  predict --weights model.pth --labels labels.txt *.jpg  a checkpoint of yours
  predict -k 5 -f jsonl -o results.jsonl photos/         five classes for each picture, as JSON Lines

Exit codes: 0 all images were predicted; 1 some were not; 2 nothing could start, or results could not be written. A reader
of the results that leaves early, such as head, changes none of it.";

/// Classifies images with a pretrained network, on any GPU or the CPU.
#[derive(Debug, Parser)]
#[command(name = "predict", version, max_term_width = 100, after_help = AFTER)]
pub struct Args {
    /// Image files, folders, globs, archives (tar, tar.gz, tar.zst, zip), or - for standard input. Of an archive, and of a
    /// folder and those below it, hidden ones and those behind links too, the files with an extension of pictures are taken
    pub images: Vec<PathBuf>,

    /// A file with a path a line, or - for standard input; each is taken as if it were named here
    #[arg(long, value_name = "LIST")]
    pub files_from: Vec<PathBuf>,

    /// The paths of --files-from end with a zero byte, as find -print0 writes them
    #[arg(short = '0', long, requires = "files_from")]
    pub null: bool,

    /// Of JPEGs one after the other on standard input, such as the frames of a video, take every N-th
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub every: u64,

    /// A checkpoint of PyTorch, safetensors, OneFlow or MindSpore, or a folder of MindSpore's, of which the newest is
    /// taken; the network is recognised from its parameters
    #[arg(long, value_name = "PATH", alias = "model_path")]
    pub weights: Option<PathBuf>,

    /// A model by name (see --list-models); with --weights, the network that these weights are for
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,

    /// The output of an ONNX graph that gives the classes, where it has several
    #[arg(long, value_name = "NAME")]
    pub output: Option<String>,

    /// Rename parameters of the checkpoint: matches of a regular expression are replaced, and $1 is its first group;
    /// may be repeated
    #[arg(long, value_name = "REGEX=REPLACEMENT")]
    pub rename: Vec<Rename>,

    /// One more image; the name that OneFlow's infer.py gives it
    #[arg(long = "image_path", value_name = "FILE", alias = "image-path", hide = true)]
    pub image_path: Vec<PathBuf>,

    /// auto, gpu, cpu, fastest (measures once, and remembers), the number of a device, or part of its name (see
    /// --list-devices)
    #[arg(short, long, default_value = "auto")]
    pub device: DeviceChoice,

    /// Keep neither times nor compiled kernels for the next run; weights that are downloaded are kept all the same
    #[arg(long)]
    pub no_cache: bool,

    /// Threads that prepare images, and threads of the cpu device; by default the cores that there are
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = at_least_one)]
    pub threads: Option<NonZeroUsize>,

    /// How images are prepared: torchvision (or imagenet), oneflow, megvii, half (-1..1), unit (0..1), levels (0..255),
    /// mnist, mnist32, mnist-standardized, fashion-mnist, cifar10, cifar10-standardized, cifar10-tutorial, pytorch-cifar,
    /// cifar100 or svhn; by default, as the model was trained
    #[arg(long, value_name = "NAME")]
    pub preset: Option<Preset>,

    /// exact, or fast: large JPEGs are decoded at a half, a quarter or an eighth of their size, at least twice what they
    /// are resized to
    #[arg(long, value_name = "HOW")]
    decode: Option<Decoding>,

    /// Resize to N (the shorter side, or a square where the preset has one) or WxH pixels, the width first
    #[arg(long, value_name = "N|WxH")]
    size: Option<Size>,

    /// Cut the middle N or WxH pixels out, the width first; none for no crop
    #[arg(long, value_name = "N|WxH|none")]
    crop: Option<Crop>,

    /// nearest, box, bilinear (or linear), bicubic (or cubic) or lanczos3 (or lanczos)
    #[arg(long, value_name = "FILTER")]
    resize_filter: Option<Filter>,

    /// What is subtracted from each channel, in units of 0..1
    #[arg(long, value_name = "R,G,B", allow_hyphen_values = true)]
    mean: Option<Channels>,

    /// What each channel is divided by, in units of 0..1
    #[arg(long, value_name = "R,G,B", allow_hyphen_values = true)]
    std: Option<Channels>,

    /// Turn colours into grey
    #[arg(long)]
    grayscale: bool,

    /// Turn light into dark
    #[arg(long)]
    invert: bool,

    /// A file with a label a line, a JSON or Python list or dict, a config.json, or a label map; or imagenet, cifar10,
    /// mnist
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,

    /// What makes probabilities of the outputs: softmax (one class is right), sigmoid (each is there or not), none (the
    /// outputs as they are); by default as the model says, or else softmax, or sigmoid for one output
    #[arg(long, value_name = "NAME")]
    pub activation: Option<OutputActivation>,

    /// How many classes to show for each image
    #[arg(short = 'k', long, value_name = "K", default_value = "1", allow_negative_numbers = true, value_parser = at_least_one)]
    pub top_k: NonZeroUsize,

    /// How results are written
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub format: Format,

    /// Write results to FILE, which is replaced if it exists, instead of standard output
    #[arg(short = 'o', long, value_name = "FILE")]
    pub results: Option<PathBuf>,

    /// Say nothing on standard error but what went wrong, and show no progress
    #[arg(short, long)]
    pub quiet: bool,

    /// Say which network and device it is, how images are prepared, and what became of the checkpoint's parameters
    #[arg(short, long, conflicts_with = "quiet")]
    pub verbose: bool,

    /// Images that run at once; the first one runs by itself, so that its result does not wait
    #[arg(short, long, value_name = "N", default_value = "8", allow_negative_numbers = true, value_parser = at_least_one)]
    pub batch_size: NonZeroUsize,

    /// How wide numbers are in a GPU's memory: f32, or f16 for half the traffic and results off by a thousandth
    #[arg(long, value_name = "P", default_value_t = Precision::F32)]
    pub precision: Precision,

    /// Refuse checkpoints with parameters that the network has no use for
    #[arg(long)]
    pub strict: bool,

    /// Make up parameters that the checkpoint lacks: default (PyTorch's for each layer), zeros, normal:0,0.02,
    /// xavier_uniform, kaiming_normal, ...
    #[arg(long, value_name = "INITIALISER", num_args = 0..=1, require_equals = true, default_missing_value = "default")]
    #[arg(conflicts_with = "strict")]
    init_missing: Option<Initialiser>,

    /// The same seed makes up the same numbers
    #[arg(long, value_name = "N", default_value_t = 0, requires = "init_missing")]
    seed: u64,

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
    /// A line with the image's name, and one a class; with --image_path the lines that OneFlow's infer.py prints
    Text,
    /// One array of objects
    Json,
    /// An object a line
    Jsonl,
    /// A line a prediction, under a header
    Csv,
}

impl Args {
    /// What is an error where the parameters are not the network's.
    pub fn strictness(&self) -> Strictness {
        match self.init_missing {
            Some(initialiser) => Strictness::InitMissing { initialiser, seed: self.seed },
            None if self.strict => Strictness::Strict,
            None => Strictness::AllowUnexpected,
        }
    }

    /// The parts of the preprocessing that the command line sets.
    pub fn overrides(&self) -> Result<Overrides> {
        Ok(Overrides {
            decoding: self.decode,
            size: self.size,
            crop: self.crop,
            filter: self.resize_filter,
            mean: self.mean.clone().map(|channels| channels.0),
            std: self.std.clone().map(|channels| channels.0),
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

/// One number for all channels, or one a channel.
#[derive(Debug, Clone)]
struct Channels(Vec<f32>);

impl FromStr for Channels {
    type Err = String;

    /// Reads numbers between commas or blanks, in brackets or not.
    fn from_str(text: &str) -> Result<Self, String> {
        let bare = text.trim().trim_start_matches(['[', '(']).trim_end_matches([']', ')']);
        let parts = bare.split([',', ' ']).map(str::trim).filter(|part| !part.is_empty());
        let numbers: Result<Vec<f32>, _> = parts.map(str::parse).collect();
        match numbers {
            Ok(numbers) if !numbers.is_empty() => Ok(Self(numbers)),
            _ => Err("give one number, or one a channel, such as 0.485,0.456,0.406".to_owned()),
        }
    }
}
