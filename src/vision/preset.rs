//! The preprocessing that known models were trained with, by name, and how a caller changes parts of it.

use std::fmt;
use std::str::FromStr;

use super::preprocess::{Crop, Filter, Preprocess, Resize};
use crate::{Error, Result};

/// The side in pixels to which `cifar10` resizes: the shipped CIFAR-10 model was trained on it.
const CIFAR10_SIDE: u32 = 112;

/// A named preprocessing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// ImageNet as torchvision's reference evaluation sees it: shorter side 256 (bilinear), centre crop 224, its mean
    /// and deviation.
    Torchvision,
    /// ImageNet as OneFlow's model zoo infers: straight to 224 x 224 (bicubic), its mean and deviation.
    OneFlow,
    /// MNIST: grey, straight to 28 x 28 (bilinear), values in 0..1. Its digits are white on black; for dark ink on
    /// white paper set [`Preprocess::invert`].
    Mnist,
    /// MNIST as MindSpore's LeNet-5 sees it: grey, straight to 32 x 32 (bilinear), the mean and deviation of MNIST.
    Mnist32,
    /// ImageNet as the authors of ShuffleNetV2 evaluate it (megvii-model/ShuffleNet-Series): shorter side 256
    /// (bilinear; theirs is OpenCV's, which does not widen as the image shrinks), centre crop 224, blue, green and red
    /// in 0..255.
    Megvii,
    /// The shipped CIFAR-10 model's own: straight to 112 x 112 (bilinear), the mean and deviation of CIFAR-10.
    Cifar10,
}

impl Preset {
    /// Every preset.
    pub const ALL: [Self; 6] =
        [Self::Torchvision, Self::OneFlow, Self::Megvii, Self::Mnist, Self::Mnist32, Self::Cifar10];

    /// The name that [`from_name`](Self::from_name) reads.
    pub fn name(self) -> &'static str {
        match self {
            Self::Torchvision => "torchvision",
            Self::OneFlow => "oneflow",
            Self::Megvii => "megvii",
            Self::Mnist => "mnist",
            Self::Mnist32 => "mnist32",
            Self::Cifar10 => "cifar10",
        }
    }

    /// Finds a preset by its name, in any case.
    ///
    /// # Errors
    /// [`Error::Usage`], with the known names and the nearest of them.
    pub fn from_name(name: &str) -> Result<Self> {
        let wanted = name.to_ascii_lowercase();
        if let Some(preset) = Self::ALL.into_iter().find(|preset| preset.name() == wanted) {
            return Ok(preset);
        }
        let names = Self::ALL.map(Self::name);
        let nearest = names
            .into_iter()
            .max_by(|a, b| strsim::jaro_winkler(a, &wanted).total_cmp(&strsim::jaro_winkler(b, &wanted)));
        let hint = match nearest {
            Some(near) if strsim::jaro_winkler(near, &wanted) > 0.7 => format!("; did you mean {near}?"),
            _ => String::new(),
        };
        Err(Error::Usage(format!("no preset is called {name:?}; there are {}{hint}", names.join(", "))))
    }

    /// What this preset does.
    pub fn preprocess(self) -> Preprocess {
        let exact = |side| Resize::Exact { width: side, height: side };
        let base = Preprocess {
            resize: exact(224),
            filter: Filter::Bilinear,
            crop: Crop::None,
            grayscale: false,
            bgr: false,
            invert: false,
            mean: vec![0.0; 3],
            std: vec![1.0; 3],
        };
        match self {
            Self::Torchvision => Preprocess {
                resize: Resize::ShorterSide(256),
                crop: Crop::Centre { width: 224, height: 224 },
                mean: vec![0.485, 0.456, 0.406],
                std: vec![0.229, 0.224, 0.225],
                ..base
            },
            Self::OneFlow => Preprocess {
                filter: Filter::Bicubic,
                mean: [123.68, 116.779, 103.939].map(|level| level / 255.0).to_vec(),
                std: [58.393, 57.12, 57.375].map(|level| level / 255.0).to_vec(),
                ..base
            },
            Self::Megvii => Preprocess {
                resize: Resize::ShorterSide(256),
                crop: Crop::Centre { width: 224, height: 224 },
                bgr: true,
                std: vec![1.0 / 255.0; 3],
                ..base
            },
            Self::Mnist => Preprocess { resize: exact(28), grayscale: true, mean: vec![0.0], std: vec![1.0], ..base },
            Self::Mnist32 => {
                Preprocess { resize: exact(32), grayscale: true, mean: vec![0.1307], std: vec![0.3081], ..base }
            }
            Self::Cifar10 => Preprocess {
                resize: exact(CIFAR10_SIDE),
                mean: vec![0.4914, 0.4822, 0.4465],
                std: vec![0.2470, 0.2435, 0.2616],
                ..base
            },
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Preset {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::from_name(name)
    }
}

/// The parts of a preprocessing that a caller wants otherwise; what is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
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
    /// Changes `preprocess` to what is set here.
    ///
    /// # Errors
    /// [`Error::Usage`] if what comes of it makes no sense, as [`Preprocess::validate`] tells; above all where the
    /// number of channels changes and the mean and deviation do not, or where a mean is above 1.
    pub fn apply(&self, mut preprocess: Preprocess) -> Result<Preprocess> {
        if let Some(size) = self.size {
            preprocess.resize = match (size, preprocess.resize) {
                (Size::Side(side), Resize::ShorterSide(_)) => Resize::ShorterSide(side),
                (Size::Side(side), _) => Resize::Exact { width: side, height: side },
                (Size::Exact { width, height }, _) => Resize::Exact { width, height },
            };
        }
        preprocess.crop = self.crop.unwrap_or(preprocess.crop);
        preprocess.filter = self.filter.unwrap_or(preprocess.filter);
        preprocess.grayscale = self.grayscale.unwrap_or(preprocess.grayscale);
        preprocess.invert = self.invert.unwrap_or(preprocess.invert);
        for (given, values) in [(&self.mean, &mut preprocess.mean), (&self.std, &mut preprocess.std)] {
            if let Some(given) = given {
                values.clone_from(given);
            }
            if let [one] = values[..] {
                *values = vec![one; if preprocess.grayscale { 1 } else { 3 }];
            }
        }
        if preprocess.mean.iter().any(|mean| *mean > 1.0) {
            let message =
                format!("the mean {:?} is above 1; give it in units of 0..1, divided by 255", preprocess.mean);
            return Err(Error::Usage(message));
        }
        preprocess.validate()?;
        Ok(preprocess)
    }
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
