//! Rules for `pad(x, p, value)`, an image surrounded by `p` pixels of a value: the window after it pads by itself.

use super::activations::is_positive;
use super::site::{Simpler, Site};
use crate::graph::{AvgPool2d, MaxPool2d, Op, Padding, Window};
use crate::import::memory::Memory;
use crate::import::steps::{Kind, Source, Step};

/// `conv(pad(x, p, 0), q) = conv(x, p + q)`
pub fn padded_convolution(site: &Site, _: &mut Memory) -> Option<Simpler> {
    let Kind::Conv { conv, weight, bias } = site.kind else { return None };
    let (padding, value, x) = padded(site)?;
    let mut conv = *conv;
    conv.window.padding = sum(conv.window.padding, padding);
    (value == 0.0).then(|| (Kind::Conv { conv, weight: weight.clone(), bias: bias.clone() }, vec![x]))
}

/// `max_pool(pad(x, p, value), q) = max_pool(x, p + q)`, where no pixel of `x` is less than `value`
pub fn padded_max_pool(site: &Site, _: &mut Memory) -> Option<Simpler> {
    let Kind::Plain(Op::MaxPool2d(pool)) = site.kind else { return None };
    let (padding, value, x) = padded(site)?;
    // What is no larger than any pixel never wins over one, but is what a window without pixels gives.
    let never_wins = value <= f32::MIN || (value <= 0.0 && is_positive(site, x));
    let (image, made) = (site.shape_of(x).sides(), site.shape.sides());
    let padding = sum(pool.window.padding, padding);
    // A last window that begins in what was padded is one that rounding up leaves out.
    let window = Window { padding, ..pool.window }.covering(image, made);
    let sees_pixels = value == f32::NEG_INFINITY || window.sees_pixels(image, made);
    let pool = MaxPool2d { window, ceil_mode: false };
    (never_wins && fits(&window) && sees_pixels).then(|| (Kind::Plain(Op::MaxPool2d(pool)), vec![x]))
}

/// `avg_pool(pad(x, p, 0), 0) = avg_pool(x, p)`, which counts the padding
pub fn padded_average_pool(site: &Site, _: &mut Memory) -> Option<Simpler> {
    let Kind::Plain(Op::AvgPool2d(pool)) = site.kind else { return None };
    let (padding, value, x) = padded(site)?;
    if value != 0.0 || pool.ceil_mode || pool.window.padding != Padding::default() {
        return None;
    }
    let window = Window { padding, ..pool.window };
    let pool = AvgPool2d { window, count_include_pad: true, ..*pool };
    fits(&window).then(|| (Kind::Plain(Op::AvgPool2d(pool)), vec![x]))
}

/// `p`, `value` and `x`, where the step before is `pad(x, p, value)`.
fn padded(site: &Site) -> Option<(Padding, f32, Source)> {
    match site.before()? {
        Step { kind: Kind::Pad { padding, value }, inputs, .. } => Some((*padding, *value, *inputs.first()?)),
        _ => None,
    }
}

fn sum(a: Padding, b: Padding) -> Padding {
    Padding { top: a.top + b.top, left: a.left + b.left, bottom: a.bottom + b.bottom, right: a.right + b.right }
}

/// Whether the padding leaves every window some of the image.
fn fits(window: &Window) -> bool {
    let (Padding { top, left, bottom, right }, [down, across]) = (window.padding, window.extent());
    top.max(bottom) < down && left.max(right) < across
}
