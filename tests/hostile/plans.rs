//! Compiles networks that ask for more than there is: memory, work, or sizes whose product is no number.

use pretrained::graph::{
    Activation, AvgPool2d, Builder, Conv2d, Graph, Linear, MaxPool2d, Padding, Shape, Value, Window,
};
use pretrained::zoo::Network;
use pretrained::{CpuOptions, Device, Error, InstructionSet, Limits, Model, Result, Session, SessionOptions};
use std::time::{Duration, Instant};

/// How long any of these may take, on a machine that does other things too.
const MOMENT: Duration = Duration::from_secs(5);

fn model(graph: Graph, input: Shape) -> Model {
    let values = graph.parameters().iter().map(|p| vec![0.5; p.shape.iter().product()]).collect();
    Model::from_weights(Network::new("hostile", graph, input), values).unwrap()
}

/// A graph of one input, by its builder.
fn graph(build: impl FnOnce(&mut Builder) -> Value) -> Graph {
    let mut g = Builder::new();
    let output = build(&mut g);
    g.finish(output)
}

fn cpus() -> Vec<Device> {
    let with = |set| CpuOptions { instruction_set: Some(set), ..CpuOptions::default() };
    InstructionSet::available().into_iter().map(|set| Device::cpu_with(with(set)).unwrap()).collect()
}

/// What each instruction set's session says, within a moment.
fn sessions(graph: Graph, input: Shape, limits: &Limits) -> Vec<Result<Session>> {
    let model = model(graph, input);
    let cpus = cpus();
    let session = |device| {
        let began = Instant::now();
        let session =
            Session::new(device, &model, input, &SessionOptions::default().max_batch(8).limits(limits.clone()));
        assert!(began.elapsed() < MOMENT, "{:?}", began.elapsed());
        session
    };
    cpus.iter().map(session).collect()
}

/// Each refuses the graph, under this limit.
fn assert_over(graph: Graph, input: Shape, limit: &str) {
    for session in sessions(graph, input, &Limits::default()) {
        let error = session.map(|_| ()).unwrap_err();
        assert!(matches!(error, Error::Limit { .. } | Error::Device { .. }), "{error:?}");
        assert!(error.to_string().contains(limit), "{error}");
    }
}

/// A kernel of 2x2 taps 2^20 - 1 pixels apart, far beyond an image of one pixel: its rows with their padding are 2^42
/// numbers a channel, which for 2^22 channels is 2^64, or nothing.
fn far_apart() -> Window {
    let far = (1 << 20) - 1;
    Window { kernel: [2; 2], stride: [far + 1; 2], padding: Padding::all(far + 1), dilation: [far; 2] }
}

#[test]
fn rows_that_no_memory_holds_are_no_memory() {
    let one = Shape::new(16, 1, 1);
    assert_over(
        graph(|g| g.conv2d("c", Value::INPUT, Conv2d::new(16, 1, 1).window(far_apart()))),
        one,
        "activation_bytes",
    );
    let depthwise = |g: &mut Builder| {
        let x = g.channel_shuffle(Value::INPUT, 2);
        g.conv2d("c", x, Conv2d::depthwise(16, 1).window(Window { stride: [1 << 19; 2], ..far_apart() }))
    };
    assert_over(graph(depthwise), one, "activation_bytes");
    let pool = |g: &mut Builder| {
        let x = g.channel_shuffle(Value::INPUT, 2);
        let window = Window { padding: Padding::all((1 << 20) - 1), ..far_apart() };
        g.max_pool2d(x, MaxPool2d::new(2).window(window))
    };
    assert_over(graph(pool), one, "activation_bytes");
    // So many channels that the product of sizes wraps to nothing.
    let wrapped = |g: &mut Builder| {
        let x = g.conv2d("a", Value::INPUT, Conv2d::new(1, 1 << 20, 1));
        let parts = [Activation::Relu, Activation::HardSwish, Activation::HARD_SIGMOID, Activation::RELU6];
        let parts = parts.map(|activation| g.activation(x, activation));
        let x = g.concat(&parts);
        g.conv2d("c", x, Conv2d::new(1 << 22, 1, 1).window(far_apart()))
    };
    assert_over(graph(wrapped), Shape::new(1, 1, 1), "plan_bytes");
    // With memory for all of these, whatever time that takes.
    let generous = Limits { plan_bytes: u64::MAX, ..Limits::default() };
    let (wrapped, input) = (model(graph(wrapped), Shape::new(1, 1, 1)), Shape::new(1, 1, 1));
    for device in cpus() {
        let session = Session::new(&device, &wrapped, input, &SessionOptions::default().limits(generous.clone()));
        let error = session.map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("activation_bytes"), "{error}");
    }
}

#[test]
fn channels_that_double_are_refused_before_there_are_many() {
    for times in [21, 26, 30, 33, 36] {
        let doubled = |g: &mut Builder| {
            let x = (0..times).fold(Value::INPUT, |x, _| g.concat(&[x, x]));
            g.mean(x)
        };
        assert_over(graph(doubled), Shape::new(3, 1, 1), "plan_bytes");
    }
    let fanned = |g: &mut Builder| {
        let x = (0..3).fold(Value::INPUT, |x, _| g.concat(&[x; 1000]));
        g.mean(x)
    };
    assert_over(graph(fanned), Shape::new(3, 1, 1), "plan_bytes");
    // More inputs than a sum of their channels can count.
    let beyond = |g: &mut Builder| {
        let x = (0..40).fold(Value::INPUT, |x, _| g.concat(&[x, x]));
        let x = g.concat(&vec![x; 1 << 23]);
        g.mean(x)
    };
    let error = graph(beyond).shapes(Shape::new(3, 1, 1)).unwrap_err().to_string();
    assert!(error.contains("it would give"), "{error}");
}

#[test]
fn work_without_end_is_not_begun() {
    let large = Window { padding: Padding::all(4000), ..Window::square(1000) };
    let conv = |g: &mut Builder| g.conv2d("c", Value::INPUT, Conv2d::new(3, 1, 1).window(large));
    assert_over(graph(conv), Shape::new(3, 8, 8), "`Limits::operations`");
    let padded = Window { padding: Padding::all(999), ..large };
    for average in [false, true] {
        let pool = |g: &mut Builder| match average {
            true => g.avg_pool2d(Value::INPUT, AvgPool2d::new(1).window(padded)),
            false => g.max_pool2d(Value::INPUT, MaxPool2d::new(1).window(padded)),
        };
        assert_over(graph(pool), Shape::new(16, 1500, 1500), "`Limits::operations`");
    }
}

#[test]
fn weights_that_grow_as_they_are_packed_are_counted() {
    // In a tile of 48 outputs each sees 2 channels of its own, and zeros for the others'.
    let groups = 1 << 17;
    let grouped = |g: &mut Builder| {
        let x = g.conv2d("a", Value::INPUT, Conv2d::new(1, 2 * groups, 1));
        g.conv2d("c", x, Conv2d::new(2 * groups, groups, 3).groups(groups))
    };
    assert_over(graph(grouped), Shape::new(1, 3, 3), "plan_bytes");
    // One output where there is room for 16.
    let one = |g: &mut Builder| {
        let x = g.flatten(Value::INPUT);
        g.linear("fc", x, Linear::new(1 << 23, 1))
    };
    assert_over(graph(one), Shape::new(1, 4096, 2048), "plan_bytes");
}

#[test]
fn an_image_without_numbers_is_none() {
    let empty = graph(|g| g.conv2d("c", Value::INPUT, Conv2d::new(3, 0, 1)));
    assert!(empty.shapes(Shape::new(3, 4, 4)).unwrap_err().to_string().contains("it would give 0x4x4"));
}

/// Steps of which each would overwrite what it reads, planes picked out of order, and values that are all needed at once:
/// twice as many take twice as long.
#[test]
fn compiling_takes_time_by_the_size_of_the_graph() {
    let copies = |g: &mut Builder| {
        let first = g.activation(Value::INPUT, Activation::HardSwish);
        (0..20_000).fold(first, |x, i| {
            let y = g.activation(x, if i % 2 == 0 { Activation::Relu } else { Activation::RELU6 });
            let both = g.concat(&[y, x]);
            g.narrow(both, 1, 3)
        })
    };
    let shuffled = |g: &mut Builder| {
        let x = g.activation(Value::INPUT, Activation::HardSwish);
        let x = g.channel_shuffle(x, 2);
        g.conv2d("c", x, Conv2d::depthwise(1 << 17, 1))
    };
    let alive = |g: &mut Builder| {
        let all: Vec<Value> = (0..20_000).map(|_| g.mean(Value::INPUT)).collect();
        all.iter().rev().fold(all[0], |sum, x| g.add(sum, *x))
    };
    let cases: [(Graph, Shape); 3] = [
        (graph(copies), Shape::new(3, 1, 1)),
        (graph(shuffled), Shape::new(1 << 17, 1, 1)),
        (graph(alive), Shape::new(3, 2, 2)),
    ];
    for (graph, input) in cases {
        for session in sessions(graph, input, &Limits::default()) {
            session.unwrap();
        }
    }
}
