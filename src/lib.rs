//! Reads the checkpoint that another framework wrote, matches its parameters by name, and classifies images.
//!
//! ```no_run
//! use pretrained::Classifier;
//!
//! let classifier = Classifier::builder().weights("shufflenetv2_x1-5666bf0f80.pth").build()?;
//! for prediction in classifier.classify_file("cat.jpg", 5)? {
//!     println!("{:.3} {}", prediction.probability, prediction.label.unwrap_or_default());
//! }
//! # Ok::<(), pretrained::Error>(())
//! ```
//!
//! A [`Classifier`] runs a [`Package`] (a model and all that is known of it, without a device), and threads may share it. A
//! [`Pipeline`] runs many images through it. A [`Draft`] is a checkpoint that may become a package, whether or not its network is
//! known.
//!
//! One level down: [`StateDict::open`] reads a checkpoint, [`zoo::detect`] recognises its network, [`Model::load`]
//! matches the names and reports on each ([`Strictness::InitMissing`] makes up what is missing), [`Session::new`]
//! compiles the network for a [`Device`], and [`Session::run`] turns batches of images into logits.
//!
//! Versions: enums and structs that ordinary work adds to are `#[non_exhaustive]`. Options, such as [`Limits`], [`SaveOptions`]
//! and [`CpuOptions`], are not: write `Limits { file_bytes: 1 << 30, ..Limits::default() }`, and a field that comes later has
//! its default. What the documentation does not show is no promise.
//!
//! Features, on by default: `gpu` (wgpu; without it the `cpu` device is the only one), `hub` (weights by name,
//! downloaded), `shipped` (the weights of two small models, within the library), `sources` (images of folders, lists, archives
//! and streams). `serde`, off by default, lets
//! [`Prediction`], [`Preprocess`], [`vision::Labels`] and [`LoadReport`] be written and read.

pub mod catalog;
pub mod checkpoint;
mod classifier;
#[doc(hidden)]
pub mod compile;
mod device;
mod error;
mod export;
mod file;
pub mod graph;
#[cfg(feature = "hub")]
pub mod hub;
pub mod import;
mod load;
mod model;
mod package;
pub mod pipeline;
#[doc(hidden)]
pub mod reference;
#[cfg(feature = "sources")]
pub mod sources;
mod tensor;
pub mod vision;
pub mod zoo;

pub use checkpoint::{
    CheckpointConfig, Checkpoints, Format, Limits, Rename, Renaming, SaveFormat, SaveOptions, StateDict,
};
pub use classifier::{Classifier, ClassifierBuilder};
#[cfg(all(feature = "gpu", any(windows, target_os = "linux", target_os = "android", target_os = "freebsd")))]
#[doc(hidden)]
pub use device::blueprint as gpu;
pub use device::cpu::{CpuOptions, InstructionSet};
pub use device::{
    Device, DeviceChoice, DeviceInfo, DeviceKind, Precision, Session, SessionOptions, Staged, StepTime, Ticket,
};
pub use error::{Error, ErrorKind, Report, Result, printable};
pub use export::{ExportFormat, ExportOptions};
pub use file::Files;
pub use load::{Draw, Fan, Initialised, Initialiser, LoadReport, Mismatched, Missing, Strictness, Weights, bind};
pub use model::Model;
pub use package::{Draft, Package, PackageBuilder, Provenance, description};
pub use pipeline::Pipeline;
pub use tensor::{DType, Tensor, TensorError};
/// The version of wgpu whose devices [`Device::from_wgpu`] takes.
#[cfg(feature = "gpu")]
pub use wgpu;

pub use vision::{Prediction, Preprocess, Preset};

#[cfg(test)]
mod public;
