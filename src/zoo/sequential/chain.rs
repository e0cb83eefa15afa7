//! Puts layers in a row, and works out what they tell of the image that goes in.

use super::image_size;
use super::meaning::{Layer, Meaning, Takes, meaning};
use crate::checkpoint::Module;
use crate::graph::{Builder, Graph, Shape, Value};
use crate::zoo::{Network, image_of};

/// What a value is in PyTorch, which in a graph is an image always.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// Nothing told it yet.
    Any,
    Image,
    Vector,
}

/// Layers in a row, and what they tell of their input.
#[derive(Debug)]
pub(in crate::zoo) struct Chain {
    g: Builder,
    x: Value,
    kind: Kind,
    /// Whether its input is an image and no vector.
    takes_image: bool,
    /// Channels of the image, by the first layer that says so.
    channels: Option<usize>,
    /// All up to where the image is flattened.
    before_flatten: Option<Graph>,
    /// Numbers of the first vector, by the first layer that says so.
    features: Option<usize>,
}

impl Default for Chain {
    fn default() -> Self {
        Self {
            g: Builder::new(),
            x: Value::INPUT,
            kind: Kind::Any,
            takes_image: false,
            channels: None,
            before_flatten: None,
            features: None,
        }
    }
}

impl Chain {
    /// Layers that go on from `x`, a vector that `g` has made.
    pub fn after(g: Builder, x: Value) -> Self {
        Self { g, x, kind: Kind::Vector, ..Self::default() }
    }

    /// What all layers were added to, and what the last one makes.
    pub fn parts(self) -> (Builder, Value) {
        (self.g, self.x)
    }

    /// Adds the layer that `module` is; an error says why there is none like it.
    pub fn add(&mut self, module: &Module) -> Result<(), String> {
        if !module.children.is_empty() {
            return Err("it has modules within it".into());
        }
        let Meaning { takes, layer } = meaning(module);
        let layer = layer(module, self.kind == Kind::Vector);
        let width = layer.as_ref().ok().and_then(Layer::width);
        match takes {
            Takes::Image => self.image(width)?,
            Takes::Vector => self.vector(width)?,
            Takes::Flattened => self.flatten(),
            Takes::Any => {}
        }
        self.x = layer?.build(&mut self.g, &module.path, self.x);
        Ok(())
    }

    /// The next layer takes images, perhaps of so many channels. After an error it is taken to have got one.
    fn image(&mut self, channels: Option<usize>) -> Result<(), String> {
        match std::mem::replace(&mut self.kind, Kind::Image) {
            Kind::Any => self.takes_image = true,
            Kind::Image => {}
            Kind::Vector => return Err("it takes an image, and what comes before makes a vector".into()),
        }
        self.channels = self.channels.or(channels);
        Ok(())
    }

    /// The next layer takes vectors, perhaps of so many numbers. PyTorch's `nn.Linear` takes an image too, but row by row.
    fn vector(&mut self, features: Option<usize>) -> Result<(), String> {
        match std::mem::replace(&mut self.kind, Kind::Vector) {
            Kind::Any => self.x = self.g.flatten(self.x),
            Kind::Image => {
                return Err("it takes a vector, and what comes before makes an image; is a Flatten missing?".into());
            }
            Kind::Vector => {}
        }
        self.features = self.features.or(features);
        Ok(())
    }

    fn flatten(&mut self) {
        if self.kind == Kind::Vector {
            return;
        }
        self.x = self.g.flatten(self.x);
        if self.kind == Kind::Image && self.before_flatten.is_none() {
            self.before_flatten = Some(self.g.clone().finish(self.x));
        }
        self.kind = Kind::Vector;
    }

    /// The network, for the input that its layers suggest.
    pub fn finish(self) -> Result<Network, String> {
        let Self { g, x, takes_image, channels, before_flatten, features, .. } = self;
        let graph = g.finish(x);
        let shapes = |input: Shape| graph.shapes(input).map_err(|error| error.to_string());
        let (input, shapes) = if takes_image {
            image_size::fitting(channels, before_flatten.as_ref().zip(features), shapes)?
        } else {
            let features = features.ok_or("none of its layers tells how large its input is")?;
            let input = image_of(features);
            (input, shapes(input)?)
        };
        let classes = shapes.last().map_or(0, Shape::elements);
        Ok(Network::new(format!("sequential_{input}-{classes}"), graph, input))
    }
}
