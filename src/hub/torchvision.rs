//! The weights that torchvision publishes.

use super::Weights;
use crate::catalog::{self, Published};
use crate::{Error, Result};

/// The weights that torchvision publishes, as the [catalogue](crate::catalog) has them.
pub const TORCHVISION: &[Weights<'static>] = &ALL;

const ALL: [Weights<'static>; published()] = {
    let mut all = [Weights { model: "", file: "", url: "", sha256: "" }; published()];
    let (mut row, mut found) = (0, 0);
    while row < catalog::MODELS.len() {
        let model = &catalog::MODELS[row];
        if let Some(Published { file, url, sha256 }) = model.published {
            all[found] = Weights { model: model.name, file, url, sha256 };
            found += 1;
        }
        row += 1;
    }
    all
};

/// How many of the catalogue's models are published.
const fn published() -> usize {
    let (mut row, mut found) = (0, 0);
    while row < catalog::MODELS.len() {
        found += catalog::MODELS[row].published.is_some() as usize;
        row += 1;
    }
    found
}

/// The published weights of the network called `model`.
///
/// # Errors
/// [`Error::Usage`], which lists the names there are, when none is published under this one.
pub fn find(model: &str) -> Result<Weights<'static>> {
    TORCHVISION.iter().find(|weights| weights.model == model).copied().ok_or_else(|| {
        let known = TORCHVISION.iter().map(|weights| weights.model).collect::<Vec<_>>().join(", ");
        Error::Usage(format!("no weights are published for `{model}`, only for {known}"))
    })
}
