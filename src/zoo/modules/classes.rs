//! What is known of modules by their classes.

use crate::checkpoint::Module;
use crate::zoo::settings;

/// Classes of the libraries' that are no layers in torch.nn and do nothing, or what their name says, when they are not trained.
const HARMLESS: [&str; 9] = [
    "DropPath",
    "StochasticDepth",
    "DropBlock2d",
    "DropBlock",
    "QuantStub",
    "DeQuantStub",
    "FloatFunctional",
    "Identity",
    "Dropout",
];

/// Whether a class is of a library whose networks are the ones that are known here.
pub(super) fn is_library(class: &str) -> bool {
    ["torch.", "torchvision.", "timm."].iter().any(|library| class.starts_with(library))
}

/// Whether a module calls all that it has, one after another.
pub(super) fn is_sequential(module: &Module) -> bool {
    module.torch_class() == Some("Sequential")
}

/// Whether a module does nothing outside of training.
pub(super) fn harmless(module: &Module) -> bool {
    let class = module.class.rsplit('.').next().unwrap_or_default();
    let torch = module.torch_class().is_some_and(settings::is_identity);
    module.parameters.is_empty()
        && (torch || (module.torch_class().is_none() && is_library(&module.class) && HARMLESS.contains(&class)))
}
