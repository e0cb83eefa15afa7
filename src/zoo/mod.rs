//! The networks that are known, and how each is recognised from the names and shapes in a checkpoint.

mod families;
mod last_layers;
mod leftovers;
mod modules;
mod recognise;
mod reparametrised;
mod sequential;
mod settings;

pub(crate) use families::image_of;
pub use families::*;
pub(crate) use recognise::called;
pub use recognise::detect;

use crate::checkpoint::StateDict;
use crate::graph::{Graph, Head, Shape};
use crate::tensor::Tensor;

/// A network: its graph, what to call it, and the input that it was designed for.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Network {
    /// Such as `shufflenetv2_x1_0`.
    pub name: String,
    /// Its operators and parameters.
    pub graph: Graph,
    /// The input that it was designed for. A network that ends in a mean over the image takes others too.
    pub input: Shape,
    /// The preprocessing that it was published with, by the name of a [`Preset`](crate::vision::Preset); none where
    /// the input's shape tells it.
    pub preset: Option<&'static str>,
    /// What its outputs are.
    pub head: Head,
    /// Sentences on what was guessed or chosen to arrive at this network, each worth a line to its user.
    pub notes: Vec<String>,
}

impl Network {
    /// A network of your own: what to call it, what it computes (by [`graph::Builder`](crate::graph::Builder)), and its
    /// usual input. Its head is what the graph [tells](Head::of).
    pub fn new(name: impl Into<String>, graph: Graph, input: Shape) -> Self {
        let head = Head::of(&graph);
        Self { name: name.into(), graph, input, preset: None, head, notes: Vec::new() }
    }
}

/// The network that torchvision calls `name`, such as `resnet50`, with so many classes. Of ShuffleNetV2 the names
/// are those of its checkpoints, `shufflenetv2_x1_0`.
pub fn by_name(name: &str, num_classes: usize) -> Option<Network> {
    families::FAMILIES.iter().find_map(|family| (family.by_name)(name, num_classes))
}

/// Why a checkpoint is not of a family.
#[derive(Debug)]
struct NotThis {
    /// The share of what the family looks for that was found, 0 to 1.
    closeness: f64,
    reason: String,
}

/// torchvision's `_make_divisible`: `channels` rounded to a multiple of 8, and not to less than nine tenths of it.
fn make_divisible(channels: f64) -> usize {
    let rounded = (channels as usize + 4) / 8 * 8;
    rounded.max(8) + if (rounded.max(8) as f64) < 0.9 * channels { 8 } else { 0 }
}

/// The largest dimension that is believed, so that a few of them add up without overflowing.
const MOST: usize = 1 << 20;

/// Dimensions read off a checkpoint, and those that were looked for in vain.
struct Clues<'s> {
    state: &'s StateDict,
    wanted: usize,
    lacking: Vec<String>,
}

impl<'s> Clues<'s> {
    fn new(state: &'s StateDict) -> Self {
        Self { state, wanted: 0, lacking: Vec::new() }
    }

    /// The size of one axis of a parameter with `rank` axes; 0, and a note, where there is no such thing.
    fn dimension(&mut self, name: &str, axis: usize, rank: usize) -> usize {
        self.wanted += 1;
        let size = match self.state.get(name).map(|t| t.shape()) {
            Some(shape) if shape.len() == rank => shape.get(axis).copied().filter(|n| (1..=MOST).contains(n)),
            _ => None,
        };
        if size.is_none() {
            self.lacking.push(name.to_owned());
        }
        size.unwrap_or(0)
    }

    /// How many elements a parameter has; 0, and a note, where there is no such parameter.
    fn elements(&mut self, name: &str) -> usize {
        self.wanted += 1;
        let count = self.state.get(name).map_or(0, Tensor::element_count);
        if count == 0 {
            self.lacking.push(name.to_owned());
        }
        count
    }

    /// How many units a stage has, where the first is sure to be there: those whose parameter `name` gives.
    fn units(&self, name: impl Fn(usize) -> String) -> usize {
        1 + (1..).take_while(|&unit| self.state.contains(&name(unit))).count()
    }

    /// Whether everything that was looked for was there.
    fn verdict(self) -> Result<(), NotThis> {
        if self.lacking.is_empty() {
            return Ok(());
        }
        let closeness = 1.0 - self.lacking.len() as f64 / self.wanted as f64;
        let reason = format!("these are absent or of another rank: {}", self.lacking.join(", "));
        Err(NotThis { closeness, reason })
    }
}
