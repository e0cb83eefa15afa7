//! Puts layers in a row, and works out what they tell of the image that goes in.

use super::super::Network;
use super::super::mlp::image_of;
use super::super::settings;
use crate::checkpoint::Module;
use crate::graph::{Builder, Graph, Shape, Value};
use std::cmp::Reverse;
use std::ops::RangeInclusive;

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
        let (path, class) = (&module.path, module.torch_class().unwrap_or_default());
        match class {
            "Conv2d" => {
                let conv = settings::conv2d(module);
                self.image(conv.as_ref().ok().map(|conv| conv.in_channels))?;
                self.x = self.g.conv2d(path, self.x, conv?);
                return Ok(());
            }
            "Linear" => {
                let linear = settings::linear(module);
                self.vector(linear.as_ref().ok().map(|linear| linear.in_features))?;
                self.x = self.g.linear(path, self.x, linear?);
                return Ok(());
            }
            "BatchNorm2d" | "BatchNorm1d" => {
                let norm = settings::batch_norm(module);
                let channels = norm.as_ref().ok().map(|norm| norm.channels);
                if class == "BatchNorm2d" {
                    self.image(channels)?
                } else {
                    self.vector(channels)?
                }
                self.x = self.g.batch_norm2d(path, self.x, norm?);
                return Ok(());
            }
            "MaxPool2d" => {
                self.image(None)?;
                self.x = self.g.max_pool2d(self.x, settings::max_pool2d(module)?);
            }
            "AvgPool2d" => {
                self.image(None)?;
                self.x = self.g.avg_pool2d(self.x, settings::avg_pool2d(module)?);
            }
            "AdaptiveAvgPool2d" => {
                self.image(None)?;
                settings::is_mean(module)?;
                self.x = self.g.mean(self.x);
            }
            "Flatten" => {
                self.flatten();
                settings::flattens(module)?;
            }
            "Softmax" => {
                settings::is_over_channels(module, self.kind == Kind::Vector)?;
                self.x = self.g.softmax(self.x);
            }
            class if settings::is_identity(class) => {}
            _ => {
                let activation = settings::activation(module).ok_or("no graph has such a layer")??;
                self.x = self.g.activation(self.x, activation);
            }
        }
        settings::no_parameters(module)
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
            image(channels, before_flatten.as_ref().zip(features), shapes)?
        } else {
            let features = features.ok_or("none of its layers tells how large its input is")?;
            let input = image_of(features);
            (input, shapes(input)?)
        };
        let classes = shapes.last().map_or(0, Shape::elements);
        Ok(Network::new(format!("sequential_{input}-{classes}"), graph, input))
    }
}

/// A larger image is no classifier's.
const MOST_SIDE: usize = 4096;

/// The square image that goes in, and the shapes of all that is made of it; `flat` is what makes a vector of the image,
/// and how many numbers that must have.
fn image(
    channels: Option<usize>,
    flat: Option<(&Graph, usize)>,
    shapes: impl Fn(Shape) -> Result<Vec<Shape>, String>,
) -> Result<(Shape, Vec<Shape>), String> {
    let mut reason = None;
    // Where no layer says so, as with pools before the first linear layer, it is grey or in colours.
    for channels in channels.map_or_else(|| vec![1, 3], |known| vec![known]) {
        let sides = flat.map_or(1..=MOST_SIDE, |(graph, features)| {
            sides(features, |side| {
                let shapes = graph.shapes(Shape::new(channels, side, side));
                shapes.ok().and_then(|shapes| shapes.last().map(Shape::elements)).unwrap_or(0)
            })
        });
        let usual = if channels == 1 { [28, 224] } else { [224, 32] };
        let bounded = *sides.end() < MOST_SIDE;
        let halving = sides.clone().filter(|_| bounded).max_by_key(|side| (side.trailing_zeros(), Reverse(*side)));
        for side in usual.into_iter().filter(|side| sides.contains(side)).chain(halving) {
            let input = Shape::new(channels, side, side);
            match shapes(input) {
                Ok(shapes) => return Ok((input, shapes)),
                Err(why) => reason = reason.or(Some(why)),
            }
        }
    }
    Err(reason.unwrap_or_else(|| {
        let features = flat.map_or(0, |(_, features)| features);
        format!("no square image becomes the {features} numbers that its first layer behind Flatten takes")
    }))
}

/// The sides of images that `numbers`, which grows with the side or stays, makes so many numbers of.
fn sides(wanted: usize, numbers: impl Fn(usize) -> usize) -> RangeInclusive<usize> {
    let first = |enough: usize| {
        // From the small end: sizes that are out of reach count as nothing.
        let (mut below, mut above) = (0, 1);
        while above <= MOST_SIDE && numbers(above) < enough {
            (below, above) = (above, 2 * above);
        }
        while above - below > 1 {
            let middle = (below + above) / 2;
            if numbers(middle) < enough { below = middle } else { above = middle }
        }
        above.min(MOST_SIDE + 1)
    };
    first(wanted)..=first(wanted + 1) - 1
}
