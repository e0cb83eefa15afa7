//! What is known of a checkpoint's images, outputs and classes: what it says itself, or else what is guessed.

use crate::catalog;
use crate::checkpoint::{Format, StateDict};
use crate::error::{Error, Result};
use crate::graph::{Head, OutputActivation, Shape};
use crate::printable;
use crate::vision::{Labels, Preprocess, Preset};
use crate::zoo::Network;
use indexmap::IndexMap;

/// What is known of the images, the outputs and the classes of a checkpoint of `network`, in the words of a checkpoint's
/// metadata: `preset`, the name of a [`Preset`], `activation`, that of an [`OutputActivation`], and `labels`, a JSON
/// array. What is not known is left out, so that no guess at pixels is taken for a fact later on.
///
/// # Errors
/// [`Error::Usage`] where the network does not take its own usual input.
pub fn description(state: &StateDict, network: &Network) -> Result<IndexMap<String, String>> {
    network.graph.shapes(network.input)?;
    let mut said = Said::by(state, network);
    let mut known = IndexMap::new();
    if let Some(preset) = said.preset {
        known.insert("preset".to_owned(), preset.name().to_owned());
    }
    let outputs = outputs(network);
    if said.activation.is_some() || said.head != Head::Logits {
        known.insert("activation".to_owned(), said.head.activation(outputs).name().to_owned());
    }
    if let Some(labels) = said.labels(state, said.head, outputs) {
        known.insert("labels".to_owned(), serde_json::json!(labels.names()).to_string());
    }
    Ok(known)
}

/// What a checkpoint's metadata and its network say. Metadata that is of no use is left out, with a note.
#[derive(Debug)]
pub(super) struct Said {
    /// How images are prepared: `preset`, or else what the network or this very file was published with.
    pub preset: Option<Preset>,
    /// What makes probabilities of the outputs: `activation`.
    pub activation: Option<OutputActivation>,
    /// What the outputs are therefore.
    pub head: Head,
    pub notes: Vec<String>,
}

impl Said {
    pub fn by(state: &StateDict, network: &Network) -> Self {
        let mut notes = Vec::new();
        let mut note = |key: &str, reason: String| {
            notes.push(format!("{}: {key} in its metadata is left out: {reason}", printable::path(state.origin())));
        };
        let metadata = |key: &str| state.metadata().get(key).map(String::as_str);
        let preset = metadata("preset")
            .and_then(|name| Preset::from_name(name).map_err(|error| note("`preset`", error.to_string())).ok());
        let preset = preset.or_else(|| network.preset.and_then(|name| Preset::from_name(name).ok()));
        let preset = preset.or_else(|| published(state));
        // In a training checkpoint, the word stands for what is between layers too.
        let is_pickled = matches!(state.format(), Some(Format::TorchZip | Format::TorchLegacy | Format::TorchScript));
        let activation = metadata("activation").filter(|_| !is_pickled).and_then(|name| {
            let activation = name.parse::<OutputActivation>();
            let head = activation.and_then(|one| Ok((one, network.head.with(one, outputs(network))?)));
            head.map_err(|error| note("`activation`", error.to_string())).ok()
        });
        let head = activation.map_or(network.head, |(_, head)| head);
        Self { preset, activation: activation.map(|(one, _)| one), head, notes }
    }

    /// The labels that the metadata has for so many outputs under `labels`, a built-in list's name or a JSON array; else
    /// ImageNet's, where there are as many classes.
    pub fn labels(&mut self, state: &StateDict, head: Head, outputs: usize) -> Option<Labels> {
        let Some(text) = state.metadata().get("labels") else {
            return Some(Labels::imagenet()).filter(|labels| labels.len() == head.classes(outputs));
        };
        let labels = Labels::built_in(text).map_or_else(|| Labels::parse("labels", text.as_bytes()), Ok);
        match labels.and_then(|labels| labels.for_outputs(head, outputs)) {
            Ok(labels) => Some(labels),
            Err(error) => {
                let origin = printable::path(state.origin());
                self.notes.push(format!("{origin}: `labels` in its metadata are left out: {error}"));
                None
            }
        }
    }
}

/// The preprocessing of the published file whose name, which ends in a part of its hash, the checkpoint's file bears.
fn published(state: &StateDict) -> Option<Preset> {
    let file = state.path()?.file_name()?.to_str()?;
    catalog::publishes(file).map(|model| model.preset)
}

/// How many numbers `network` returns for its usual input.
pub(super) fn outputs(network: &Network) -> usize {
    let shapes = network.graph.shapes(network.input);
    shapes.ok().and_then(|shapes| shapes.get(network.graph.output().0).map(Shape::elements)).unwrap_or(0)
}

/// How the images of `network` are prepared, as `preset` does it for networks like this one.
///
/// # Errors
/// [`Error::Usage`] where the input has neither one channel nor three.
pub(super) fn preprocess(preset: Preset, state: &StateDict, network: &Network) -> Result<Preprocess> {
    let input = network.input;
    if !matches!(input.channels, 1 | 3) {
        let origin = printable::path(state.origin());
        let reason = format!("{origin}: its input of {input} is not an image, which has 1 channel or 3");
        return Err(Error::Usage(reason));
    }
    let outputs = outputs(network);
    let takes = |shape: Shape| {
        let shapes = network.graph.shapes(shape);
        shapes.is_ok_and(|shapes| shapes.get(network.graph.output().0).is_some_and(|out| out.elements() == outputs))
    };
    Ok(preset.preprocess_for(input, takes))
}

/// How images of networks of this kind are usually prepared, and a sentence that says so.
pub(super) fn guess(state: &StateDict, network: &Network) -> Result<(Preprocess, String)> {
    let preset = usual(network);
    let preprocess = preprocess(preset, state, network)?;
    let sentence = format!(
        "nothing in {} says how images are prepared for it; guessed the preset {preset}: {preprocess}",
        printable::path(state.origin())
    );
    Ok((preprocess, sentence))
}

/// LeNet-5 with its biases is PyTorch's, whose examples and tutorial shift and scale pixels.
fn usual(network: &Network) -> Preset {
    let Shape { channels, height, width } = network.input;
    let is_lenet5 = network.name == "lenet5";
    match (channels, height, width, outputs(network)) {
        (3, 224, 224, _) => Preset::Torchvision,
        (3, 32, 32, 10) if is_lenet5 => Preset::Cifar10Tutorial,
        (3, 32, 32, 10) => Preset::Cifar10Standardized,
        (3, 32, 32, 100) => Preset::Cifar100,
        (1, 28 | 32, _, 10) if is_lenet5 => Preset::MnistStandardized,
        (1, 28, 28, _) => Preset::Mnist,
        _ => Preset::Unit,
    }
}
