//! The preprocessing that known models were trained with, by name.

use std::fmt;
use std::str::FromStr;

use super::preprocess::{Crop, Decoding, Filter, LEVEL, Preprocess, Resize};
use crate::graph::Shape;
use crate::{Error, Result, printable};

/// The side in pixels to which `cifar10` resizes: the shipped CIFAR-10 model was trained on it.
const CIFAR10_SIDE: u32 = 112;

/// The side of a network's usual input where its parameters leave it open, as those of ResNet do.
const USUAL_SIDE: usize = 224;

/// A named preprocessing.
///
/// Means and deviations are in units of 0..1. Those of a data set are the statistics of its training pixels, as they are
/// commonly rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Preset {
    /// ImageNet as torchvision's reference evaluation sees it: shorter side 256 (bilinear), centre crop 224, its mean
    /// and deviation.
    Torchvision,
    /// ImageNet as OneFlow's model zoo infers: straight to 224 x 224 (bicubic), its mean and deviation.
    OneFlow,
    /// ImageNet as the authors of ShuffleNetV2 evaluate it (megvii-model/ShuffleNet-Series): shorter side 256
    /// (bilinear; theirs is OpenCV's, which does not widen as the image shrinks), centre crop 224, blue, green and red
    /// in 0..255.
    Megvii,
    /// MNIST: grey, straight to 28 x 28 (bilinear), values in 0..1. Its digits are white on black; for dark ink on
    /// white paper set [`Preprocess::invert`].
    Mnist,
    /// MNIST as MindSpore's LeNet-5 sees it: grey, straight to 32 x 32 (bilinear), the mean and deviation of MNIST.
    Mnist32,
    /// The shipped CIFAR-10 model's own: straight to 112 x 112 (bilinear), the mean and deviation of CIFAR-10.
    Cifar10,
    /// MNIST as PyTorch's example trains it (pytorch/examples, mnist/main.py): grey, 28 x 28, mean 0.1307, deviation
    /// 0.3081.
    MnistStandardized,
    /// Fashion-MNIST: grey, 28 x 28, mean 0.2860, deviation 0.3530.
    FashionMnist,
    /// CIFAR-10: 32 x 32, its mean and deviation (kuangliu/pytorch-cifar, issue 19).
    Cifar10Standardized,
    /// CIFAR-10 as kuangliu/pytorch-cifar trains it: 32 x 32, the mean, and the mean of the images' own deviations, which
    /// are smaller than that of all pixels.
    PytorchCifar,
    /// CIFAR-10 as PyTorch's tutorial "Training a Classifier" trains it: 32 x 32, mean and deviation 0.5.
    Cifar10Tutorial,
    /// CIFAR-100: 32 x 32, its mean and deviation (weiaicunzai/pytorch-cifar100, conf/global_settings.py).
    Cifar100,
    /// SVHN's cropped digits: 32 x 32, mean and deviation of the training set.
    Svhn,
    /// Values in -1..1, as Inception, ViT and Keras' MobileNets take them: mean and deviation 0.5.
    Half,
    /// Values in 0..1, as torchvision's `ToTensor` alone gives them.
    Unit,
    /// Levels in 0..255, for networks that prepare pixels themselves.
    Levels,
}

/// What a preset is called, and its other names.
type Names = (&'static str, &'static [&'static str]);

impl Preset {
    /// Every preset.
    pub const ALL: [Self; 16] = [
        Self::Torchvision,
        Self::OneFlow,
        Self::Megvii,
        Self::Mnist,
        Self::Mnist32,
        Self::Cifar10,
        Self::MnistStandardized,
        Self::FashionMnist,
        Self::Cifar10Standardized,
        Self::PytorchCifar,
        Self::Cifar10Tutorial,
        Self::Cifar100,
        Self::Svhn,
        Self::Half,
        Self::Unit,
        Self::Levels,
    ];

    fn names(self) -> Names {
        match self {
            Self::Torchvision => ("torchvision", &["imagenet"]),
            Self::OneFlow => ("oneflow", &[]),
            Self::Megvii => ("megvii", &[]),
            Self::Mnist => ("mnist", &[]),
            Self::Mnist32 => ("mnist32", &[]),
            Self::Cifar10 => ("cifar10", &[]),
            Self::MnistStandardized => ("mnist-standardized", &["mnist-standardised", "mnist-normalized"]),
            Self::FashionMnist => ("fashion-mnist", &["fashionmnist"]),
            Self::Cifar10Standardized => ("cifar10-standardized", &["cifar10-standardised", "cifar10-normalized"]),
            Self::PytorchCifar => ("pytorch-cifar", &["cifar10-kuangliu"]),
            Self::Cifar10Tutorial => ("cifar10-tutorial", &["pytorch-tutorial"]),
            Self::Cifar100 => ("cifar100", &["cifar100-standardized"]),
            Self::Svhn => ("svhn", &[]),
            Self::Half => ("half", &["0.5", "inception", "vit"]),
            Self::Unit => ("unit", &["0..1", "totensor"]),
            Self::Levels => ("levels", &["0..255"]),
        }
    }

    /// The name that [`from_name`](Self::from_name) reads.
    pub fn name(self) -> &'static str {
        self.names().0
    }

    /// Finds a preset by its name or another one for it (`imagenet` for `torchvision`, `0.5`, `inception` and `vit` for
    /// `half`, `0..1` for `unit`, `0..255` for `levels`), in any case, with `_` for `-`.
    ///
    /// # Errors
    /// [`Error::Usage`], with the known names and the nearest of them.
    pub fn from_name(name: &str) -> Result<Self> {
        let wanted = name.trim().to_ascii_lowercase().replace('_', "-");
        let is = |preset: &Self| {
            let (name, others) = preset.names();
            name == wanted || others.contains(&&*wanted)
        };
        if let Some(preset) = Self::ALL.iter().find(|preset| is(preset)) {
            return Ok(*preset);
        }
        let names = Self::ALL.map(Self::name);
        let nearest = names
            .into_iter()
            .max_by(|a, b| strsim::jaro_winkler(a, &wanted).total_cmp(&strsim::jaro_winkler(b, &wanted)));
        let hint = match nearest {
            Some(near) if strsim::jaro_winkler(near, &wanted) > 0.7 => format!("; did you mean {near}?"),
            _ => String::new(),
        };
        let name = printable::cut(name, 60);
        Err(Error::Usage(format!("no preset is called \"{name}\"; there are {}{hint}", names.join(", "))))
    }

    /// What this preset does to the images that it was made for. [`Half`](Self::Half), [`Unit`](Self::Unit) and
    /// [`Levels`](Self::Levels) were made for none, and resize straight to 224 x 224.
    pub fn preprocess(self) -> Preprocess {
        let exact = |side| Resize::Exact { width: side, height: side };
        let all = |mean: [f32; 3], std: [f32; 3]| (mean.to_vec(), std.to_vec());
        let (resize, (mean, std)) = match self {
            Self::Torchvision => (Resize::ShorterSide(256), all([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])),
            Self::OneFlow => (
                exact(224),
                all(
                    [123.68, 116.779, 103.939].map(|level| level / 255.0),
                    [58.393, 57.12, 57.375].map(|level| level / 255.0),
                ),
            ),
            Self::Megvii => (Resize::ShorterSide(256), all([0.0; 3], [LEVEL; 3])),
            Self::Mnist => (exact(28), (vec![0.0], vec![1.0])),
            Self::MnistStandardized => (exact(28), (vec![0.1307], vec![0.3081])),
            Self::Mnist32 => (exact(32), (vec![0.1307], vec![0.3081])),
            Self::FashionMnist => (exact(28), (vec![0.2860], vec![0.3530])),
            Self::Cifar10 => (exact(CIFAR10_SIDE), all([0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616])),
            Self::Cifar10Standardized => (exact(32), all([0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616])),
            Self::PytorchCifar => (exact(32), all([0.4914, 0.4822, 0.4465], [0.2023, 0.1994, 0.2010])),
            Self::Cifar10Tutorial => (exact(32), all([0.5; 3], [0.5; 3])),
            Self::Cifar100 => (exact(32), all([0.5071, 0.4865, 0.4409], [0.2673, 0.2564, 0.2762])),
            Self::Svhn => (exact(32), all([0.4377, 0.4438, 0.4728], [0.1980, 0.2010, 0.1970])),
            Self::Half => (exact(224), all([0.5; 3], [0.5; 3])),
            Self::Unit => (exact(224), all([0.0; 3], [1.0; 3])),
            Self::Levels => (exact(224), all([0.0; 3], [LEVEL; 3])),
        };
        let crop = match resize {
            Resize::ShorterSide(_) => Crop::Centre { width: 224, height: 224 },
            _ => Crop::None,
        };
        Preprocess {
            decoding: Decoding::Exact,
            resize,
            filter: if self == Self::OneFlow { Filter::Bicubic } else { Filter::Bilinear },
            crop,
            grayscale: mean.len() == 1,
            bgr: self == Self::Megvii,
            invert: false,
            mean,
            std,
        }
    }

    /// What this preset does for a network whose usual input is `input`, and which `takes` some inputs.
    ///
    /// Grey or colour is the network's, and so is the side, unless that is 224, which is the usual one of networks that
    /// leave it open: then it stays the preset's if the network takes it. A crop keeps its share of the resized image.
    pub fn preprocess_for(self, input: Shape, takes: impl Fn(Shape) -> bool) -> Preprocess {
        let mut preprocess = self.preprocess().in_grey(input.channels == 1);
        let pixels = |side: u32| usize::try_from(side).unwrap_or(usize::MAX);
        let (width, height) = preprocess.fixed_size().unwrap_or_default();
        let is_open = (input.height, input.width) == (USUAL_SIDE, USUAL_SIDE);
        let has_own = !matches!(self, Self::Half | Self::Unit | Self::Levels);
        if is_open && has_own && takes(Shape::new(input.channels, pixels(height), pixels(width))) {
            return preprocess;
        }
        let side = |pixels: usize| u32::try_from(pixels).unwrap_or(u32::MAX);
        let (to_width, to_height) = (side(input.width), side(input.height));
        match preprocess.crop {
            Crop::None => preprocess.resize = Resize::Exact { width: to_width, height: to_height },
            Crop::Centre { .. } => {
                if let Resize::ShorterSide(shorter) = preprocess.resize {
                    // Rounded: 342 for 299, as torchvision evaluates Inception.
                    let scaled = (u64::from(to_width.max(to_height)) * u64::from(shorter) * 2 + u64::from(width))
                        / (2 * u64::from(width.max(1)));
                    preprocess.resize = Resize::ShorterSide(u32::try_from(scaled).unwrap_or(u32::MAX));
                }
                preprocess.crop = Crop::Centre { width: to_width, height: to_height };
            }
        }
        preprocess
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
