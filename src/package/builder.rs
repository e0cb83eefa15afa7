//! What a package is made of: a checkpoint or a model of the catalogue, and what the caller wants otherwise.

use super::description::{self, Said};
use super::imported::Imported;
use super::provenance::{Origin, Provenance};
use super::{Package, input};
use crate::catalog::{self, CatalogModel};
use crate::checkpoint::{Limits, Rename, Renaming, StateDict};
use crate::error::{Error, Result};
use crate::graph::{Head, OutputActivation};
use crate::import;
use crate::load::Strictness;
use crate::model::Model;
use crate::printable;
use crate::vision::{Labels, Overrides, Preset};
use crate::zoo::Network;
use bytes::Bytes;
use std::path::PathBuf;

/// What a [`Package`] is made of. Made by [`Package::builder`].
#[derive(Debug, Clone, Default)]
pub struct PackageBuilder {
    model: Option<String>,
    network: Option<Network>,
    weights: Option<PathBuf>,
    bytes: Option<(PathBuf, Bytes)>,
    state: Option<StateDict>,
    limits: Limits,
    renames: Vec<Rename>,
    strictness: Strictness,
    preset: Option<Preset>,
    overrides: Overrides,
    activation: Option<OutputActivation>,
    output: Option<String>,
    labels: Option<Labels>,
}

impl PackageBuilder {
    /// A model of the [catalogue](crate::catalog): its network and, unless others are given, its weights.
    pub fn model(mut self, name: impl Into<String>) -> Self {
        self.model = Some(name.into());
        self
    }

    /// A network of your own, in the place of one that is recognised; see [`graph::Builder`](crate::graph::Builder).
    pub fn network(mut self, network: Network) -> Self {
        self.network = Some(network);
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
        self.strictness = strictness;
        self
    }

    /// How images are prepared; by default as the checkpoint or the network says, or else by a
    /// [guess](Package::guess). Grey or colour and the side are the network's where it leaves no choice.
    pub fn preset(mut self, preset: Preset) -> Self {
        self.preset = Some(preset);
        self
    }

    /// Parts of the preprocessing that are wanted otherwise.
    pub fn overrides(mut self, overrides: Overrides) -> Self {
        self.overrides = overrides;
        self
    }

    /// The function that makes probabilities of the network's outputs, for weights that cannot say it: a state dict has
    /// no sigmoid at its end. By default as the network or the checkpoint says, or else softmax, or a sigmoid for one
    /// output.
    pub fn activation(mut self, activation: OutputActivation) -> Self {
        self.activation = Some(activation);
        self
    }

    /// The output of a graph that gives the classes, by its name in the file: see
    /// [`import::outputs`](crate::import::outputs). By default the only one.
    pub fn output(mut self, name: impl Into<String>) -> Self {
        self.output = Some(name.into());
        self
    }

    /// The classes' labels; by default as the checkpoint says, or ImageNet's for a thousand classes.
    pub fn labels(mut self, labels: Labels) -> Self {
        self.labels = Some(labels);
        self
    }

    /// Reads and loads the weights.
    ///
    /// # Errors
    /// [`Error::Usage`] for unknown names, renaming that makes two parameters one, labels that are not as many as the
    /// classes, an activation that contradicts the network's and sizes that do not fit; [`Error::Checkpoint`],
    /// [`Error::Limit`] and [`Error::Io`] for the file; [`Error::Mismatch`] and [`Error::Ambiguous`] for its parameters;
    /// [`Error::Download`] for a model of the catalogue.
    pub fn build(mut self) -> Result<Package> {
        let has_own = self.state.is_some() || self.bytes.is_some() || self.weights.is_some();
        let known = match &self.model {
            Some(name) => Some(catalog::find(name)?),
            None if has_own => None,
            None => Some(catalog::find(catalog::DEFAULT)?),
        };
        let (state, origin) = self.read(known)?;
        let provenance = Provenance::new(&state, origin);
        // The catalogue knows the preprocessing and the labels of its own weights only.
        let published = known.filter(|_| !has_own);
        let Renaming { state, unmatched } = state.rename(&self.renames)?;
        let (mut model, imported) = self.load(&state, known)?;
        let network = model.network();
        let outputs = description::outputs(network);
        let name = known.map_or_else(|| network.name.clone(), |known| known.name.to_owned());
        let mut said = Said::by(&state, network);
        let head = match self.activation {
            Some(activation) => network.head.with(activation, outputs),
            None => Ok(said.head),
        };
        let head = head.map_err(|error| Error::Usage(format!("{}: {error}", printable::path(state.origin()))))?;
        let preset = self.preset.or(said.preset).or(published.map(|known| known.preset));
        let (preprocess, guess) = match preset {
            Some(preset) => (description::preprocess(preset, &state, network)?, None),
            None => description::guess(&state, network).map(|(preprocess, guess)| (preprocess, Some(guess)))?,
        };
        let guess = guess.filter(|_| self.overrides.mean.is_none() || self.overrides.std.is_none());
        let preprocess = self.overrides.apply(preprocess)?;
        if let (Some(imported), Some(shape)) = (&imported, input(&preprocess))
            && let Some(fitted) = imported.fit(&model, shape)?
        {
            model = fitted;
        }
        let mut notes = [state.notes(), &model.network().notes].concat();
        if self.activation.or(said.activation).is_none() {
            notes.extend(
                unclear(head, outputs).map(|unclear| format!("{name}: {unclear}; an activation would say otherwise")),
            );
        }
        let labels = match self.labels {
            Some(labels) => Some(labels.for_outputs(head, outputs)?),
            None => said.labels(&state, head, outputs).or_else(|| {
                let labels = published.and_then(CatalogModel::labels);
                labels.filter(|labels| labels.len() == head.classes(outputs))
            }),
        };
        notes.extend(said.notes);
        notes.extend(labels.iter().flat_map(Labels::notes).cloned());
        let package =
            Package { name, model, preprocess, guess, head, outputs, labels, notes, unmatched, provenance, imported };
        if let Some(shape) = package.input() {
            package.model_for(shape)?;
        }
        Ok(package)
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

    /// The network with its parameters, and the graph in the checkpoint that it was imported from.
    fn load(&self, state: &StateDict, known: Option<&CatalogModel>) -> Result<(Model, Option<Imported>)> {
        let from_graph = self.network.is_none() && known.is_none() && import::has_graph(state);
        if let (false, Some(output)) = (from_graph, &self.output) {
            let output = printable::cut(output, 60);
            return Err(Error::Usage(format!(
                "the output `{output}` is asked for, and there is no graph to choose it in"
            )));
        }
        let imported = from_graph.then(|| Imported::new(state, self.output.clone(), self.strictness));
        let model = match (&self.network, known, &imported) {
            (Some(network), ..) => Model::load(network.clone(), state, self.strictness)?,
            (None, Some(known), _) => Model::load(known.network(state)?, state, self.strictness)?,
            (None, None, Some(imported)) => imported.model(self.preset, &self.overrides)?,
            (None, None, None) => Model::from_state_dict(state, self.strictness)?,
        };
        // Classes are ranked by logits.
        Ok((model.into_logits(), imported))
    }
}

/// What is odd about outputs of which nobody said how they become probabilities.
fn unclear(head: Head, outputs: usize) -> Option<&'static str> {
    match head {
        Head::Logits if outputs == 1 => Some("its one output is taken for the logit of class 1 against class 0"),
        Head::Softmax | Head::LogSoftmax | Head::Probabilities if outputs == 1 => {
            Some("it has one output, of which its softmax makes 1 whatever an image shows")
        }
        Head::Values => Some("its outputs are made of probabilities by further arithmetic, and given as they are"),
        _ => None,
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
