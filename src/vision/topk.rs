//! Turns a network's outputs into the most probable classes.

use super::labels::Labels;
use crate::graph::Head;
use crate::{Error, Result};

/// A class that the network sees in an image.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Prediction {
    /// The class's number: the index of its output, or of two classes that share one output, 1 for the one whose
    /// probability it is.
    pub class: usize,
    /// Its label, if one is known.
    pub label: Option<String>,
    /// Its probability in 0..1, or the output as it is where the [`Head`] makes none of it.
    pub probability: f32,
}

/// The probabilities of all classes: `exp(x - max) / sum(exp(x - max))`, which no logit can overflow.
///
/// # Errors
/// [`Error::Device`] if a logit is NaN or infinite.
pub fn softmax(logits: &[f32]) -> Result<Vec<f32>> {
    all_finite(logits)?;
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    // Two finite logits may be further apart than a f32 reaches.
    let weights: Vec<f64> = logits.iter().map(|logit| (f64::from(*logit) - f64::from(max)).exp()).collect();
    let sum: f64 = weights.iter().sum();
    Ok(weights.into_iter().map(|weight| (weight / sum) as f32).collect())
}

/// The `k` most probable classes, the most probable first and the lower number first among equals.
///
/// All classes where `k` is larger than their number, none where it is 0.
///
/// # Errors
/// As [`softmax`].
pub fn top_k(logits: &[f32], k: usize, labels: Option<&Labels>) -> Result<Vec<Prediction>> {
    Ok(rank(logits, &softmax(logits)?, k, |class| label(labels, class)))
}

/// The probability of each class, made of an image's `outputs` as `head` says; where it makes none, the outputs.
///
/// Two classes share one output that is a logit or an independent probability p: they get 1 - p and p.
///
/// # Errors
/// As [`softmax`].
pub fn probabilities(head: Head, outputs: &[f32]) -> Result<Vec<f32>> {
    let each: Vec<f32> = match head {
        Head::Logits if head.is_binary(outputs.len()) => sigmoid(outputs)?,
        Head::Logits | Head::Softmax | Head::LogSoftmax => softmax(outputs)?,
        Head::LogProbabilities => log_softmax(outputs)?,
        Head::IndependentLogits => sigmoid(outputs)?,
        Head::Probabilities | Head::IndependentProbabilities | Head::Values => {
            all_finite(outputs)?;
            outputs.to_vec()
        }
    };
    Ok(match each[..] {
        [p] if head.is_binary(1) => vec![1.0 - p, p],
        _ => each,
    })
}

/// The `k` most probable classes by [`probabilities`], the most probable first and the lower number first among equals.
///
/// They are ranked by their outputs, which differ where probabilities are too small or too large to. Of two classes that
/// share one output, a single label is that of class 1, and class 0 is called "not" that.
///
/// # Errors
/// As [`softmax`].
pub fn top_k_by(head: Head, outputs: &[f32], k: usize, labels: Option<&Labels>) -> Result<Vec<Prediction>> {
    let probabilities = probabilities(head, outputs)?;
    if !head.is_binary(outputs.len()) {
        return Ok(rank(outputs, &probabilities, k, |class| label(labels, class)));
    }
    Ok(rank(&probabilities, &probabilities, k, |class| match labels.map(Labels::names) {
        Some([one]) if class == 0 => Some(format!("not {one}")),
        Some([one]) => Some(one.clone()),
        _ => label(labels, class),
    }))
}

/// The `k` classes with the largest `ranks`.
fn rank(ranks: &[f32], probabilities: &[f32], k: usize, label: impl Fn(usize) -> Option<String>) -> Vec<Prediction> {
    let mut classes: Vec<usize> = (0..ranks.len()).collect();
    classes.sort_by(|a, b| ranks[*b].partial_cmp(&ranks[*a]).unwrap_or(std::cmp::Ordering::Equal));
    classes.truncate(k);
    classes
        .into_iter()
        .map(|class| Prediction { class, label: label(class), probability: probabilities[class] })
        .collect()
}

fn label(labels: Option<&Labels>, class: usize) -> Option<String> {
    labels.and_then(|labels| labels.get(class)).map(str::to_owned)
}

/// `1 / (1 + exp(-x))` of each logit.
fn sigmoid(logits: &[f32]) -> Result<Vec<f32>> {
    all_finite(logits)?;
    Ok(logits.iter().map(|&logit| (1.0 / (1.0 + (-f64::from(logit)).exp())) as f32).collect())
}

/// `x - max - ln(sum(exp(x - max)))` of each logit.
fn log_softmax(logits: &[f32]) -> Result<Vec<f32>> {
    all_finite(logits)?;
    let max = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = logits.iter().map(|&logit| (f64::from(logit) - max).exp()).sum();
    Ok(logits.iter().map(|&logit| (f64::from(logit) - max - sum.ln()) as f32).collect())
}

fn all_finite(outputs: &[f32]) -> Result<()> {
    match outputs.iter().position(|output| !output.is_finite()) {
        None => Ok(()),
        Some(class) => Err(Error::device(format!(
            "the output for class {class} is {}: the weights hold or lead to values that are not finite, or the device \
             failed",
            outputs[class]
        ))),
    }
}
