//! Every operator, on every device, against the reference loops, over generated shapes.

mod common;

use common::{cpus, devices};
use pretrained::graph::{BatchNorm2d, Builder, Conv2d, Graph, Linear, MaxPool2d, Shape, Value};
use pretrained::zoo::{Network, ShuffleNetV2};
use pretrained::{Device, InstructionSet, Model, Session, reference};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use std::sync::LazyLock;

/// The largest error allowed, as a share of the largest expected value or of 1, whichever is more.
const TOLERANCE: f32 = 1e-5;

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
        let model =
            Model::from_weights(Network { name: "problem".into(), graph, input, preset: None }, values).unwrap();
        let images: Vec<Vec<f32>> = (0..batch).map(|_| noise.take(input.elements())).collect();
        let run = |image: &Vec<f32>| reference::run(&model.network().graph, model.weights(), input, image).unwrap();
        let expected: Vec<f32> = images.iter().flat_map(run).collect();
        let scale = expected.iter().fold(1f32, |a, v| a.max(v.abs()));
        for device in DEVICES.iter() {
            let mut session = Session::new(device, &model, input, batch + 1).unwrap();
            let found = session.run(&images.concat()).unwrap();
            prop_assert_eq!(found.len(), expected.len());
            for (i, (x, y)) in found.iter().zip(&expected).enumerate() {
                let close = (x - y).abs() <= TOLERANCE * scale;
                prop_assert!(close, "{}: element {i} is {x}, expected {y}", device.name());
            }
        }
        Ok(())
    }
}

/// Numbers between -1 and 1 from a linear congruential generator.
struct Noise(u32);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as f32 / (1 << 23) as f32 - 1.0
    }

    fn take(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.next()).collect()
    }
}

/// Checks generated problems, and the ones given by hand first.
fn check<S: Strategy>(
    cases: u32,
    by_hand: impl IntoIterator<Item = S::Value>,
    generated: S,
    build: fn(S::Value) -> Problem,
) {
    for case in by_hand {
        build(case).check().unwrap();
    }
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new(config).run(&generated, |case| build(case).check()).unwrap();
}

/// Images in a batch, and the seed of all numbers.
fn batch() -> impl Strategy<Value = (usize, u32)> {
    (1usize..4, any::<u32>())
}

/// What follows an operator: nothing, a batch normalisation, a ReLU, or both.
fn tail() -> impl Strategy<Value = (bool, bool)> {
    any::<(bool, bool)>()
}

fn add_tail(g: &mut Builder, mut x: Value, channels: usize, (norm, relu): (bool, bool)) -> Value {
    if norm {
        x = g.batch_norm2d("bn", x, BatchNorm2d::new(channels));
    }
    if relu {
        x = g.relu(x);
    }
    x
}

type ConvCase = (Conv2d, (usize, usize), (bool, bool), (usize, u32));

fn conv_problem((conv, (height, width), tail, batch): ConvCase) -> Problem {
    let least = conv.kernel.saturating_sub(2 * conv.padding);
    let input = Shape::new(conv.in_channels, height.max(least), width.max(least));
    let mut g = Builder::new();
    let x = g.conv2d("conv", Value::INPUT, conv);
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
        (Conv2d::new(58, 58, 1), (7, 7), (true, true), (3, 1)),
        (Conv2d::new(3, 9, 1), (1, 1), (false, true), (2, 2)),
        (Conv2d::new(1, 1, 1), (1, 2), (true, false), (1, 3)),
    ];
    let conv = (1usize..40, 1usize..40, any::<bool>()).prop_map(|(i, o, bias)| Conv2d { bias, ..Conv2d::new(i, o, 1) });
    check(64, by_hand, (conv, sides(), tail(), batch()), conv_problem);
}

#[test]
fn depthwise_convolution() {
    let by_hand = [
        (Conv2d::depthwise(13, 3).stride(2).padding(1), (7, 9), (true, false), (3, 1)),
        (Conv2d::depthwise(1, 5).padding(2), (3, 1), (false, true), (2, 2)),
    ];
    let conv = (1usize..20, 1usize..6, 1usize..4, 0usize..3)
        .prop_map(|(c, k, stride, padding)| Conv2d::depthwise(c, k).stride(stride).padding(padding));
    check(64, by_hand, (conv, sides(), tail(), batch()), conv_problem);
}

#[test]
fn dense_and_grouped_convolution() {
    let by_hand = [
        (Conv2d::new(3, 10, 3).stride(2).padding(1).no_bias(), (67, 93), (true, true), (3, 1)),
        (Conv2d::new(15, 9, 3).groups(3).padding(1), (5, 5), (false, false), (2, 2)),
    ];
    let conv = (1usize..6, 1usize..6, 1usize..4, (1usize..6, 1usize..4, 0usize..3), any::<bool>()).prop_map(
        |(i, o, groups, (k, stride, padding), bias)| {
            let conv = Conv2d::new(i * groups, o * groups, k).stride(stride).padding(padding).groups(groups);
            Conv2d { bias, ..conv }
        },
    );
    check(96, by_hand, (conv, sides(), tail(), batch()), conv_problem);
}

#[test]
fn linear() {
    type Case = ((usize, usize, usize), usize, bool, bool, (usize, u32));
    let build = |((c, h, w), out, bias, relu, batch): Case| {
        let mut g = Builder::new();
        let x = g.flatten(Value::INPUT);
        let x = g.linear("fc", x, Linear { bias, ..Linear::new(c * h * w, out) });
        let x = if relu { g.relu(x) } else { x };
        Problem::new(g, x, Shape::new(c, h, w), batch)
    };
    let by_hand = [((1, 28, 28), 10, true, true, (3, 1)), ((5, 1, 1), 1, false, false, (1, 2))];
    let image = (1usize..9, 1usize..9, 1usize..9);
    check(64, by_hand, (image, 1usize..80, any::<bool>(), any::<bool>(), batch()), build);
}

#[test]
fn max_pool() {
    type Case = (usize, (usize, usize), (usize, usize, usize), bool, (usize, u32));
    let build = |(channels, (height, width), (kernel, stride, padding), relu, batch): Case| {
        let mut g = Builder::new();
        let pool = MaxPool2d { kernel, stride, padding: padding.min(kernel - 1) };
        let x = g.max_pool2d(Value::INPUT, pool);
        let x = if relu { g.relu(x) } else { x };
        Problem::new(g, x, Shape::new(channels, height.max(kernel), width.max(kernel)), batch)
    };
    let by_hand = [(5, (17, 23), (3, 2, 1), false, (3, 1))];
    let window = (1usize..6, 1usize..5, 0usize..5);
    check(64, by_hand, (1usize..9, sides(), window, any::<bool>(), batch()), build);
}

#[test]
fn mean() {
    type Case = (usize, (usize, usize), (usize, u32));
    let build = |(channels, (height, width), batch): Case| {
        let mut g = Builder::new();
        let x = g.mean(Value::INPUT);
        Problem::new(g, x, Shape::new(channels, height, width), batch)
    };
    check(48, [(70, (7, 7), (3, 1))], (1usize..80, sides(), batch()), build);
}

#[test]
fn batch_norm_and_relu_by_themselves() {
    type Case = (usize, (usize, usize), (bool, bool), (usize, u32));
    let build = |(channels, (height, width), tail, batch): Case| {
        let mut g = Builder::new();
        let x = add_tail(&mut g, Value::INPUT, channels, tail);
        Problem::new(g, x, Shape::new(channels, height, width), batch)
    };
    check(48, [(3, (3, 3), (false, false), (2, 1))], (1usize..20, sides(), tail(), batch()), build);
}

/// Channels are split, shuffled and concatenated several times between convolutions, so that the tables of places
/// are put to the test, and so are the copies where a convolution would write the buffer that it reads.
#[test]
fn chunk_concat_and_shuffle() {
    type Case = (usize, (usize, usize), Vec<u8>, (usize, u32));
    let build = |(half, (height, width), moves, batch): Case| {
        let channels = 2 * half;
        let mut g = Builder::new();
        let mut x = Value::INPUT;
        for (i, step) in moves.iter().enumerate() {
            let (a, b) = g.chunk2(x);
            x = match step {
                0 => g.concat(&[b, a]),
                1 => g.channel_shuffle(x, 2),
                2 => g.channel_shuffle(x, half),
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
        Problem::new(g, x, Shape::new(channels, height, width), batch)
    };
    let by_hand = [(5, (3, 3), vec![1, 5, 5, 1, 3], (2, 1)), (1, (1, 1), vec![], (1, 2))];
    let moves = proptest::collection::vec(0u8..6, 0..8);
    check(64, by_hand, (1usize..8, (1usize..8, 1usize..8), moves, batch()), build);
}

#[test]
fn shufflenets_of_odd_sizes() {
    type Case = ([usize; 3], (usize, [usize; 3], usize), usize, (usize, usize), (usize, u32));
    let build = |(stages_repeats, (c1, [a, b, c], c5), num_classes, (height, width), batch): Case| {
        let stages_out_channels = [c1, 2 * a, 2 * b, 2 * c, c5];
        let network = ShuffleNetV2 { stages_repeats, stages_out_channels, num_classes }.network();
        Problem { graph: network.graph, input: Shape::new(3, height, width), batch: batch.0, seed: batch.1 }
    };
    let repeats = prop::array::uniform3(1usize..4);
    let channels = (1usize..14, prop::array::uniform3(1usize..10), 1usize..30);
    check(12, [], (repeats, channels, 1usize..12, (1usize..70, 1usize..70), batch()), build);
}
