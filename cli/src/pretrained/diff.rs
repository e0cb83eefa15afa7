//! `pretrained diff`: what two checkpoints differ in, name by name.

use crate::Outcome;
use crate::numbers::{Number, numbers};
use crate::rename;
use clap::Args;
use pretrained::printable::{self, shape};
use pretrained::{Error, Limits, Rename, Result, Tensor};
use std::borrow::Cow;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub struct Diff {
    /// One checkpoint
    a: PathBuf,

    /// The other
    b: PathBuf,

    /// Numbers count as equal where they are this close, absolutely or relative to the larger one; another element
    /// type is then listed, but no difference by itself
    #[arg(long, value_name = "T")]
    tolerance: Option<f64>,

    /// Rename parameters of the first checkpoint: matches of a regular expression are replaced, and $1 is its first
    /// group; may be repeated
    #[arg(long, value_name = "REGEX=REPLACEMENT")]
    rename: Vec<Rename>,
}

/// How far apart the elements of two tensors of one shape are.
#[derive(Debug, Default)]
struct Distance {
    absolute: f64,
    relative: f64,
    /// The largest of what is smaller in each element, absolute or relative: what a tolerance is held against.
    lesser: f64,
    /// So many elements are not the same number.
    differing: usize,
}

impl Diff {
    pub fn run(&self) -> Result<Outcome> {
        if self.tolerance.is_some_and(|tolerance| !(tolerance >= 0.0 && tolerance.is_finite())) {
            return Err(Error::Usage("--tolerance is a number that is not negative, such as 1e-5".into()));
        }
        let a = rename::apply(&self.rename, crate::open(&self.a, &Limits::default())?)?;
        let b = crate::open(&self.b, &Limits::default())?;
        let mut text = String::new();
        let (mut equal, mut different) = (0, 0);
        for (name, tensor) in a.iter() {
            let (line, same) = match b.get(name) {
                Some(other) => self.compare(tensor, other),
                None => (Some(only_in(&self.a, tensor)), false),
            };
            if let Some(line) = line {
                text += &format!("{}: {line}\n", name_of(name));
            }
            *if same { &mut equal } else { &mut different } += 1;
        }
        for (name, tensor) in b.iter().filter(|(name, _)| !a.contains(name)) {
            text += &format!("{}: {}\n", name_of(name), only_in(&self.b, tensor));
            different += 1;
        }
        text += &format!("{equal} tensors are equal, {different} differ\n");
        Ok(Outcome { text, found: different > 0 })
    }

    /// What there is to say of two tensors of one name, and whether they count as equal.
    fn compare(&self, a: &Tensor, b: &Tensor) -> (Option<String>, bool) {
        if a.shape() != b.shape() {
            return (Some(format!("shape {} and {}", shape(a.shape()), shape(b.shape()))), false);
        }
        if a.dtype() == b.dtype() && a.bytes() == b.bytes() {
            return (None, true);
        }
        let found = distance(a, b);
        let near = self.tolerance.map_or(found.differing == 0, |tolerance| found.lesser <= tolerance);
        let mut parts = Vec::new();
        if a.dtype() != b.dtype() {
            parts.push(format!("dtype {} and {}", a.dtype(), b.dtype()));
        }
        if found.differing > 0 {
            parts.push(format!(
                "{} of {} numbers differ, by at most {:.3e} absolute, {:.3e} relative",
                found.differing,
                a.element_count(),
                found.absolute,
                found.relative
            ));
        }
        let same = near && (a.dtype() == b.dtype() || self.tolerance.is_some());
        ((!parts.is_empty()).then(|| parts.join("; ")), same)
    }
}

fn name_of(tensor: &str) -> Cow<'_, str> {
    printable::cut(tensor, 200)
}

fn only_in(checkpoint: &Path, tensor: &Tensor) -> String {
    format!("only in {}: {} {}", printable::path(checkpoint), tensor.dtype(), shape(tensor.shape()))
}

fn distance(a: &Tensor, b: &Tensor) -> Distance {
    let mut found = Distance::default();
    for (x, y) in numbers(a).zip(numbers(b)) {
        let (absolute, relative) = match (x, y) {
            (Number::Int(x), Number::Int(y)) => {
                let absolute = x.abs_diff(y) as f64;
                (absolute, absolute / x.abs().max(y.abs()).max(1) as f64)
            }
            _ => apart(x.as_f64(), y.as_f64()),
        };
        if absolute > 0.0 {
            found.differing += 1;
            found.absolute = found.absolute.max(absolute);
            found.relative = found.relative.max(relative);
            found.lesser = found.lesser.max(absolute.min(relative));
        }
    }
    found
}

/// The absolute and the relative difference. Two NaN are equal, and so is an infinity to itself; either is infinitely
/// far from everything else.
fn apart(x: f64, y: f64) -> (f64, f64) {
    if x == y || (x.is_nan() && y.is_nan()) {
        return (0.0, 0.0);
    }
    if !x.is_finite() || !y.is_finite() {
        return (f64::INFINITY, f64::INFINITY);
    }
    let absolute = (x - y).abs();
    (absolute, absolute / x.abs().max(y.abs()))
}
