//! From image files to labelled classes: preprocessing, a session, and labels behind one door.

use super::description::{self, Said};
use super::imported::Imported;
use super::{Labels, Limits, Overrides, Planes, Prediction, Preprocess, Preset, prepare_file, top_k_by};
use crate::catalog;
use crate::checkpoint::{self, Rename, Renaming, StateDict};
use crate::device::cpu::CpuOptions;
use crate::device::{Device, DeviceChoice, Precision, Session, SessionOptions, StepTime, Ticket};
use crate::error::{Error, Result};
use crate::graph::{Head, OutputActivation, Shape};
use crate::import;
use crate::load::Strictness;
use crate::model::Model;
use crate::printable;
use crate::zoo::Network;
use image::RgbImage;
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
    guess: Option<String>,
    head: Head,
    outputs: usize,
    labels: Option<Labels>,
    notes: Vec<String>,
    limits: Limits,
    model_limits: checkpoint::Limits,
    max_batch: usize,
    session: Option<Session>,
    unmatched: Vec<Rename>,
    imported: Option<Imported>,
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

    /// What was chosen or guessed on the way here, a sentence each: [`StateDict::notes`], the network's, and what was
    /// made of outputs and labels. How images are prepared is told apart, by [`guess`](Self::guess).
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// A sentence on how images are prepared, where neither the checkpoint nor the network nor the caller said it, so
    /// that it was guessed. [`ClassifierBuilder::preset`] or a mean and a deviation among
    /// [`overrides`](ClassifierBuilder::overrides) set it.
    pub fn guess(&self) -> Option<&str> {
        self.guess.as_deref()
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
        let input = prepare_file(path, &self.limits, &self.preprocess)?;
        self.rank(input, k)
    }

    /// The `k` most probable classes of `image`.
    ///
    /// # Errors
    /// [`Error::Usage`] where the network cannot take an image of this size; [`Error::Device`] where the device fails.
    pub fn classify(&mut self, image: &RgbImage, k: usize) -> Result<Vec<Prediction>> {
        let input = self.preprocess.apply(image)?;
        self.rank(input, k)
    }

    fn rank(&mut self, input: Planes, k: usize) -> Result<Vec<Prediction>> {
        let outputs = self.run(&[input])?;
        self.top_k(&outputs, k)
    }

    /// The `k` most probable classes of an image for which [`run`](Self::run) gave `outputs`.
    ///
    /// # Errors
    /// [`Error::Device`] where an output is NaN or infinite.
    pub fn top_k(&self, outputs: &[f32], k: usize) -> Result<Vec<Prediction>> {
        top_k_by(self.head, outputs, k, self.labels.as_ref())
    }

    /// The outputs of the network for prepared images, [`outputs`](Self::outputs) each, one after the other: logits,
    /// unless the [`head`](Self::head) says otherwise. Neighbours of one size run as one batch.
    ///
    /// # Errors
    /// As [`classify`](Self::classify).
    pub fn run<P: Borrow<Planes>>(&mut self, inputs: &[P]) -> Result<Vec<f32>> {
        let mut outputs = Vec::new();
        for ticket in self.submit(inputs)? {
            outputs.extend(ticket.wait()?);
        }
        Ok(outputs)
    }

    /// Begins what [`run`](Self::run) does, and does not wait for it: the tickets' results, one after the other, are
    /// the outputs. Meanwhile the next images can be decoded.
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

    /// How many classes there are: as many as [`outputs`](Self::outputs), but two where one output tells two apart.
    pub fn classes(&self) -> usize {
        self.head.classes(self.outputs)
    }

    /// How many numbers the network gives for an image.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// What these numbers are.
    pub fn head(&self) -> Head {
        self.head
    }

    /// The function that makes probabilities of them, within the network or here.
    pub fn activation(&self) -> OutputActivation {
        self.head.activation(self.outputs)
    }

    /// The session for inputs of `shape`: the last one, or a new one in its place.
    fn session(&mut self, shape: Shape) -> Result<&mut Session> {
        let session = match self.session.take() {
            Some(session) if session.input() == shape => session,
            _ => {
                if let Some(imported) = &self.imported {
                    imported.fit(&mut self.model, shape)?;
                    self.same_outputs(shape)?;
                }
                let options = SessionOptions::default().max_batch(self.max_batch).precision(self.precision);
                let options = options.limits(self.model_limits.clone());
                Session::new(&self.device, &self.model, shape, &options)?
            }
        };
        Ok(self.session.insert(session))
    }

    /// That a graph which was imported again gives what labels and results count on.
    fn same_outputs(&self, shape: Shape) -> Result<()> {
        let (found, expected) = (description::outputs(self.model.network()), self.outputs);
        if found == expected {
            return Ok(());
        }
        let name = &self.name;
        Err(Error::Usage(format!("{name} has {found} outputs for images of {shape}, and {expected} for those before")))
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
    limits: checkpoint::Limits,
    state: Option<StateDict>,
    renames: Vec<Rename>,
    strictness: Strictness,
    choice: DeviceChoice,
    cpu: CpuOptions,
    device: Option<Device>,
    precision: Precision,
    preset: Option<Preset>,
    overrides: Overrides,
    activation: Option<OutputActivation>,
    output: Option<String>,
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
            limits: checkpoint::Limits::default(),
            state: None,
            renames: Vec::new(),
            strictness: Strictness::default(),
            choice: DeviceChoice::Auto,
            cpu: CpuOptions::default(),
            device: None,
            precision: Precision::F32,
            preset: None,
            overrides: Overrides::default(),
            activation: None,
            output: None,
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

    /// What [`weights`](Self::weights) may ask of memory while they are read, and their network of memory and work while it
    /// is compiled and run.
    pub fn limits(mut self, limits: checkpoint::Limits) -> Self {
        self.limits = limits;
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

    /// How images are prepared; by default as the checkpoint or the network says, or else by a
    /// [guess](Classifier::guess). Grey or colour and the side are the network's where it leaves no choice.
    pub fn preset(mut self, preset: Preset) -> Self {
        self.preset = Some(preset);
        self
    }

    /// Parts of the preprocessing that are wanted otherwise.
    pub fn overrides(mut self, overrides: Overrides) -> Self {
        self.overrides = overrides;
        self
    }

    /// The function that makes probabilities of the network's outputs, for weights that cannot say it: a state dict has
    /// no sigmoid at its end. By default as the network or the checkpoint says, or else softmax, or a sigmoid for one
    /// output.
    pub fn activation(mut self, activation: OutputActivation) -> Self {
        self.activation = Some(activation);
        self
    }

    /// The output of a graph that gives the classes, by its name in the file: see
    /// [`import::outputs`](crate::import::outputs). By default the only one.
    pub fn output(mut self, name: impl Into<String>) -> Self {
        self.output = Some(name.into());
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
    /// are not as many as the classes, an activation that contradicts the network's and sizes that do not fit; [`Error::Checkpoint`], [`Error::Limit`] and [`Error::Io`] for the file;
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
        let own_weights = self.state.is_none() && self.weights.is_none();
        let state = match (self.state, self.weights, known) {
            (Some(state), ..) => state,
            (None, Some(path), _) => StateDict::open_with(path, &self.limits)?,
            (None, None, Some(known)) => pretrained_weights(known)?,
            (None, None, None) => return Err(Error::Usage("name a model or give its weights".into())),
        };
        let Renaming { state, unmatched } = state.rename(&self.renames)?;
        let from_graph = self.network.is_none() && known.is_none() && import::has_graph(&state);
        if let (false, Some(output)) = (from_graph, &self.output) {
            let output = printable::cut(output, 60);
            return Err(Error::Usage(format!(
                "the output `{output}` is asked for, and there is no graph to choose it in"
            )));
        }
        let imported = from_graph.then(|| Imported::new(&state, self.output, self.strictness));
        let mut model = match (self.network, known, &imported) {
            (Some(network), ..) => Model::load(network, &state, self.strictness)?,
            (None, Some(known), _) => Model::load(known.network(&state)?, &state, self.strictness)?,
            (None, None, Some(imported)) => imported.model(self.preset, &self.overrides)?,
            (None, None, None) => Model::from_state_dict(&state, self.strictness)?,
        };
        // Classes are ranked by logits.
        model = model.into_logits();
        let network = model.network();
        let outputs = description::outputs(network);
        let mut said = Said::by(&state, network);
        let activation = self.activation.or(said.activation);
        let head = match self.activation {
            Some(activation) => network.head.with(activation, outputs),
            None => Ok(said.head),
        };
        let head = head.map_err(|error| Error::Usage(format!("{}: {error}", printable::path(state.origin()))))?;
        let known_preset = self.preset.or(said.preset).or_else(|| own_weights.then_some(Preset::Torchvision));
        let (preprocess, guess) = match known_preset {
            Some(preset) => (description::preprocess(preset, &state, network)?, None),
            None => description::guess(&state, network).map(|(preprocess, guess)| (preprocess, Some(guess)))?,
        };
        let guess = guess.filter(|_| self.overrides.mean.is_none() || self.overrides.std.is_none());
        let preprocess = self.overrides.apply(preprocess)?;
        let fixed = preprocess
            .fixed_size()
            .map(|(width, height)| Shape::new(preprocess.channels(), height as usize, width as usize));
        if let (Some(imported), Some(shape)) = (&imported, fixed) {
            imported.fit(&mut model, shape)?;
        }
        let network = model.network();
        let device = match (self.device, &self.choice) {
            (Some(device), _) => device,
            (None, choice) => {
                let device = if *choice == DeviceChoice::Fastest {
                    let remembered = self.cache.as_ref().map(|folder| folder.join("fastest.json"));
                    let shape = fixed.unwrap_or(network.input);
                    Device::fastest(&model, shape, self.max_batch, self.precision, self.cpu, remembered.as_deref())?
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
            guess,
            head,
            outputs,
            labels: None,
            notes: [state.notes(), &model.network().notes].concat(),
            limits: Limits::default(),
            model_limits: self.limits,
            max_batch: self.max_batch,
            session: None,
            unmatched,
            imported,
            device,
            precision: self.precision,
            model,
        };
        let unclear = match head {
            Head::Logits if outputs == 1 => Some("its one output is taken for the logit of class 1 against class 0"),
            Head::Softmax | Head::LogSoftmax | Head::Probabilities if outputs == 1 => {
                Some("it has one output, of which its softmax makes 1 whatever an image shows")
            }
            Head::Values => Some("its outputs are made of probabilities by further arithmetic, and given as they are"),
            _ => None,
        };
        if let (Some(unclear), None) = (unclear, activation) {
            classifier.notes.push(format!("{}: {unclear}; an activation would say otherwise", classifier.name));
        }
        classifier.labels = match self.labels {
            Some(labels) => Some(labels.for_outputs(head, outputs)?),
            None => said.labels(&state, head, outputs),
        };
        classifier.notes.extend(said.notes);
        classifier.notes.extend(classifier.labels.iter().flat_map(Labels::notes).cloned());
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
