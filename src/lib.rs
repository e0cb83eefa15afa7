//! Reads the checkpoint that another framework wrote, matches its parameters by name, and classifies images.

mod bind;
pub mod catalog;
pub mod checkpoint;
pub mod compile;
mod device;
mod error;
pub mod graph;
#[cfg(feature = "hub")]
pub mod hub;
mod model;
pub mod reference;
mod tensor;
pub mod vision;
pub mod zoo;

pub use bind::{LoadReport, Mismatched, Missing, Strictness, Weights, bind};
pub use checkpoint::{Format, Limits, StateDict};
pub use device::{Device, DeviceChoice, DeviceInfo, DeviceKind, Session};
pub use error::{Error, Result};
pub use model::Model;
pub use tensor::{DType, Tensor, TensorError};
pub use vision::{Classifier, ClassifierBuilder, Prediction, Preprocess, Preset};
