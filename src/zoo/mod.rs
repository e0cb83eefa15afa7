//! The networks that are known, and how each is recognised from the names and shapes in a checkpoint.

mod lenet;
mod lenet5;
mod megvii_shufflenet_v2;
mod mindspore_resnet;
mod mlp;
mod mobilenet_v2;
mod mobilenet_v3;
mod resnet;
mod sequential;
mod shufflenet_v2;
mod squeezenet;

pub use lenet::LeNet;
pub use lenet5::LeNet5;
pub use megvii_shufflenet_v2::MegviiShuffleNetV2;
pub use mindspore_resnet::MindSporeResNet;
pub use mlp::Mlp;
pub(crate) use mlp::image_of;
pub use mobilenet_v2::MobileNetV2;
pub use mobilenet_v3::MobileNetV3;
pub use resnet::{Block, ResNet};
pub use shufflenet_v2::ShuffleNetV2;
pub use squeezenet::SqueezeNet;

use crate::checkpoint::{StateDict, remap};
use crate::error::{Error, Result};
use crate::graph::{Graph, Head, Shape};
use crate::printable;
use crate::tensor::Tensor;

/// A network: its graph, what to call it, and the input that it was designed for.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// Such as `shufflenetv2_x1_0`.
    pub name: String,
    /// Its operators and parameters.
    pub graph: Graph,
    /// The input that it was designed for. A network that ends in a mean over the image takes others too.
    pub input: Shape,
    /// The preprocessing that it was published with, by the name of a [`Preset`](crate::vision::Preset); none where
    /// the input's shape tells it.
    pub preset: Option<&'static str>,
    /// What its outputs are.
    pub head: Head,
    /// Sentences on what was guessed or chosen to arrive at this network, each worth a line to its user.
    pub notes: Vec<String>,
}

impl Network {
    /// A network of your own: what to call it, what it computes (by [`graph::Builder`](crate::graph::Builder)), and its
    /// usual input. Its head is what the graph [tells](Head::of).
    pub fn new(name: impl Into<String>, graph: Graph, input: Shape) -> Self {
        let head = Head::of(&graph);
        Self { name: name.into(), graph, input, preset: None, head, notes: Vec::new() }
    }
}

/// Networks that differ in sizes alone, and how one of them is recognised.
struct Family {
    name: &'static str,
    recognise: fn(&StateDict) -> Result<Network, NotThis>,
}

const fn family(name: &'static str, recognise: fn(&StateDict) -> Result<Network, NotThis>) -> Family {
    Family { name, recognise }
}

/// Every family. The first that recognises a checkpoint gets it.
const FAMILIES: [Family; 10] = [
    family("ShuffleNetV2", ShuffleNetV2::recognise),
    family("Megvii's ShuffleNetV2", MegviiShuffleNetV2::recognise),
    family("ResNet", ResNet::recognise),
    family("MindSpore's ResNet", MindSporeResNet::recognise),
    family("MobileNetV2", MobileNetV2::recognise),
    family("MobileNetV3", MobileNetV3::recognise),
    family("SqueezeNet", SqueezeNet::recognise),
    family("OneFlow's LeNet", LeNet::recognise),
    family("LeNet-5", LeNet5::recognise),
    family("MLP", Mlp::recognise),
];

/// The network that torchvision calls `name`, such as `resnet50`, with so many classes. Of ShuffleNetV2 the names
/// are those of its checkpoints, `shufflenetv2_x1_0`.
pub fn by_name(name: &str, num_classes: usize) -> Option<Network> {
    ShuffleNetV2::by_name(name, num_classes)
        .map(|found| found.network())
        .or_else(|| ResNet::by_name(name, num_classes).map(|found| found.network()))
        .or_else(|| MobileNetV2::by_name(name, num_classes).map(|found| found.network()))
        .or_else(|| MobileNetV3::by_name(name, num_classes).map(|found| found.network()))
        .or_else(|| SqueezeNet::by_name(name, num_classes).map(|found| found.network()))
}

/// The network that a checkpoint was saved from.
///
/// A model that was saved whole is rebuilt from its [modules](StateDict::modules) where these are a chain:
/// `nn.Sequential`, also within another, of layers that the [graph](crate::graph) has, or a module around one, as in
/// PyTorch's tutorial. Its input has the channels of the first convolution and is square, of 224 or 32 pixels (28 where
/// it has one channel) if that gives as many numbers as the first `nn.Linear` takes or if any size does, otherwise of
/// the side among those that do which halves most often. `input` of the [`Network`] is free to be changed. `nn.LogSoftmax`
/// at the end is left out of the graph, and its [`head`](Network::head) says so.
///
/// All others are told by the names and shapes of their parameters alone. Names that the rules of [`remap`] know are
/// taken for PyTorch's.
///
/// # Errors
/// [`Error::Checkpoint`] that says which family came closest and what spoke against it, or lists all modules of a chain
/// that the graph cannot express.
pub fn detect(state: &StateDict) -> Result<Network> {
    let unclear = match state.modules().map(sequential::rebuild) {
        None => None,
        Some(Ok(network)) => return Ok(network),
        Some(Err(sequential::NotRebuilt::Unclear(reason))) => Some(reason),
        Some(Err(sequential::NotRebuilt::Impossible(reasons))) => {
            let reason = format!("its modules are a chain that cannot be rebuilt: {reasons}");
            return Err(Error::checkpoint(state.origin(), reason));
        }
    };
    let named = remap::to_pytorch(state, |_| false).state;
    let mut closest: Option<(&str, NotThis)> = None;
    for family in FAMILIES {
        match (family.recognise)(&named) {
            Ok(network) => return Ok(network),
            Err(not) if closest.as_ref().is_none_or(|(_, c)| not.closeness > c.closeness) => {
                closest = Some((family.name, not));
            }
            Err(_) => {}
        }
    }
    let reason = match closest {
        Some((family, not)) if not.closeness > 0.0 => format!("{family} came closest, but {}", not.reason),
        _ => {
            let families = FAMILIES.map(|family| family.name).join(", ");
            format!("none of its {} names is of a known family ({families})", state.len())
        }
    };
    let unclear = unclear.map_or_else(String::new, |reason| format!("; nor do its modules tell it, since {reason}"));
    let names: Vec<_> = state.names().take(4).map(|name| printable::cut(name, 60)).collect();
    Err(Error::checkpoint(
        state.origin(),
        format!(
            "no known network has these parameters ({}...): {reason}{unclear}; `StateDict::names` lists them",
            names.join(", ")
        ),
    ))
}

/// Why a checkpoint is not of a family.
#[derive(Debug)]
struct NotThis {
    /// The share of what the family looks for that was found, 0 to 1.
    closeness: f64,
    reason: String,
}

/// torchvision's `_make_divisible`: `channels` rounded to a multiple of 8, and not to less than nine tenths of it.
fn make_divisible(channels: f64) -> usize {
    let rounded = (channels as usize + 4) / 8 * 8;
    rounded.max(8) + if (rounded.max(8) as f64) < 0.9 * channels { 8 } else { 0 }
}

/// The largest dimension that is believed, so that a few of them add up without overflowing.
const MOST: usize = 1 << 20;

/// Dimensions read off a checkpoint, and those that were looked for in vain.
struct Clues<'s> {
    state: &'s StateDict,
    wanted: usize,
    lacking: Vec<String>,
}

impl<'s> Clues<'s> {
    fn new(state: &'s StateDict) -> Self {
        Self { state, wanted: 0, lacking: Vec::new() }
    }

    /// The size of one axis of a parameter with `rank` axes; 0, and a note, where there is no such thing.
    fn dimension(&mut self, name: &str, axis: usize, rank: usize) -> usize {
        self.wanted += 1;
        let size = match self.state.get(name).map(|t| t.shape()) {
            Some(shape) if shape.len() == rank => shape.get(axis).copied().filter(|n| (1..=MOST).contains(n)),
            _ => None,
        };
        if size.is_none() {
            self.lacking.push(name.to_owned());
        }
        size.unwrap_or(0)
    }

    /// How many elements a parameter has; 0, and a note, where there is no such parameter.
    fn elements(&mut self, name: &str) -> usize {
        self.wanted += 1;
        let count = self.state.get(name).map_or(0, Tensor::element_count);
        if count == 0 {
            self.lacking.push(name.to_owned());
        }
        count
    }

    /// How many units a stage has, where the first is sure to be there: those whose parameter `name` gives.
    fn units(&self, name: impl Fn(usize) -> String) -> usize {
        1 + (1..).take_while(|&unit| self.state.contains(&name(unit))).count()
    }

    /// Whether everything that was looked for was there.
    fn verdict(self) -> Result<(), NotThis> {
        if self.lacking.is_empty() {
            return Ok(());
        }
        let closeness = 1.0 - self.lacking.len() as f64 / self.wanted as f64;
        let reason = format!("these are absent or of another rank: {}", self.lacking.join(", "));
        Err(NotThis { closeness, reason })
    }
}
