//! A package before its network is known: a checkpoint that is open, under the caller's names.

use super::description::{self, Said};
use super::imported::Imported;
use super::provenance::Provenance;
use super::wanted::Wanted;
use super::{Package, input};
use crate::catalog::CatalogModel;
use crate::checkpoint::{Rename, StateDict};
use crate::error::{Error, Result};
use crate::graph::Head;
use crate::import::{self, ImportOptions};
use crate::model::Model;
use crate::printable;
use crate::vision::Labels;
use crate::zoo::Network;

/// A checkpoint that is to become a [`Package`]. It is here although nobody may know its network; [`network`](Self::network)
/// says which it is, or why there is none. Made by [`PackageBuilder::open`](super::PackageBuilder::open).
///
/// ```no_run
/// use pretrained::Package;
///
/// let draft = Package::builder().weights("model.pth").open()?;
/// println!("{} tensors", draft.state_dict().len());
/// match draft.network() {
///     Ok(network) => println!("the network is {}", network.name),
///     Err(reason) => println!("the network is not known: {reason}"),
/// }
/// let package = draft.build()?;
/// # Ok::<(), pretrained::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Draft {
    pub(super) wanted: Wanted,
    /// The model of the catalogue that was named, or the default.
    pub(super) known: Option<&'static CatalogModel>,
    /// Whether the weights are that model's own.
    pub(super) is_published: bool,
    pub(super) state: StateDict,
    pub(super) unmatched: Vec<Rename>,
    pub(super) provenance: Provenance,
}

impl Draft {
    /// The checkpoint's tensors, under the names that [`PackageBuilder::rename`](super::PackageBuilder::rename) gave them.
    pub fn state_dict(&self) -> &StateDict {
        &self.state
    }

    /// The rules of [`PackageBuilder::rename`](super::PackageBuilder::rename) that matched no name of the checkpoint.
    pub fn unmatched_renames(&self) -> &[Rename] {
        &self.unmatched
    }

    /// Where the weights came from.
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// The network, if its parameters can be loaded and it takes its usual input.
    ///
    /// # Errors
    /// As [`model`](Self::model), and [`Error::Usage`] for a network that does not take its usual input.
    pub fn network(&self) -> Result<Network> {
        let model = self.model(None)?;
        let network = model.network();
        network.graph.shapes(network.input)?;
        Ok(network.clone())
    }

    /// The network with its parameters, as the checkpoint has it: a softmax at its end stays, and it need not be one of
    /// images. `sides`, a height and a width in pixels, are those that a graph in the checkpoint is imported for, by
    /// default the ones in the file; other networks do not depend on them.
    ///
    /// # Errors
    /// As [`Model::from_graph`] where the checkpoint has a graph, else as [`Model::from_state_dict`].
    pub fn model(&self, sides: Option<[usize; 2]>) -> Result<Model> {
        let Wanted { network, output, strictness, .. } = &self.wanted;
        match (network, self.known) {
            (Some(network), _) => Model::load(network.clone(), &self.state, *strictness),
            (None, Some(known)) => Model::load(known.network(&self.state)?, &self.state, *strictness),
            (None, None) if import::has_graph(&self.state) => {
                Model::from_graph(&self.state, &ImportOptions { sides, output: output.clone() }, *strictness)
            }
            (None, None) => Model::from_state_dict(&self.state, *strictness),
        }
    }

    /// The package: the network's images, outputs and classes too.
    ///
    /// # Errors
    /// As [`PackageBuilder::build`](super::PackageBuilder::build).
    pub fn build(self) -> Result<Package> {
        let (mut model, imported) = self.load()?;
        let Self { wanted, known, is_published, state, unmatched, provenance } = self;
        // The catalogue knows the preprocessing and the labels of its own weights only.
        let published = known.filter(|_| is_published);
        let network = model.network();
        let outputs = description::outputs(network);
        let name = known.map_or_else(|| network.name.clone(), |known| known.name.to_owned());
        let mut said = Said::by(&state, network);
        let head = match wanted.activation {
            Some(activation) => network.head.with(activation, outputs),
            None => Ok(said.head),
        };
        let head = head.map_err(|error| Error::Usage(format!("{}: {error}", printable::path(state.origin()))))?;
        let preset = wanted.preset.or(said.preset).or(published.map(|known| known.preset));
        let (preprocess, guess) = match preset {
            Some(preset) => (description::preprocess(preset, &state, network)?, None),
            None => description::guess(&state, network).map(|(preprocess, guess)| (preprocess, Some(guess)))?,
        };
        let guess = guess.filter(|_| wanted.overrides.mean.is_none() || wanted.overrides.std.is_none());
        let preprocess = wanted.overrides.apply(preprocess)?;
        if let (Some(imported), Some(shape)) = (&imported, input(&preprocess))
            && let Some(fitted) = imported.fit(&model, shape)?
        {
            model = fitted;
        }
        let mut notes = [state.notes(), &model.network().notes].concat();
        if wanted.activation.or(said.activation).is_none() {
            notes.extend(
                unclear(head, outputs).map(|unclear| format!("{name}: {unclear}; an activation would say otherwise")),
            );
        }
        let labels = match wanted.labels {
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

    /// The network with its parameters, and the graph in the checkpoint that it was imported from.
    fn load(&self) -> Result<(Model, Option<Imported>)> {
        let Wanted { network, output, strictness, preset, overrides, .. } = &self.wanted;
        let from_graph = network.is_none() && self.known.is_none() && import::has_graph(&self.state);
        if let (false, Some(output)) = (from_graph, output) {
            let output = printable::cut(output, 60);
            return Err(Error::Usage(format!(
                "the output `{output}` is asked for, and there is no graph to choose it in"
            )));
        }
        let imported = from_graph.then(|| Imported::new(&self.state, output.clone(), *strictness));
        let model = match &imported {
            Some(imported) => imported.model(*preset, overrides)?,
            None => self.model(None)?,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorKind, PackageBuilder, Tensor};

    #[test]
    fn a_draft_of_an_unknown_network_still_has_its_tensors() {
        let state: StateDict = [("backbone.x", Tensor::from_f32(&[1], &[0.5]).unwrap())].into_iter().collect();
        let rules = ["^backbone\\.=", "^absent="].map(|rule| rule.parse().unwrap());
        let builder = rules.into_iter().fold(Package::builder().state_dict(state), PackageBuilder::rename);
        let draft = builder.open().unwrap();
        assert_eq!(draft.state_dict().names().collect::<Vec<_>>(), ["x"]);
        assert_eq!(draft.unmatched_renames().len(), 1);
        let reason = draft.network().unwrap_err();
        assert_eq!(reason.kind(), ErrorKind::CheckpointNetwork);
        assert_eq!(draft.build().unwrap_err().to_string(), reason.to_string());
    }
}
