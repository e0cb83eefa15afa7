//! A graph that is imported for images of one size, and again for those of another.

use crate::checkpoint::StateDict;
use crate::error::Result;
use crate::graph::Shape;
use crate::import::{self, ImportOptions};
use crate::load::Strictness;
use crate::model::Model;
use crate::vision::{Crop, Overrides, Preset, Size};

/// Where a model was imported from.
#[derive(Debug, Clone)]
pub(super) struct Imported {
    state: StateDict,
    output: Option<String>,
    strictness: Strictness,
}

impl Imported {
    pub fn new(state: &StateDict, output: Option<String>, strictness: Strictness) -> Self {
        Self { state: state.clone(), output, strictness }
    }

    /// The model for images as they are asked for, where the file leaves their size free, and else for those in the file.
    pub fn model(&self, preset: Option<Preset>, overrides: &Overrides) -> Result<Model> {
        let sides = match import::leaves_size_free(&self.state) {
            true => asked(preset, overrides),
            false => None,
        };
        self.import(sides)
    }

    /// The model for images of `shape`, where `model`, which is of this graph, does not take them.
    pub fn fit(&self, model: &Model, shape: Shape) -> Result<Option<Model>> {
        let own = model.network().graph.only_input();
        match own.is_some_and(|own| own != shape && own.channels == shape.channels) {
            true => self.import(Some([shape.height, shape.width])).map(Some),
            false => Ok(None),
        }
    }

    fn import(&self, sides: Option<[usize; 2]>) -> Result<Model> {
        let options = ImportOptions { sides, output: self.output.clone() };
        // Classes are ranked by logits.
        Ok(Model::from_graph(&self.state, &options, self.strictness)?.into_logits())
    }
}

/// Height and width that a caller asks for, whatever the network.
fn asked(preset: Option<Preset>, overrides: &Overrides) -> Option<[usize; 2]> {
    let sides = |width: u32, height: u32| Some([height as usize, width as usize]);
    match (overrides.crop, overrides.size) {
        (Some(Crop::Centre { width, height }), _) => sides(width, height),
        (_, Some(Size::Side(side))) => sides(side, side),
        (_, Some(Size::Exact { width, height })) => sides(width, height),
        (_, None) => preset.and_then(|preset| preset.preprocess().fixed_size()).and_then(|(w, h)| sides(w, h)),
    }
}
