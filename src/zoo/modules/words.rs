//! What operators and lists are called in sentences.

use crate::graph::{Activation, Op, Window};

/// How many differences or changes are listed.
const SHOWN: usize = 16;

/// An operator and its settings in a few words.
pub(super) fn told(op: &Op) -> String {
    let pair = |[a, b]: [usize; 2]| if a == b { a.to_string() } else { format!("{a}x{b}") };
    match op {
        Op::Conv2d { conv, .. } => {
            let window = conv.window;
            let pad = window.padding;
            format!(
                "a {} convolution of stride {}, padding {}, dilation {} and {} groups{}",
                pair(window.kernel),
                pair(window.stride),
                pair([pad.top, pad.left]),
                pair(window.dilation),
                conv.groups,
                if conv.bias { " with a bias" } else { "" }
            )
        }
        Op::BatchNorm2d { norm, .. } => format!("a normalisation with eps {:?}", norm.eps),
        Op::Linear { linear, .. } => format!("a layer of {} to {}", linear.in_features, linear.out_features),
        Op::MaxPool2d(pool) => window(pool.window, pool.ceil_mode, "maximum"),
        Op::AvgPool2d(pool) => window(pool.window, pool.ceil_mode, "average"),
        Op::Activation(Activation::Clamp { low, high }) => format!("a clamp to {low}..{high}"),
        Op::Activation(activation) => format!("{activation:?}"),
        _ => "a mean over the image".into(),
    }
}

fn window(window: Window, ceil: bool, what: &str) -> String {
    format!(
        "the {what} of {}x{} pixels with stride {} and padding {}{}",
        window.kernel[0],
        window.kernel[1],
        window.stride[0],
        window.padding.top,
        if ceil { ", rounded up" } else { "" }
    )
}

pub(super) fn listed(all: &[String]) -> String {
    let shown = all[..all.len().min(SHOWN)].join("; ");
    if all.len() > SHOWN { format!("{shown}; and {} more", all.len() - SHOWN) } else { shown }
}
