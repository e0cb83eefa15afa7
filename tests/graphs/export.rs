//! Networks of every operator and of several, exported and read back: names, shapes and numbers.
//!
//! With `PRETRAINED_EXPORTS=FOLDER` the models stay in that folder, each beside an input and the output that the
//! reference loops give for it, for the frameworks to compare: tests/frameworks/run does that.

use crate::common;
use common::relative_error;
use indexmap::IndexMap;
use pretrained::graph::{
    Activation, AvgPool2d, BatchNorm2d, Builder, Conv2d, Linear, MaxPool2d, Padding, Shape, Value, Window,
};
use pretrained::vision::softmax;
use pretrained::zoo::Network;
use pretrained::{Error, ExportFormat, ExportOptions, Model, SaveOptions, StateDict, Strictness, Tensor, reference};
use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

/// Numbers between -1 and 1 from a linear congruential generator.
struct Noise(u32);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as f32 / (1 << 23) as f32 - 1.0
    }

    /// A number below `n`.
    fn below(&mut self, n: usize) -> usize {
        ((self.next() + 1.0) / 2.0 * n as f32) as usize % n
    }

    fn take(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.next()).collect()
    }
}

/// The network of this graph with numbers of no meaning, none of them the same as another.
fn model(name: &str, g: Builder, output: Value, input: Shape) -> Model {
    let graph = g.finish(output);
    let mut noise = Noise(name.bytes().fold(1, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into())));
    let values = graph.parameters().iter().map(|p| {
        let fan_in = p.shape[1..].iter().product::<usize>() as f32;
        let numbers = noise.take(p.shape.iter().product());
        let variance = p.name.ends_with("running_var");
        numbers.into_iter().map(|v| if variance { v.abs() + 0.1 } else { v / fan_in.sqrt() }).collect()
    });
    let values = values.collect();
    Model::from_weights(Network::new(name, graph, input), values).unwrap()
}

struct Case {
    model: Model,
    /// The same with its output in a row, as import has it.
    in_a_row: Model,
}

/// A network whose graph `build` makes of its input.
fn case(name: &str, input: Shape, build: impl Fn(&mut Builder, Value) -> Value) -> Case {
    let make = |in_a_row: bool| {
        let mut g = Builder::new();
        let mut output = build(&mut g, Value::INPUT);
        if in_a_row {
            output = g.flatten(output);
        }
        model(name, g, output, input)
    };
    Case { model: make(false), in_a_row: make(true) }
}

const IMAGE: Shape = Shape::new(6, 11, 9);

fn uneven(kernel: [usize; 2], stride: [usize; 2], dilation: [usize; 2]) -> Window {
    Window { kernel, stride, dilation, padding: Padding { top: 1, left: 0, bottom: 2, right: 1 } }
}

fn convolutions() -> Vec<Case> {
    [
        ("conv_dense", Conv2d::new(6, 8, 3).stride(2).padding(1)),
        ("conv_pointwise", Conv2d::new(6, 5, 1).no_bias()),
        ("conv_depthwise", Conv2d::depthwise(6, 5).padding(2)),
        ("conv_grouped", Conv2d::new(6, 9, 3).groups(3).no_bias()),
        ("conv_uneven", Conv2d::new(6, 4, 1).window(uneven([3, 2], [2, 1], [1, 2]))),
        ("conv_dilated", Conv2d::new(6, 4, 3).dilation(2).padding(2).groups(2)),
    ]
    .into_iter()
    .flat_map(|(name, conv)| {
        let normed = case(&format!("{name}_bn"), IMAGE, |g, x| {
            let x = g.sequential("features", x).conv2d(conv).batch_norm2d(conv.out_channels).relu().end();
            g.batch_norm2d("last", x, BatchNorm2d { eps: 1e-3, ..BatchNorm2d::new(conv.out_channels) })
        });
        [case(name, IMAGE, |g, x| g.conv2d("conv", x, conv)), normed]
    })
    .collect()
}

fn activations() -> Vec<Case> {
    // Settings for which formats have operators of their own.
    let known = [("relu6", Activation::RELU6), ("hard_sigmoid", Activation::HARD_SIGMOID)];
    let examples = Activation::examples().map(|(name, activation)| (name.to_lowercase(), activation));
    known
        .map(|(name, activation)| (name.to_owned(), activation))
        .into_iter()
        .chain(examples)
        .flat_map(|(name, activation)| {
            let of_vector = case(&format!("{name}_of_a_vector"), Shape::vector(7), |g, x| {
                let x = g.linear("fc", x, Linear { bias: false, ..Linear::new(7, 12) });
                g.activation(x, activation)
            });
            // Wide enough for both ends.
            let of_image = case(&name, IMAGE, |g, x| {
                let x = g.conv2d("conv", x, Conv2d::new(6, 6, 1));
                let x = g.add(x, x);
                let x = g.add(x, x);
                let x = g.add(x, x);
                g.activation(x, activation)
            });
            [of_image, of_vector]
        })
        .collect()
}

fn pools() -> Vec<Case> {
    let square = |kernel, stride, padding| MaxPool2d::new(kernel).stride(stride).padding(padding).window;
    let windows = [
        ("plain", square(2, 2, 0)),
        ("padded", square(3, 2, 1)),
        ("overlapping", square(3, 2, 0)),
        ("uneven", uneven([3, 2], [2, 3], [1, 1])),
        ("dilated", uneven([3, 2], [2, 1], [1, 2])),
        (
            "far_apart",
            Window { padding: Padding { bottom: 2, ..Padding::default() }, ..uneven([3, 2], [3, 3], [2, 1]) },
        ),
    ];
    let mut models = Vec::new();
    for ceil_mode in [false, true] {
        for (name, window) in windows {
            let name = format!("{name}{}", if ceil_mode { "_ceil" } else { "" });
            models.push(case(&format!("max_pool_{name}"), IMAGE, |g, x| {
                let x = g.conv2d("conv", x, Conv2d::depthwise(6, 1));
                g.max_pool2d(x, MaxPool2d { window, ceil_mode })
            }));
            for count_include_pad in [false, true] {
                let name = format!("average_pool_{name}{}", if count_include_pad { "_counting_pad" } else { "" });
                let pool = AvgPool2d { window, ceil_mode, count_include_pad };
                models.push(case(&name, IMAGE, |g, x| {
                    let x = g.conv2d("conv", x, Conv2d::depthwise(6, 1));
                    g.avg_pool2d(x, pool)
                }));
            }
        }
    }
    models
}

/// What only moves numbers, of images and of vectors.
fn movements() -> Vec<Case> {
    let of = |kind: &'static str, build: fn(&mut Builder, Value) -> Value| {
        let of_vector = case(&format!("{kind}_of_a_vector"), Shape::new(3, 5, 4), |g, x| {
            let x = g.flatten(x);
            let x = g.linear("fc", x, Linear::new(60, 6));
            build(g, x)
        });
        let of_image = case(kind, IMAGE, |g, x| {
            let x = g.conv2d("conv", x, Conv2d::new(6, 6, 1));
            build(g, x)
        });
        [of_image, of_vector]
    };
    [
        of("chunk", |g, x| {
            let (a, b) = g.chunk2(x);
            let (_, c) = g.chunk2(x);
            let a = g.relu(a);
            g.concat(&[b, a, c])
        }),
        of("narrow", |g, x| g.narrow(x, 1, 3)),
        of("concat", |g, x| {
            let y = g.narrow(x, 4, 2);
            g.concat(&[x, y, x])
        }),
        of("shuffle", |g, x| {
            let x = g.channel_shuffle(x, 3);
            g.channel_shuffle(x, 1)
        }),
        of("mean", Builder::mean),
        of("softmax", Builder::softmax),
        of("flatten", |g, x| {
            let x = g.flatten(x);
            g.flatten(x)
        }),
        of("nothing", |_, x| x),
    ]
    .into_iter()
    .flatten()
    .chain([case("input_itself", IMAGE, |_, x| x)])
    .collect()
}

/// Where an image of one pixel meets a vector, and where one value has several readers.
fn meetings() -> Vec<Case> {
    let block = |g: &mut Builder, x: Value| {
        let s = g.mean(x);
        let s = g.conv2d("squeeze", s, Conv2d::new(6, 2, 1));
        let s = g.relu(s);
        let s = g.conv2d("excite", s, Conv2d::new(2, 6, 1));
        let s = g.activation(s, Activation::HARD_SIGMOID);
        g.mul(x, s)
    };
    vec![
        case("squeeze_excite", IMAGE, block),
        case("squeeze_excite_of_linear", IMAGE, |g, x| {
            let s = g.mean(x);
            let s = g.flatten(s);
            let s = g.linear("squeeze", s, Linear::new(6, 2));
            let s = g.linear("excite", s, Linear::new(2, 6));
            let s = g.activation(s, Activation::Sigmoid);
            let y = g.mul(x, s);
            g.add(y, s)
        }),
        case("vector_and_mean", IMAGE, |g, x| {
            let m = g.mean(x);
            let v = g.linear("fc", m, Linear::new(6, 6));
            let a = g.add(v, m);
            let b = g.mul(m, v);
            g.concat(&[a, b, m, v])
        }),
        case("image_of_a_vector", IMAGE, |g, x| {
            let x = g.flatten(x);
            let x = g.linear("fc", x, Linear::new(594, 8));
            let x = g.batch_norm2d("bn", x, BatchNorm2d::new(8));
            let x = g.conv2d("conv", x, Conv2d::new(8, 8, 1));
            g.max_pool2d(x, MaxPool2d::new(3).padding(1))
        }),
        case("one_pixel", Shape::vector(5), |g, x| {
            let x = g.conv2d("conv", x, Conv2d::new(5, 4, 3).padding(1));
            g.avg_pool2d(x, AvgPool2d::new(3).padding(1))
        }),
        case("read_twice", IMAGE, |g, x| {
            let x = g.conv2d("conv", x, Conv2d::new(6, 6, 3).padding(1));
            let y = g.batch_norm2d("bn", x, BatchNorm2d::new(6));
            let z = g.relu(y);
            g.add(z, x)
        }),
        case("returned_and_read", IMAGE, |g, x| {
            let y = g.conv2d("conv", x, Conv2d::new(6, 6, 1));
            g.batch_norm2d("bn", y, BatchNorm2d::new(6));
            y
        }),
        case("names_that_are_taken", IMAGE, |g, x| {
            let x = g.scope("input", |g| g.conv2d("Relu", x, Conv2d::new(6, 6, 1)));
            let x = g.conv2d("output", x, Conv2d::new(6, 6, 1).no_bias());
            let x = g.batch_norm2d("output/Conv", x, BatchNorm2d::new(6));
            g.relu(x)
        }),
    ]
}

/// A small network with an operator of every class, and networks that nobody designed.
fn networks() -> Vec<Case> {
    let everything = case("everything", Shape::new(3, 33, 29), |g, x| {
        let x = g.sequential("stem", x).conv2d(Conv2d::new(3, 16, 3).stride(2).padding(1).no_bias()).batch_norm2d(16);
        let x = x.activation(Activation::HardSwish).max_pool2d(MaxPool2d::new(3).stride(2).padding(1)).end();
        let (a, b) = g.chunk2(x);
        let b = g.sequential("branch", b).conv2d(Conv2d::depthwise(8, 3).padding(1)).batch_norm2d(8).end();
        let x = g.concat(&[a, b]);
        let x = g.channel_shuffle(x, 2);
        let y = g.sequential("residual", x).conv2d(Conv2d::new(16, 16, 3).padding(1).groups(4)).batch_norm2d(16).end();
        let x = g.add(x, y);
        let x = g.relu(x);
        let s = g.mean(x);
        let s = g.sequential("gate", s).conv2d(Conv2d::new(16, 16, 1)).activation(Activation::HARD_SIGMOID).end();
        let x = g.mul(x, s);
        let x = g.avg_pool2d(x, AvgPool2d::new(3).stride(2).padding(1).ceil_mode());
        let x = g.activation(x, Activation::RELU6);
        let y = g.narrow(x, 4, 8);
        let y = g.activation(y, Activation::Silu);
        let z = g.activation(y, Activation::Sigmoid);
        let x = g.concat(&[y, z]);
        let x = g.flatten(x);
        let x = g.linear("fc", x, Linear::new(16 * 5 * 5, 10));
        g.softmax(x)
    });
    let random = (0..16).map(|seed| {
        case(&format!("random_{seed}"), Shape::new(4, 12, 10), |g, x| {
            let mut noise = Noise(seed * 7919 + 17);
            let mut x = x;
            for i in 0..8 {
                x = match noise.below(9) {
                    0 => g.conv2d(&format!("conv{i}"), x, Conv2d::new(4, 4, 3).padding(1)),
                    1 => g.batch_norm2d(&format!("bn{i}"), x, BatchNorm2d::new(4)),
                    2 => g.activation(x, Activation::HardSwish),
                    3 => {
                        let (a, b) = g.chunk2(x);
                        g.concat(&[b, a])
                    }
                    4 => g.channel_shuffle(x, 2),
                    5 => g.max_pool2d(x, MaxPool2d::new(2).stride(1).padding(1)),
                    6 => g.avg_pool2d(x, AvgPool2d::new(3).stride(1).padding(1)),
                    7 => {
                        let y = g.conv2d(&format!("gate{i}"), x, Conv2d::depthwise(4, 1));
                        let y = g.mean(y);
                        g.mul(x, y)
                    }
                    _ => {
                        let y = g.conv2d(&format!("side{i}"), x, Conv2d::new(4, 4, 1).no_bias());
                        let y = g.batch_norm2d(&format!("side_bn{i}"), y, BatchNorm2d::new(4));
                        g.add(y, x)
                    }
                };
            }
            x
        })
    });
    let shipped = ["cifar10_shufflenet_v2_x0_5", "mnist_mlp"].map(|name| {
        let state = StateDict::open(format!("{}/models/{name}.safetensors", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let model = Model::from_state_dict(&state, Strictness::Strict).unwrap();
        Case { in_a_row: model.clone(), model }
    });
    [everything].into_iter().chain(random).chain(shipped).collect()
}

fn all() -> Vec<Case> {
    let cases: Vec<Case> =
        [convolutions(), activations(), pools(), movements(), meetings(), networks()].into_iter().flatten().collect();
    let names: HashSet<&str> = cases.iter().map(|case| case.model.network().name.as_str()).collect();
    assert_eq!(names.len(), cases.len());
    cases
}

fn named(cases: Vec<Case>, name: &str) -> Model {
    cases.into_iter().find(|case| case.model.network().name == name).unwrap().model
}

/// Writes the input of a few images and the output that is expected of them.
fn write_expectation(folder: &Path, model: &Model) {
    let network = model.network();
    let images: Vec<Vec<f32>> = (0..3).map(|seed| Noise(seed + 5).take(network.input.elements())).collect();
    let run = |image: &Vec<f32>| reference::run(&network.graph, model.weights(), network.input, image).unwrap();
    let output: Vec<f32> = images.iter().flat_map(run).collect();
    let Shape { channels, height, width } = network.input;
    let input = Tensor::from_f32(&[3, channels, height, width], &images.concat()).unwrap();
    let output = Tensor::from_f32(&[3, output.len() / 3], &output).unwrap();
    let expectation: StateDict = [("input", input), ("output", output)].into_iter().collect();
    let options = SaveOptions { overwrite: true, ..SaveOptions::default() };
    expectation.save(folder.join(format!("{}.safetensors", network.name)), &options).unwrap();
}

#[test]
fn every_operator_is_exported_and_every_parameter_read_back() {
    let temporary = tempfile::tempdir().unwrap();
    let kept = std::env::var_os("PRETRAINED_EXPORTS");
    let folder = kept.as_ref().map_or(temporary.path(), Path::new);
    for Case { model, .. } in all() {
        let network = model.network();
        if kept.is_some() {
            write_expectation(folder, &model);
        }
        for (format, extension) in [(ExportFormat::Onnx, "onnx"), (ExportFormat::MindIr, "mindir")] {
            for fold in [false, true] {
                let name = format!("{}{}.{extension}", network.name, if fold { "-folded" } else { "" });
                let options = ExportOptions { format, fold, overwrite: true, ..ExportOptions::default() };
                model.export(folder.join(&name), &options).unwrap();
                if network.graph.parameters().is_empty() {
                    continue;
                }
                let read = StateDict::open(folder.join(&name)).unwrap();
                if network.name == "returned_and_read" {
                    assert_eq!(read.names().collect::<Vec<_>>(), ["conv.weight", "conv.bias"]);
                } else if format == ExportFormat::Onnx && !fold {
                    assert!(read.iter().eq(model.state_dict().iter()), "{name}");
                } else if !fold {
                    let again = Model::load(network.clone(), &read, Strictness::Strict).unwrap();
                    assert!(again.weights() == model.weights(), "{name}");
                }
                assert_eq!(read.metadata()["network"], network.name);
            }
        }
    }
}

#[test]
fn what_is_exported_to_onnx_is_imported_as_the_same_function() {
    let folder = tempfile::tempdir().unwrap();
    let mut refused = Vec::new();
    for Case { in_a_row: model, .. } in all() {
        let (network, file) = (model.network(), folder.path().join("model.onnx"));
        let image = Noise(5).take(network.input.elements());
        let expected = reference::run(&network.graph, model.weights(), network.input, &image).unwrap();
        for fold in [false, true] {
            model.export(&file, &ExportOptions { fold, overwrite: true, ..ExportOptions::default() }).unwrap();
            let read = StateDict::open(&file).and_then(|state| Model::from_state_dict(&state, Strictness::Strict));
            match read {
                Ok(read) => {
                    let (graph, input) = (&read.network().graph, read.network().input);
                    let mut found = reference::run(graph, read.weights(), input, &image).unwrap();
                    // Import leaves a softmax out that comes last.
                    if ["softmax_of_a_vector", "everything"].contains(&&*network.name) {
                        found = softmax(&found).unwrap();
                    }
                    assert!(relative_error(&found, &expected) < 1e-5, "{} {fold}", network.name);
                }
                Err(error) => refused.push(format!("{}: {error}", network.name)),
            }
        }
    }
    // Import takes no product with a number for each pixel, which dilated averages are exported as.
    let expected = [
        "average_pool_dilated",
        "average_pool_dilated_ceil",
        "average_pool_far_apart_ceil",
        "average_pool_far_apart_ceil_counting_pad",
    ];
    let (mut found, reasons): (Vec<&str>, Vec<&str>) = refused.iter().filter_map(|line| line.split_once(": ")).unzip();
    found.dedup();
    assert_eq!(found, expected, "{reasons:#?}");
}

#[test]
fn what_many_nodes_take_to_export_grows_with_their_number() {
    // Units of every kind that once looked at all others: names, readers, constants, shared parameters.
    let chain = |units: usize| {
        let mut g = Builder::new();
        let mut x = Value::INPUT;
        for unit in 0..units {
            let y = g.sequential(&format!("unit{unit}"), x).conv2d(Conv2d::new(2, 2, 1)).batch_norm2d(2).end();
            let y = g.activation(y, Activation::HardSigmoid { alpha: 0.3, beta: 0.4 });
            x = g.add(x, y);
        }
        model("chain", g, x, Shape::new(2, 1, 1))
    };
    let folder = tempfile::tempdir().unwrap();
    let time = |units: usize| {
        let model = chain(units);
        let began = Instant::now();
        // MindIR has no such activation, so that each is several steps and constants.
        for format in [ExportFormat::MindIr, ExportFormat::Onnx] {
            let options = ExportOptions { format, fold: true, overwrite: true, ..Default::default() };
            model.export(folder.path().join(format!("{units}.onnx")), &options).unwrap();
        }
        began.elapsed()
    };
    // 100,000 nodes in 16 times the time of a sixteenth of them, where all pairs of them would take 256 times as much.
    let (few, many) = (time(25_000 / 16), time(25_000));
    assert!(many < few * 64 + Duration::from_secs(2), "{few:?}, {many:?}");
    let state = StateDict::open(folder.path().join("25000.onnx")).unwrap();
    assert_eq!(state.len(), 50_000);
}

#[test]
fn splits_say_their_sizes_and_pools_pad_by_less_than_their_kernel() {
    let folder = tempfile::tempdir().unwrap();
    let holds = |name: &str, text: &str| {
        let bytes = std::fs::read(folder.path().join(name)).unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    };
    let split = case("split", IMAGE, |g, x| {
        let (a, b) = g.chunk2(x);
        g.add(a, b)
    });
    split.model.export(folder.path().join("split.onnx"), &ExportOptions::default()).unwrap();
    assert!(holds("split.onnx", "Split:split"));
    // Its last window begins two rows before the end and takes five, of which three are padding: as many as taps.
    let pool = |dilation: usize| {
        case("pool", Shape::new(1, 8, 5), |g, x| {
            let padding = Padding { bottom: 1, ..Padding::default() };
            let window = Window { kernel: [3, 2], stride: [3, 3], dilation: [dilation, 1], padding };
            g.max_pool2d(x, MaxPool2d { window, ceil_mode: true })
        })
    };
    for (dilation, padded) in [(1, false), (2, true)] {
        let name = format!("pool{dilation}.onnx");
        pool(dilation).model.export(folder.path().join(&name), &ExportOptions::default()).unwrap();
        assert_eq!(holds(&name, "Pad:pads"), padded, "{dilation}");
    }
}

#[test]
fn folding_changes_the_weight_and_makes_a_bias() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("folded.onnx");
    for (model, conv_bias) in convolutions()
        .into_iter()
        .map(|case| case.model)
        .filter(|model| model.network().name.ends_with("_bn"))
        .zip([true, false, true, false, true, true])
    {
        let options = ExportOptions { fold: true, overwrite: true, ..ExportOptions::default() };
        model.export(&file, &options).unwrap();
        let (read, state) = (StateDict::open(&file).unwrap(), model.state_dict());
        let kept = ["last.weight", "last.bias", "last.running_mean", "last.running_var"];
        let names: Vec<&str> = read.names().collect();
        assert_eq!(names, [&["features.0.weight", "features.0.bias"], &kept[..]].concat());
        let values = |state: &StateDict, name: &str| state.get(name).unwrap().to_f32_vec();
        let of = |name: &str| values(&state, name);
        let [gamma, beta, mean, var] =
            ["weight", "bias", "running_mean", "running_var"].map(|p| of(&format!("features.1.{p}")));
        let scale: Vec<f32> = gamma.iter().zip(&var).map(|(gamma, var)| gamma / (var + 1e-5).sqrt()).collect();
        let weight = of("features.0.weight");
        let row = weight.len() / scale.len();
        let expected: Vec<f32> = weight.iter().enumerate().map(|(i, w)| w * scale[i / row]).collect();
        assert!(relative_error(&values(&read, "features.0.weight"), &expected) < 1e-6);
        assert_eq!(state.contains("features.0.bias"), conv_bias);
        let bias = if conv_bias { of("features.0.bias") } else { vec![0.0; scale.len()] };
        let expected: Vec<f32> = (0..scale.len()).map(|i| (bias[i] - mean[i]) * scale[i] + beta[i]).collect();
        assert!(relative_error(&values(&read, "features.0.bias"), &expected) < 1e-6);
        assert!(kept.iter().all(|name| values(&read, name) == of(name)));
    }
}

#[test]
fn what_others_read_is_not_folded() {
    let folder = tempfile::tempdir().unwrap();
    let model = named(meetings(), "read_twice");
    let file = folder.path().join("read_twice.onnx");
    model.export(&file, &ExportOptions { fold: true, ..ExportOptions::default() }).unwrap();
    assert!(StateDict::open(&file).unwrap().iter().eq(model.state_dict().iter()));
}

#[test]
fn mindspore_has_its_own_names_for_batch_normalisation() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("net.mindir");
    let model = named(convolutions(), "conv_dense_bn");
    model.export(&file, &ExportOptions { format: ExportFormat::MindIr, ..ExportOptions::default() }).unwrap();
    let read = StateDict::open(&file).unwrap();
    let norm = |module| ["gamma", "beta", "moving_mean", "moving_variance"].map(|p| format!("{module}.{p}"));
    let expected = [&["features.0.weight".into(), "features.0.bias".into()], &norm("features.1")[..], &norm("last")];
    assert_eq!(read.names().collect::<Vec<_>>(), expected.concat());
}

#[test]
fn metadata_comes_back_and_the_same_model_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let model = named(meetings(), "squeeze_excite");
    let metadata: IndexMap<String, String> =
        [("preset", "mnist"), ("labels", r#"["a","ü"]"#)].map(|(key, value)| (key.into(), value.into())).into();
    for (format, name) in [(ExportFormat::Onnx, "a.onnx"), (ExportFormat::MindIr, "a.mindir")] {
        let path = folder.path().join(name);
        assert_eq!(ExportFormat::of_path(&path), Some(format));
        let options = ExportOptions { format, metadata: metadata.clone(), overwrite: true, ..ExportOptions::default() };
        model.export(&path, &options).unwrap();
        let first = std::fs::read(&path).unwrap();
        let mut expected = metadata.clone();
        expected.insert("network".into(), "squeeze_excite".into());
        assert_eq!(StateDict::open(&path).unwrap().metadata(), &expected);
        model.export(&path, &options).unwrap();
        assert!(first == std::fs::read(&path).unwrap());
    }
}

#[test]
fn what_is_there_is_kept_and_what_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    std::fs::write(&path, "precious").unwrap();
    let model = named(meetings(), "squeeze_excite");
    let error = model.export(&path, &ExportOptions::default()).unwrap_err();
    assert!(matches!(error, Error::Checkpoint { .. }) && error.to_string().contains("model.onnx"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    let input = Some(Shape::new(5, 11, 9));
    let error =
        model.export(folder.path().join("x"), &ExportOptions { input, ..ExportOptions::default() }).unwrap_err();
    assert!(matches!(error, Error::Usage(_)) && error.to_string().contains("6 channels"), "{error}");
    assert!(!folder.path().join("x").exists());
    // Two parameters of one name are one parameter, or none.
    let twice = |numbers: [f32; 2]| {
        let mut g = Builder::new();
        let x = g.linear("fc", Value::INPUT, Linear { bias: false, ..Linear::new(1, 1) });
        let x = g.linear("fc", x, Linear { bias: false, ..Linear::new(1, 1) });
        let network = Network::new("twice", g.finish(x), Shape::vector(1));
        let model = Model::from_weights(network, numbers.map(|number| vec![number]).into()).unwrap();
        model.export(folder.path().join("twice.onnx"), &ExportOptions::default())
    };
    let error = twice([1.0, 2.0]).unwrap_err();
    assert!(error.to_string().contains("`fc.weight`"), "{error}");
    twice([1.0, 1.0]).unwrap();
    assert_eq!(StateDict::open(folder.path().join("twice.onnx")).unwrap().len(), 1);
}
