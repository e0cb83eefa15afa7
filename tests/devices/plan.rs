//! The plan: how many steps a network takes, that none copies, and that no step reads what it writes.

use pretrained::compile::{Kernel, Layout, Plan, Source, Step, Target, compile};
use pretrained::graph::{Builder, Conv2d, Graph, MaxPool2d, Shape, Value};
use pretrained::zoo::{MobileNetV2, MobileNetV3, ShuffleNetV2, SqueezeNet};
use pretrained::{Model, Weights};
use proptest::collection::vec;
use proptest::strategy::Strategy;
use proptest::{option, proptest};
use std::collections::HashSet;

/// Channels side by side, as devices ask for them: planes, and vectors of several widths.
const LANES: [usize; 4] = [1, 4, 8, 16];

fn plan(graph: &Graph, input: Shape, lanes: usize) -> Plan {
    laid_out(graph, input, Layout::of_lanes(lanes))
}

fn laid_out(graph: &Graph, input: Shape, layout: Layout) -> Plan {
    let values = graph.parameters().iter().map(|p| vec![0.5; p.shape.iter().product()]).collect();
    compile(graph, &Weights::new(graph, values).unwrap(), input, layout).unwrap()
}

#[test]
fn a_shufflenet_takes_59_steps_and_no_copy() {
    for name in ["shufflenetv2_x0_5", "shufflenetv2_x1_0", "shufflenetv2_x1_5", "shufflenetv2_x2_0"] {
        let network = ShuffleNetV2::by_name(name, 1000).unwrap().network();
        for lanes in LANES {
            let plan = plan(&network.graph, network.input, lanes);
            assert_eq!(plan.steps.len(), 59, "{name}");
            assert!(plan.steps.iter().all(|step| !matches!(step.kernel, Kernel::Copy)), "{name}");
            assert!(plan.buffers.len() <= 5, "{name} takes {} buffers", plan.buffers.len());
        }
    }
}

/// Elements that a step reads for a batch of two, and those that it writes, each with its buffer.
fn touched(step: &Step) -> [HashSet<(usize, usize)>; 2] {
    let of_batch = |buffer, image_stride: usize, element: usize| [(buffer, element), (buffer, element + image_stride)];
    let read = [&step.source].into_iter().chain(&step.other).flat_map(|source| {
        let pixels = source.height * source.width;
        let elements = source.planes.iter().flat_map(move |plane| (0..pixels).map(move |p| plane + p * source.lanes));
        elements.flat_map(move |element| of_batch(source.buffer, source.image_stride, element))
    });
    let Target { buffer, image_stride, shape, lanes, .. } = step.target;
    let written = (0..shape.channels).flat_map(|c| (0..shape.pixels()).map(move |p| step.target.plane(c) + p * lanes));
    [read.collect(), written.flat_map(|element| of_batch(buffer, image_stride, element)).collect()]
}

/// Which steps wait, of which it makes sure that those that run side by side share no element that one of them writes.
fn waits(plan: &Plan) -> Vec<bool> {
    let waits = plan.waits();
    let touched: Vec<_> = plan.steps.iter().map(touched).collect();
    for (later, [read, written]) in touched.iter().enumerate() {
        let began = (0..=later).rev().find(|step| waits[*step]).unwrap_or(0);
        for (earlier, [before, overwritten]) in touched[began..later].iter().enumerate() {
            let apart = read.is_disjoint(overwritten) && written.is_disjoint(before);
            assert!(apart && written.is_disjoint(overwritten), "{later} does not wait for {}", began + earlier);
        }
    }
    waits
}

#[test]
fn the_branches_of_a_unit_run_side_by_side() {
    let networks = [
        (ShuffleNetV2::by_name("shufflenetv2_x0_5", 10).unwrap().network(), 4),
        (SqueezeNet::by_name("squeezenet1_1", 10).unwrap().network(), 9),
        (MobileNetV3::by_name("mobilenet_v3_small", 10).unwrap().network(), 1),
    ];
    for ((network, side_by_side), lanes) in networks.iter().flat_map(|network| LANES.map(|lanes| (network, lanes))) {
        let waits = waits(&plan(&network.graph, Shape::new(3, 32, 32), lanes));
        // The first step, and one in each unit of two branches: where ShuffleNetV2 halves the image, and where SqueezeNet
        // expands.
        assert_eq!(waits.iter().filter(|waits| !**waits).count(), *side_by_side, "{} {lanes}", network.name);
    }
}

/// A buffer, which stride it has, and a group in it.
fn place() -> impl Strategy<Value = (usize, usize, usize)> {
    (0..3usize, 0..2usize, 0..3usize)
}

proptest! {
    /// Steps that read and write anywhere in three buffers, whose images lie 24 or 32 elements apart.
    #[test]
    fn steps_wait_for_those_whose_elements_they_share(
        steps in vec((place(), option::of(place()), place()), 2..6),
    ) {
        let stride = |wide| [24, 32][wide];
        let shape = Shape::new(4, 1, 2);
        let source = |(buffer, wide, group): (usize, usize, usize)| Source {
            buffer,
            image_stride: stride(wide),
            planes: (0..4).map(|c| group * 8 + c).collect(),
            lanes: 4,
            height: 1,
            width: 2,
        };
        let target = |(buffer, wide, group): (usize, usize, usize)| {
            Target { buffer, image_stride: stride(wide), offset: group * 8, lanes: 4, shape }
        };
        let steps = steps.into_iter().map(|(read, other, written)| Step {
            name: String::new(),
            kernel: Kernel::Copy,
            activation: None,
            pool: None,
            source: source(read),
            other: other.map(source),
            target: target(written),
            chained: false,
        });
        let end = target((0, 0, 0));
        waits(&Plan { input: end.clone(), steps: steps.collect(), output: end, buffers: vec![64; 3] });
    }
}

/// For a device that asks for it a pool is part of the convolution before it, and of nothing else.
#[test]
fn a_pool_takes_no_step() {
    let network = ShuffleNetV2::by_name("shufflenetv2_x1_0", 1000).unwrap().network();
    let plan = laid_out(&network.graph, network.input, Layout { pooled_weights: 3 * 24 * 9, ..Layout::of_lanes(16) });
    assert_eq!(plan.steps.len(), 58);
    let (first, others) = plan.steps.split_first().unwrap();
    assert_eq!(first.pool.map(|pool| pool.of), Some(Shape::new(24, 112, 112)));
    assert_eq!(first.target.shape, Shape::new(24, 56, 56));
    assert!(others.iter().all(|step| step.pool.is_none()));
    check_places(&plan, 16);

    let steps = |before: fn(&mut Builder, Value) -> Value, pool, pooled_weights| {
        let mut g = Builder::new();
        let x = before(&mut g, Value::INPUT);
        let x = g.max_pool2d(x, pool);
        let graph = g.finish(x);
        laid_out(&graph, Shape::new(8, 9, 9), Layout { pooled_weights, ..Layout::of_lanes(4) }).steps
    };
    let pooled = |before, pool, most| steps(before, pool, most).iter().any(|step| step.pool.is_some());
    let dense: fn(&mut Builder, Value) -> Value = |g, x| g.conv2d("dense", x, Conv2d::new(8, 8, 3));
    assert!(pooled(dense, MaxPool2d::new(2), 8 * 8 * 9));
    assert!(!pooled(dense, MaxPool2d::new(2), 8 * 8 * 9 - 1), "too many weights");
    assert!(!pooled(dense, MaxPool2d::new(3).stride(1), 8 * 8 * 9), "most rows would be computed twice");
    let apart: [fn(&mut Builder, Value) -> Value; 3] = [
        |g, x| g.conv2d("pointwise", x, Conv2d::new(8, 8, 1)),
        |g, x| g.conv2d("depthwise", x, Conv2d::depthwise(8, 3)),
        |g, x| {
            let y = g.conv2d("residual", x, Conv2d::new(8, 8, 3).padding(1));
            g.add(y, x)
        },
    ];
    for before in apart {
        assert!(!pooled(before, MaxPool2d::new(2), usize::MAX));
    }
}

/// For a device that asks for it, what a depthwise convolution reads outlives it, where a 1x1 convolution alone reads its
/// results: the second writes nothing of what the first reads, and nobody else reads what lies between.
#[test]
fn a_separable_convolution_may_be_computed_as_one() {
    let networks = [
        (ShuffleNetV2::by_name("shufflenetv2_x1_0", 10).unwrap().network(), 19),
        (MobileNetV2::by_name("mobilenet_v2", 10).unwrap().network(), 17),
    ];
    for (network, expected) in networks {
        let input = Shape::new(3, 32, 32);
        let plan = |chained| laid_out(&network.graph, input, Layout { chained, ..Layout::of_lanes(4) });
        assert!(plan(false).steps.iter().all(|step| !step.chained));
        let plan = plan(true);
        check_places(&plan, 4);
        waits(&plan);
        assert_eq!(plan.steps.iter().filter(|step| step.chained).count(), expected, "{}", network.name);
        for (i, pair) in plan.steps.windows(2).enumerate().filter(|(_, pair)| pair[0].chained) {
            let [first, next] = pair else { unreachable!() };
            assert_ne!(first.source.buffer, next.target.buffer, "{}", first.name);
            let [_, between] = touched(first);
            for later in &plan.steps[i + 2..] {
                let [read, written] = touched(later);
                assert!(read.is_disjoint(&between), "{} reads what {} writes", later.name, first.name);
                if !written.is_disjoint(&between) {
                    break;
                }
            }
        }
    }

    // Somebody else reads the results; what is read and what is written share a storage; the results are the network's.
    let chained = |build: fn(&mut Builder, Value) -> Value| {
        let mut g = Builder::new();
        let x = g.conv2d("before", Value::INPUT, Conv2d::new(8, 8, 1));
        let output = build(&mut g, x);
        let layout = Layout { chained: true, ..Layout::of_lanes(4) };
        laid_out(&g.finish(output), Shape::new(8, 9, 9), layout).steps.iter().any(|step| step.chained)
    };
    let depthwise = |g: &mut Builder, x| g.conv2d("depthwise", x, Conv2d::depthwise(8, 3).padding(1));
    assert!(chained(|g, x| {
        let y = g.conv2d("depthwise", x, Conv2d::depthwise(8, 3).padding(1));
        g.conv2d("pointwise", y, Conv2d::new(8, 8, 1))
    }));
    assert!(!chained(|g, x| {
        let y = g.conv2d("depthwise", x, Conv2d::depthwise(8, 3).padding(1));
        let z = g.conv2d("pointwise", y, Conv2d::new(8, 8, 1));
        g.add(y, z)
    }));
    assert!(!chained(|g, x| {
        let y = g.conv2d("depthwise", x, Conv2d::depthwise(8, 3).padding(1));
        let z = g.conv2d("pointwise", y, Conv2d::new(8, 8, 1));
        g.concat(&[x, z])
    }));
    assert!(!chained(depthwise));
}

/// Whatever a step reads and writes lies in its buffers, and it reads none that it writes.
fn check_places(plan: &Plan, lanes: usize) {
    for step in &plan.steps {
        let target = &step.target;
        let groups = target.shape.channels.div_ceil(lanes);
        assert!(target.offset + groups * target.group_stride() <= target.image_stride);
        assert!(target.offset.is_multiple_of(lanes));
        assert!(target.image_stride <= plan.buffers[target.buffer]);
        for source in [&step.source].into_iter().chain(&step.other) {
            assert_ne!(source.buffer, target.buffer, "{}", step.name);
            let last = (source.height * source.width - 1) * source.lanes;
            assert!(source.planes.iter().all(|plane| plane + last < source.image_stride));
            assert!(source.image_stride <= plan.buffers[source.buffer]);
        }
    }
}

#[test]
fn every_step_stays_within_its_buffers_and_reads_no_buffer_that_it_writes() {
    let network = ShuffleNetV2::by_name("shufflenetv2_x1_0", 1000).unwrap().network();
    for lanes in LANES {
        check_places(&plan(&network.graph, network.input, lanes), lanes);
    }
}

/// A residual unit is a step a convolution: sums and activations are its last one's, whichever branch that is of.
#[test]
fn sums_and_activations_take_no_step() {
    for shortcut_first in [false, true] {
        let mut g = Builder::new();
        let mut x = Value::INPUT;
        for unit in ["a", "b", "c"] {
            x = g.scope(unit, |g| {
                let shortcut = |g: &mut Builder| g.conv2d("shortcut", x, Conv2d::new(20, 20, 1));
                let early = shortcut_first.then(|| shortcut(g));
                let y = g.sequential("branch", x).conv2d(Conv2d::new(20, 20, 3).padding(1)).batch_norm2d(20).relu();
                let y = y.conv2d(Conv2d::new(20, 20, 3).padding(1)).batch_norm2d(20).end();
                let other = if unit == "b" { x } else { early.unwrap_or_else(|| shortcut(g)) };
                let sum = g.add(y, other);
                g.relu(sum)
            });
        }
        let graph = g.finish(x);
        let unused = usize::from(shortcut_first);
        for lanes in LANES {
            let plan = plan(&graph, Shape::new(20, 9, 9), lanes);
            check_places(&plan, lanes);
            let convolutions = plan.steps.iter().filter(|step| matches!(step.kernel, Kernel::Conv2d { .. })).count();
            let copies = usize::from(lanes > 1);
            assert_eq!((convolutions, plan.steps.len()), (8 + unused, 8 + unused + copies), "{lanes} lanes");
            assert_eq!(plan.steps.iter().filter(|step| step.other.is_some()).count(), 3);
        }
    }
}

/// DESIGN: unit 7 of stage 3 reads 58 channels of the newest branch, 29 of the one before, then 15, 7, 3, 2, 1, 1.
#[test]
fn a_unit_reads_ever_fewer_channels_of_ever_older_branches() {
    let network = ShuffleNetV2::by_name("shufflenetv2_x1_0", 1000).unwrap().network();
    let plan = plan(&network.graph, network.input, 1);
    let unit = plan.steps.iter().find(|step| step.name == "stage3.7.branch2.0").unwrap();
    let writers: Vec<&pretrained::compile::Target> = plan.steps.iter().map(|step| &step.target).collect();
    let mut counts: Vec<usize> = writers
        .iter()
        .filter(|target| target.buffer == unit.source.buffer && target.image_stride == unit.source.image_stride)
        .map(|target| {
            let end = target.offset + target.shape.channels * target.group_stride();
            unit.source.planes.iter().filter(|plane| (target.offset..end).contains(plane)).count()
        })
        .filter(|count| *count > 0)
        .collect();
    counts.reverse();
    assert_eq!(counts.iter().sum::<usize>(), 116);
    assert_eq!(counts, [58, 29, 15, 7, 3, 2, 1, 1]);
}

#[test]
fn a_shape_that_does_not_fit_is_named() {
    let network = ShuffleNetV2::by_name("shufflenetv2_x0_5", 10).unwrap().network();
    let error = network.graph.shapes(Shape::new(1, 224, 224)).unwrap_err().to_string();
    assert_eq!(error, "an input of 1x224x224 does not fit conv1.0: it takes 3 channels, found 1x224x224");
    assert!(network.graph.shapes(Shape::new(3, 0, 5)).is_err());
    assert!(network.graph.shapes(Shape::new(3, usize::MAX, usize::MAX)).is_err());
    assert!(Model::from_weights(network, Vec::new()).is_err());
}
