//! The parameters of a graph as numbers.

use crate::error::{Error, Result};
use crate::graph::{Graph, ParameterId};
use std::sync::Arc;

/// A graph's parameters as `f32`, in the graph's order. Cloning copies none of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights(Arc<[Arc<[f32]>]>);

impl Weights {
    /// Weights given directly, one vector a parameter in the graph's order.
    ///
    /// # Errors
    /// [`Error::Usage`] where a count differs from the graph's.
    pub fn new(graph: &Graph, values: Vec<Vec<f32>>) -> Result<Self> {
        let fits = values.len() == graph.parameters().len()
            && graph.parameters().iter().zip(&values).all(|(p, v)| p.shape.iter().product::<usize>() == v.len());
        if fits {
            Ok(Self::fitting(values.into_iter().map(Arc::from).collect()))
        } else {
            Err(Error::Usage("the weights do not fit the graph's parameters".into()))
        }
    }

    /// Values that are known to fit the graph.
    pub(super) fn fitting(values: Vec<Arc<[f32]>>) -> Self {
        Self(values.into())
    }

    /// The values of one parameter, row-major.
    pub fn get(&self, id: ParameterId) -> &[f32] {
        &self.0[id.0]
    }

    /// The same, for whoever keeps them.
    pub(crate) fn share(&self, id: ParameterId) -> Arc<[f32]> {
        self.0[id.0].clone()
    }

    /// How many numbers there are in all.
    pub fn count(&self) -> usize {
        self.0.iter().map(|values| values.len()).sum()
    }
}
