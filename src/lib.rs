//! Reads the checkpoint that another framework wrote, matches its parameters by name, and classifies images.

pub mod checkpoint;
mod error;
#[cfg(feature = "hub")]
pub mod hub;
mod tensor;
pub mod vision;

pub use checkpoint::{Format, Limits, StateDict};
pub use error::{Error, Result};
pub use tensor::{DType, Tensor, TensorError};
pub use vision::{Prediction, Preprocess, Preset};
