//! The networks that are known, and how each is recognised from the names and shapes in a checkpoint.

mod megvii_shufflenet_v2;
mod mlp;
mod shufflenet_v2;

pub use megvii_shufflenet_v2::MegviiShuffleNetV2;
pub use mlp::Mlp;
pub(crate) use mlp::image_of;
pub use shufflenet_v2::ShuffleNetV2;

use crate::checkpoint::{StateDict, remap};
use crate::error::{Error, Result};
use crate::graph::{Graph, Shape};

/// A network: its graph, what to call it, and the input that it was designed for.
#[derive(Debug, Clone, PartialEq)]
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
}

/// A family's way to recognise itself.
type Recognise = fn(&StateDict) -> Result<Network, NotThis>;

/// Every family. The first that recognises a checkpoint gets it.
const FAMILIES: [Recognise; 3] = [ShuffleNetV2::recognise, MegviiShuffleNetV2::recognise, Mlp::recognise];

/// The network that a checkpoint was saved from, told by parameter names and shapes alone. Names that the rules of
/// [`remap`] know are taken for PyTorch's.
///
/// # Errors
/// [`Error::Checkpoint`] that says which family came closest and what spoke against it.
pub fn detect(state: &StateDict) -> Result<Network> {
    let named = remap::to_pytorch(state, |_| false).state;
    let mut closest: Option<NotThis> = None;
    for recognise in FAMILIES {
        match recognise(&named) {
            Ok(network) => return Ok(network),
            Err(not) if closest.as_ref().is_none_or(|c| not.closeness > c.closeness) => closest = Some(not),
            Err(_) => {}
        }
    }
    let reason = match closest {
        Some(not) if not.closeness > 0.0 => format!("{} came closest, but {}", not.family, not.reason),
        _ => format!("none of its {} names is of a known family (ShuffleNetV2, MLP)", state.len()),
    };
    let names: Vec<&str> = state.names().take(4).collect();
    Err(Error::checkpoint(
        state.origin(),
        format!(
            "no known network has these parameters ({}...): {reason}; `pretrained inspect` lists them",
            names.join(", ")
        ),
    ))
}

/// Why a checkpoint is not of a family.
#[derive(Debug)]
struct NotThis {
    family: &'static str,
    /// The share of what the family looks for that was found, 0 to 1.
    closeness: f64,
    reason: String,
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

    /// Whether everything that was looked for was there.
    fn verdict(self, family: &'static str) -> Result<(), NotThis> {
        if self.lacking.is_empty() {
            return Ok(());
        }
        let closeness = 1.0 - self.lacking.len() as f64 / self.wanted as f64;
        let reason = format!("these are absent or of another rank: {}", self.lacking.join(", "));
        Err(NotThis { family, closeness, reason })
    }
}
