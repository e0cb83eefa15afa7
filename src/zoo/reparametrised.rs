//! Weights that a checkpoint keeps in parts, since the module computes them each time it is called.

use crate::checkpoint::StateDict;
use crate::printable::cut;

/// What stands in a weight's place, whose doing that is, and how PyTorch makes a weight of it again.
const PARTS: [(&str, &str, &str); 5] = [
    (".weight_g", "weight_norm", "torch.nn.utils.remove_weight_norm(module)"),
    (".weight_mask", "pruning", "torch.nn.utils.prune.remove(module, \"weight\")"),
    (".weight_u", "spectral_norm", "torch.nn.utils.remove_spectral_norm(module)"),
    (
        ".parametrizations.weight.original0",
        "weight_norm",
        "torch.nn.utils.parametrize.remove_parametrizations(module, \"weight\")",
    ),
    (
        ".parametrizations.weight.original",
        "a parametrisation",
        "torch.nn.utils.parametrize.remove_parametrizations(module, \"weight\")",
    ),
];

/// Why a weight of the checkpoint cannot be read, if one is kept in parts.
pub(super) fn reason(state: &StateDict) -> Option<String> {
    state.names().find_map(|name| {
        let (part, module, doing, undo) =
            PARTS.iter().find_map(|(part, doing, undo)| Some((part, name.strip_suffix(part)?, doing, undo)))?;
        let weight = format!("{module}.weight");
        (!state.contains(&weight)).then(|| {
            format!(
                "the weight of `{}` is kept in parts by {doing} (`{}`); make it one before saving: {undo}",
                cut(module, 60),
                part.trim_start_matches('.')
            )
        })
    })
}
