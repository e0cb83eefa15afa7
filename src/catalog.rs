//! The models that have a name: those shipped with the crate, and torchvision's.

use crate::checkpoint::{Limits, StateDict};
use crate::error::{Error, Result};
use crate::zoo::{Network, called, detect};

/// The model that is meant where none is named.
pub const DEFAULT: &str = "cifar10_shufflenet_v2_x0_5";

/// A model with a name.
#[derive(Debug)]
pub struct CatalogModel {
    /// Its name.
    pub name: &'static str,
    /// Another name for it, as OneFlow's model zoo spells it.
    pub alias: Option<&'static str>,
    /// What it tells apart, in a few words.
    pub summary: &'static str,
    shipped: Option<&'static [u8]>,
}

/// Every model with a name.
pub const MODELS: [CatalogModel; 20] = [
    CatalogModel {
        name: DEFAULT,
        alias: None,
        summary: "CIFAR-10's ten classes; shipped",
        shipped: Some(include_bytes!("../models/cifar10_shufflenet_v2_x0_5.safetensors")),
    },
    CatalogModel {
        name: "mnist_mlp",
        alias: None,
        summary: "handwritten digits, white on black; shipped",
        shipped: Some(include_bytes!("../models/mnist_mlp.safetensors")),
    },
    torchvision("shufflenetv2_x0_5", Some("shufflenetv2_x0.5")),
    torchvision("shufflenetv2_x1_0", Some("shufflenetv2_x1.0")),
    torchvision("shufflenetv2_x1_5", Some("shufflenetv2_x1.5")),
    torchvision("shufflenetv2_x2_0", Some("shufflenetv2_x2.0")),
    torchvision("resnet18", None),
    torchvision("resnet34", None),
    torchvision("resnet50", None),
    torchvision("resnet101", None),
    torchvision("resnet152", None),
    torchvision("resnext50_32x4d", None),
    torchvision("resnext101_32x8d", None),
    torchvision("wide_resnet50_2", None),
    torchvision("wide_resnet101_2", None),
    torchvision("mobilenet_v2", None),
    torchvision("mobilenet_v3_small", None),
    torchvision("mobilenet_v3_large", None),
    torchvision("squeezenet1_0", None),
    torchvision("squeezenet1_1", None),
];

const fn torchvision(name: &'static str, alias: Option<&'static str>) -> CatalogModel {
    CatalogModel { name, alias, summary: "ImageNet's thousand classes; torchvision's, downloaded once", shipped: None }
}

/// Finds a model by its name or alias.
///
/// # Errors
/// [`Error::Usage`], with the known names and the nearest of them.
pub fn find(name: &str) -> Result<&'static CatalogModel> {
    if let Some(model) = MODELS.iter().find(|model| model.name == name || model.alias == Some(name)) {
        return Ok(model);
    }
    let likeness = |model: &CatalogModel| strsim::jaro_winkler(model.name, name);
    let nearest = MODELS.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let hint =
        nearest.filter(|model| likeness(model) > 0.7).map_or(String::new(), |m| format!("; did you mean {}?", m.name));
    let names = MODELS.each_ref().map(|model| model.name).join(", ");
    Err(Error::Usage(format!("no model is called {name:?}; there are {names}{hint}")))
}

impl CatalogModel {
    /// The weights that are shipped with the crate; none for a model that is downloaded.
    pub fn shipped_weights(&self) -> Option<Result<StateDict>> {
        let file = format!("{}.safetensors", self.name);
        self.shipped.map(|bytes| StateDict::from_bytes(file, bytes, &Limits::default()))
    }

    /// This model's network, with the last layers and the input that `state` has.
    ///
    /// # Errors
    /// As [`detect`], where `state` is of another network.
    pub fn network(&self, state: &StateDict) -> Result<Network> {
        let network = called(self.name, state).unwrap_or_else(|| detect(state))?;
        // Nothing is guessed of what was trained here.
        let notes = if self.shipped.is_some() { Vec::new() } else { network.notes };
        Ok(Network { notes, ..network })
    }
}
