//! Reads the checkpoint that another framework wrote, matches its parameters by name, and classifies images.

mod error;
#[cfg(feature = "hub")]
pub mod hub;
mod tensor;

pub use error::{Error, Result};
pub use tensor::{DType, Tensor, TensorError};
