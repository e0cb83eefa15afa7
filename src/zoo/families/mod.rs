//! Every family of networks that is recognised by its parameters' names: a file a family, and its row in the table.

mod lenet;
mod lenet5;
mod megvii_shufflenet_v2;
mod mindspore_resnet;
mod mlp;
mod mobilenet_v2;
mod mobilenet_v3;
mod resnet;
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

use super::{Network, NotThis};
use crate::checkpoint::StateDict;

/// Networks that differ in sizes alone, and how one of them is recognised.
pub(super) struct Family {
    pub name: &'static str,
    /// The name of its first parameter, if that has always the same.
    pub first: Option<&'static str>,
    /// Its last layers, where others may stand in their place.
    pub last: Option<LastLayer>,
    pub recognise: fn(&StateDict) -> Result<Network, NotThis>,
    /// Finds one of it by torchvision's name, for some number of classes.
    pub by_name: fn(&str, usize) -> Option<Network>,
}

/// The fully connected layer that tells classes apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct LastLayer {
    /// Its name.
    pub name: &'static str,
    /// The module that holds it and all else that comes after the features, which is what people replace.
    pub within: &'static str,
    /// The fully connected layer before it in that module, and how many numbers it gives in the networks of the family.
    pub before: Option<(&'static str, [usize; 2])>,
}

const fn family(
    name: &'static str,
    first: &'static str,
    last: Option<LastLayer>,
    recognise: fn(&StateDict) -> Result<Network, NotThis>,
) -> Family {
    Family { name, first: Some(first), last, recognise, by_name: |_, _| None }
}

impl Family {
    const fn by_name(self, by_name: fn(&str, usize) -> Option<Network>) -> Self {
        Self { by_name, ..self }
    }
}

const fn last(name: &'static str, within: &'static str) -> Option<LastLayer> {
    Some(LastLayer { name, within, before: None })
}

/// The first that recognises a checkpoint gets it.
pub(super) const FAMILIES: &[Family] = &[
    family("ShuffleNetV2", "conv1.0.weight", last("fc", "fc"), ShuffleNetV2::recognise)
        .by_name(|name, classes| ShuffleNetV2::by_name(name, classes).map(|found| found.network())),
    family(
        "Megvii's ShuffleNetV2",
        "first_conv.0.weight",
        last("classifier.0", "classifier"),
        MegviiShuffleNetV2::recognise,
    ),
    family("ResNet", "conv1.weight", last("fc", "fc"), ResNet::recognise)
        .by_name(|name, classes| ResNet::by_name(name, classes).map(|found| found.network())),
    family("MindSpore's ResNet", "conv1.weight", last("end_point", "end_point"), MindSporeResNet::recognise),
    family("MobileNetV2", "features.0.0.weight", last("classifier.1", "classifier"), MobileNetV2::recognise)
        .by_name(|name, classes| MobileNetV2::by_name(name, classes).map(|found| found.network())),
    family(
        "MobileNetV3",
        "features.0.0.weight",
        Some(LastLayer { name: "classifier.3", within: "classifier", before: Some(("classifier.0", [1024, 1280])) }),
        MobileNetV3::recognise,
    )
    .by_name(|name, classes| MobileNetV3::by_name(name, classes).map(|found| found.network())),
    family("SqueezeNet", "features.0.weight", None, SqueezeNet::recognise)
        .by_name(|name, classes| SqueezeNet::by_name(name, classes).map(|found| found.network())),
    family("OneFlow's LeNet", "conv1.weight", None, LeNet::recognise),
    family("LeNet-5", "conv1.weight", None, LeNet5::recognise),
    Family { name: "MLP", first: None, last: None, recognise: Mlp::recognise, by_name: |_, _| None },
];
