//! What became of every parameter of a network and of a checkpoint.

use super::initialiser::Initialiser;
use crate::error::{Error, Report};
use crate::printable::{cut, line, shape};
use std::any::Any;
use std::borrow::Cow;
use std::fmt;

/// A parameter that the network needs and the checkpoint lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Missing {
    /// Its name.
    pub name: String,
    /// The shape that it must have.
    pub shape: Vec<usize>,
    /// The most similar names among those that the network has no use for.
    pub nearest: Vec<String>,
    /// Why it was left out, where the file has something of its name ([`StateDict::left_out`](crate::StateDict::left_out)): a clause about "it".
    pub left_out: Option<String>,
}

/// A parameter that the checkpoint lacks and that was made up for it.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Initialised {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// What its numbers were drawn from.
    pub initialiser: Initialiser,
}

impl fmt::Display for Initialised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, shape, initialiser } = self;
        write!(f, "{} {shape:?} is not in the checkpoint; initialised by {initialiser}", quoted(name))
    }
}

/// A parameter with another shape than the network's.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Mismatched {
    /// Its name.
    pub name: String,
    /// What the checkpoint calls it, which differs where a rule renamed it.
    pub file_name: String,
    /// The network's shape.
    pub expected: Vec<usize>,
    /// The checkpoint's shape.
    pub found: Vec<usize>,
}

/// What became of every parameter, on either side.
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct LoadReport {
    /// Found by name and shape.
    pub loaded: Vec<String>,
    /// Needed and absent.
    pub missing: Vec<Missing>,
    /// Needed, absent and initialised, under [`Strictness::InitMissing`](crate::Strictness::InitMissing): worth a warning each.
    pub initialised: Vec<Initialised>,
    /// Present and of no use; the checkpoint's names.
    pub unexpected: Vec<String>,
    /// Present with another shape.
    pub mismatched: Vec<Mismatched>,
    /// Passed over by rule, such as `num_batches_tracked`; the checkpoint's names.
    pub ignored: Vec<String>,
    /// The rules by which names became the network's, each once; none where the checkpoint has the network's names.
    pub renamed: Vec<String>,
}

impl LoadReport {
    /// Whether the network can run: nothing is missing, and all shapes fit.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.mismatched.is_empty()
    }
}

impl Report for LoadReport {}

impl Error {
    /// What became of every parameter, where those of a checkpoint do not fit the network ([`Error::Mismatch`]).
    pub fn report(&self) -> Option<&LoadReport> {
        let Self::Mismatch { report, .. } = self else { return None };
        let report: &dyn Any = report.as_ref();
        report.downcast_ref()
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} loaded, {} missing, {} of another shape, {} unexpected, {} ignored",
            self.loaded.len(),
            self.missing.len(),
            self.mismatched.len(),
            self.unexpected.len(),
            self.ignored.len()
        )?;
        list(f, "missing", &self.missing, |Missing { name, shape, nearest, left_out }| {
            let clue = match left_out {
                Some(reason) => format!(", which is in the file and was left out: {}", line(reason)),
                None if nearest.is_empty() => String::new(),
                None => format!(" (the nearest names found: {})", quoted(&nearest.join(", "))),
            };
            format!("missing {} {shape:?}{clue}", quoted(name))
        })?;
        list(f, "initialised", &self.initialised, ToString::to_string)?;
        list(f, "of another shape", &self.mismatched, |Mismatched { name, file_name, expected, found }| {
            let in_file = match file_name == name {
                true => String::new(),
                false => format!(" (in the file: {})", quoted(file_name)),
            };
            format!("{}: expected {expected:?}, found {}{in_file}", quoted(name), shape(found))
        })?;
        list(f, "unexpected", &self.unexpected, |name| format!("unexpected {}", quoted(name)))?;
        for rule in &self.renamed {
            write!(f, "\n  names were matched by a rule: {rule}")?;
        }
        Ok(())
    }
}

/// Parameters of each kind that a report lists in words: more are of another network, and nobody reads them.
const LISTED: usize = 50;

/// Writes a line for each of the first items, and how many `what` there are besides.
fn list<T>(f: &mut fmt::Formatter, what: &str, items: &[T], words: impl Fn(&T) -> String) -> fmt::Result {
    items.iter().take(LISTED).try_for_each(|item| write!(f, "\n  {}", words(item)))?;
    match items.len().saturating_sub(LISTED) {
        0 => Ok(()),
        more => write!(f, "\n  and {more} more {what}"),
    }
}

/// A name as a line of the report has room for it.
fn quoted(name: &str) -> Cow<'_, str> {
    cut(name, 200)
}
