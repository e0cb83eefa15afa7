//! Folds batch normalisation into the convolution before it, and ReLU into whatever comes before it.

use super::plan::Kernel;
use crate::bind::Weights;
use crate::graph::{BatchNorm2d, Conv2d, Graph, Node, Op, ParameterId, Value};

/// What is left of one or several operators.
pub(super) struct Operation {
    pub name: String,
    pub inputs: Vec<Value>,
    pub output: Value,
    pub kind: Kind,
}

pub(super) enum Kind {
    /// Arithmetic, which makes new planes.
    Compute(Kernel),
    /// Bookkeeping, which only says where planes lie.
    Move(Move),
}

pub(super) enum Move {
    Chunk { index: usize, count: usize },
    Concat,
    Shuffle { groups: usize },
    Flatten,
}

/// The graph's operators with all that can be fused fused.
pub(super) fn fuse(graph: &Graph, weights: &Weights) -> Vec<Operation> {
    let mut readers = vec![Vec::new(); graph.nodes().len() + 1];
    for (value, node) in graph.steps() {
        node.inputs.iter().for_each(|input| readers[input.0].push(value));
    }
    let mut absorbed = vec![false; graph.nodes().len() + 1];
    let mut operations = Vec::new();
    for (value, node) in graph.steps() {
        if absorbed[value.0] {
            continue;
        }
        let mut kind = lower(node, weights);
        let mut output = value;
        while let (Kind::Compute(kernel), [reader]) = (&mut kind, &readers[output.0][..]) {
            // A value that the graph returns must stay as it is.
            if output == graph.output() || !absorb(kernel, &graph.nodes()[reader.0 - 1].op, weights) {
                break;
            }
            absorbed[reader.0] = true;
            output = *reader;
        }
        operations.push(Operation { name: node.name.clone(), inputs: node.inputs.clone(), output, kind });
    }
    operations
}

/// One operator by itself.
fn lower(node: &Node, weights: &Weights) -> Kind {
    let bias_or_zeros = |bias: Option<ParameterId>, n| bias.map_or_else(|| vec![0.0; n], |b| weights.get(b).to_vec());
    Kind::Compute(match &node.op {
        Op::Conv2d { conv, weight, bias } => Kernel::Conv2d {
            conv: *conv,
            weight: weights.get(*weight).to_vec(),
            bias: bias_or_zeros(*bias, conv.out_channels),
            relu: false,
        },
        Op::Linear { linear, weight, bias } => Kernel::Linear {
            linear: *linear,
            weight: weights.get(*weight).to_vec(),
            bias: bias_or_zeros(*bias, linear.out_features),
            relu: false,
        },
        // With no convolution before it, a normalisation is one itself: depthwise, of a single pixel.
        Op::BatchNorm2d { norm, .. } => {
            let conv = Conv2d::depthwise(norm.channels, 1);
            let (mut weight, mut bias) = (vec![1.0; norm.channels], vec![0.0; norm.channels]);
            fold(&mut weight, &mut bias, &node.op, weights);
            Kernel::Conv2d { conv, weight, bias, relu: false }
        }
        Op::Relu => Kernel::Copy { relu: true },
        Op::MaxPool2d(pool) => Kernel::MaxPool2d(*pool),
        Op::Mean => Kernel::Mean,
        Op::Chunk { index, count } => return Kind::Move(Move::Chunk { index: *index, count: *count }),
        Op::Concat => return Kind::Move(Move::Concat),
        Op::ChannelShuffle { groups } => return Kind::Move(Move::Shuffle { groups: *groups }),
        Op::Flatten => return Kind::Move(Move::Flatten),
    })
}

/// Takes the operator `next` into `kernel`, if `kernel` can compute both.
fn absorb(kernel: &mut Kernel, next: &Op, weights: &Weights) -> bool {
    match (kernel, next) {
        (Kernel::Conv2d { weight, bias, relu: false, .. }, Op::BatchNorm2d { .. }) => {
            fold(weight, bias, next, weights);
            true
        }
        (Kernel::Conv2d { relu, .. } | Kernel::Linear { relu, .. } | Kernel::Copy { relu }, Op::Relu) => {
            *relu = true;
            true
        }
        _ => false,
    }
}

/// `(w x + b - mean) / sqrt(var + eps) * gamma + beta`, as another `w` and `b`.
fn fold(weight: &mut [f32], bias: &mut [f32], norm: &Op, weights: &Weights) {
    let Op::BatchNorm2d { norm: BatchNorm2d { eps, .. }, weight: gamma, bias: beta, running_mean, running_var } = norm
    else {
        return;
    };
    let [gamma, beta, mean, var] =
        [gamma, beta, running_mean, running_var].map(|id| weights.get(*id).iter().map(|&v| f64::from(v)));
    let per_channel = weight.len() / bias.len().max(1);
    let channels = weight.chunks_mut(per_channel.max(1)).zip(bias).zip(gamma).zip(beta).zip(mean).zip(var);
    for (((((kernel, bias), gamma), beta), mean), var) in channels {
        let scale = gamma / (var + f64::from(*eps)).sqrt();
        kernel.iter_mut().for_each(|w| *w = (f64::from(*w) * scale) as f32);
        *bias = ((f64::from(*bias) - mean) * scale + beta) as f32;
    }
}
