//! The table of models with a name, a row each.

use super::{CatalogModel, DEFAULT, Published};
use crate::vision::Preset;

/// Includes a file of weights, where the build ships them.
macro_rules! shipped {
    ($file:literal) => {{
        #[cfg(feature = "shipped")]
        let bytes: Option<&[u8]> = Some(include_bytes!(concat!("../../models/", $file)));
        #[cfg(not(feature = "shipped"))]
        let bytes = None;
        bytes
    }};
}

/// A network with the weights that torchvision publishes for it. The digits in the file's name are the start of its
/// SHA-256. Where torchvision publishes several files for a network, this is the first, `IMAGENET1K_V1`.
macro_rules! torchvision {
    ($name:literal, $stem:literal, $sha256:literal $(, $alias:literal)?) => {
        CatalogModel {
            name: $name,
            alias: [$(Some($alias),)? None][0],
            summary: "ImageNet's thousand classes; torchvision's, downloaded once",
            network: Some($name),
            published: Some(Published {
                file: concat!($stem, "-", $sha256, ".pth"),
                url: concat!("https://download.pytorch.org/models/", $stem, "-", $sha256, ".pth"),
                sha256: $sha256,
            }),
            preset: Preset::Torchvision,
            labels: "imagenet",
            shipped: None,
        }
    };
}

/// Every model with a name.
pub const MODELS: &[CatalogModel] = &[
    CatalogModel {
        name: DEFAULT,
        alias: None,
        summary: "CIFAR-10's ten classes; shipped",
        network: None,
        published: None,
        preset: Preset::Cifar10,
        labels: "cifar10",
        shipped: shipped!("cifar10_shufflenet_v2_x0_5.safetensors"),
    },
    CatalogModel {
        name: "mnist_mlp",
        alias: None,
        summary: "handwritten digits, white on black; shipped",
        network: None,
        published: None,
        preset: Preset::Mnist,
        labels: "mnist",
        shipped: shipped!("mnist_mlp.safetensors"),
    },
    torchvision!("shufflenetv2_x0_5", "shufflenetv2_x0.5", "f707e7126e", "shufflenetv2_x0.5"),
    torchvision!("shufflenetv2_x1_0", "shufflenetv2_x1", "5666bf0f80", "shufflenetv2_x1.0"),
    torchvision!("shufflenetv2_x1_5", "shufflenetv2_x1_5", "3c479a10", "shufflenetv2_x1.5"),
    torchvision!("shufflenetv2_x2_0", "shufflenetv2_x2_0", "8be3c8ee", "shufflenetv2_x2.0"),
    torchvision!("resnet18", "resnet18", "f37072fd"),
    torchvision!("resnet34", "resnet34", "b627a593"),
    torchvision!("resnet50", "resnet50", "0676ba61"),
    torchvision!("resnet101", "resnet101", "63fe2227"),
    torchvision!("resnet152", "resnet152", "394f9c45"),
    torchvision!("resnext50_32x4d", "resnext50_32x4d", "7cdf4587"),
    torchvision!("resnext101_32x8d", "resnext101_32x8d", "8ba56ff5"),
    torchvision!("wide_resnet50_2", "wide_resnet50_2", "95faca4d"),
    torchvision!("wide_resnet101_2", "wide_resnet101_2", "32ee1156"),
    torchvision!("mobilenet_v2", "mobilenet_v2", "b0353104"),
    torchvision!("mobilenet_v3_small", "mobilenet_v3_small", "047dcff4"),
    torchvision!("mobilenet_v3_large", "mobilenet_v3_large", "8738ca79"),
    torchvision!("squeezenet1_0", "squeezenet1_0", "b66bff10"),
    torchvision!("squeezenet1_1", "squeezenet1_1", "b8a52dc0"),
];
