//! A network with its parameters: what a checkpoint becomes once its names are matched.

use crate::checkpoint::StateDict;
use crate::error::{Error, Result};
use crate::graph::{Head, Op, ParameterId, Value};
use crate::import::{self, ImportOptions};
use crate::load::initialiser::{self, Initialiser};
use crate::load::{Initialised, LoadReport, Strictness, Weights, bind};
use crate::printable;
use crate::tensor::Tensor;
use crate::zoo::{Network, detect};

/// A network and the values of its parameters, ready to be compiled for a device. Clones share the values.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    network: Network,
    weights: Weights,
    report: LoadReport,
}

impl Model {
    /// Takes the network that the checkpoint describes, or recognises it from names and shapes, and loads it.
    ///
    /// # Errors
    /// As [`import::network`] where the checkpoint has a graph, else as [`detect`]; and as [`Model::load`].
    pub fn from_state_dict(state: &StateDict, strictness: Strictness) -> Result<Self> {
        if import::has_graph(state) {
            return Self::from_graph(state, &ImportOptions::default(), strictness);
        }
        Self::load(detect(state)?, state, strictness)
    }

    /// Takes the network that the graph in the checkpoint describes, as `options` say, and loads it.
    ///
    /// # Errors
    /// As [`import::network_with`] and [`Model::load`].
    pub fn from_graph(state: &StateDict, options: &ImportOptions, strictness: Strictness) -> Result<Self> {
        let (network, parameters) = import::network_with(state, options)?;
        Self::load(network, &parameters, strictness)
    }

    /// The network of a checkpoint, if its parameters can be loaded and it takes its usual input: what
    /// [`from_state_dict`](Self::from_state_dict) would load, where a parameter may not be missing.
    ///
    /// # Errors
    /// As there, and [`Error::Usage`](crate::Error::Usage) for a network that does not take its usual input.
    pub fn recognise(state: &StateDict) -> Result<Network> {
        let network = Self::from_state_dict(state, Strictness::AllowUnexpected)?.network;
        network.graph.shapes(network.input)?;
        Ok(network)
    }

    /// Loads the parameters of `network` from `state`, by name.
    ///
    /// # Errors
    /// As [`bind`].
    pub fn load(network: Network, state: &StateDict, strictness: Strictness) -> Result<Self> {
        let (weights, report) = bind(&network.graph, state, strictness)?;
        Ok(Self { network, weights, report })
    }

    /// The same model without a softmax that ends it, so that it returns logits as all others do. Its head says so.
    pub(crate) fn into_logits(mut self) -> Self {
        if self.network.head == Head::Probabilities
            && let Some(graph) = self.network.graph.without_last_softmax()
        {
            self.network.graph = graph;
            self.network.head = Head::Softmax;
        }
        self
    }

    /// The part of the model before its last fully connected layer, whose input it returns.
    ///
    /// # Errors
    /// [`Error::Usage`] where it has none, or where that reads the image itself.
    pub(crate) fn up_to_features(&self) -> Result<Self> {
        let nodes = self.network.graph.nodes();
        let last = nodes.iter().rev().find(|node| matches!(node.op, Op::Linear { .. }));
        let input = last.and_then(|last| last.inputs.first().copied()).filter(|input| *input != Value::INPUT);
        let name = &self.network.name;
        let lacks = || Error::Usage(format!("{name} has no layer before a fully connected one; name a layer"));
        Ok(self.up_to(input.ok_or_else(lacks)?))
    }

    /// The part of the model up to the layer called `name`, whose output it returns.
    ///
    /// # Errors
    /// [`Error::Usage`] where it has none, with the most similar names.
    pub(crate) fn up_to_layer(&self, name: &str) -> Result<Self> {
        let graph = &self.network.graph;
        if let Some((output, _)) = graph.steps().filter(|(_, node)| node.name == name).last() {
            return Ok(self.up_to(output));
        }
        let likeness = |other: &str| strsim::jaro_winkler(other, name);
        let mut names: Vec<&str> = graph.nodes().iter().map(|node| node.name.as_str()).collect();
        names.sort_by(|a, b| likeness(b).total_cmp(&likeness(a)).then(a.cmp(b)));
        names.dedup();
        names.truncate(3);
        let (network, near) = (&self.network.name, names.join(", "));
        let name = printable::cut(name, 60);
        Err(Error::Usage(format!("{network} has no layer called \"{name}\"; the most similar are {near}")))
    }

    /// The model that returns the value `output` of its graph.
    fn up_to(&self, output: Value) -> Self {
        let graph = self.network.graph.up_to(output);
        Self { network: Network { graph, ..self.network.clone() }, ..self.clone() }
    }

    /// A network with new parameters, as a module of PyTorch is made: what training starts from, and what
    /// [`load_state_dict`](Self::load_state_dict) can fill. The report lists each as initialised.
    ///
    /// # Errors
    /// As [`Initialiser::tensor`], for any of its parameters.
    pub fn initialise(network: Network, initialiser: Initialiser, seed: u64) -> Result<Self> {
        let parameters = network.graph.parameters().iter().zip(initialiser::of_graph(&network.graph, initialiser));
        let initialised: Vec<Initialised> = parameters
            .map(|(p, initialiser)| Initialised { name: p.name.clone(), shape: p.shape.clone(), initialiser })
            .collect();
        let values = initialised.iter().map(|one| one.initialiser.values(&one.name, &one.shape, seed));
        let weights = Weights::new(&network.graph, values.collect::<Result<_>>()?)?;
        Ok(Self { network, weights, report: LoadReport { initialised, ..LoadReport::default() } })
    }

    /// A network with weights that come from no checkpoint.
    ///
    /// # Errors
    /// As [`Weights::new`].
    pub fn from_weights(network: Network, values: Vec<Vec<f32>>) -> Result<Self> {
        let weights = Weights::new(&network.graph, values)?;
        let loaded = network.graph.parameters().iter().map(|p| p.name.clone()).collect();
        Ok(Self { network, weights, report: LoadReport { loaded, ..LoadReport::default() } })
    }

    /// Loads all parameters anew from `state`, by name, and says what became of each. After an error the model is as it
    /// was before.
    ///
    /// Sessions that were made of this model keep the parameters that they were made with.
    ///
    /// ```no_run
    /// # use pretrained::{Initialiser, Model, StateDict, Strictness, zoo::ShuffleNetV2};
    /// # fn main() -> pretrained::Result<()> {
    /// # let network = ShuffleNetV2::by_name("shufflenetv2_x1_0", 1000).unwrap().network();
    /// let mut model = Model::initialise(network, Initialiser::LayerDefault, 0)?;
    /// let report = model.load_state_dict(&StateDict::open("model.pth")?, Strictness::Strict)?;
    /// println!("{report}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`bind`].
    pub fn load_state_dict(&mut self, state: &StateDict, strictness: Strictness) -> Result<&LoadReport> {
        (self.weights, self.report) = bind(&self.network.graph, state, strictness)?;
        Ok(&self.report)
    }

    /// Every parameter under the network's name for it, as `f32`, in the order in which the network uses them:
    /// what [`StateDict::save`] writes and any model of this network loads.
    pub fn state_dict(&self) -> StateDict {
        let parameters = self.network.graph.parameters().iter().enumerate();
        parameters
            .filter_map(|(i, parameter)| {
                // The weights fit the graph, so there is a tensor for each.
                let tensor = Tensor::from_f32(&parameter.shape, self.weights.get(ParameterId(i))).ok()?;
                Some((parameter.name.clone(), tensor))
            })
            .collect()
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Its parameters.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// What became of every parameter when it was loaded.
    pub fn report(&self) -> &LoadReport {
        &self.report
    }
}
