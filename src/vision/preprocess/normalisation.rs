//! How levels of 8 bits become numbers: a scale and a shift of each channel.

use super::Preprocess;
use crate::{Error, Result};

/// How levels become the numbers that a network was trained on: `level * scale + shift`, with a scale and a shift of each
/// channel. [`Preprocess::normalisation`] gives that of a preprocessing.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalisation {
    scale: Vec<f32>,
    shift: Vec<f32>,
}

/// Its numbers are finite, so that each equals itself.
impl Eq for Normalisation {}

impl Normalisation {
    /// A normalisation with one scale and one shift a channel.
    ///
    /// # Errors
    /// [`Error::Usage`] without channels, where there are not as many shifts as scales, and for a number that is not finite.
    pub fn new(scale: Vec<f32>, shift: Vec<f32>) -> Result<Self> {
        if scale.is_empty() || scale.len() != shift.len() {
            let (scales, shifts) = (scale.len(), shift.len());
            return Err(Error::Usage(format!(
                "a normalisation has one scale and one shift a channel, not {scales} scales and {shifts} shifts"
            )));
        }
        for (name, values) in [("scale", &scale), ("shift", &shift)] {
            if values.iter().any(|value| !value.is_finite()) {
                return Err(Error::Usage(format!("the {name} of a normalisation must be finite, and is {values:?}")));
            }
        }
        Ok(Self { scale, shift })
    }

    /// How many channels it is for.
    pub fn channels(&self) -> usize {
        self.scale.len()
    }

    /// What the levels of each channel are multiplied by.
    pub fn scale(&self) -> &[f32] {
        &self.scale
    }

    /// What is added to the levels of each channel once they are multiplied.
    pub fn shift(&self) -> &[f32] {
        &self.shift
    }

    /// The numbers of images whose planes of `pixels` levels lie one after the other.
    pub(crate) fn numbers(&self, levels: &[u8], pixels: usize) -> Vec<f32> {
        let mut numbers = Vec::with_capacity(levels.len());
        let channels = self.scale.iter().zip(&self.shift).cycle();
        for (plane, (scale, shift)) in levels.chunks(pixels.max(1)).zip(channels) {
            numbers.extend(plane.iter().map(|level| f32::from(*level) * scale + shift));
        }
        numbers
    }
}

impl Preprocess {
    /// How the levels that [`levels`](Self::levels) makes become the numbers that [`apply`](Self::apply) makes, but for what
    /// rounding does.
    ///
    /// # Errors
    /// As [`validate`](Self::validate), and [`Error::Usage`] where a deviation is so small that no `f32` holds the scale.
    pub fn normalisation(&self) -> Result<Normalisation> {
        self.validate()?;
        let ends = (0..self.channels()).map(|channel| [0, 255].map(|level| self.normalised(channel, level)));
        let (scale, shift) = ends.map(|[low, high]| (((f64::from(high) - f64::from(low)) / 255.0) as f32, low)).unzip();
        Normalisation::new(scale, shift)
    }
}
