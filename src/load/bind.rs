//! Matches a checkpoint's parameters to a graph's by name, and reports on each.

use super::initialiser::{self, Initialiser};
use super::report::{Initialised, LoadReport, Mismatched, Missing};
use super::weights::Weights;
use crate::checkpoint::remap::{self, Renamed};
use crate::checkpoint::{Limits, StateDict};
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::tensor::{DType, Tensor};
use std::collections::HashSet;
use std::sync::Arc;

/// Parameters that training keeps beside the weights and that no inference reads.
const IGNORED_SUFFIXES: [&str; 1] = [".num_batches_tracked"];

/// What is an error, where the checkpoint's parameters are not the network's. Another shape always is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
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
    let named = remap::to_network(state, &known).map_err(|prefixes| Error::ambiguous(state.origin(), prefixes))?;
    let mut report = LoadReport { renamed: named.words(), ..Default::default() };
    let mut values: Vec<Arc<[f32]>> = Vec::with_capacity(graph.parameters().len());
    let (mut not_finite, mut absent) = (Vec::new(), Vec::new());
    for (i, parameter) in graph.parameters().iter().enumerate() {
        let name = &parameter.name;
        match named.state.get(name) {
            Some(tensor) if fits(tensor, &parameter.shape, state.shapes_known()) => {
                let tensor: Arc<[f32]> = tensor.to_f32();
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
                values.push(Arc::default());
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
            values[i] = initialiser.values(&name, &shape, seed)?.into();
            report.initialised.push(Initialised { name, shape, initialiser });
        }
    }
    if !report.is_complete() || (strictness == Strictness::Strict && !report.unexpected.is_empty()) {
        return Err(Error::mismatch(state.origin(), report));
    }
    if !not_finite.is_empty() {
        let reason = format!("these parameters hold NaN or infinity: {}", not_finite.join(", "));
        return Err(Error::checkpoint(state.origin(), reason));
    }
    Ok((Weights::fitting(values), report))
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
