//! From image files to labelled classes: preprocessing, a session, and labels behind one door.

use super::{Labels, Limits, Overrides, Planes, Prediction, Preprocess, Preset, Resize, decode_file, top_k};
use crate::bind::Strictness;
use crate::catalog;
use crate::checkpoint::{Rename, Renaming, StateDict};
use crate::device::cpu::CpuOptions;
use crate::device::{Device, DeviceChoice, Precision, Session, StepTime, Ticket};
use crate::error::{Error, Result};
use crate::graph::Shape;
use crate::model::Model;
use crate::zoo::Network;
use image::RgbImage;
use indexmap::IndexMap;
use std::borrow::{Borrow, Cow};
use std::path::{Path, PathBuf};

/// A model that turns images into labelled classes.
///
/// ```no_run
/// use pretrained::Classifier;
///
/// let mut classifier = Classifier::builder().weights("shufflenetv2_x1-5666bf0f80.pth").build()?;
/// for prediction in classifier.classify_file("cat.jpg", 5)? {
///     println!("{:.3} {}", prediction.probability, prediction.label.unwrap_or_default());
/// }
/// # Ok::<(), pretrained::Error>(())
/// ```
#[derive(Debug)]
pub struct Classifier {
    name: String,
    model: Model,
    device: Device,
    precision: Precision,
    preprocess: Preprocess,
    labels: Option<Labels>,
    notes: Vec<String>,
    limits: Limits,
    max_batch: usize,
    session: Option<Session>,
    unmatched: Vec<Rename>,
}

impl Classifier {
    /// The shipped CIFAR-10 model on the best device, unless told otherwise.
    pub fn builder() -> ClassifierBuilder {
        ClassifierBuilder::default()
    }

    /// The model's name: the catalogue's, or what its network is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The network, its parameters, and the report of their loading.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// What was chosen or guessed on the way here, a sentence each: [`StateDict::notes`], and the network's.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The device that it runs on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// How images are prepared.
    pub fn preprocess(&self) -> &Preprocess {
        &self.preprocess
    }

    /// The classes' labels, if they are known.
    pub fn labels(&self) -> Option<&Labels> {
        self.labels.as_ref()
    }

    /// The rules of [`ClassifierBuilder::rename`] that matched no name of the checkpoint.
    pub fn unmatched_renames(&self) -> &[Rename] {
        &self.unmatched
    }

    /// The `k` most probable classes of the image file at `path`.
    ///
    /// # Errors
    /// [`Error::Image`] or [`Error::Limit`] where the file is no image that can be read; otherwise as
    /// [`classify`](Self::classify).
    pub fn classify_file(&mut self, path: impl AsRef<Path>, k: usize) -> Result<Vec<Prediction>> {
        let image = decode_file(path, &self.limits)?;
        self.classify(&image, k)
    }

    /// The `k` most probable classes of `image`.
    ///
    /// # Errors
    /// [`Error::Usage`] where the network cannot take an image of this size; [`Error::Device`] where the device fails.
    pub fn classify(&mut self, image: &RgbImage, k: usize) -> Result<Vec<Prediction>> {
        let input = self.preprocess.apply(image)?;
        let logits = self.run(&[input])?;
        top_k(&logits, k, self.labels.as_ref())
    }

    /// The logits of prepared images, one after the other. Neighbours of one size run as one batch.
    ///
    /// # Errors
    /// As [`classify`](Self::classify).
    pub fn run<P: Borrow<Planes>>(&mut self, inputs: &[P]) -> Result<Vec<f32>> {
        let mut logits = Vec::new();
        for ticket in self.submit(inputs)? {
            logits.extend(ticket.wait()?);
        }
        Ok(logits)
    }

    /// Begins what [`run`](Self::run) does, and does not wait for it: the tickets' results, one after the other, are
    /// the logits. Meanwhile the next images can be decoded.
    ///
    /// # Errors
    /// As [`classify`](Self::classify).
    pub fn submit<P: Borrow<Planes>>(&mut self, inputs: &[P]) -> Result<Vec<Ticket>> {
        let mut tickets = Vec::new();
        for alike in inputs.chunk_by(|a, b| shape(a) == shape(b)) {
            for batch in alike.chunks(self.max_batch) {
                tickets.push(self.session(shape(&batch[0]))?.submit(&values(batch))?);
            }
        }
        Ok(tickets)
    }

    /// How long each step of the network takes for `inputs`, of which those of the first one's size run as one batch.
    ///
    /// # Errors
    /// As [`classify`](Self::classify); [`Error::Usage`] without inputs.
    pub fn profile<P: Borrow<Planes>>(&mut self, inputs: &[P]) -> Result<Vec<StepTime>> {
        let alike = inputs.chunk_by(|a, b| shape(a) == shape(b)).next().unwrap_or_default();
        let batch = alike.chunks(self.max_batch).next().unwrap_or_default();
        let first = batch.first().ok_or_else(|| Error::Usage("a profile needs an image".into()))?;
        self.session(shape(first))?.profile(&values(batch))
    }

    /// How many classes there are.
    pub fn classes(&self) -> usize {
        let graph = &self.model.network().graph;
        graph.shapes(self.model.network().input).map_or(0, |shapes| shapes[graph.output().0].elements())
    }

    /// The session for inputs of `shape`: the last one, or a new one in its place.
    fn session(&mut self, shape: Shape) -> Result<&mut Session> {
        let session = match self.session.take() {
            Some(session) if session.input() == shape => session,
            _ => Session::with_precision(&self.device, &self.model, shape, self.max_batch, self.precision)?,
        };
        Ok(self.session.insert(session))
    }
}

fn shape(input: &impl Borrow<Planes>) -> Shape {
    let Planes { channels, height, width, .. } = *input.borrow();
    Shape::new(channels, height, width)
}

/// Images of one shape as a session takes them.
fn values<P: Borrow<Planes>>(batch: &[P]) -> Cow<'_, [f32]> {
    match batch {
        [one] => Cow::Borrowed(&one.borrow().values),
        several => several.iter().flat_map(|input| &input.borrow().values).copied().collect(),
    }
}

/// What a [`Classifier`] is made of. Made by [`Classifier::builder`].
#[derive(Debug, Clone)]
pub struct ClassifierBuilder {
    model: Option<String>,
    network: Option<Network>,
    weights: Option<PathBuf>,
    state: Option<StateDict>,
    renames: Vec<Rename>,
    strictness: Strictness,
    choice: DeviceChoice,
    cpu: CpuOptions,
    device: Option<Device>,
    precision: Precision,
    preset: Option<Preset>,
    overrides: Overrides,
    labels: Option<Labels>,
    max_batch: usize,
    cache: Option<PathBuf>,
}

impl Default for ClassifierBuilder {
    fn default() -> Self {
        Self {
            model: None,
            network: None,
            weights: None,
            state: None,
            renames: Vec::new(),
            strictness: Strictness::default(),
            choice: DeviceChoice::Auto,
            cpu: CpuOptions::default(),
            device: None,
            precision: Precision::F32,
            preset: None,
            overrides: Overrides::default(),
            labels: None,
            max_batch: 8,
            cache: cache(),
        }
    }
}

impl ClassifierBuilder {
    /// A model of the [catalogue](crate::catalog), whose network and, unless they are given, weights are taken.
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

    /// A checkpoint that is open, in the place of [`weights`](Self::weights).
    pub fn state_dict(mut self, state: StateDict) -> Self {
        self.state = Some(state);
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

    /// Which device to open; [`DeviceChoice::Auto`] by default. [`DeviceChoice::Fastest`] measures batches of
    /// [`max_batch`](Self::max_batch).
    pub fn device_choice(mut self, choice: DeviceChoice) -> Self {
        self.choice = choice;
        self
    }

    /// How the `cpu` device runs, should it be the one that is opened.
    pub fn cpu_options(mut self, options: CpuOptions) -> Self {
        self.cpu = options;
        self
    }

    /// A device that is open, in the place of [`device_choice`](Self::device_choice).
    pub fn device(mut self, device: Device) -> Self {
        self.device = Some(device);
        self
    }

    /// How wide numbers are in the device's memory; `f32` by default.
    pub fn precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// How images are prepared; by default as the checkpoint or the network says.
    pub fn preset(mut self, preset: Preset) -> Self {
        self.preset = Some(preset);
        self
    }

    /// Parts of the preprocessing that are wanted otherwise.
    pub fn overrides(mut self, overrides: Overrides) -> Self {
        self.overrides = overrides;
        self
    }

    /// The classes' labels; by default as the checkpoint says, or ImageNet's for a thousand classes.
    pub fn labels(mut self, labels: Labels) -> Self {
        self.labels = Some(labels);
        self
    }

    /// Images that run at once, at most; 8 by default.
    pub fn max_batch(mut self, images: usize) -> Self {
        self.max_batch = images;
        self
    }

    /// Where it is kept for the next time which device was fastest (`fastest.json`), and what the device that is opened
    /// has compiled (see [`Device::keep_kernels`]). By default it is the folder of [`Hub`](crate::hub::Hub), or nowhere
    /// without the feature `hub`.
    pub fn cache(mut self, folder: Option<PathBuf>) -> Self {
        self.cache = folder;
        self
    }

    /// Loads the weights, compiles the network and makes the device ready.
    ///
    /// # Errors
    /// Whatever the parts report: [`Error::Usage`] for unknown names, renaming that makes two parameters one, labels that
    /// are not as many as the classes and sizes that do not fit; [`Error::Checkpoint`], [`Error::Limit`] and [`Error::Io`] for the file;
    /// [`Error::Mismatch`] for its parameters; [`Error::Device`].
    pub fn build(self) -> Result<Classifier> {
        if self.max_batch == 0 {
            return Err(Error::Usage("a batch holds at least one image".into()));
        }
        let known = match (&self.model, &self.weights, &self.state) {
            (Some(name), ..) => Some(catalog::find(name)?),
            (None, None, None) => Some(catalog::find(catalog::DEFAULT)?),
            _ => None,
        };
        let state = match (self.state, self.weights, known) {
            (Some(state), ..) => state,
            (None, Some(path), _) => StateDict::open(path)?,
            (None, None, Some(known)) => pretrained_weights(known)?,
            (None, None, None) => return Err(Error::Usage("name a model or give its weights".into())),
        };
        let Renaming { state, unmatched } = state.rename(&self.renames)?;
        let model = match (self.network, known) {
            (Some(network), _) => Model::load(network, &state, self.strictness)?,
            (None, Some(known)) => Model::load(known.network(&state)?, &state, self.strictness)?,
            (None, None) => Model::from_state_dict(&state, self.strictness)?,
        };
        // Probabilities are made of logits here.
        let model = model.into_logits();
        let network = model.network();
        let preprocess = match self.preset {
            Some(preset) => preset.preprocess(),
            None => default_preprocess(&state, network)?,
        };
        let preprocess = self.overrides.apply(preprocess)?;
        let fixed = preprocess
            .fixed_size()
            .map(|(width, height)| Shape::new(preprocess.channels(), height as usize, width as usize));
        let device = match (self.device, &self.choice) {
            (Some(device), _) => device,
            (None, choice) => {
                let device = if *choice == DeviceChoice::Fastest {
                    let remembered = self.cache.as_ref().map(|folder| folder.join("fastest.json"));
                    let shape = fixed.unwrap_or(network.input);
                    Device::fastest(&model, shape, self.max_batch, self.cpu, remembered.as_deref())?
                } else {
                    Device::open_with(choice, self.cpu)?
                };
                self.cache.iter().for_each(|folder| device.keep_kernels(folder));
                device
            }
        };
        let mut classifier = Classifier {
            name: known.map_or_else(|| network.name.clone(), |known| known.name.to_owned()),
            preprocess,
            labels: None,
            notes: [state.notes(), &model.network().notes].concat(),
            limits: Limits::default(),
            max_batch: self.max_batch,
            session: None,
            unmatched,
            device,
            precision: self.precision,
            model,
        };
        classifier.labels = labels(self.labels, &state, classifier.classes())?;
        if let Some(shape) = fixed {
            classifier.session(shape)?;
        }
        Ok(classifier)
    }
}

/// The weights of a model in the catalogue: shipped, or from the cache, or downloaded.
fn pretrained_weights(known: &catalog::CatalogModel) -> Result<StateDict> {
    match known.shipped_weights() {
        Some(shipped) => shipped,
        #[cfg(feature = "hub")]
        None => {
            let fetched = crate::hub::Hub::from_env()?.fetch(&crate::hub::find(known.name)?, &mut |_| {})?;
            StateDict::open(fetched.path)
        }
        #[cfg(not(feature = "hub"))]
        None => Err(Error::Usage(format!("{} is not shipped, and this build lacks the feature `hub`", known.name))),
    }
}

/// The folder that everything is kept in, if there is one.
fn cache() -> Option<PathBuf> {
    #[cfg(feature = "hub")]
    let folder = crate::hub::Hub::from_env().ok().map(|hub| hub.cache);
    #[cfg(not(feature = "hub"))]
    let folder = None;
    folder
}

/// What a checkpoint asks for under `preset` in its metadata, or else what the network was published with, or else what
/// its usual input suggests.
fn default_preprocess(state: &StateDict, network: &Network) -> Result<Preprocess> {
    if let Some(preset) = preset(state, network)? {
        return Ok(preset.preprocess());
    }
    let input = network.input;
    let side = |pixels: usize| u32::try_from(pixels).unwrap_or(u32::MAX);
    let resize = Resize::Exact { width: side(input.width), height: side(input.height) };
    Ok(match input.channels {
        1 => Preprocess { resize, ..Preset::Mnist.preprocess() },
        3 => Preprocess { resize, mean: vec![0.0; 3], std: vec![1.0; 3], ..Preset::Cifar10.preprocess() },
        _ => return Err(Error::Usage(format!("{}: its input of {input} is no image", state.origin().display()))),
    })
}

/// The preset that a checkpoint asks for under `preset` in its metadata, or else that the network was published with, or
/// else ImageNet's usual one for images of its size.
fn preset(state: &StateDict, network: &Network) -> Result<Option<Preset>> {
    match state.metadata().get("preset").map(String::as_str).or(network.preset) {
        Some(name) => Preset::from_name(name).map(Some),
        None => Ok((network.input == Shape::new(3, 224, 224)).then_some(Preset::Torchvision)),
    }
}

/// What is known of the images and the classes of a checkpoint of `network`, in the words of a checkpoint's metadata:
/// `preset`, the name of a [`Preset`], and `labels`, a JSON array. What is not known is left out.
///
/// # Errors
/// [`Error::Usage`] for metadata with an unknown preset, or with other labels than the network has classes.
pub fn description(state: &StateDict, network: &Network) -> Result<IndexMap<String, String>> {
    let mut known = IndexMap::new();
    if let Some(preset) = preset(state, network)? {
        known.insert("preset".to_owned(), preset.name().to_owned());
    }
    let shapes = network.graph.shapes(network.input)?;
    let classes = shapes.get(network.graph.output().0).map_or(0, Shape::elements);
    if let Some(labels) = labels(None, state, classes)? {
        known.insert("labels".to_owned(), serde_json::json!(labels.names()).to_string());
    }
    Ok(known)
}

/// The caller's labels; else those that the checkpoint asks for under `labels` in its metadata, a built-in list's name
/// or a JSON array; else ImageNet's, where there are as many classes.
fn labels(given: Option<Labels>, state: &StateDict, classes: usize) -> Result<Option<Labels>> {
    let labels = match (given, state.metadata().get("labels")) {
        (Some(labels), _) => labels,
        (None, Some(name)) => match Labels::built_in(name) {
            Some(labels) => labels,
            None => Labels::parse(state.origin(), name.as_bytes())?,
        },
        (None, None) if classes == Labels::imagenet().len() => Labels::imagenet(),
        (None, None) => return Ok(None),
    };
    if labels.len() != classes {
        return Err(Error::Usage(format!("there are {} labels, and the network has {classes} classes", labels.len())));
    }
    Ok(Some(labels))
}
