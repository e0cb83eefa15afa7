//! Reads the checkpoint that another framework wrote, matches its parameters by name, and classifies images.

mod error;
mod tensor;

pub use error::{Error, Result};
pub use tensor::{DType, Tensor, TensorError};
