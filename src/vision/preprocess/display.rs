//! A preprocessing in words.

use super::{Crop, Decoding, LEVEL, Preprocess, Resize};
use std::fmt;

impl fmt::Display for Preprocess {
    /// Such as `shorter side to 256 (bilinear), centre 224x224, mean 0.485,0.456,0.406, std 0.229,0.224,0.225`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.decoding == Decoding::Fast {
            write!(f, "decoded fast, ")?;
        }
        match self.resize {
            Resize::None => write!(f, "not resized")?,
            Resize::Exact { width, height } => write!(f, "resized to {width}x{height} ({})", self.filter)?,
            Resize::ShorterSide(side) => write!(f, "shorter side to {side} ({})", self.filter)?,
        }
        if let Crop::Centre { width, height } = self.crop {
            write!(f, ", centre {width}x{height}")?;
        }
        for (is, what) in [(self.grayscale, "grey"), (self.bgr, "blue first"), (self.invert, "inverted")] {
            if is {
                write!(f, ", {what}")?;
            }
        }
        let list = |values: &[f32]| values.iter().map(f32::to_string).collect::<Vec<_>>().join(",");
        match (&self.mean[..], &self.std[..]) {
            (mean, std) if mean.iter().all(|v| *v == 0.0) && std.iter().all(|v| *v == 1.0) => {
                write!(f, ", values in 0..1")
            }
            (mean, std) if mean.iter().all(|v| *v == 0.0) && std.iter().all(|v| *v == LEVEL) => {
                write!(f, ", levels in 0..255")
            }
            (mean, std) => write!(f, ", mean {}, std {}", list(mean), list(std)),
        }
    }
}
