//! The models that have a name: those shipped with the crate, and torchvision's.

mod table;

pub use table::MODELS;

use crate::checkpoint::{Limits, StateDict};
use crate::error::{Error, Result};
use crate::vision::{Labels, Preset};
use crate::zoo::{Network, called, detect};

/// The model that is meant where none is named.
pub const DEFAULT: &str = "cifar10_shufflenet_v2_x0_5";

/// A model with a name: a row of [`MODELS`].
#[derive(Debug)]
#[non_exhaustive]
pub struct CatalogModel {
    /// Its name.
    pub name: &'static str,
    /// Another name for it, as OneFlow's model zoo spells it.
    pub alias: Option<&'static str>,
    /// What it tells apart, in a few words.
    pub summary: &'static str,
    /// Its network's name in [`zoo::by_name`](crate::zoo::by_name), which other weights for this model must fit; none for
    /// a network that is told by its weights.
    pub network: Option<&'static str>,
    /// The file of weights that is downloaded; none for a model that is shipped.
    pub published: Option<Published>,
    /// How images are prepared for its own weights.
    pub preset: Preset,
    /// The [built-in](Labels::built_in) labels of its own weights' classes.
    labels: &'static str,
    shipped: Option<&'static [u8]>,
}

/// A file of weights that somebody publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// Its name.
    pub file: &'static str,
    /// Where it is published.
    pub url: &'static str,
    /// The first digits of its SHA-256, in hexadecimal.
    pub sha256: &'static str,
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
    let names = MODELS.iter().map(|model| model.name).collect::<Vec<_>>().join(", ");
    Err(Error::Usage(format!("no model is called {name:?}; there are {names}{hint}")))
}

/// Whether some model's published file of weights has this name.
pub(crate) fn publishes(file: &str) -> Option<&'static CatalogModel> {
    MODELS.iter().find(|model| model.published.is_some_and(|published| published.file == file))
}

impl CatalogModel {
    /// The weights that are shipped with the crate; none for a model that is downloaded, and none without the feature
    /// `shipped`.
    pub fn shipped_weights(&self) -> Option<Result<StateDict>> {
        let file = format!("{}.safetensors", self.name);
        self.shipped.map(|bytes| StateDict::from_bytes(file, bytes, &Limits::default()))
    }

    /// The bytes of the same file.
    pub(crate) fn shipped(&self) -> Option<&'static [u8]> {
        self.shipped
    }

    /// The labels of the classes that its own weights tell apart.
    pub fn labels(&self) -> Option<Labels> {
        Labels::built_in(self.labels)
    }

    /// This model's network, with the last layers and the input that `state` has.
    ///
    /// # Errors
    /// As [`detect`], where `state` is of another network.
    pub fn network(&self, state: &StateDict) -> Result<Network> {
        let network = self.network.and_then(|name| called(name, state)).unwrap_or_else(|| detect(state))?;
        // The networks of the shipped models are known, and nothing is guessed of them.
        let notes = if self.published.is_none() { Vec::new() } else { network.notes };
        Ok(Network { notes, ..network })
    }
}
