//! Computes weights that training kept as several tensors: PyTorch's weight norm, spectral norm and pruning.
//!
//! A network's layer uses what its hook or parametrization computes of them whenever it is called
//! (torch/nn/utils/weight_norm.py, spectral_norm.py, prune.py and parametrizations.py); here it is computed once.

use super::StateDict;
use super::source::{Source, short};
use super::state_dict::Replacement;
use crate::error::Result;
use crate::tensor::Tensor;
use std::collections::{HashMap, HashSet};

/// How a weight is computed of the tensors that stand for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// `g * v / |v|`, with a norm for each index of the dimension in which `g` is not 1 long.
    WeightNorm,
    /// `orig / (u . (orig v))`, the first dimension of `orig` against all others.
    SpectralNorm,
    /// `orig * mask`.
    Pruned,
}

/// The tensors that a layer's `weight` is computed of.
struct Parts {
    rule: Rule,
    /// Their names in the layer, in the order that the rule takes.
    of: &'static [&'static str],
    /// What computes it in PyTorch.
    called: &'static str,
    /// What makes a common weight of them there.
    remove: &'static str,
}

const PARTS: [Parts; 5] = [
    Parts {
        rule: Rule::WeightNorm,
        of: &["weight_g", "weight_v"],
        called: "weight_norm",
        remove: "torch.nn.utils.remove_weight_norm(layer)",
    },
    Parts {
        rule: Rule::WeightNorm,
        of: &["parametrizations.weight.original0", "parametrizations.weight.original1"],
        called: "weight_norm",
        remove: "torch.nn.utils.parametrize.remove_parametrizations(layer, 'weight')",
    },
    Parts {
        rule: Rule::SpectralNorm,
        of: &["weight_orig", "weight_u", "weight_v"],
        called: "spectral_norm",
        remove: "torch.nn.utils.remove_spectral_norm(layer)",
    },
    Parts {
        rule: Rule::SpectralNorm,
        of: &["parametrizations.weight.original", "parametrizations.weight.0._u", "parametrizations.weight.0._v"],
        called: "spectral_norm",
        remove: "torch.nn.utils.parametrize.remove_parametrizations(layer, 'weight')",
    },
    Parts {
        rule: Rule::Pruned,
        of: &["weight_orig", "weight_mask"],
        called: "pruning",
        remove: "torch.nn.utils.prune.remove(layer, 'weight')",
    },
];

/// Puts every weight that is computed of others in the place of those, with a note. What cannot be computed stays as it
/// is, and `dict` remembers why there is no such weight.
///
/// # Errors
/// [`Error::Limit`](crate::Error::Limit) where the new weights would take more memory than the limits allow.
pub(super) fn fold(source: &Source, dict: &mut StateDict) -> Result<()> {
    for parts in &PARTS {
        let first = parts.of[0];
        // Layers by what goes before the names of their parameters, such as `layer1.0.`.
        let layers: Vec<String> = dict
            .names()
            .filter_map(|name| name.strip_suffix(first))
            .filter(|layer| layer.is_empty() || layer.ends_with('.'))
            .map(str::to_owned)
            .collect();
        let mut folded: HashMap<String, (String, Tensor)> = HashMap::new();
        let mut gone: HashSet<String> = HashSet::new();
        for layer in layers {
            let weight = format!("{layer}weight");
            let tensors: Option<Vec<&Tensor>> =
                parts.of.iter().map(|part| dict.get(&format!("{layer}{part}"))).collect();
            let Some(tensors) = tensors.filter(|_| !dict.contains(&weight)) else { continue };
            let Some(bytes) = tensors[0].element_count().max(tensors[tensors.len() - 1].element_count()).checked_mul(4)
            else {
                continue;
            };
            source.expand(|| format!("the weight `{}`", short(&weight)), 3 * bytes as u64)?;
            match compute(parts.rule, &tensors) {
                Some(tensor) => {
                    gone.extend(parts.of[1..].iter().map(|part| format!("{layer}{part}")));
                    folded.insert(format!("{layer}{first}"), (weight, tensor));
                }
                None => dict.leave_out(
                    weight,
                    format!(
                        "it is kept as {}, as {} does, which do not fit each other; {} before saving",
                        parts.of.join(" and "),
                        parts.called,
                        parts.remove
                    ),
                ),
            }
        }
        if folded.is_empty() {
            continue;
        }
        dict.note(format!(
            "computed {} of {}, as {} does whenever a layer is called",
            if folded.len() == 1 { "1 weight".into() } else { format!("{} weights", folded.len()) },
            parts.of.join(" and "),
            parts.called
        ));
        dict.replace(|name| match folded.remove(name) {
            Some((new, tensor)) => Replacement::By(new, tensor),
            None if gone.contains(name) => Replacement::Nothing,
            None => Replacement::Same,
        });
    }
    unknown(dict);
    Ok(())
}

/// Says of weights that parametrizations of unknown classes compute that they are not there.
fn unknown(dict: &mut StateDict) {
    let names: Vec<String> =
        dict.names().filter(|name| name.contains("parametrizations.")).map(str::to_owned).collect();
    for name in names {
        let Some((layer, rest)) = name.split_once("parametrizations.") else { continue };
        let Some((parameter, original)) = rest.split_once('.') else { continue };
        if original.starts_with("original") && !original.contains('.') {
            let parameter = format!("{layer}{parameter}");
            let reason = "it is computed by a parametrization, whose code no checkpoint holds; \
                          torch.nn.utils.parametrize.remove_parametrizations(layer, name) before saving";
            dict.leave_out(parameter, reason);
        }
    }
}

/// The weight that `rule` makes of `tensors`; `None` where their shapes do not fit.
fn compute(rule: Rule, tensors: &[&Tensor]) -> Option<Tensor> {
    match (rule, tensors) {
        (Rule::WeightNorm, [g, v]) => weight_norm(g, v),
        (Rule::SpectralNorm, [weight, u, v]) => spectral_norm(weight, u, v),
        (Rule::Pruned, [weight, mask]) if weight.shape() == mask.shape() => {
            let mut values = weight.to_f32_vec();
            values.iter_mut().zip(mask.to_f32_vec()).for_each(|(value, mask)| *value *= mask);
            Tensor::from_f32(weight.shape(), &values).ok()
        }
        _ => None,
    }
}

fn weight_norm(g: &Tensor, v: &Tensor) -> Option<Tensor> {
    let shape = v.shape();
    // The one dimension in which there are several norms; none where there is one norm in all.
    let dim = match g.element_count() {
        1 => None,
        _ if g.shape().len() != shape.len() => return None,
        count => Some(g.shape().iter().position(|&d| d == count)?),
    };
    if dim.is_some_and(|dim| g.element_count() != shape[dim]) {
        return None;
    }
    // Elements that follow each other under one index of that dimension, and how many indices there are.
    let (inner, indices) = match dim {
        Some(dim) => (shape[dim + 1..].iter().product::<usize>(), shape[dim]),
        None => (v.element_count(), 1),
    };
    let mut values = v.to_f32_vec();
    if values.is_empty() {
        return None;
    }
    let mut squares = vec![0f64; indices];
    let index = |i: usize| (i / inner) % indices;
    values.iter().enumerate().for_each(|(i, value)| squares[index(i)] += f64::from(*value).powi(2));
    let scales: Vec<f64> =
        g.to_f32_vec().iter().zip(&squares).map(|(g, square)| f64::from(*g) / square.sqrt()).collect();
    values.iter_mut().enumerate().for_each(|(i, value)| *value = (f64::from(*value) * scales[index(i)]) as f32);
    Tensor::from_f32(shape, &values).ok()
}

fn spectral_norm(weight: &Tensor, u: &Tensor, v: &Tensor) -> Option<Tensor> {
    let (rows, columns) = (u.element_count(), v.element_count());
    let fits = weight.shape().first() == Some(&rows) && rows.checked_mul(columns) == Some(weight.element_count());
    if !fits || columns == 0 {
        return None;
    }
    let mut values = weight.to_f32_vec();
    let (u, v) = (u.to_f32_vec(), v.to_f32_vec());
    let row = |row: &[f32]| row.iter().zip(&v).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let sigma: f64 = values.chunks_exact(columns).zip(&u).map(|(values, u)| row(values) * f64::from(*u)).sum();
    values.iter_mut().for_each(|value| *value = (f64::from(*value) / sigma) as f32);
    Tensor::from_f32(weight.shape(), &values).ok()
}
