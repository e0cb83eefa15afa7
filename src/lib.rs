//! Reads the checkpoint that another framework wrote, matches its parameters by name, and classifies images.

pub mod checkpoint;
mod error;
mod tensor;

pub use checkpoint::{Format, Limits, StateDict};
pub use error::{Error, Result};
pub use tensor::{DType, Tensor, TensorError};
