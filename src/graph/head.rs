//! What the numbers that a network returns are, and how probabilities are made of them.

use super::{Graph, Node, Op, Values};
use crate::error::Error;
use crate::printable;
use std::fmt;
use std::str::FromStr;

/// What the outputs of a network are.
///
/// The softmax that ends an imported network is left out of its graph, so that sessions return logits, which rank classes
/// whose probabilities are too small to tell apart. The head then says that it belongs there: [`Softmax`](Self::Softmax)
/// or [`LogSoftmax`](Self::LogSoftmax).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Head {
    /// One logit for each class, of which one is right: softmax turns them into probabilities.
    #[default]
    Logits,
    /// Such logits, of which the network itself returns the softmax. Its graph leaves that out.
    Softmax,
    /// Such logits, of which the network itself returns the logarithm of the softmax. Its graph leaves that out.
    LogSoftmax,
    /// As [`LogSoftmax`](Self::LogSoftmax), where the logarithms themselves are wanted and not the probabilities.
    LogProbabilities,
    /// Probabilities of classes of which one is right, as a softmax within the graph makes them.
    Probabilities,
    /// One logit for each class, independent of the others: a sigmoid turns each into a probability.
    IndependentLogits,
    /// Probabilities that are independent of each other, as a sigmoid within the graph makes them.
    IndependentProbabilities,
    /// Numbers that nothing is known of, or that are wanted as they are.
    Values,
}

impl Head {
    /// What `graph` returns, as far as its operators tell.
    ///
    /// A softmax or a sigmoid makes probabilities, which moving, pooling and joining leave as they are. What further
    /// arithmetic makes of them are [`Values`](Self::Values). Everything else is taken for logits.
    pub fn of(graph: &Graph) -> Self {
        let mut made = vec![Made::Other];
        for Node { op, inputs, .. } in graph.nodes() {
            let inputs: Vec<Made> = inputs.iter().map(|input| made[input.0]).collect();
            made.push(Made::by(op, &inputs));
        }
        match made[graph.output().0] {
            Made::Other => Self::Logits,
            Made::Exclusive => Self::Probabilities,
            Made::Independent => Self::IndependentProbabilities,
            Made::Derived => Self::Values,
        }
    }

    /// How many classes so many outputs stand for: as many, but two for one output that is a logit or an independent
    /// probability, which is that of class 1.
    pub fn classes(self, outputs: usize) -> usize {
        if self.is_binary(outputs) { 2 } else { outputs }
    }

    /// Whether so many outputs are the probability of class 1 against class 0, or its logit.
    pub(crate) fn is_binary(self, outputs: usize) -> bool {
        outputs == 1 && matches!(self, Self::Logits | Self::IndependentLogits | Self::IndependentProbabilities)
    }

    /// The function that makes probabilities of so many outputs, whether the network has it or its caller applies it.
    pub fn activation(self, outputs: usize) -> OutputActivation {
        match self {
            Self::Logits if outputs == 1 => OutputActivation::Sigmoid,
            Self::Logits | Self::Softmax | Self::LogSoftmax | Self::Probabilities => OutputActivation::Softmax,
            Self::IndependentLogits | Self::IndependentProbabilities => OutputActivation::Sigmoid,
            Self::LogProbabilities | Self::Values => OutputActivation::None,
        }
    }

    /// What the so many outputs are if `activation` makes probabilities of them, which their network need not say.
    ///
    /// # Errors
    /// [`Error::Usage`] where the network ends in another function of its own, and for the softmax of one output, which
    /// is always 1.
    pub fn with(self, activation: OutputActivation, outputs: usize) -> Result<Self, Error> {
        let contradicts = |own: &str| {
            Err(Error::Usage(format!("the network ends in {own} of its own, and `{activation}` is another function")))
        };
        Ok(match (activation, self) {
            (OutputActivation::None, Self::LogSoftmax | Self::LogProbabilities) => Self::LogProbabilities,
            (OutputActivation::None, Self::Logits | Self::IndependentLogits) => Self::Values,
            (OutputActivation::None, own) => own,
            (OutputActivation::Softmax, Self::IndependentProbabilities) => return contradicts("a sigmoid"),
            (OutputActivation::Softmax, Self::Logits | Self::IndependentLogits | Self::Values) if outputs == 1 => {
                let reason = "the network has one output, of which a softmax is always 1; take sigmoid or none";
                return Err(Error::Usage(reason.into()));
            }
            (OutputActivation::Softmax, Self::IndependentLogits | Self::Values) => Self::Logits,
            (OutputActivation::Softmax, Self::LogProbabilities) => Self::LogSoftmax,
            (OutputActivation::Softmax, own) => own,
            (OutputActivation::Sigmoid, Self::Logits | Self::Values) => Self::IndependentLogits,
            (OutputActivation::Sigmoid, Self::Softmax | Self::Probabilities) => return contradicts("a softmax"),
            (OutputActivation::Sigmoid, Self::LogSoftmax | Self::LogProbabilities) => {
                return contradicts("a log-softmax");
            }
            (OutputActivation::Sigmoid, own) => own,
        })
    }
}

/// What a value within a graph is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Made {
    /// No probabilities.
    Other,
    /// Probabilities of classes of which one is right.
    Exclusive,
    /// Probabilities that are independent of each other.
    Independent,
    /// Made of probabilities by arithmetic.
    Derived,
}

impl Made {
    fn by(op: &Op, inputs: &[Self]) -> Self {
        let x = inputs.first().copied().unwrap_or(Self::Other);
        let all_are = |made: &[Self]| inputs.iter().all(|input| made.contains(input));
        match op {
            Op::Softmax => Self::Exclusive,
            Op::Activation(activation) => Self::activated(x, activation.values()),
            Op::Flatten | Op::Mean | Op::AvgPool2d(_) | Op::ChannelShuffle { .. } => x,
            // Some of the classes, or the largest of several probabilities: they do not sum to 1.
            Op::Narrow { .. } | Op::Chunk { .. } | Op::MaxPool2d(_) if x == Self::Exclusive => Self::Derived,
            Op::Narrow { .. } | Op::Chunk { .. } | Op::MaxPool2d(_) => x,
            Op::Concat if inputs.len() == 1 || all_are(&[Self::Independent]) => x,
            Op::Concat | Op::Add | Op::Mul if all_are(&[Self::Exclusive, Self::Independent, Self::Derived]) => {
                Self::Derived
            }
            Op::BatchNorm2d { .. } if x != Self::Other => Self::Derived,
            _ => Self::Other,
        }
    }

    /// What an activation with such `values` makes: bounds leave probabilities as they are, and numbers from 0 to 1 are
    /// probabilities.
    fn activated(x: Self, values: Values) -> Self {
        match (values, x) {
            (Values::Clamped(low, high), Self::Other) if low >= 0.0 && high <= 1.0 => Self::Independent,
            (Values::Clamped(low, high), Self::Exclusive | Self::Independent) if low > 0.0 || high < 1.0 => {
                Self::Derived
            }
            (Values::Clamped(..), _) => x,
            (Values::Between(low, high), _) if low >= 0.0 && high <= 1.0 => Self::Independent,
            (Values::Between(..), Self::Other) => Self::Other,
            (Values::Between(..), _) => Self::Derived,
        }
    }
}

/// The function that makes probabilities of a network's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OutputActivation {
    /// `exp(x) / sum(exp(x))`: one class is right, and the probabilities sum to 1.
    Softmax,
    /// `1 / (1 + exp(-x))`: each class is there or not, whatever the others are.
    Sigmoid,
    /// None: the outputs are taken as they are.
    None,
}

impl OutputActivation {
    /// Every function.
    pub const ALL: [Self; 3] = [Self::Softmax, Self::Sigmoid, Self::None];

    /// The name that [`FromStr`] reads.
    pub fn name(self) -> &'static str {
        match self {
            Self::Softmax => "softmax",
            Self::Sigmoid => "sigmoid",
            Self::None => "none",
        }
    }
}

impl fmt::Display for OutputActivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for OutputActivation {
    type Err = Error;

    /// Reads a name, in any case.
    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|one| one.name().eq_ignore_ascii_case(text.trim())).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            let text = printable::cut(text, 60);
            Error::Usage(format!("\"{text}\" is not an activation of outputs; there are {names}"))
        })
    }
}

impl Graph {
    /// The graph without a softmax that ends it, so that it returns logits; none where it ends otherwise.
    pub(crate) fn without_last_softmax(&self) -> Option<Self> {
        let Some(Node { op: Op::Softmax, inputs, .. }) = self.nodes.last() else { return None };
        let (&[x], true) = (inputs.as_slice(), self.output.0 == self.nodes.len()) else { return None };
        let mut without = self.clone();
        without.output = x;
        without.nodes.pop();
        Some(without)
    }
}
