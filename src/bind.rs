//! Matches a checkpoint's parameters to a graph's by name, and reports on each.

use crate::checkpoint::remap::{self, Renamed};
use crate::checkpoint::{Limits, StateDict, prefix};
use crate::error::{Error, Result};
use crate::graph::{Graph, ParameterId};
use crate::initialiser::{self, Initialiser};
use crate::printable::{cut, line, shape};
use crate::tensor::{DType, Tensor};
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

/// Parameters that training keeps beside the weights and that no inference reads.
const IGNORED_SUFFIXES: [&str; 1] = [".num_batches_tracked"];

/// What is an error, where the checkpoint's parameters are not the network's. Another shape always is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Strictness {
    /// Missing parameters are an error; those that the network has no use for are reported.
    #[default]
    AllowUnexpected,
    /// Both are an error.
    Strict,
    /// Neither is, so that training can go on from part of a network: what is missing is initialised, and
    /// [reported](LoadReport::initialised). It is an error all the same if nothing is found.
    InitMissing {
        /// What new weights are drawn from, and new biases where it needs no fan; otherwise these are zeros. Batch
        /// normalisation always starts with 1, 0, 0 and 1.
        initialiser: Initialiser,
        /// The same seed gives a parameter of the same name and shape the same numbers.
        seed: u64,
    },
}

/// A parameter that the network needs and the checkpoint lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Its name.
    pub name: String,
    /// The shape that it must have.
    pub shape: Vec<usize>,
    /// The most similar names among those that the network has no use for.
    pub nearest: Vec<String>,
    /// Why it was left out, where the file has something of its name ([`StateDict::left_out`]): a clause about "it".
    pub left_out: Option<String>,
}

/// A parameter that the checkpoint lacks and that was made up for it.
#[derive(Debug, Clone, PartialEq)]
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
pub struct LoadReport {
    /// Found by name and shape.
    pub loaded: Vec<String>,
    /// Needed and absent.
    pub missing: Vec<Missing>,
    /// Needed, absent and initialised, under [`Strictness::InitMissing`]: worth a warning each.
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

/// A graph's parameters as `f32`, in the graph's order.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights(Vec<Vec<f32>>);

impl Weights {
    /// Weights given directly, one vector a parameter in the graph's order.
    ///
    /// # Errors
    /// [`Error::Usage`] where a count differs from the graph's.
    pub fn new(graph: &Graph, values: Vec<Vec<f32>>) -> Result<Self> {
        let fits = values.len() == graph.parameters().len()
            && graph.parameters().iter().zip(&values).all(|(p, v)| p.shape.iter().product::<usize>() == v.len());
        if fits { Ok(Self(values)) } else { Err(Error::Usage("the weights do not fit the graph's parameters".into())) }
    }

    /// The values of one parameter, row-major.
    pub fn get(&self, id: ParameterId) -> &[f32] {
        &self.0[id.0]
    }

    /// How many numbers there are in all.
    pub fn count(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }
}

/// Takes every parameter of `graph` from `state`, by name.
///
/// Names that the graph does not know are tried under PyTorch's names by the rules of [`remap`]. Where all parameters
/// stand behind one prefix, such as `model.`, it comes off. Where the state dict has no shapes
/// ([`StateDict::shapes_known`]), a parameter takes the graph's shape if it has as many elements.
///
/// # Errors
/// [`Error::Ambiguous`] where two parts of the checkpoint have all parameters.
/// [`Error::Mismatch`] with the whole report where parameters have another shape or, as `strictness` says, are missing
/// or unexpected; [`Error::Checkpoint`] where one holds NaN or infinity. Under [`Strictness::InitMissing`] also
/// [`Error::Limit`] where new parameters would take more than [`Limits::expanded_bytes`] by default, and
/// [`Error::Usage`] for an initialiser that makes no sense.
pub fn bind(graph: &Graph, state: &StateDict, strictness: Strictness) -> Result<(Weights, LoadReport)> {
    let known: HashSet<&str> = graph.parameters().iter().map(|p| p.name.as_str()).collect();
    let prefix =
        prefix::choose(state.names(), &known).map_err(|prefixes| Error::ambiguous(state.origin(), prefixes))?;
    let named = remap::within(state, &prefix, |name| known.contains(name));
    let mut renamed: Vec<String> = named.rules.iter().map(ToString::to_string).collect();
    if !prefix.is_empty() {
        renamed.push(format!("`{prefix}` comes off"));
    }
    let mut report = LoadReport { renamed, ..Default::default() };
    let mut values = Vec::with_capacity(graph.parameters().len());
    let (mut not_finite, mut absent) = (Vec::new(), Vec::new());
    for (i, parameter) in graph.parameters().iter().enumerate() {
        let name = &parameter.name;
        match named.state.get(name) {
            Some(tensor) if fits(tensor, &parameter.shape, state.shapes_known()) => {
                let tensor = tensor.to_f32_vec();
                let bad = tensor.iter().filter(|v| !v.is_finite()).count();
                if bad > 0 {
                    not_finite.push(format!("{} ({bad} of {})", named.original(name), tensor.len()));
                }
                values.push(tensor);
                report.loaded.push(name.clone());
            }
            Some(tensor) => report.mismatched.push(Mismatched {
                name: name.clone(),
                file_name: named.original(name).to_owned(),
                expected: parameter.shape.clone(),
                found: tensor.shape().to_vec(),
            }),
            None => {
                report.missing.push(Missing {
                    name: name.clone(),
                    shape: parameter.shape.clone(),
                    nearest: Vec::new(),
                    left_out: named.state.left_out().get(name).cloned(),
                });
                // To be put here if it may be missing.
                absent.push(i);
                values.push(Vec::new());
            }
        }
    }
    sort_out_the_rest(&known, &named, &mut report);
    if let Strictness::InitMissing { initialiser, seed } = strictness
        && report.mismatched.is_empty()
        && !report.loaded.is_empty()
    {
        let initialisers = initialiser::of_graph(graph, initialiser);
        within_memory(state, &report.missing)?;
        for (i, missing) in absent.into_iter().zip(std::mem::take(&mut report.missing)) {
            let (name, shape, initialiser) = (missing.name, missing.shape, initialisers[i]);
            values[i] = initialiser.values(&name, &shape, seed)?;
            report.initialised.push(Initialised { name, shape, initialiser });
        }
    }
    if !report.is_complete() || (strictness == Strictness::Strict && !report.unexpected.is_empty()) {
        return Err(Error::Mismatch { path: state.origin().to_owned(), report: Box::new(report) });
    }
    if !not_finite.is_empty() {
        let reason = format!("these parameters hold NaN or infinity: {}", not_finite.join(", "));
        return Err(Error::checkpoint(state.origin(), reason));
    }
    Ok((Weights(values), report))
}

/// Whether `missing` parameters may be made up. Their shapes follow from those that the file claims, and a small file can
/// claim two sides of a large matrix.
fn within_memory(state: &StateDict, missing: &[Missing]) -> Result<()> {
    let limit = Limits::default().expanded_bytes;
    let bytes = |missing: &Missing| Tensor::byte_count(DType::F32, &missing.shape).unwrap_or(usize::MAX) as u64;
    let found = missing.iter().map(bytes).fold(0, u64::saturating_add);
    if found <= limit {
        return Ok(());
    }
    let what = format!("what {} missing parameters take, in bytes,", missing.len());
    Err(Error::Limit { path: state.origin().to_owned(), what, found, limit })
}

/// Whether a tensor can be the parameter of `shape`.
fn fits(tensor: &Tensor, shape: &[usize], shapes_known: bool) -> bool {
    tensor.shape() == shape || (!shapes_known && Some(tensor.element_count()) == count(shape))
}

fn count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))
}

/// Names that are not the graph's become unexpected or ignored, and suggestions for what is missing.
fn sort_out_the_rest(known: &HashSet<&str>, named: &Renamed, report: &mut LoadReport) {
    for name in named.state.names().filter(|name| !known.contains(name)) {
        let list = if IGNORED_SUFFIXES.iter().any(|suffix| name.ends_with(suffix)) {
            &mut report.ignored
        } else {
            &mut report.unexpected
        };
        list.push(named.original(name).to_owned());
    }
    for missing in &mut report.missing {
        missing.nearest = nearest(&missing.name, &report.unexpected);
    }
}

/// At most two of `candidates` that resemble `name`, the most similar first.
fn nearest(name: &str, candidates: &[String]) -> Vec<String> {
    /// More candidates than this are a foreign file, where no suggestion helps and each costs microseconds.
    const MOST_CANDIDATES: usize = 2000;
    const ALIKE: f64 = 0.6;
    let mut scored: Vec<(f64, &String)> = candidates
        .iter()
        .take(MOST_CANDIDATES)
        .map(|candidate| (strsim::normalized_levenshtein(name, candidate), candidate))
        .filter(|(score, _)| *score >= ALIKE)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().take(2).map(|(_, candidate)| candidate.clone()).collect()
}
