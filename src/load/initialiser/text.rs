//! Initialisers as text: the name and, after a colon, the numbers.

use super::{Draw, Fan, Initialiser};
use crate::error::{Error, Result};
use std::fmt;
use std::str::{FromStr, Split};

const NAMES: &str = "default, zeros, ones, constant:VALUE, uniform:LOW,HIGH, normal:MEAN,STD, truncated_normal:MEAN,STD, \
                     xavier_uniform, xavier_normal, kaiming_uniform, kaiming_normal, variance_scaling:SCALE,FAN,DRAW";

impl fmt::Display for Initialiser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LayerDefault => f.write_str("default"),
            Self::Constant(0.0) => f.write_str("zeros"),
            Self::Constant(1.0) => f.write_str("ones"),
            Self::Constant(value) => write!(f, "constant:{value}"),
            Self::Uniform { low, high } => write!(f, "uniform:{low},{high}"),
            Self::Normal { mean, std } => write!(f, "normal:{mean},{std}"),
            Self::TruncatedNormal { mean, std } => write!(f, "truncated_normal:{mean},{std}"),
            Self::XavierUniform { gain } => write!(f, "xavier_uniform:{gain}"),
            Self::XavierNormal { gain } => write!(f, "xavier_normal:{gain}"),
            Self::KaimingUniform { a, fan } => write!(f, "kaiming_uniform:{a},{fan}"),
            Self::KaimingNormal { a, fan } => write!(f, "kaiming_normal:{a},{fan}"),
            Self::VarianceScaling { scale, fan, draw } => write!(f, "variance_scaling:{scale},{fan},{draw}"),
        }
    }
}

impl fmt::Display for Fan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::In => "fan_in",
            Self::Out => "fan_out",
            Self::Average => "fan_avg",
        })
    }
}

impl fmt::Display for Draw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TruncatedNormal => "truncated_normal",
            Self::Normal => "untruncated_normal",
            Self::Uniform => "uniform",
        })
    }
}

impl FromStr for Initialiser {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, arguments) = text.split_once(':').map_or((text, None), |(name, rest)| (name, Some(rest)));
        let mut arguments = Arguments { text, words: arguments.map(|rest| rest.split(',')) };
        let name = name.trim().to_ascii_lowercase().replace("glorot_", "xavier_").replace("he_", "kaiming_");
        let found = match name.as_str() {
            "default" => Self::LayerDefault,
            "zeros" => Self::ZEROS,
            "ones" => Self::ONES,
            "constant" => Self::Constant(arguments.number(None)?),
            "uniform" => Self::Uniform { low: arguments.number(Some(0.0))?, high: arguments.number(Some(1.0))? },
            "normal" => Self::Normal { mean: arguments.number(Some(0.0))?, std: arguments.number(Some(1.0))? },
            "truncated_normal" => {
                Self::TruncatedNormal { mean: arguments.number(Some(0.0))?, std: arguments.number(Some(1.0))? }
            }
            "xavier_uniform" => Self::XavierUniform { gain: arguments.number(Some(1.0))? },
            "xavier_normal" => Self::XavierNormal { gain: arguments.number(Some(1.0))? },
            "kaiming_uniform" => {
                Self::KaimingUniform { a: arguments.number(Some(0.0))?, fan: arguments.one_of(&Fan::ALL)? }
            }
            "kaiming_normal" => {
                Self::KaimingNormal { a: arguments.number(Some(0.0))?, fan: arguments.one_of(&Fan::ALL)? }
            }
            "variance_scaling" => Self::VarianceScaling {
                scale: arguments.number(Some(1.0))?,
                fan: arguments.one_of(&Fan::ALL)?,
                draw: arguments.one_of(&Draw::ALL)?,
            },
            _ => return Err(Error::Usage(format!("no initialiser is called {text:?}; there are {NAMES}"))),
        };
        arguments.end()?;
        Ok(found)
    }
}

impl Fan {
    /// All, the default first.
    const ALL: [Self; 3] = [Self::In, Self::Out, Self::Average];
}

impl Draw {
    /// All, the default first.
    const ALL: [Self; 3] = [Self::TruncatedNormal, Self::Normal, Self::Uniform];
}

/// What stands after the colon, word by word.
struct Arguments<'t> {
    text: &'t str,
    words: Option<Split<'t, char>>,
}

impl<'t> Arguments<'t> {
    fn next(&mut self) -> Option<&'t str> {
        self.words.as_mut()?.next().map(str::trim)
    }

    fn wrong(&self, what: &str) -> Error {
        Error::Usage(format!("{:?} is no initialiser: {what}; there are {NAMES}", self.text))
    }

    /// The next word as a finite number, or else `default`.
    fn number(&mut self, default: Option<f64>) -> Result<f64> {
        match self.next() {
            Some(word) => {
                let number = word.parse().ok().filter(|number: &f64| number.is_finite());
                number.ok_or_else(|| self.wrong(&format!("{word:?} is no number")))
            }
            None => default.ok_or_else(|| self.wrong("a number is expected after a colon")),
        }
    }

    /// The one of `all` that the next word names, or else the first.
    fn one_of<T: Copy + fmt::Display>(&mut self, all: &[T; 3]) -> Result<T> {
        let Some(word) = self.next() else { return Ok(all[0]) };
        let found = all.iter().find(|one| one.to_string() == word);
        let names = || all.each_ref().map(T::to_string).join(", ");
        found.copied().ok_or_else(|| self.wrong(&format!("{word:?} is none of {}", names())))
    }

    fn end(mut self) -> Result<()> {
        match self.next() {
            Some(word) => Err(self.wrong(&format!("nothing is expected at {word:?}"))),
            None => Ok(()),
        }
    }
}
