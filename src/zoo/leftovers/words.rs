//! The words in parameters' names that say what is left over.

use crate::checkpoint::prefix;

/// Endings of what is kept within blocks and changes nothing: counters, those of profilers too.
const COUNTERS: [&str; 3] = [".num_batches_tracked", ".total_ops", ".total_params"];

/// Parts of names of what quantisation watches during training.
const OBSERVERS: [&str; 2] = ["activation_post_process", "fake_quant"];

/// Words for what stands beside a network and is not called when it classifies.
pub(super) const BESIDE: [&str; 29] = [
    "aux",
    "auxiliary",
    "ema",
    "swa",
    "averaged",
    "shadow",
    "teacher",
    "student",
    "momentum",
    "criterion",
    "criterions",
    "loss",
    "losses",
    "metric",
    "metrics",
    "acc",
    "accuracy",
    "optim",
    "optimizer",
    "optimizers",
    "scheduler",
    "queue",
    "discriminator",
    "generator",
    "lpips",
    "perceptual",
    "memory",
    "prototypes",
    "moments",
];

/// Words for layers that go on from the features for another purpose, unless they give back as many numbers.
pub(super) const BRANCHES: [&str; 5] = ["projector", "projection", "predictor", "head", "heads"];

/// Words for what a loss, an optimizer or statistics keep of the features: vectors of their width that compute nothing.
pub(super) const KEPT: [&str; 16] = [
    "center",
    "centers",
    "centre",
    "centroid",
    "centroids",
    "prototype",
    "exp",
    "avg",
    "state",
    "class",
    "classes",
    "mean",
    "std",
    "var",
    "buffer",
    "running",
];

/// Words for layers that have no parameters in any network that is known.
pub(super) const BARE: [&str; 21] = [
    "relu",
    "prelu",
    "act",
    "activation",
    "nonlinearity",
    "gelu",
    "silu",
    "swish",
    "pool",
    "pooling",
    "avgpool",
    "maxpool",
    "gap",
    "gem",
    "rmac",
    "dropout",
    "drop",
    "flatten",
    "blurpool",
    "blur",
    "glu",
];

/// Words that the names of an input's mean and standard deviation are made of.
pub(super) const STATISTICS: [&str; 18] = [
    "mean",
    "std",
    "var",
    "mu",
    "sigma",
    "pixel",
    "image",
    "img",
    "input",
    "x",
    "data",
    "dataset",
    "rgb",
    "norm",
    "normalize",
    "channel",
    "imagenet",
    "buffer",
];

/// Words for attention.
pub(super) const ATTENTION: [&str; 6] =
    ["attn", "attention", "qkv", "in_proj_weight", "q_proj", "relative_position_bias_table"];

/// Whether any word of a name is among `words`.
pub(super) fn says(name: &str, words: &[&str]) -> bool {
    prefix::words(name).any(|word| words.contains(&&*word))
}

/// Whether a parameter is kept within blocks and changes nothing.
pub(super) fn is_bookkeeping(name: &str) -> bool {
    COUNTERS.iter().any(|ending| name.ends_with(ending)) || OBSERVERS.iter().any(|part| name.contains(part))
}
