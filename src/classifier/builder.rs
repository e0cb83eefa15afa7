//! What a classifier is made of: a package, and where and how it runs.

use super::sessions::Sessions;
use super::{Classifier, Part, Ready};
use crate::checkpoint::{Limits, Rename, StateDict};
use crate::device::cpu::CpuOptions;
use crate::device::{Device, DeviceChoice, Precision, SessionOptions};
use crate::error::{Error, Result};
use crate::graph::OutputActivation;
use crate::load::Strictness;
use crate::package::{Package, PackageBuilder};
use crate::vision::{self, Labels, Overrides, Preset};
use crate::zoo::Network;
use bytes::Bytes;
use std::path::PathBuf;
use std::sync::Arc;

/// Bytes that the sessions of a classifier may have.
const SESSION_BYTES: u64 = 512 << 20;

/// What a [`Classifier`] is made of. Made by [`Classifier::builder`].
#[derive(Debug, Clone)]
pub struct ClassifierBuilder {
    parts: PackageBuilder,
    package: Option<Arc<Package>>,
    choice: DeviceChoice,
    cpu: CpuOptions,
    device: Option<Device>,
    options: SessionOptions,
    session_bytes: u64,
    image_limits: vision::Limits,
    cache: Option<PathBuf>,
}

impl Default for ClassifierBuilder {
    fn default() -> Self {
        Self {
            parts: Package::builder(),
            package: None,
            choice: DeviceChoice::Auto,
            cpu: CpuOptions::default(),
            device: None,
            options: SessionOptions::default().max_batch(8),
            session_bytes: SESSION_BYTES,
            image_limits: vision::Limits::default(),
            cache: cache(),
        }
    }
}

impl ClassifierBuilder {
    /// A package that is made already, in the place of a model, weights, and how they are read.
    pub fn package(mut self, package: impl Into<Arc<Package>>) -> Self {
        self.package = Some(package.into());
        self
    }

    /// Which device to open; [`DeviceChoice::Auto`] by default. [`DeviceChoice::Fastest`] measures batches of
    /// [`SessionOptions::max_batch`].
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

    /// How sessions are made; by default for batches of up to 8 images. How levels are normalised
    /// ([`SessionOptions::levels`]) is the package's affair.
    pub fn options(mut self, options: SessionOptions) -> Self {
        self.options = options;
        self
    }

    /// Sets [`SessionOptions::max_batch`].
    pub fn max_batch(mut self, images: usize) -> Self {
        self.options = self.options.max_batch(images);
        self
    }

    /// Sets [`SessionOptions::precision`].
    pub fn precision(mut self, precision: Precision) -> Self {
        self.options = self.options.precision(precision);
        self
    }

    /// How many bytes the sessions may have that are kept for inputs of several sizes, weights and values between steps
    /// together; 512 MiB by default. The one that was used last is always kept, and never more than 16 are.
    pub fn session_bytes(mut self, bytes: u64) -> Self {
        self.session_bytes = bytes;
        self
    }

    /// What images may ask of memory.
    pub fn image_limits(mut self, limits: vision::Limits) -> Self {
        self.image_limits = limits;
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
    /// As [`PackageBuilder::build`] and [`Session::new`](crate::Session::new); [`Error::Device`] where no device fits.
    pub fn build(self) -> Result<Classifier> {
        if self.options.max_batch == 0 {
            return Err(Error::Usage("a batch holds at least one image".into()));
        }
        let package = match self.package {
            Some(package) => package,
            None => Arc::new(self.parts.build()?),
        };
        let (options, model) = (self.options, package.model());
        let device = match self.device {
            Some(device) => device,
            None => {
                let device = match &self.choice {
                    DeviceChoice::Fastest => {
                        let remembered = self.cache.as_ref().map(|folder| folder.join("fastest.json"));
                        let shape = package.input().unwrap_or(model.network().input);
                        let (batch, precision) = (options.max_batch, options.precision);
                        Device::fastest(model, shape, batch, precision, self.cpu, remembered.as_deref())?
                    }
                    choice => Device::open_with(choice, self.cpu)?,
                };
                self.cache.iter().for_each(|folder| device.keep_kernels(folder));
                device
            }
        };
        let sessions = Sessions::new(model.weights().count(), self.session_bytes);
        // Where no normalisation can be told, preparing images says why.
        let levels = device.takes_levels().then(|| package.preprocess().normalisation().ok()).flatten();
        let ready = Ready { package, device, options, levels, limits: self.image_limits, sessions };
        if let Some(shape) = ready.package.input() {
            ready.session(&Part::Whole, shape)?;
        }
        Ok(Classifier(Arc::new(ready)))
    }
}

/// What its package is made of.
impl ClassifierBuilder {
    /// See [`PackageBuilder::model`].
    pub fn model(self, name: impl Into<String>) -> Self {
        self.parts(|parts| parts.model(name))
    }

    /// See [`PackageBuilder::network`].
    pub fn network(self, network: Network) -> Self {
        self.parts(|parts| parts.network(network))
    }

    /// See [`PackageBuilder::weights`].
    pub fn weights(self, path: impl Into<PathBuf>) -> Self {
        self.parts(|parts| parts.weights(path))
    }

    /// See [`PackageBuilder::bytes`].
    pub fn bytes(self, name: impl Into<PathBuf>, bytes: impl Into<Bytes>) -> Self {
        self.parts(|parts| parts.bytes(name, bytes))
    }

    /// See [`PackageBuilder::state_dict`].
    pub fn state_dict(self, state: StateDict) -> Self {
        self.parts(|parts| parts.state_dict(state))
    }

    /// What weights may ask of memory while they are read, and their network of memory and work while it is compiled and
    /// run: [`PackageBuilder::limits`] and [`SessionOptions::limits`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.options = self.options.limits(limits.clone());
        self.parts(|parts| parts.limits(limits))
    }

    /// See [`PackageBuilder::rename`].
    pub fn rename(self, rule: Rename) -> Self {
        self.parts(|parts| parts.rename(rule))
    }

    /// See [`PackageBuilder::strictness`].
    pub fn strictness(self, strictness: Strictness) -> Self {
        self.parts(|parts| parts.strictness(strictness))
    }

    /// See [`PackageBuilder::preset`].
    pub fn preset(self, preset: Preset) -> Self {
        self.parts(|parts| parts.preset(preset))
    }

    /// See [`PackageBuilder::overrides`].
    pub fn overrides(self, overrides: Overrides) -> Self {
        self.parts(|parts| parts.overrides(overrides))
    }

    /// See [`PackageBuilder::activation`].
    pub fn activation(self, activation: OutputActivation) -> Self {
        self.parts(|parts| parts.activation(activation))
    }

    /// See [`PackageBuilder::output`].
    pub fn output(self, name: impl Into<String>) -> Self {
        self.parts(|parts| parts.output(name))
    }

    /// See [`PackageBuilder::labels`].
    pub fn labels(self, labels: Labels) -> Self {
        self.parts(|parts| parts.labels(labels))
    }

    fn parts(mut self, change: impl FnOnce(PackageBuilder) -> PackageBuilder) -> Self {
        self.parts = change(self.parts);
        self
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
