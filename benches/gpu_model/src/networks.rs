//! The networks that can be named, with weights of zero, planned for GPUs.

use crate::Result;
use pretrained::Model;
use pretrained::gpu::Blueprint;
use pretrained::zoo::by_name;

/// All that the zoo finds by name.
pub const NAMES: [&str; 19] = [
    "shufflenetv2_x0_5",
    "shufflenetv2_x1_0",
    "shufflenetv2_x1_5",
    "shufflenetv2_x2_0",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "squeezenet1_0",
    "squeezenet1_1",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "wide_resnet50_2",
    "wide_resnet101_2",
];

/// The network called `name`, with 1000 classes. What its kernels are does not depend on the weights.
///
/// # Errors
/// Where no network has that name.
pub fn blueprint(name: &str) -> Result<Blueprint> {
    let network = by_name(name, 1000).ok_or_else(|| format!("the zoo has no network called {name:?}"))?;
    let parameters = network.graph.parameters();
    let zeros = parameters.iter().map(|parameter| vec![0.0; parameter.shape.iter().product()]).collect();
    let input = network.input;
    Ok(Blueprint::new(&Model::from_weights(network, zeros)?, input)?)
}
