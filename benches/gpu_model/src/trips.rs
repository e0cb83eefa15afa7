//! How often the loops of a kernel run, from what its dispatch knows.

use crate::Result;
use crate::listing::{self, Node};
use pretrained::gpu::PlannedStep;

/// A loop of a shader's text.
#[derive(Debug, Clone, PartialEq)]
struct Known {
    /// How often its body runs.
    trips: f64,
    /// Whether the compiler knows the number too, and may have written the body so many times instead.
    constant: bool,
    /// Whether it is left within the body of the last trip, not before one more.
    broken: bool,
    inside: Vec<Known>,
}

/// A loop that ends when its condition no longer holds.
fn counted(trips: f64, inside: impl Into<Vec<Known>>) -> Known {
    Known { trips, constant: false, broken: false, inside: inside.into() }
}

fn constant(trips: u32, inside: impl Into<Vec<Known>>) -> Known {
    Known { constant: true, ..counted(f64::from(trips), inside) }
}

/// The loops of each shader over a batch of `images`, in the order of its text. A shader that is not here has none.
fn known(step: &PlannedStep, images: usize) -> Vec<Known> {
    let value = |name| step.pipeline.constant(name).unwrap_or(1);
    let inputs = step.inputs as f64;
    let of_64 = |count: usize| count.div_ceil(64) as f64;
    let taps = |inside: Vec<Known>| constant(value("KERNEL_Y"), [constant(value("KERNEL_X"), inside)]);
    // Rounds in which all slices have a group, and one more where there is a rest; then fours of slices.
    let slices = step.pipeline.constant("SLICES").unwrap_or(16) as usize;
    let (rounds, rest) = ((step.inputs / slices) as f64, f64::from(u8::from(!step.inputs.is_multiple_of(slices))));
    let sliced = || vec![counted(rounds, []), counted(rest, [])];
    let fours = || constant((slices / 4) as u32 - 1, []);
    // Groups in runs.
    let runs = || counted(step.runs as f64, [counted(inputs / step.runs.max(1) as f64, [])]);
    match step.pipeline.shader() {
        "dense" => vec![taps(vec![counted(inputs, [])])],
        "dense_sliced" if value("POINTWISE") == 1 => [sliced(), vec![fours()]].concat(),
        "dense_sliced" => vec![taps(sliced()), fours()],
        "separable_sliced" => vec![
            constant(value("KERNEL_Y"), []),
            constant(value("KERNEL_X"), []),
            counted(rounds + rest, [taps(vec![])]),
            fours(),
        ],
        "conv_grouped" => vec![taps(vec![runs()])],
        "conv" => vec![counted(inputs, [taps(vec![])])],
        "planes" => {
            let columns = || constant(value("KERNEL_X"), []);
            vec![columns(), constant(value("KERNEL_Y"), [counted(inputs, [columns()])])]
        }
        "depthwise_rows" => {
            let rows = value("KERNEL_Y") + (value("ROWS") - 1) * value("STRIDE");
            vec![constant(rows, [constant(value("KERNEL_X"), [])])]
        }
        "depthwise_any" | "pool" => vec![taps(vec![])],
        "linear_sliced" => {
            // For one image, and for up to four.
            let rounds = [(step.inputs / 128) as f64, f64::from(u8::from(!step.inputs.is_multiple_of(128)))];
            let times = [f64::from(u8::from(images == 1)), f64::from(u8::from(images > 1))];
            times.iter().flat_map(|times| rounds.map(|rounds| counted(rounds * times, []))).collect()
        }
        "max_pool_rows" => {
            let rows = value("KERNEL") + (value("ROWS") - 1) * value("STRIDE");
            vec![constant(rows, [constant(value("KERNEL") - 1, [])])]
        }
        "mean_sliced" => vec![counted(of_64(step.input.pixels()), [])],
        "softmax" => {
            let (inputs, groups) = (of_64(step.inputs), of_64(step.output.channels.div_ceil(4)));
            vec![counted(inputs, []), constant(64, []), counted(inputs, []), constant(64, []), counted(groups, [])]
        }
        _ => Vec::new(),
    }
}

/// How often the two parts of a loop of a listing run, for each time that it is come to.
#[derive(Debug, Clone, PartialEq)]
pub struct Trips {
    /// The part up to the last way out.
    pub head: f64,
    /// The part after it.
    pub tail: f64,
    /// Those of the loops inside, in order.
    pub inside: Vec<Trips>,
}

/// How often the loops of `nodes` run over a batch of `images`, in order.
///
/// # Errors
/// Where the listing has other loops than the shader's text.
pub fn of(step: &PlannedStep, images: usize, nodes: &[Node]) -> Result<Vec<Trips>> {
    let listed: Vec<&listing::Loop> = listing::loops(nodes).collect();
    let known = known(step, images);
    let found = fit(&listed, &known);
    Ok(found.ok_or_else(|| {
        let shader = step.pipeline.shader();
        format!("the loops of {shader} are not those that trips.rs knows: {}", outline(&listed))
    })?)
}

/// Pairs loops, leaving out some that the compiler may have unrolled, the innermost first.
fn fit(listed: &[&listing::Loop], known: &[Known]) -> Option<Vec<Trips>> {
    let Some((first, rest)) = known.split_first() else { return listed.is_empty().then(Vec::new) };
    let paired = || {
        let (looped, others) = listed.split_first()?;
        let inside = fit(&looped.inside().collect::<Vec<_>>(), &first.inside)?;
        let once_more = if first.broken || looped.tail.is_empty() { 0.0 } else { 1.0 };
        let tail = if first.broken { first.trips - 1.0 } else { first.trips };
        let trips = Trips { head: tail.max(first.trips) + once_more, tail, inside };
        Some([vec![trips], fit(others, rest)?].concat())
    };
    let unrolled = || {
        let others = [&first.inside, rest].concat();
        first.constant.then(|| fit(listed, &others)).flatten()
    };
    if first.constant && first.trips <= 1.0 { unrolled() } else { paired().or_else(unrolled) }
}

/// Brackets, a pair for each loop.
fn outline(listed: &[&listing::Loop]) -> String {
    listed.iter().map(|looped| format!("[{}]", outline(&looped.inside().collect::<Vec<_>>()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listing::Loop;

    fn listed(inside: Vec<Loop>) -> Loop {
        let tail = inside.into_iter().map(Node::Loop).chain([Node::Block(Vec::new())]).collect();
        Loop { head: vec![Node::Block(Vec::new())], tail }
    }

    #[test]
    fn unrolled_loops_are_left_out_the_innermost_first() {
        let known = [counted(5.0, [constant(7, [constant(3, [])])])];
        let all = listed(vec![listed(vec![listed(vec![])])]);
        let trips = |tail, inside| Trips { head: tail + 1.0, tail, inside };
        let innermost = vec![trips(3.0, vec![])];
        assert_eq!(fit(&[&all], &known), Some(vec![trips(5.0, vec![trips(7.0, innermost)])]));
        let two = listed(vec![listed(vec![])]);
        assert_eq!(fit(&[&two], &known), Some(vec![trips(5.0, vec![trips(7.0, vec![])])]));
        assert_eq!(fit(&[&listed(vec![])], &known), Some(vec![trips(5.0, vec![])]));
        assert_eq!(fit(&[&two, &two], &known), None);
    }

    #[test]
    fn a_loop_of_one_trip_that_the_compiler_knows_is_no_loop() {
        let known = [constant(1, [constant(7, [])])];
        assert_eq!(fit(&[&listed(vec![])], &known).unwrap()[0].tail, 7.0);
    }

    #[test]
    fn a_loop_that_breaks_does_not_finish_its_last_trip() {
        let known = [Known { broken: true, ..counted(2.0, []) }];
        let found = fit(&[&listed(vec![])], &known).unwrap();
        assert_eq!((found[0].head, found[0].tail), (2.0, 1.0));
    }
}
