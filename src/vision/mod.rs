//! From an image file to a network's input, and from its logits to labelled classes.
//!
//! ```no_run
//! use pretrained::vision::{Labels, Limits, Preset, decode_file, top_k};
//!
//! let image = decode_file("tiger.jpg", &Limits::default())?;
//! let input = Preset::Torchvision.preprocess().apply(&image)?;
//! # let logits = [0.0; 1000];
//! for prediction in top_k(&logits, 5, Some(&Labels::imagenet()))? {
//!     println!("{:.3} {}", prediction.probability, prediction.label.unwrap_or_default());
//! }
//! # Ok::<(), pretrained::Error>(())
//! ```

mod decode;
mod labels;
mod overrides;
mod picture;
mod preprocess;
mod preset;
mod topk;

pub use decode::{Limits, decode, decode_file, prepare, prepare_file, prepare_levels, prepare_levels_file};
pub use image::RgbImage;
pub use labels::Labels;
pub use overrides::{Overrides, Size};
pub use preprocess::{Crop, Decoding, Filter, Levels, Normalisation, Planes, Preprocess, Resize};
pub use preset::Preset;
pub use topk::{Prediction, probabilities, softmax, top_k, top_k_by};
