//! What a package is made of: a checkpoint or a model of the catalogue, and what the caller wants otherwise.

use super::Package;
use super::draft::Draft;
use super::provenance::{Origin, Provenance};
use super::wanted::Wanted;
use crate::catalog::{self, CatalogModel};
use crate::checkpoint::{Limits, Rename, Renaming, StateDict};
use crate::error::{Error, Result};
use crate::graph::OutputActivation;
use crate::load::Strictness;
use crate::vision::{Labels, Overrides, Preset};
use crate::zoo::Network;
use bytes::Bytes;
use std::path::PathBuf;

/// What a [`Package`] is made of. Made by [`Package::builder`].
#[derive(Debug, Clone, Default)]
pub struct PackageBuilder {
    model: Option<String>,
    weights: Option<PathBuf>,
    bytes: Option<(PathBuf, Bytes)>,
    state: Option<StateDict>,
    limits: Limits,
    renames: Vec<Rename>,
    wanted: Wanted,
}

impl PackageBuilder {
    /// A model of the [catalogue](crate::catalog): its network and, unless others are given, its weights.
    pub fn model(mut self, name: impl Into<String>) -> Self {
        self.model = Some(name.into());
        self
    }

    /// A network of your own, in the place of one that is recognised; see [`graph::Builder`](crate::graph::Builder).
    pub fn network(mut self, network: Network) -> Self {
        self.wanted.network = Some(network);
        self
    }

    /// A checkpoint, or a folder of which the newest is taken (see [`StateDict::open`]). Without
    /// [`model`](Self::model) the network is recognised from its names and shapes.
    pub fn weights(mut self, path: impl Into<PathBuf>) -> Self {
        self.weights = Some(path.into());
        self
    }

    /// A checkpoint that is in memory, in the place of [`weights`](Self::weights); errors call it `name`.
    pub fn bytes(mut self, name: impl Into<PathBuf>, bytes: impl Into<Bytes>) -> Self {
        self.bytes = Some((name.into(), bytes.into()));
        self
    }

    /// A checkpoint that is open, in the place of [`weights`](Self::weights) and [`bytes`](Self::bytes).
    pub fn state_dict(mut self, state: StateDict) -> Self {
        self.state = Some(state);
        self
    }

    /// What the checkpoint may ask of memory while it is read.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// One more rule by which the checkpoint's parameters are renamed before anything is made of their names.
    pub fn rename(mut self, rule: Rename) -> Self {
        self.renames.push(rule);
        self
    }

    /// Whether parameters that are missing, or that the network has no use for, are an error. By default the former
    /// are.
    pub fn strictness(mut self, strictness: Strictness) -> Self {
        self.wanted.strictness = strictness;
        self
    }

    /// How images are prepared; by default as the checkpoint or the network says, or else by a
    /// [guess](Package::guess). Grey or colour and the side are the network's where it leaves no choice.
    pub fn preset(mut self, preset: Preset) -> Self {
        self.wanted.preset = Some(preset);
        self
    }

    /// Parts of the preprocessing that are wanted otherwise.
    pub fn overrides(mut self, overrides: Overrides) -> Self {
        self.wanted.overrides = overrides;
        self
    }

    /// The function that makes probabilities of the network's outputs, for weights that cannot say it: a state dict has
    /// no sigmoid at its end. By default as the network or the checkpoint says, or else softmax, or a sigmoid for one
    /// output.
    pub fn activation(mut self, activation: OutputActivation) -> Self {
        self.wanted.activation = Some(activation);
        self
    }

    /// The output of a graph that gives the classes, by its name in the file: see
    /// [`import::outputs`](crate::import::outputs). By default the only one.
    pub fn output(mut self, name: impl Into<String>) -> Self {
        self.wanted.output = Some(name.into());
        self
    }

    /// The classes' labels; by default as the checkpoint says, or ImageNet's for a thousand classes.
    pub fn labels(mut self, labels: Labels) -> Self {
        self.wanted.labels = Some(labels);
        self
    }

    /// Reads the weights, and leaves open what network they are of: for programs that also have something to say of a
    /// checkpoint whose network nobody knows.
    ///
    /// # Errors
    /// [`Error::Usage`] for an unknown model and renaming that makes two parameters one; [`Error::Checkpoint`],
    /// [`Error::Limit`] and [`Error::Io`] for the file; [`Error::Download`] for a model of the catalogue.
    pub fn open(mut self) -> Result<Draft> {
        let has_own = self.state.is_some() || self.bytes.is_some() || self.weights.is_some();
        let known = match &self.model {
            Some(name) => Some(catalog::find(name)?),
            None if has_own => None,
            None => Some(catalog::find(catalog::DEFAULT)?),
        };
        let (state, origin) = self.read(known)?;
        let provenance = Provenance::new(&state, origin);
        let Renaming { state, unmatched } = state.rename(&self.renames)?;
        Ok(Draft { wanted: self.wanted, known, is_published: !has_own, state, unmatched, provenance })
    }

    /// Reads and loads the weights: [`open`](Self::open), then [`Draft::build`].
    ///
    /// # Errors
    /// As [`open`](Self::open); [`Error::Usage`] for labels that are not as many as the classes, an activation that
    /// contradicts the network's, an output of a graph that is not there, and sizes that do not fit; [`Error::Checkpoint`]
    /// for a network that is not known; [`Error::Mismatch`] and [`Error::Ambiguous`] for its parameters.
    pub fn build(self) -> Result<Package> {
        self.open()?.build()
    }

    /// The checkpoint that is meant.
    fn read(&mut self, known: Option<&CatalogModel>) -> Result<(StateDict, Origin)> {
        if let Some(state) = self.state.take() {
            return Ok((state, Origin::Other));
        }
        if let Some((name, bytes)) = self.bytes.take() {
            let origin = Origin::Bytes(bytes.clone());
            return Ok((StateDict::from_bytes(name, bytes, &self.limits)?, origin));
        }
        if let Some(path) = &self.weights {
            let origin = Origin::at(path);
            return Ok((StateDict::open_with(path, &self.limits)?, origin));
        }
        match known {
            Some(known) => of_catalog(known),
            None => Err(Error::Usage("name a model or give its weights".into())),
        }
    }
}

/// The weights of a model in the catalogue: shipped, or from the cache, or downloaded.
fn of_catalog(known: &CatalogModel) -> Result<(StateDict, Origin)> {
    if let (Some(state), Some(bytes)) = (known.shipped_weights(), known.shipped()) {
        return Ok((state?, Origin::Bytes(Bytes::from_static(bytes))));
    }
    let name = known.name;
    if known.published.is_none() {
        return Err(Error::Usage(format!("{name} is shipped, but this build lacks the feature `shipped`")));
    }
    #[cfg(feature = "hub")]
    {
        let fetched = crate::hub::Hub::from_env()?.fetch(&crate::hub::find(name)?, &mut |_| {})?;
        let origin = Origin::at(&fetched.path);
        Ok((StateDict::open(fetched.path)?, origin))
    }
    #[cfg(not(feature = "hub"))]
    Err(Error::Usage(format!("{name} is not shipped, and this build lacks the feature `hub`")))
}
