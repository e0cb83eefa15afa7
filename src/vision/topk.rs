//! Turns a network's logits into the most probable classes.

use super::labels::Labels;
use crate::{Error, Result};

/// A class that the network sees in an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The class's number: the index of its output.
    pub class: usize,
    /// Its label, if one is known.
    pub label: Option<String>,
    /// Its probability in 0..1.
    pub probability: f32,
}

/// The probabilities of all classes: `exp(x - max) / sum(exp(x - max))`, which no logit can overflow.
///
/// # Errors
/// [`Error::Device`] if a logit is NaN or infinite.
pub fn softmax(logits: &[f32]) -> Result<Vec<f32>> {
    if let Some(class) = logits.iter().position(|logit| !logit.is_finite()) {
        return Err(Error::Device(format!(
            "the logit of class {class} is {}: the weights hold or lead to values that are not finite, or the device failed",
            logits[class]
        )));
    }
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
    let probabilities = softmax(logits)?;
    let mut classes: Vec<usize> = (0..logits.len()).collect();
    // By logit: the smallest probabilities are all 0.
    classes.sort_by(|a, b| logits[*b].partial_cmp(&logits[*a]).unwrap_or(std::cmp::Ordering::Equal));
    classes.truncate(k);
    let predict = |class: usize| Prediction {
        class,
        label: labels.and_then(|labels| labels.get(class)).map(str::to_owned),
        probability: probabilities[class],
    };
    Ok(classes.into_iter().map(predict).collect())
}
