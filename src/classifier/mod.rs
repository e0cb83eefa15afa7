//! From images to labelled classes: a package on a device.

mod builder;
mod prepared;
mod sessions;

pub use builder::ClassifierBuilder;
pub(crate) use prepared::Prepared;

use crate::checkpoint::Rename;
use crate::device::{Device, Session, SessionOptions, StepTime, Ticket};
use crate::error::{Error, Result};
use crate::graph::{Head, OutputActivation, Shape};
use crate::model::Model;
use crate::package::Package;
use crate::vision::{
    Labels, Limits, Normalisation, Planes, Prediction, Preprocess, RgbImage, prepare, prepare_file, prepare_levels,
    prepare_levels_file,
};
use prepared::{batches, joined};
use sessions::{Part, Sessions};
use std::borrow::{Borrow, Cow};
use std::path::Path;
use std::sync::Arc;

/// A model that turns images into labelled classes.
///
/// ```no_run
/// use pretrained::Classifier;
///
/// let classifier = Classifier::builder().weights("shufflenetv2_x1-5666bf0f80.pth").build()?;
/// for prediction in classifier.classify_file("cat.jpg", 5)? {
///     println!("{:.3} {}", prediction.probability, prediction.label.unwrap_or_default());
/// }
/// # Ok::<(), pretrained::Error>(())
/// ```
///
/// A clone is the same classifier, and threads may share one. It compiles the network for each size of input that it
/// meets, and keeps what it compiled for the last few, within [`ClassifierBuilder::session_bytes`].
#[derive(Debug, Clone)]
pub struct Classifier(Arc<Ready>);

#[derive(Debug)]
struct Ready {
    package: Arc<Package>,
    device: Device,
    options: SessionOptions,
    /// How the device normalises images, where it does that by itself.
    levels: Option<Normalisation>,
    /// What images may ask of memory.
    limits: Limits,
    sessions: Sessions,
}

impl Classifier {
    /// The shipped CIFAR-10 model on the best device, unless told otherwise.
    pub fn builder() -> ClassifierBuilder {
        ClassifierBuilder::default()
    }

    /// The model and all that is known of it.
    pub fn package(&self) -> &Package {
        &self.0.package
    }

    /// The device that it runs on.
    pub fn device(&self) -> &Device {
        &self.0.device
    }

    /// How its sessions are made.
    pub fn options(&self) -> &SessionOptions {
        &self.0.options
    }

    /// The `k` most probable classes of the image file at `path`.
    ///
    /// # Errors
    /// [`Error::Image`] or [`Error::Limit`] where the file is no image that can be read; otherwise as
    /// [`classify`](Self::classify).
    pub fn classify_file(&self, path: impl AsRef<Path>, k: usize) -> Result<Vec<Prediction>> {
        let (limits, preprocess) = (&self.0.limits, self.preprocess());
        let image = match self.takes_levels() {
            true => prepare_levels_file(path, limits, preprocess)?.into(),
            false => prepare_file(path, limits, preprocess)?.into(),
        };
        self.rank(image, k)
    }

    /// The `k` most probable classes of an image file that is in memory; errors call it `name`.
    ///
    /// # Errors
    /// As [`classify_file`](Self::classify_file).
    pub fn classify_bytes(&self, name: impl AsRef<Path>, bytes: &[u8], k: usize) -> Result<Vec<Prediction>> {
        let (limits, preprocess) = (&self.0.limits, self.preprocess());
        let image = match self.takes_levels() {
            true => prepare_levels(name, bytes, limits, preprocess)?.into(),
            false => prepare(name, bytes, limits, preprocess)?.into(),
        };
        self.rank(image, k)
    }

    /// The `k` most probable classes of `image`.
    ///
    /// # Errors
    /// [`Error::Usage`] where the network cannot take an image of this size; [`Error::Device`] where the device fails.
    pub fn classify(&self, image: &RgbImage, k: usize) -> Result<Vec<Prediction>> {
        self.rank(self.prepared(image)?, k)
    }

    /// The `k` most probable classes of an image of `width` x `height` pixels, row by row from the top, each of which is
    /// three levels: red, green and blue.
    ///
    /// # Errors
    /// [`Error::Usage`] where `rgb` does not hold exactly as many levels; otherwise as [`classify`](Self::classify).
    pub fn classify_pixels(&self, width: u32, height: u32, rgb: &[u8], k: usize) -> Result<Vec<Prediction>> {
        let expected = (u64::from(width) * u64::from(height)).saturating_mul(3);
        let image = Some(rgb).filter(|rgb| rgb.len() as u64 == expected);
        let image = image.and_then(|rgb| RgbImage::from_raw(width, height, rgb.to_vec())).ok_or_else(|| {
            let found = rgb.len();
            Error::Usage(format!("{width}x{height} pixels are {expected} levels of red, green and blue, not {found}"))
        })?;
        self.classify(&image, k)
    }

    /// The `k` most probable classes of each image. Neighbours that are prepared to one size run as batches.
    ///
    /// # Errors
    /// As [`classify`](Self::classify), where any of them fails; a [`Pipeline`](crate::Pipeline) has an error an image.
    pub fn classify_many<I: Borrow<RgbImage>>(&self, images: &[I], k: usize) -> Result<Vec<Vec<Prediction>>> {
        let inputs = images.iter().map(|image| self.prepared(image.borrow()));
        let outputs = self.run_part(&Part::Whole, &inputs.collect::<Result<Vec<_>>>()?)?;
        outputs.chunks(self.outputs().max(1)).map(|outputs| self.top_k(outputs, k)).collect()
    }

    /// The outputs of the network for `image`, [`outputs`](Self::outputs) of them: logits, unless the
    /// [`head`](Self::head) says otherwise.
    ///
    /// # Errors
    /// As [`classify`](Self::classify).
    pub fn logits(&self, image: &RgbImage) -> Result<Vec<f32>> {
        self.run_part(&Part::Whole, &[self.prepared(image)?])
    }

    /// What the network makes of `image` before it tells classes apart: the input of its last fully connected layer.
    /// Images with alike contents have alike embeddings.
    ///
    /// # Errors
    /// [`Error::Usage`] where the network has no such layer; otherwise as [`classify`](Self::classify).
    pub fn embed(&self, image: &RgbImage) -> Result<Vec<f32>> {
        self.run_part(&Part::Features, &[self.prepared(image)?])
    }

    /// The output of the layer called `layer` for `image`, channel by channel and row by row. Layers are called as their
    /// parameters are, without the last part: `layer4.1.conv2`. Where several operators bear one name, it is the last.
    ///
    /// # Errors
    /// [`Error::Usage`] where the network has no such layer; otherwise as [`classify`](Self::classify).
    pub fn embed_layer(&self, image: &RgbImage, layer: &str) -> Result<Vec<f32>> {
        self.run_part(&Part::Layer(layer.to_owned()), &[self.prepared(image)?])
    }

    /// What [`embed`](Self::embed), or with a layer [`embed_layer`](Self::embed_layer), gives for prepared images, one
    /// after the other.
    ///
    /// # Errors
    /// As there.
    pub fn embed_planes<P: Borrow<Planes>>(&self, inputs: &[P], layer: Option<&str>) -> Result<Vec<f32>> {
        let part = layer.map_or(Part::Features, |layer| Part::Layer(layer.to_owned()));
        self.run_part(&part, &Prepared::all(inputs))
    }

    /// The outputs of the network for prepared images, [`outputs`](Self::outputs) each, one after the other: logits,
    /// unless the [`head`](Self::head) says otherwise. Neighbours of one size run as one batch.
    ///
    /// # Errors
    /// As [`classify`](Self::classify).
    pub fn run<P: Borrow<Planes>>(&self, inputs: &[P]) -> Result<Vec<f32>> {
        self.run_prepared(&Prepared::all(inputs))
    }

    /// Begins what [`run`](Self::run) does, and does not wait for it: the tickets' results, one after the other, are
    /// the outputs. Meanwhile the next images can be decoded.
    ///
    /// # Errors
    /// As [`classify`](Self::classify).
    pub fn submit<P: Borrow<Planes>>(&self, inputs: &[P]) -> Result<Vec<Ticket>> {
        self.submit_prepared(&Prepared::all(inputs))
    }

    /// How long each step of the network takes for `inputs`, of which those of the first one's size run as one batch.
    ///
    /// # Errors
    /// As [`classify`](Self::classify); [`Error::Usage`] without inputs.
    pub fn profile<P: Borrow<Planes>>(&self, inputs: &[P]) -> Result<Vec<StepTime>> {
        self.profile_prepared(&Prepared::all(inputs))
    }

    /// How often the network was compiled: once for each size of input, and again for one whose session was let go.
    pub fn compilations(&self) -> usize {
        self.0.sessions.compilations()
    }
}

/// The same for images that are prepared as the device takes them.
impl Classifier {
    /// Whether images had better be prepared as levels.
    pub(crate) fn takes_levels(&self) -> bool {
        self.0.levels.is_some()
    }

    pub(crate) fn run_prepared<'p>(&self, inputs: &[impl Borrow<Prepared<'p>>]) -> Result<Vec<f32>> {
        self.run_part(&Part::Whole, inputs)
    }

    pub(crate) fn submit_prepared<'p>(&self, inputs: &[impl Borrow<Prepared<'p>>]) -> Result<Vec<Ticket>> {
        self.batches(inputs).map(|batch| self.session(&Part::Whole, batch)?.submit_batch(joined(batch))).collect()
    }

    pub(crate) fn profile_prepared<'p>(&self, inputs: &[impl Borrow<Prepared<'p>>]) -> Result<Vec<StepTime>> {
        let batch = self.batches(inputs).next().ok_or_else(|| Error::Usage("a profile needs an image".into()))?;
        self.session(&Part::Whole, batch)?.profile_batch(joined(batch))
    }

    /// As [`run_prepared`](Self::run_prepared), on the calling thread alone, where that is the `cpu` device's.
    pub(crate) fn run_alone<'p>(&self, inputs: &[impl Borrow<Prepared<'p>>]) -> Result<Vec<f32>> {
        let run = |batch| self.session(&Part::Whole, batch)?.run_alone(joined(batch));
        Ok(self.batches(inputs).map(run).collect::<Result<Vec<_>>>()?.concat())
    }

    fn prepared(&self, image: &RgbImage) -> Result<Prepared<'static>> {
        Prepared::of(image, self.preprocess(), self.takes_levels())
    }

    fn rank(&self, input: Prepared, k: usize) -> Result<Vec<Prediction>> {
        self.top_k(&self.run_prepared(&[input])?, k)
    }

    fn run_part<'p, P: Borrow<Prepared<'p>>>(&self, part: &Part, inputs: &[P]) -> Result<Vec<f32>> {
        let mut batches = self.batches(inputs).peekable();
        let Some(first) = batches.next() else { return Ok(Vec::new()) };
        if batches.peek().is_none() {
            return self.session(part, first)?.run_batch(joined(first));
        }
        let tickets: Vec<Ticket> = std::iter::once(first)
            .chain(batches)
            .map(|batch| self.session(part, batch)?.submit_batch(joined(batch)))
            .collect::<Result<_>>()?;
        let outputs: Vec<Vec<f32>> = tickets.into_iter().map(Ticket::wait).collect::<Result<_>>()?;
        Ok(outputs.concat())
    }

    /// `inputs` in batches of one size.
    fn batches<'i, 'p: 'i, P: Borrow<Prepared<'p>>>(&self, inputs: &'i [P]) -> impl Iterator<Item = &'i [P]> {
        batches(inputs, self.0.options.max_batch)
    }

    /// The session for a batch, which is not empty.
    fn session<'p, P: Borrow<Prepared<'p>>>(&self, part: &Part, batch: &[P]) -> Result<Session> {
        self.0.session(part, batch[0].borrow().shape())
    }
}

/// What its [`package`](Self::package) says.
impl Classifier {
    /// See [`Package::name`].
    pub fn name(&self) -> &str {
        self.0.package.name()
    }

    /// See [`Package::model`].
    pub fn model(&self) -> &Model {
        self.0.package.model()
    }

    /// See [`Package::notes`].
    pub fn notes(&self) -> &[String] {
        self.0.package.notes()
    }

    /// See [`Package::guess`].
    pub fn guess(&self) -> Option<&str> {
        self.0.package.guess()
    }

    /// See [`Package::preprocess`].
    pub fn preprocess(&self) -> &Preprocess {
        self.0.package.preprocess()
    }

    /// See [`Package::labels`].
    pub fn labels(&self) -> Option<&Labels> {
        self.0.package.labels()
    }

    /// See [`Package::unmatched_renames`].
    pub fn unmatched_renames(&self) -> &[Rename] {
        self.0.package.unmatched_renames()
    }

    /// See [`Package::top_k`].
    ///
    /// # Errors
    /// As there.
    pub fn top_k(&self, outputs: &[f32], k: usize) -> Result<Vec<Prediction>> {
        self.0.package.top_k(outputs, k)
    }

    /// See [`Package::classes`].
    pub fn classes(&self) -> usize {
        self.0.package.classes()
    }

    /// See [`Package::outputs`].
    pub fn outputs(&self) -> usize {
        self.0.package.outputs()
    }

    /// See [`Package::head`].
    pub fn head(&self) -> Head {
        self.0.package.head()
    }

    /// See [`Package::activation`].
    pub fn activation(&self) -> OutputActivation {
        self.0.package.activation()
    }
}

impl Ready {
    /// The session of a part of the network for inputs of `shape`.
    fn session(&self, part: &Part, shape: Shape) -> Result<Session> {
        self.sessions.get(part, shape, || {
            let model = self.package.model_for(shape)?;
            let model = match part {
                Part::Whole => model,
                Part::Features => Cow::Owned(model.up_to_features()?),
                Part::Layer(layer) => Cow::Owned(model.up_to_layer(layer)?),
            };
            // Images that are prepared otherwise may have other channels, and come as numbers.
            let levels = self.levels.clone().filter(|levels| levels.channels() == shape.channels);
            Session::new(&self.device, &model, shape, &SessionOptions { levels, ..self.options.clone() })
        })
    }
}
