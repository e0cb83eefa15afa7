//! How a caller changes parts of a preprocessing.

use std::str::FromStr;

use super::preprocess::{Crop, Decoding, Filter, Preprocess, Resize};
use crate::{Error, Result};

/// The parts of a preprocessing that a caller wants otherwise; what is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// How files are decoded.
    pub decoding: Option<Decoding>,
    /// One number keeps the kind of resize: the shorter side where the preset resizes that, else a square.
    /// A width and a height resize straight to them. The crop stays.
    pub size: Option<Size>,
    /// The crop, or [`Crop::None`] for the whole of the resized image.
    pub crop: Option<Crop>,
    /// The filter.
    pub filter: Option<Filter>,
    /// The mean in units of 0..1, one value a channel or one for all.
    pub mean: Option<Vec<f32>>,
    /// The deviation in units of 0..1, one value a channel or one for all.
    pub std: Option<Vec<f32>>,
    /// Whether the input is grey.
    pub grayscale: Option<bool>,
    /// Whether levels are turned round.
    pub invert: Option<bool>,
}

/// A size to resize to: read from `N` or `WxH`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// One number of pixels.
    Side(u32),
    /// A width and a height in pixels.
    Exact {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
    },
}

impl Overrides {
    /// Changes `preprocess` to what is set here. What turns grey without a mean or a deviation of its own takes the mean
    /// of those of the colours.
    ///
    /// # Errors
    /// [`Error::Usage`] if what comes of it makes no sense, as [`Preprocess::validate`] tells, or where a mean or a
    /// deviation is in levels of 0..255.
    pub fn apply(&self, mut preprocess: Preprocess) -> Result<Preprocess> {
        preprocess.decoding = self.decoding.unwrap_or(preprocess.decoding);
        if let Some(size) = self.size {
            preprocess.resize = match (size, preprocess.resize) {
                (Size::Side(side), Resize::ShorterSide(_)) => Resize::ShorterSide(side),
                (Size::Side(side), _) => Resize::Exact { width: side, height: side },
                (Size::Exact { width, height }, _) => Resize::Exact { width, height },
            };
        }
        preprocess.crop = self.crop.unwrap_or(preprocess.crop);
        preprocess.filter = self.filter.unwrap_or(preprocess.filter);
        let grayscale = self.grayscale.unwrap_or(preprocess.grayscale);
        preprocess = preprocess.in_grey(grayscale);
        preprocess.invert = self.invert.unwrap_or(preprocess.invert);
        let channels = preprocess.channels();
        for (name, given, values) in
            [("mean", &self.mean, &mut preprocess.mean), ("std", &self.std, &mut preprocess.std)]
        {
            let Some(given) = given else { continue };
            in_units(name, given)?;
            *values = match given[..] {
                [one] => vec![one; channels],
                _ => given.clone(),
            };
        }
        preprocess.validate()?;
        Ok(preprocess)
    }
}

/// That numbers are in units of 0..1, in which no mean and no deviation of pixels is over 1.
fn in_units(name: &str, values: &[f32]) -> Result<()> {
    if values.iter().all(|value| value.is_nan() || value.abs() <= 1.0) {
        return Ok(());
    }
    let list = |values: Vec<f32>| values.iter().map(f32::to_string).collect::<Vec<_>>().join(",");
    if values.iter().any(|value| value.is_infinite()) {
        return Err(Error::Usage(format!("the {name} {} must be finite", list(values.to_vec()))));
    }
    Err(Error::Usage(format!(
        "the {name} {} is not in units of 0..1; if these are levels of 0..255, divide by 255, which gives {}",
        list(values.to_vec()),
        list(values.iter().map(|level| (level / 255.0 * 1e5).round() / 1e5).collect())
    )))
}

impl FromStr for Size {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let expected = || Error::Usage(format!("{text:?} is no size; give pixels as N or as WIDTHxHEIGHT"));
        let number = |text: &str| text.parse().ok().filter(|pixels| *pixels > 0).ok_or_else(expected);
        match text.split_once(['x', 'X']) {
            Some((width, height)) => Ok(Self::Exact { width: number(width)?, height: number(height)? }),
            None => Ok(Self::Side(number(text)?)),
        }
    }
}

impl FromStr for Crop {
    type Err = Error;

    /// Reads `N`, `WxH` or `none`.
    fn from_str(text: &str) -> Result<Self> {
        if text.eq_ignore_ascii_case("none") {
            return Ok(Self::None);
        }
        match text.parse() {
            Ok(Size::Side(side)) => Ok(Self::Centre { width: side, height: side }),
            Ok(Size::Exact { width, height }) => Ok(Self::Centre { width, height }),
            Err(_) => Err(Error::Usage(format!("{text:?} is no crop; give pixels as N or as WIDTHxHEIGHT, or none"))),
        }
    }
}
