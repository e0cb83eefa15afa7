//! A network with its parameters: what a checkpoint becomes once its names are matched.

use crate::bind::{LoadReport, Strictness, Weights, bind};
use crate::checkpoint::StateDict;
use crate::error::Result;
use crate::zoo::{Network, detect};

/// A network and the values of its parameters, ready to be compiled for a device.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    network: Network,
    weights: Weights,
    report: LoadReport,
}

impl Model {
    /// Recognises the network from the checkpoint's names and shapes, and loads it.
    ///
    /// # Errors
    /// As [`detect`] and [`Model::load`].
    pub fn from_state_dict(state: &StateDict, strictness: Strictness) -> Result<Self> {
        Self::load(detect(state)?, state, strictness)
    }

    /// Loads the parameters of `network` from `state`, by name.
    ///
    /// # Errors
    /// As [`bind`].
    pub fn load(network: Network, state: &StateDict, strictness: Strictness) -> Result<Self> {
        let (weights, report) = bind(&network.graph, state, strictness)?;
        Ok(Self { network, weights, report })
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
