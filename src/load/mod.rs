//! How a checkpoint's parameters become a network's: matched by name, reported on, and initialised where they are missing.

mod bind;
pub(crate) mod initialiser;
mod report;
mod weights;

pub use bind::{Strictness, bind};
pub use initialiser::{Draw, Fan, Initialiser};
pub use report::{Initialised, LoadReport, Mismatched, Missing};
pub use weights::Weights;
