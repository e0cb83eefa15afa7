//! The mean and the standard deviation of an input, which a model keeps to normalise it.

use super::words::{BESIDE, STATISTICS, says};
use crate::checkpoint::prefix;
use crate::tensor::Tensor;

/// Whether it is the mean or the standard deviation of an input with so many channels, by its name and shape.
pub(super) fn is_statistic(name: &str, tensor: &Tensor, channels: usize) -> bool {
    let (module, last) = name.rsplit_once('.').unwrap_or(("", name));
    let named = says(last, &STATISTICS[..5]) && prefix::words(last).all(|word| STATISTICS.contains(&&*word));
    named
        && !says(module, &BESIDE)
        && tensor.element_count() == channels
        && tensor.shape().iter().all(|&d| d == 1 || d == channels)
}

/// The numbers of a small tensor, as a list.
pub(super) fn numbers(tensor: &Tensor) -> String {
    let numbers: Vec<String> = tensor.to_f32_vec().iter().take(8).map(f32::to_string).collect();
    numbers.join(", ")
}

/// That the preprocessing has to do what the model does to its input before the network.
pub(super) fn normalises(statistics: &[String]) -> String {
    format!(
        "the model that this was saved from normalises its input itself, by {}, and the network that is run does not: \
         the preprocessing has to, by this mean and std alone, where the model was given pixels from 0 to 1 (those of \
         the preset `unit`)",
        statistics.join(" and ")
    )
}
