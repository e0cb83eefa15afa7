//! A model with all that is known of it: how images are prepared, what the classes are called, where it came from.

mod builder;
mod description;
mod draft;
mod imported;
mod provenance;
mod wanted;

pub use builder::PackageBuilder;
pub use description::description;
pub use draft::Draft;
pub use provenance::Provenance;

use crate::checkpoint::Rename;
use crate::error::{Error, Result};
use crate::graph::{Head, OutputActivation, Shape};
use crate::model::Model;
use crate::vision::{Labels, Prediction, Preprocess, top_k_by};
use imported::Imported;
use std::borrow::Cow;
use std::path::Path;

/// A model, how its images are prepared, what its classes are called, and where it came from.
///
/// It is plain data: no device is open, and no thread runs. A [`Classifier`](crate::Classifier) runs it.
///
/// ```no_run
/// use pretrained::Package;
///
/// let package = Package::open("shufflenetv2_x1-5666bf0f80.pth")?;
/// println!("{}: {} classes, images are prepared so: {}", package.name(), package.classes(), package.preprocess());
/// # Ok::<(), pretrained::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Package {
    name: String,
    model: Model,
    preprocess: Preprocess,
    guess: Option<String>,
    head: Head,
    outputs: usize,
    labels: Option<Labels>,
    notes: Vec<String>,
    unmatched: Vec<Rename>,
    provenance: Provenance,
    imported: Option<Imported>,
}

impl Package {
    /// The checkpoint at `path`, a file or a folder, with the network that it is recognised to be of.
    ///
    /// # Errors
    /// As [`PackageBuilder::build`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::builder().weights(path.as_ref()).build()
    }

    /// A package by its parts. Without any it is the [default](crate::catalog::DEFAULT) of the catalogue.
    pub fn builder() -> PackageBuilder {
        PackageBuilder::default()
    }

    /// The model's name: the catalogue's, or what its network is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The network, its parameters, and the report of their loading.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// How images are prepared.
    pub fn preprocess(&self) -> &Preprocess {
        &self.preprocess
    }

    /// A sentence on how images are prepared, where neither the checkpoint nor the network nor the caller said it, so
    /// that it was guessed. [`PackageBuilder::preset`] or a mean and a deviation among
    /// [`overrides`](PackageBuilder::overrides) set it.
    pub fn guess(&self) -> Option<&str> {
        self.guess.as_deref()
    }

    /// What the network's outputs are.
    pub fn head(&self) -> Head {
        self.head
    }

    /// The function that makes probabilities of them, within the network or after it.
    pub fn activation(&self) -> OutputActivation {
        self.head.activation(self.outputs)
    }

    /// How many numbers the network gives for an image.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// How many classes there are: as many as [`outputs`](Self::outputs), but two where one output tells two apart.
    pub fn classes(&self) -> usize {
        self.head.classes(self.outputs)
    }

    /// The classes' labels, if they are known.
    pub fn labels(&self) -> Option<&Labels> {
        self.labels.as_ref()
    }

    /// What was chosen or guessed on the way here, a sentence each: [`StateDict::notes`](crate::StateDict::notes), the
    /// network's, and what was made of outputs and labels. [`guess`](Self::guess) is not among them.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The rules of [`PackageBuilder::rename`] that matched no name of the checkpoint.
    pub fn unmatched_renames(&self) -> &[Rename] {
        &self.unmatched
    }

    /// Where the weights came from.
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// The shape of the network's input, where it is the same for every image.
    pub fn input(&self) -> Option<Shape> {
        input(&self.preprocess)
    }

    /// The `k` most probable classes of an image for which the network gave `outputs`.
    ///
    /// # Errors
    /// [`Error::Device`] where an output is NaN or infinite.
    pub fn top_k(&self, outputs: &[f32], k: usize) -> Result<Vec<Prediction>> {
        top_k_by(self.head, outputs, k, self.labels.as_ref())
    }

    /// The model for inputs of `shape`: [`model`](Self::model), or the graph in the checkpoint imported again where it
    /// takes inputs of one shape only.
    ///
    /// # Errors
    /// As [`import::network_with`](crate::import::network_with); [`Error::Usage`] where it then has other outputs.
    pub fn model_for(&self, shape: Shape) -> Result<Cow<'_, Model>> {
        let again = match &self.imported {
            Some(imported) => imported.fit(&self.model, shape)?,
            None => None,
        };
        let model = again.map_or(Cow::Borrowed(&self.model), Cow::Owned);
        let (name, expected) = (&self.name, self.outputs);
        let found = description::outputs(model.network());
        if self.imported.is_some() && found != expected {
            let reason = format!("{name} has {found} outputs for images of {shape}, and {expected} for those before");
            return Err(Error::Usage(reason));
        }
        Ok(model)
    }
}

/// The shape that every image is prepared to have.
fn input(preprocess: &Preprocess) -> Option<Shape> {
    let (width, height) = preprocess.fixed_size()?;
    Some(Shape::new(preprocess.channels(), height as usize, width as usize))
}
