//! Which initialiser each parameter of a graph gets, by the layer that it belongs to.

use super::{Fan, Initialiser};
use crate::graph::{Graph, Op, ParameterId};

/// One for each parameter, in the graph's order, where `initialiser` is asked for.
///
/// It goes to the weights of convolutions and fully connected layers, and to their biases where it needs no fan; else
/// these become zeros, as layers have it that let a weight's initialiser be chosen. Batch normalisation starts as one
/// that changes nothing, whatever is asked for: a variance that is drawn may be negative.
pub(crate) fn of_graph(graph: &Graph, initialiser: Initialiser) -> Vec<Initialiser> {
    let mut found = vec![initialiser; graph.parameters().len()];
    let mut set = |id: ParameterId, chosen| found[id.0] = chosen;
    for node in graph.nodes() {
        match &node.op {
            Op::Conv2d { weight, bias, .. } | Op::Linear { weight, bias, .. } => {
                set(*weight, of_weight(initialiser));
                if let Some(bias) = bias {
                    set(*bias, of_bias(initialiser, &graph.parameters()[weight.0].shape));
                }
            }
            Op::BatchNorm2d { weight, bias, running_mean, running_var, .. } => {
                set(*weight, Initialiser::ONES);
                set(*bias, Initialiser::ZEROS);
                set(*running_mean, Initialiser::ZEROS);
                set(*running_var, Initialiser::ONES);
            }
            Op::Activation(_)
            | Op::MaxPool2d(_)
            | Op::AvgPool2d(_)
            | Op::Add
            | Op::Mul
            | Op::Chunk { .. }
            | Op::Narrow { .. }
            | Op::Concat
            | Op::ChannelShuffle { .. }
            | Op::Mean
            | Op::Softmax
            | Op::Flatten => {}
        }
    }
    found
}

fn of_weight(initialiser: Initialiser) -> Initialiser {
    match initialiser {
        Initialiser::LayerDefault => Initialiser::KaimingUniform { a: 5f64.sqrt(), fan: Fan::In },
        chosen => chosen,
    }
}

/// For the bias of a layer whose weight is of shape `weight`.
fn of_bias(initialiser: Initialiser, weight: &[usize]) -> Initialiser {
    match initialiser {
        Initialiser::LayerDefault => {
            let bound = 1.0 / Fan::In.of(weight).unwrap_or(1.0).sqrt();
            Initialiser::Uniform { low: -bound, high: bound }
        }
        chosen if chosen.needs_fan() => Initialiser::ZEROS,
        chosen => chosen,
    }
}
