//! What the numbers that a network returns are, which its operators do not always say.

/// What a network's outputs are, and so how probabilities are made of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Head {
    /// One logit for each class, of which one is right: softmax turns them into probabilities.
    #[default]
    Logits,
    /// Probabilities of classes of which one is right, as a softmax inside the network makes them.
    Probabilities,
    /// The logarithms of such probabilities.
    LogProbabilities,
    /// One logit for each class, independent of the others: a sigmoid turns each into a probability.
    IndependentLogits,
    /// Probabilities that are independent of each other, as a sigmoid inside the network makes them.
    IndependentProbabilities,
}
