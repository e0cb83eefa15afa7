//! Every operator, on every device, against the reference loops, over generated shapes.

use crate::common;
use common::{cpus, devices};
use pretrained::graph::{
    Activation, AvgPool2d, BatchNorm2d, Builder, Conv2d, Graph, Linear, MaxPool2d, Padding, Shape, Value, Window,
};
use pretrained::vision::Normalisation;
use pretrained::zoo::{Network, ShuffleNetV2};
use pretrained::{Device, InstructionSet, Model, Precision, Session, SessionOptions, reference};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use std::sync::LazyLock;

/// The largest error allowed, as a share of the largest expected value or of 1, whichever is more.
const TOLERANCE: f32 = 1e-5;

/// The same where numbers are rounded to 11 bits on their way: a dozen times their own error, since sums cancel.
const HALF_TOLERANCE: f32 = 6e-3;

fn precisions(device: &Device) -> Vec<(Precision, f32)> {
    let all = [(Precision::F32, TOLERANCE), (Precision::F16, HALF_TOLERANCE)];
    all.into_iter().filter(|(precision, _)| *precision == Precision::F32 || !device.is_cpu()).collect()
}

static DEVICES: LazyLock<Vec<Device>> = LazyLock::new(devices);

/// A network of one or a few operators, and what to feed it.
#[derive(Debug)]
struct Problem {
    graph: Graph,
    input: Shape,
    batch: usize,
    seed: u32,
}

impl Problem {
    fn new(g: Builder, output: Value, input: Shape, (batch, seed): (usize, u32)) -> Self {
        Self { graph: g.finish(output), input, batch, seed }
    }

    /// Runs it on every device.
    fn check(self) -> Result<(), TestCaseError> {
        let Self { graph, input, batch, seed } = self;
        let mut noise = Noise(seed);
        let values = graph.parameters().iter().map(|p| {
            let fan_in = p.shape[1..].iter().product::<usize>() as f32;
            let var = p.name.ends_with("running_var");
            let value = |v: f32| if var { v.abs() + 0.1 } else { v / fan_in.sqrt() };
            (0..p.shape.iter().product()).map(|_| value(noise.next())).collect()
        });
        let values = values.collect();
        let model = Model::from_weights(Network::new("problem", graph, input), values).unwrap();
        // Images come as numbers, and as the levels that these are.
        let levels: Vec<u8> = (0..batch * input.elements()).map(|_| noise.level()).collect();
        let mut channels = |around: f32| (0..input.channels).map(|_| around * (1.0 + 0.2 * noise.next())).collect();
        let (scale, shift): (Vec<f32>, Vec<f32>) = (channels(1.0 / 128.0), channels(-1.0));
        let number = |(i, level): (usize, &u8)| {
            let channel = i / input.pixels() % input.channels;
            f32::from(*level) * scale[channel] + shift[channel]
        };
        let numbers: Vec<f32> = levels.iter().enumerate().map(number).collect();
        let images: Vec<Vec<f32>> = numbers.chunks(input.elements()).map(<[f32]>::to_vec).collect();
        let normalisation = Normalisation::new(scale, shift).unwrap();
        let run = |image: &Vec<f32>| reference::run(&model.network().graph, model.weights(), input, image).unwrap();
        let expected: Vec<f32> = images.iter().flat_map(run).collect();
        let scale = expected.iter().fold(1f32, |a, v| a.max(v.abs()));
        for device in DEVICES.iter() {
            for (precision, tolerance) in precisions(device) {
                let options = SessionOptions::default().max_batch(batch + 1).precision(precision);
                let session = Session::new(device, &model, input, &options.levels(normalisation.clone())).unwrap();
                // On the CPU the session normalises, which tests/session checks.
                let of_levels = (!device.is_cpu()).then(|| ("levels", session.run_levels(&levels)));
                for (what, found) in [("numbers", session.run(&numbers))].into_iter().chain(of_levels) {
                    let found = found.unwrap();
                    prop_assert_eq!(found.len(), expected.len());
                    for (i, (x, y)) in found.iter().zip(&expected).enumerate() {
                        let close = (x - y).abs() <= tolerance * scale;
                        let name = device.name();
                        prop_assert!(close, "{name} of {what} in {precision}: element {i} is {x}, expected {y}");
                    }
                }
            }
        }
        Ok(())
    }
}

/// How what an operator reads comes of the graph's input: as it is, or joined of pieces, permuted and cut.
#[derive(Debug, Clone)]
struct View {
    /// Channels of the graph's input; those that are asked for where it is as it is.
    channels: usize,
    /// Of what a piece is cut, where it begins, and how many channels it has, but for what there is and is wanted. They
    /// follow each other, from the first again after the last, until there are as many channels as are wanted.
    pieces: Vec<(Maker, usize, usize)>,
    /// Groups in which the joined channels are shuffled, where they make as many.
    shuffle: usize,
    /// Channels before and after those that the operator gets.
    around: [usize; 2],
}

/// What pieces are cut of.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Maker {
    Input,
    Activation,
    Depthwise,
    Pointwise,
}

impl View {
    /// The input itself.
    fn bare() -> Self {
        Self { channels: 0, pieces: Vec::new(), shuffle: 1, around: [0; 2] }
    }

    /// Views whose pieces make no whole vectors, or that are whole vectors out of order.
    fn by_hand() -> [Self; 4] {
        use Maker::{Activation, Depthwise, Input, Pointwise};
        [
            Self::bare(),
            Self { channels: 3, pieces: vec![(Input, 0, 3), (Input, 0, 3)], shuffle: 1, around: [0; 2] },
            Self { channels: 33, pieces: vec![(Activation, 16, 16), (Activation, 0, 16)], shuffle: 1, around: [0; 2] },
            Self { channels: 5, pieces: vec![(Pointwise, 1, 7), (Depthwise, 3, 2)], shuffle: 2, around: [3, 1] },
        ]
    }

    /// A builder, the view of `shape` in it, and the shape of its input.
    fn of(&self, shape: Shape) -> (Builder, Value, Shape) {
        let mut g = Builder::new();
        if self.pieces.is_empty() {
            return (g, Value::INPUT, shape);
        }
        let input = Shape { channels: self.channels, ..shape };
        let [before, after] = self.around;
        let all = before + shape.channels + after;
        let mut made = Vec::new();
        let (mut parts, mut count) = (Vec::new(), 0);
        for (maker, start, length) in self.pieces.iter().cycle() {
            let x = match made.iter().find(|(other, _)| other == maker) {
                Some((_, x)) => *x,
                None => maker.make(&mut g, self.channels),
            };
            made.push((*maker, x));
            let start = start % self.channels;
            let length = (*length).min(self.channels - start).min(all - count);
            parts.push(if length == self.channels { x } else { g.narrow(x, start, length) });
            count += length;
            if count == all {
                break;
            }
        }
        let mut x = if let [part] = parts[..] { part } else { g.concat(&parts) };
        if self.shuffle > 1 && all.is_multiple_of(self.shuffle) {
            x = g.channel_shuffle(x, self.shuffle);
        }
        if all > shape.channels {
            x = g.narrow(x, before, shape.channels);
        }
        (g, x, input)
    }
}

impl Maker {
    /// As many channels as the input has.
    fn make(self, g: &mut Builder, channels: usize) -> Value {
        match self {
            Self::Input => Value::INPUT,
            Self::Activation => g.activation(Value::INPUT, Activation::HardSwish),
            Self::Depthwise => g.conv2d("view.depthwise", Value::INPUT, Conv2d::depthwise(channels, 3).padding(1)),
            Self::Pointwise => g.conv2d("view.pointwise", Value::INPUT, Conv2d::new(channels, channels, 1)),
        }
    }
}

fn views() -> impl Strategy<Value = View> {
    let maker =
        prop_oneof![Just(Maker::Input), Just(Maker::Activation), Just(Maker::Depthwise), Just(Maker::Pointwise)];
    let pieces = proptest::collection::vec((maker, 0usize..40, 1usize..40), 1..4);
    let around = prop_oneof![2 => Just([0; 2]), 1 => prop::array::uniform2(0usize..20)];
    (1usize..40, pieces, 1usize..5, around).prop_map(|(channels, pieces, shuffle, around)| View {
        channels,
        pieces,
        shuffle,
        around,
    })
}

/// Numbers between -1 and 1 from a linear congruential generator.
struct Noise(u32);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as f32 / (1 << 23) as f32 - 1.0
    }

    fn level(&mut self) -> u8 {
        ((self.next() + 1.0) * 128.0) as u8
    }
}

/// Checks generated problems, and the ones given by hand first, of the input as it is and of views of it.
fn check<S: Strategy>(
    cases: u32,
    by_hand: impl IntoIterator<Item = S::Value>,
    generated: S,
    build: fn(&View, S::Value) -> Problem,
) where
    S::Value: Clone,
{
    for case in by_hand {
        for view in View::by_hand() {
            build(&view, case.clone()).check().unwrap();
        }
    }
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let view = prop_oneof![1 => Just(View::bare()), 2 => views()];
    TestRunner::new(config).run(&(view, generated), |(view, case)| build(&view, case).check()).unwrap();
}

/// Images in a batch, and the seed of all numbers.
fn batch() -> impl Strategy<Value = (usize, u32)> {
    (1usize..4, any::<u32>())
}

/// What follows an operator: a batch normalisation or none, an activation or none.
fn tail() -> impl Strategy<Value = (bool, Option<Activation>)> {
    (any::<bool>(), activation())
}

fn activation() -> impl Strategy<Value = Option<Activation>> {
    let examples: Vec<_> = Activation::examples().map(|(_, activation)| Some(activation)).collect();
    prop_oneof![2 => Just(None), 1 => Just(RELU), 6 => prop::sample::select(examples)]
}

const RELU: Option<Activation> = Some(Activation::Relu);

fn add_tail(g: &mut Builder, mut x: Value, channels: usize, (norm, activation): (bool, Option<Activation>)) -> Value {
    if norm {
        x = g.batch_norm2d("bn", x, BatchNorm2d::new(channels));
    }
    add_activation(g, x, activation)
}

fn add_activation(g: &mut Builder, x: Value, activation: Option<Activation>) -> Value {
    activation.map_or(x, |activation| g.activation(x, activation))
}

/// Windows of any kernel, stride and dilation, with padding that differs by side and is `most` at most.
fn window(most: usize) -> impl Strategy<Value = Window> {
    let pair = |range| prop::array::uniform2(range);
    let padding = prop::array::uniform4(0usize..most + 1).prop_map(|[top, left, bottom, right]| Padding {
        top,
        left,
        bottom,
        right,
    });
    (pair(1usize..6), pair(1usize..4), pair(1usize..4), padding)
        .prop_map(|(kernel, stride, dilation, padding)| Window { kernel, stride, padding, dilation })
}

/// An image that a window fits.
fn fitting(window: &Window, channels: usize, (height, width): (usize, usize)) -> Shape {
    let Padding { top, left, bottom, right } = window.padding;
    let [down, across] = window.extent();
    let least = |extent: usize, padding: usize| extent.saturating_sub(padding).max(1);
    Shape::new(channels, height.max(least(down, top + bottom)), width.max(least(across, left + right)))
}

type ConvCase = (Conv2d, (usize, usize), (bool, Option<Activation>), (usize, u32));

fn conv_problem(view: &View, (conv, sides, tail, batch): ConvCase) -> Problem {
    let (mut g, x, input) = view.of(fitting(&conv.window, conv.in_channels, sides));
    let x = g.conv2d("conv", x, conv);
    let x = add_tail(&mut g, x, conv.out_channels, tail);
    Problem::new(g, x, input, batch)
}

fn sides() -> impl Strategy<Value = (usize, usize)> {
    (1usize..20, 1usize..20)
}

/// What the tests below run on: were a set left out, they would pass without it.
#[test]
fn the_cpu_has_its_own_instructions_before_the_portable_ones() {
    let sets = InstructionSet::available();
    #[cfg(target_arch = "aarch64")]
    assert_eq!(sets, [InstructionSet::Neon, InstructionSet::Portable]);
    assert_eq!(sets.last(), Some(&InstructionSet::Portable));
    let names: Vec<String> = cpus().iter().map(Device::name).collect();
    let others = sets[1..].iter().map(|set| format!("cpu ({set})"));
    assert_eq!(names, ["cpu".to_owned()].into_iter().chain(others).collect::<Vec<_>>());
}

#[test]
fn pointwise_convolution() {
    let by_hand = [
        (Conv2d::new(58, 58, 1), (7, 7), (true, RELU), (3, 1)),
        (Conv2d::new(58, 58, 1), (14, 5), (true, RELU), (3, 4)),
        (Conv2d::new(3, 9, 1), (1, 1), (false, RELU), (2, 2)),
        (Conv2d::new(1, 1, 1), (1, 2), (true, None), (1, 3)),
        // Slices of inputs: a whole number of rounds of 16 groups, and rounds that some slices have no part in.
        (Conv2d::new(128, 17, 1), (3, 3), (false, None), (2, 5)),
        (Conv2d::new(150, 70, 1), (2, 5), (true, RELU), (1, 6)),
    ];
    let few = 1usize..40;
    let many = prop_oneof![4 => few.clone(), 1 => 40usize..200];
    let conv = (many, few, any::<bool>()).prop_map(|(i, o, bias)| Conv2d { bias, ..Conv2d::new(i, o, 1) });
    check(64, by_hand, (conv, sides(), tail(), batch()), conv_problem);
}

/// What a GPU may compute as one: a convolution that keeps channels apart, and then a 1x1 convolution.
#[test]
fn separable_convolution() {
    type Case = (Conv2d, usize, bool, (usize, usize), [Option<Activation>; 2], (usize, u32));
    let build = |view: &View, (first, out, added, sides, activations, batch): Case| {
        let (mut g, x, input) = view.of(fitting(&first.window, first.in_channels, sides));
        // Its results lie in whole groups, whatever lies in the view.
        let x = g.conv2d("before", x, Conv2d::new(first.in_channels, first.in_channels, 1));
        let y = g.conv2d("depthwise", x, first);
        let y = add_activation(&mut g, y, activations[0]);
        let mut y = g.conv2d("pointwise", y, Conv2d::new(first.in_channels, out, 1));
        let same = first.window.stride == [1, 1]
            && first.window.padding.top + first.window.padding.bottom + 1 == first.window.extent()[0]
            && first.window.padding.left + first.window.padding.right + 1 == first.window.extent()[1];
        if added && same && out == first.in_channels {
            y = g.add(y, x);
        }
        let y = add_activation(&mut g, y, activations[1]);
        Problem::new(g, y, input, batch)
    };
    let by_hand = [
        (Conv2d::depthwise(58, 3).padding(1), 58, true, (7, 7), [None, RELU], (3, 1)),
        (Conv2d::depthwise(150, 5).stride(2).padding(2), 9, false, (6, 5), [RELU, None], (2, 2)),
        (Conv2d::depthwise(2, 3).padding(1), 2, true, (1, 3), [RELU, RELU], (1, 3)),
        // As many taps in a row as one dispatch for both takes, and one more.
        (Conv2d::depthwise(5, 8).padding(4), 6, false, (7, 6), [None, None], (1, 4)),
        (Conv2d::depthwise(5, 9).padding(4), 6, false, (7, 6), [None, None], (1, 5)),
    ];
    let square = (prop_oneof![4 => 1usize..20, 1 => 60usize..140], 1usize..6, 1usize..4, 0usize..3)
        .prop_map(|(c, k, stride, padding)| Conv2d::depthwise(c, k).stride(stride).padding(padding));
    let any_window = (1usize..20, window(3)).prop_map(|(c, window)| Conv2d::depthwise(c, 1).window(window));
    let same = (1usize..30, 1usize..3).prop_map(|(c, half)| Conv2d::depthwise(c, 2 * half + 1).padding(half));
    let first = prop_oneof![square, any_window, same];
    let out = (1usize..40, any::<bool>());
    let generated = (first, out, any::<bool>(), sides(), [activation(), activation()], batch()).prop_map(
        |(first, (out, equal), added, sides, activations, batch)| {
            let out = if equal { first.in_channels } else { out };
            (first, out, added, sides, activations, batch)
        },
    );
    check(64, by_hand, generated, build);
}

#[test]
fn depthwise_convolution() {
    let by_hand = [
        (Conv2d::depthwise(13, 3).stride(2).padding(1), (7, 9), (true, None), (3, 1)),
        (Conv2d::depthwise(1, 5).padding(2), (3, 1), (false, RELU), (2, 2)),
        (Conv2d::depthwise(2, 3).padding(3), (3, 3), (false, None), (1, 0)),
    ];
    let square = (1usize..20, 1usize..6, 1usize..4, 0usize..3)
        .prop_map(|(c, k, stride, padding)| Conv2d::depthwise(c, k).stride(stride).padding(padding));
    let any = (1usize..20, window(3)).prop_map(|(c, window)| Conv2d::depthwise(c, 1).window(window));
    let conv = prop_oneof![square, any];
    check(96, by_hand, (conv, sides(), tail(), batch()), conv_problem);

    // Where rows are of an even number of pixels, two may be loaded at once.
    let by_hand = [
        (Conv2d::depthwise(13, 3).padding(1), (9, 4), (true, RELU), (2, 1)),
        (Conv2d::depthwise(6, 3).stride(2).padding(1), (8, 12), (true, None), (3, 2)),
    ];
    let three = (1usize..20, 1usize..3, window(3)).prop_map(|(c, stride, Window { padding, .. })| {
        Conv2d::depthwise(c, 1).window(Window { padding, stride: [stride; 2], ..Window::square(3) })
    });
    let even = (1usize..20, 1usize..12).prop_map(|(height, half)| (height, 2 * half));
    check(64, by_hand, (three, even, tail(), batch()), conv_problem);
}

#[test]
fn dense_and_grouped_convolution() {
    let by_hand = [
        (Conv2d::new(3, 10, 3).stride(2).padding(1).no_bias(), (67, 93), (true, RELU), (3, 1)),
        (Conv2d::new(15, 9, 3).groups(3).padding(1), (5, 5), (false, None), (2, 2)),
        // Slices of inputs, as in a 1x1 convolution.
        (Conv2d::new(140, 10, 3).padding(1), (5, 4), (true, RELU), (2, 3)),
        (Conv2d::new(64, 34, 1).stride(2), (9, 7), (false, None), (3, 4)),
        // Of planes, in tiles of 8, 7, 6 and 5 groups of outputs, not all of them whole.
        (Conv2d::new(3, 64, 7).stride(2).padding(3), (19, 16), (true, RELU), (1, 3)),
        (Conv2d::new(1, 26, 3).padding(2), (3, 5), (false, RELU), (2, 4)),
        (Conv2d::new(2, 70, 5).stride(3), (14, 9), (false, None), (2, 5)),
        (Conv2d::new(2, 33, 3).padding(1), (6, 9), (true, None), (2, 5)),
        // Of images of a single pixel, whose levels do not come in fours.
        (Conv2d::new(3, 5, 3).padding(1), (1, 1), (true, RELU), (3, 6)),
        (Conv2d::new(1, 4, 3).padding(1), (1, 1), (false, None), (3, 7)),
        // As many columns as the kernel for planes takes, and one more.
        (Conv2d::new(2, 5, 16).padding(8), (6, 9), (true, None), (1, 8)),
        (Conv2d::new(2, 5, 17).padding(8), (6, 9), (true, None), (1, 9)),
    ];
    let square = (1usize..6, 1usize..4, 0usize..3)
        .prop_map(|(k, stride, padding)| Conv2d::new(1, 1, k).stride(stride).padding(padding).window);
    let window = prop_oneof![square, window(3)];
    let conv = (1usize..6, 1usize..6, 1usize..4, window, any::<bool>()).prop_map(|(i, o, groups, window, bias)| {
        Conv2d { bias, ..Conv2d::new(i * groups, o * groups, 1).window(window).groups(groups) }
    });
    check(128, by_hand, (conv, sides(), tail(), batch()), conv_problem);
}

#[test]
fn linear() {
    type Case = ((usize, usize, usize), usize, bool, Option<Activation>, (usize, u32));
    let build = |view: &View, ((c, h, w), out, bias, activation, batch): Case| {
        let (mut g, x, input) = view.of(Shape::new(c, h, w));
        let x = g.flatten(x);
        let x = g.linear("fc", x, Linear { bias, ..Linear::new(c * h * w, out) });
        let x = add_activation(&mut g, x, activation);
        Problem::new(g, x, input, batch)
    };
    // Several slices of inputs, the last with a tail, and several tiles of images.
    let by_hand = [
        ((1, 28, 28), 10, true, RELU, (3, 1)),
        ((5, 1, 1), 1, false, None, (1, 2)),
        ((1030, 1, 1), 6, true, None, (6, 3)),
        ((35, 5, 4), 9, true, RELU, (5, 4)),
        // More groups of outputs than a dispatch has workgroups in a row.
        ((2, 1, 1), 262_200, true, None, (1, 5)),
    ];
    let image = (1usize..9, 1usize..9, 1usize..9);
    check(64, by_hand, (image, 1usize..80, any::<bool>(), activation(), batch()), build);
}

type PoolCase = (usize, (usize, usize), (Window, bool, bool), Option<Activation>, (usize, u32));

/// Pools whose windows all have a pixel: kernels in one piece, padded by less than their size, or in several without
/// padding.
fn pools() -> impl Strategy<Value = (Window, bool, bool)> {
    (window(4), any::<bool>(), any::<bool>()).prop_map(|(mut window, ceil, count)| {
        let Padding { top, left, bottom, right } = &mut window.padding;
        for (padding, axis) in [(top, 0), (left, 1), (bottom, 0), (right, 1)] {
            // Half of all pools.
            if count {
                window.dilation[axis] = 1;
            }
            *padding = if window.dilation[axis] == 1 { (*padding).min(window.kernel[axis] - 1) } else { 0 };
        }
        (window, ceil, count)
    })
}

fn pool_problem(view: &View, (channels, sides, pool, activation, batch): PoolCase, average: bool) -> Problem {
    let (window, ceil_mode, count_include_pad) = pool;
    let (mut g, x, input) = view.of(fitting(&window, channels, sides));
    let x = match average {
        true => g.avg_pool2d(x, AvgPool2d { window, ceil_mode, count_include_pad }),
        false => g.max_pool2d(x, MaxPool2d { window, ceil_mode }),
    };
    let x = add_activation(&mut g, x, activation);
    Problem::new(g, x, input, batch)
}

#[test]
fn max_pool() {
    let by_hand = MaxPool2d::new(3).stride(2).padding(1);
    let by_hand = [(5, (17, 23), (by_hand.window, false, false), None, (3, 1))];
    let square = (1usize..6, 1usize..4, 0usize..5).prop_map(|(side, stride, padding)| {
        (MaxPool2d::new(side).stride(stride).padding(padding.min(side - 1)).window, false, false)
    });
    let generated = (1usize..40, sides(), prop_oneof![square, pools()], activation(), batch());
    check(96, by_hand, generated, |view, case| pool_problem(view, case, false));
}

/// A pool right behind a dense convolution, which a device may compute together with it.
#[test]
fn convolution_and_max_pool() {
    type Case = (Conv2d, (usize, usize), (Window, bool, bool), (bool, Option<Activation>), (usize, u32));
    let build = |view: &View, (conv, sides, (window, ceil_mode, _), tail, batch): Case| {
        let mut shape = fitting(&conv.window, conv.in_channels, sides);
        shape.height += (window.extent()[0] - 1) * conv.window.stride[0];
        shape.width += (window.extent()[1] - 1) * conv.window.stride[1];
        let (mut g, x, input) = view.of(shape);
        let x = g.conv2d("conv", x, conv);
        let x = add_tail(&mut g, x, conv.out_channels, tail);
        let x = g.max_pool2d(x, MaxPool2d { window, ceil_mode });
        let x = g.activation(x, Activation::HardSwish);
        Problem::new(g, x, input, batch)
    };
    let stem = Conv2d::new(3, 24, 3).stride(2).padding(1).no_bias();
    let pool = (MaxPool2d::new(3).stride(2).padding(1).window, false, false);
    let by_hand = [
        (stem, (224, 224), pool, (true, RELU), (2, 1)),
        (Conv2d::new(5, 40, 7).padding(3), (61, 33), pool, (false, Some(Activation::HardSwish)), (1, 2)),
    ];
    let conv = (1usize..6, 1usize..40, window(3)).prop_map(|(i, o, window)| Conv2d::new(i, o, 1).window(window));
    check(96, by_hand, (conv, sides(), pools(), tail(), batch()), build);
}

#[test]
fn average_pool() {
    let by_hand = AvgPool2d::new(3).stride(2).padding(1);
    let by_hand = [(21, (8, 5), (by_hand.window, true, true), None, (3, 1))];
    let generated = (1usize..40, sides(), pools(), activation(), batch());
    check(128, by_hand, generated, |view, case| pool_problem(view, case, true));
}

/// A convolution to which something is added, as in a residual unit: its input, what another convolution makes of it, or
/// a number a channel; or which is multiplied by one of these.
#[test]
fn sums_and_products() {
    type Case = ((usize, bool, usize), (usize, usize), (usize, bool, bool), Option<Activation>, (usize, u32));
    let build = |view: &View, ((channels, depthwise, kernel), (height, width), what, activation, batch): Case| {
        let (operand, swapped, product) = what;
        let (mut g, viewed, input) = view.of(Shape::new(channels, height, width));
        let conv =
            if depthwise { Conv2d::depthwise(channels, kernel) } else { Conv2d::new(channels, channels, kernel) };
        let conv = conv.padding(kernel / 2);
        let x = g.activation(viewed, Activation::HardSwish);
        let y = g.conv2d("conv", x, conv);
        let other = match operand {
            0 => x,
            1 => viewed,
            2 => g.conv2d("other", x, Conv2d::new(channels, channels, 1)),
            3 => {
                let mean = g.mean(x);
                g.conv2d("other", mean, Conv2d::new(channels, channels, 1))
            }
            4 => y,
            // Channels that lie elsewhere than their places tell.
            _ => {
                let more = g.conv2d("other", x, Conv2d::new(channels, 3, 1));
                let all = g.concat(&[more, x]);
                g.narrow(all, 1, channels)
            }
        };
        let (a, b) = if swapped && operand != 3 { (other, y) } else { (y, other) };
        let sum = if product { g.mul(a, b) } else { g.add(a, b) };
        let sum = add_activation(&mut g, sum, activation);
        // What the sum is made of is read once more, after it.
        let all = g.concat(&[sum, x]);
        Problem::new(g, all, input, batch)
    };
    let by_hand = [
        ((24, false, 1), (4, 4), (0, false, false), RELU, (3, 1)),
        ((24, false, 3), (4, 4), (2, true, false), None, (3, 1)),
        ((20, true, 3), (4, 4), (0, false, false), RELU, (2, 2)),
        ((33, false, 1), (1, 1), (0, false, false), RELU, (3, 1)),
        ((16, false, 1), (5, 4), (3, false, true), None, (2, 1)),
    ];
    let conv = (1usize..40, any::<bool>(), prop_oneof![Just(1usize), Just(3usize)]);
    let what = (0usize..6, any::<bool>(), any::<bool>());
    check(96, by_hand, (conv, (1usize..9, 1usize..9), what, activation(), batch()), build);
}

/// The sum of two convolutions of the graph's input, whose channels are planes.
#[test]
fn sums_of_convolutions_of_planes() {
    type Case = ((usize, usize), Window, (usize, usize), Option<Activation>, (usize, u32));
    let build = |_: &View, ((i, o), window, sides, activation, batch): Case| {
        let input = fitting(&window, i, sides);
        let mut g = Builder::new();
        let conv = Conv2d::new(i, o, 1).window(window);
        let (a, b) = (g.conv2d("a", Value::INPUT, conv), g.conv2d("b", Value::INPUT, conv));
        let sum = g.add(a, b);
        let sum = add_activation(&mut g, sum, activation);
        Problem::new(g, sum, input, batch)
    };
    check(32, [], ((1usize..5, 1usize..40), window(2), sides(), activation(), batch()), build);
}

#[test]
fn softmax() {
    type Case = (usize, (usize, usize), bool, (usize, u32));
    let build = |view: &View, (channels, (height, width), linear, batch): Case| {
        let (mut g, x, input) = view.of(Shape::new(channels, height, width));
        let x = if linear { g.conv2d("fc", x, Conv2d::new(channels, 2 * channels, 1)) } else { x };
        let x = g.softmax(x);
        Problem::new(g, x, input, batch)
    };
    let by_hand = [(1000, (1, 1), false, (3, 1)), (10, (1, 1), true, (2, 2))];
    check(32, by_hand, (1usize..50, (1usize..4, 1usize..4), any::<bool>(), batch()), build);
}

#[test]
fn mean() {
    type Case = (usize, (usize, usize), (usize, u32));
    let build = |view: &View, (channels, (height, width), batch): Case| {
        let (mut g, x, input) = view.of(Shape::new(channels, height, width));
        let x = g.mean(x);
        Problem::new(g, x, input, batch)
    };
    let by_hand = [(70, (7, 7), (3, 1)), (9, (1, 1), (2, 2)), (3, (40, 33), (2, 3))];
    check(48, by_hand, (1usize..80, sides(), batch()), build);
}

#[test]
fn batch_norm_and_activation_by_themselves() {
    type Case = (usize, (usize, usize), (bool, Option<Activation>), (usize, u32));
    let build = |view: &View, (channels, (height, width), tail, batch): Case| {
        let (mut g, x, input) = view.of(Shape::new(channels, height, width));
        let x = add_tail(&mut g, x, channels, tail);
        Problem::new(g, x, input, batch)
    };
    let every = Activation::examples().map(|(_, activation)| (5, (7, 3), (false, Some(activation)), (2, 1)));
    let by_hand = every.chain([(3, (3, 3), (false, None), (2, 1))]);
    check(48, by_hand, (1usize..20, sides(), tail(), batch()), build);
}

/// Channels are split, shuffled and concatenated several times between convolutions, so that the tables of places
/// are put to the test, and so are the copies where a convolution would write the buffer that it reads.
#[test]
fn chunk_concat_and_shuffle() {
    type Case = (usize, (usize, usize), Vec<u8>, (usize, u32));
    let build = |view: &View, (half, (height, width), moves, batch): Case| {
        let channels = 2 * half;
        let (mut g, mut x, input) = view.of(Shape::new(channels, height, width));
        for (i, step) in moves.iter().enumerate() {
            let (a, b) = g.chunk2(x);
            x = match step {
                0 => g.concat(&[b, a]),
                1 => g.channel_shuffle(x, 2),
                2 => g.channel_shuffle(x, half),
                6 => {
                    let (first, rest) = (g.narrow(x, 0, 1), g.narrow(x, 1, channels - 1));
                    g.concat(&[rest, first])
                }
                3 => {
                    let b = g.conv2d(&i.to_string(), b, Conv2d::new(half, half, 1));
                    g.concat(&[a, b])
                }
                4 => {
                    let a = g.conv2d(&i.to_string(), a, Conv2d::depthwise(half, 3).padding(1));
                    g.concat(&[a, b])
                }
                // What is read here lies in the storage that is written here.
                _ => {
                    let all = g.conv2d(&i.to_string(), x, Conv2d::new(channels, half, 1));
                    g.concat(&[all, a])
                }
            };
        }
        Problem::new(g, x, input, batch)
    };
    let by_hand = [(5, (3, 3), vec![1, 5, 5, 1, 3], (2, 1)), (1, (1, 1), vec![], (1, 2))];
    let moves = proptest::collection::vec(0u8..7, 0..8);
    check(64, by_hand, (1usize..8, (1usize..8, 1usize..8), moves, batch()), build);
}

#[test]
fn shufflenets_of_odd_sizes() {
    type Case = ([usize; 3], (usize, [usize; 3], usize), usize, (usize, usize), (usize, u32));
    let build = |_: &View, (stages_repeats, (c1, [a, b, c], c5), num_classes, (height, width), batch): Case| {
        let stages_out_channels = [c1, 2 * a, 2 * b, 2 * c, c5];
        let network = ShuffleNetV2 { stages_repeats, stages_out_channels, num_classes }.network();
        Problem { graph: network.graph, input: Shape::new(3, height, width), batch: batch.0, seed: batch.1 }
    };
    let repeats = prop::array::uniform3(1usize..4);
    let channels = (1usize..14, prop::array::uniform3(1usize..10), 1usize..30);
    check(12, [], (repeats, channels, 1usize..12, (1usize..70, 1usize..70), batch()), build);
}
