//! Whole networks against the logits that PyTorch computed, on every device.

use crate::common;
use common::{cpus, devices, gpus, relative_error, shared, values};
use pretrained::graph::{Parameter, Shape};
use pretrained::vision::{Planes, softmax};
use pretrained::zoo::{
    Block, LeNet5, MegviiShuffleNetV2, MindSporeResNet, MobileNetV2, Network, ResNet, by_name, detect,
};
use pretrained::{
    Classifier, Device, Model, Precision, Session, SessionOptions, StateDict, Strictness, Tensor, reference,
};
use std::collections::BTreeMap;
use std::path::Path;

/// The largest |logit error| allowed, as a share of the largest |logit|.
const TOLERANCE: f32 = 1e-4;

/// The same where weights and all values between steps are rounded to 11 bits.
const HALF_TOLERANCE: f32 = 1e-2;

/// Loads `weights`, and compares its logits for a golden input.
fn check(weights: &Path, expected: &StateDict, input: &str, logits: &str, tolerance: f32) {
    let state = StateDict::open(weights).unwrap();
    let model = Model::from_state_dict(&state, Strictness::Strict).unwrap();
    let shape = match *expected.get(input).unwrap().shape() {
        [_, channels, height, width] => Shape::new(channels, height, width),
        _ => model.network().input,
    };
    let (input, logits) = (values(expected, input), values(expected, logits));
    check_model(&weights.display().to_string(), &model, shape, &input, &logits, tolerance);
}

/// Compares logits on every device: of one image, and of all of them behind another, an odd batch.
fn check_model(weights: &str, model: &Model, shape: Shape, images: &[f32], logits: &[f32], tolerance: f32) {
    let count = images.len() / shape.elements();
    let classes = logits.len() / count;
    for device in devices() {
        let session = Session::new(&device, model, shape, &SessionOptions::default().max_batch(count + 1)).unwrap();
        let compare = |what: &str, batch: &[f32], expected: &[f32]| {
            let error = relative_error(&session.run(batch).unwrap(), expected);
            println!("{} on {}, {what}: {error:.1e}", weights, device.name());
            assert!(error <= tolerance, "{} on {}, {what}: {error:.1e}", weights, device.name());
        };
        compare("one image", &images[..shape.elements()], &logits[..classes]);
        let (last, last_logits) = (&images[(count - 1) * shape.elements()..], &logits[(count - 1) * classes..]);
        compare("an odd batch", &[last, images].concat(), &[last_logits, logits].concat());
    }
}

/// Where numbers are stored in 16 bits, logits are off by about as much as 11 bits of each tell, and the class stays.
#[test]
fn shufflenets_in_half_precision() {
    let Some(shared) = shared() else { return };
    let fixtures = shared.join("fixtures");
    for name in ["shufflenetv2_x0_5", "shufflenetv2_x1_0"] {
        let state = StateDict::open(fixtures.join(format!("{name}_f16.safetensors"))).unwrap();
        let expected = StateDict::open(fixtures.join(format!("{name}_expected.safetensors"))).unwrap();
        let model = Model::from_state_dict(&state, Strictness::Strict).unwrap();
        let (input, logits) = (values(&expected, "input"), values(&expected, "logits"));
        let shape = model.network().input;
        let count = input.len() / shape.elements();
        for device in gpus() {
            let session = Session::new(
                &device,
                &model,
                shape,
                &SessionOptions::default().max_batch(count).precision(Precision::F16),
            )
            .unwrap();
            let found = session.run(&input).unwrap();
            let error = relative_error(&found, &logits);
            println!("{name} in f16 on {}: {error:.1e}", device.name());
            assert!(error <= HALF_TOLERANCE, "{name} in f16 on {}: {error:.1e}", device.name());
            assert!(error > TOLERANCE / 10.0, "{name} on {} is as exact as f32: {error:.1e}", device.name());
        }
        for device in cpus() {
            let refused = Session::new(
                &device,
                &model,
                shape,
                &SessionOptions::default().max_batch(count).precision(Precision::F16),
            )
            .unwrap_err();
            assert!(refused.to_string().contains("f32 only"), "{refused}");
        }
    }
}

fn check_shufflenet(name: &str, weights: &str) {
    let Some(shared) = shared() else { return };
    let fixtures = shared.join("fixtures");
    let expected = StateDict::open(fixtures.join(format!("{name}_expected.safetensors"))).unwrap();
    check(&fixtures.join(weights), &expected, "input", "logits", TOLERANCE);
}

#[test]
fn shufflenetv2_x0_5() {
    check_shufflenet("shufflenetv2_x0_5", "shufflenetv2_x0_5_f16.safetensors");
}

#[test]
fn shufflenetv2_x0_5_legacy() {
    check_shufflenet("shufflenetv2_x0_5", "shufflenetv2_x0_5_legacy.pth");
}

#[test]
fn shufflenetv2_x0_5_from_onnx() {
    check_shufflenet("shufflenetv2_x0_5", "shufflenetv2_x0_5.onnx");
}

#[test]
fn shufflenetv2_x0_5_from_mindspore() {
    check_shufflenet("shufflenetv2_x0_5", "shufflenetv2_x0_5.ckpt");
}

#[test]
fn shufflenetv2_x0_5_from_oneflow() {
    check_shufflenet("shufflenetv2_x0_5", "shufflenetv2_x0_5_oneflow");
}

#[test]
fn shufflenetv2_x1_0() {
    check_shufflenet("shufflenetv2_x1_0", "shufflenetv2_x1_0_f16.safetensors");
}

#[test]
fn shufflenetv2_x1_5() {
    check_shufflenet("shufflenetv2_x1_5", "shufflenetv2_x1_5_f16.safetensors");
}

#[test]
fn shufflenetv2_x2_0() {
    check_shufflenet("shufflenetv2_x2_0", "shufflenetv2_x2_0_f16.safetensors");
}

#[test]
fn shufflenetv2_tiny_odd() {
    check_shufflenet("shufflenetv2_tiny_odd", "shufflenetv2_tiny_odd.pth");
}

/// A small ShuffleNetV2 of its authors' kind, whose first unit projects to fewer channels than half of what it gives.
/// Weights and image follow from the formulas of tests/frameworks/megvii_shufflenet_v2.py, which printed the logits.
#[test]
fn megvii_shufflenet_v2() {
    let definition =
        MegviiShuffleNetV2 { stages_repeats: [2, 3, 2], stages_out_channels: [8, 20, 44, 88, 32], num_classes: 5 };
    let mut parameters = definition.network().graph.parameters().to_vec();
    parameters.sort_by(|a, b| a.name.cmp(&b.name));
    let tensors = parameters.into_iter().enumerate().map(|(phase, Parameter { name, shape, .. })| {
        let (middle, swing) = match (&shape[..], name.rsplit('.').next()) {
            (&[_], Some("weight")) => (1.0, 0.3),
            (&[_], Some("bias")) => (0.0, 0.2),
            (&[_], Some("running_mean")) => (0.0, 0.1),
            (&[_], _) => (1.0, 0.5),
            (shape, _) => (0.0, 2.0 / (shape[1..].iter().product::<usize>() as f64).sqrt()),
        };
        let wave = |i| (middle + swing * (0.7 * i as f64 + phase as f64).sin()) as f32;
        let values: Vec<f32> = (0..shape.iter().product::<usize>()).map(wave).collect();
        (name, Tensor::from_f32(&shape, &values).unwrap())
    });
    let model = Model::from_state_dict(&tensors.collect(), Strictness::Strict).unwrap();
    let shape = model.network().input;
    let pixel = |i| (1.5 * (0.013 * i as f64).sin() + 0.5 * (0.37 * i as f64).sin()) as f32;
    let image: Vec<f32> = (0..shape.elements()).map(pixel).collect();
    let logits = [50.200333, -44.249794, 31.004948, -12.649126, -7.7918243];
    check_model(&model.network().name, &model, shape, &image, &logits, TOLERANCE);
}

/// A network, and the logits that its framework computed for two images, where parameters and images follow from the
/// formulas of tests/frameworks/zoo.py, which wrote the file of goldens.
#[derive(serde::Deserialize)]
struct Golden {
    network: String,
    classes: usize,
    size: [usize; 3],
    gain: f64,
    logits: Vec<f32>,
}

impl Golden {
    fn network(&self) -> Network {
        let num_classes = self.classes;
        let [in_channels, side, _] = self.size;
        let (channels, hidden) = ([6, 16], [120, 84]);
        match self.network.as_str() {
            "mobilenet_v2 x0.35" => MobileNetV2::with_width(0.35, num_classes).network(),
            "resnext" => {
                let (block, layers) = (Block::Bottleneck, [1, 2, 1, 1]);
                ResNet { block, layers, groups: 4, width_per_group: 24, num_classes }.network()
            }
            "wide_resnet" => {
                let (block, layers) = (Block::Bottleneck, [1, 1, 1, 1]);
                ResNet { block, layers, groups: 1, width_per_group: 128, num_classes }.network()
            }
            "mindspore_resnet50" => MindSporeResNet { layer_nums: [3, 4, 6, 3], num_classes }.network(),
            "lenet5" => LeNet5 { in_channels, side, channels, bias: false, hidden, num_classes }.network(),
            "lenet5 with biases" => LeNet5 { in_channels, side, channels, bias: true, hidden, num_classes }.network(),
            name => by_name(name, num_classes).unwrap_or_else(|| panic!("no network is called {name}")),
        }
    }
}

/// Numbers from -1 to 1: SplitMix64's finaliser over a stream and an index.
fn noise(stream: u32, index: usize) -> f64 {
    let x = (u64::from(stream) << 32).wrapping_add(index as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((x ^ (x >> 31)) >> 40) as f64 / 8_388_608.0 - 1.0
}

/// A parameter's values. In a kernel every other channel of the input has the weights of the one before it, negated, so
/// that what all images have in common does not drown what they differ in.
fn noisy(Parameter { name, shape, .. }: &Parameter, gain: f64) -> Tensor {
    let stream = crc32fast::hash(name.as_bytes());
    let count: usize = shape.iter().product();
    let values: Vec<f32> = match shape[..] {
        [_] => {
            let (middle, swing) = match name.rsplit('.').next() {
                Some("weight") => (1.0, 0.3),
                Some("running_var") => (1.0, 0.5),
                Some("running_mean") => (0.0, 0.1),
                _ => (0.0, 0.2),
            };
            (0..count).map(|i| (middle + swing * noise(stream, i)) as f32).collect()
        }
        _ => {
            let fan_in: usize = shape[1..].iter().product();
            let (taps, swing) = (fan_in / shape[1], gain * (3.0 / fan_in as f64).sqrt());
            let value = |i: usize| {
                let negated = i / taps % shape[1] % 2 == 1;
                if negated { -swing * noise(stream, i - taps) } else { swing * noise(stream, i) }
            };
            (0..count).map(|i| value(i) as f32).collect()
        }
    };
    Tensor::from_f32(shape, &values).unwrap()
}

/// Image 0 or 1: patches of 16x16 pixels, with finer noise over them.
fn image(number: u32, [channels, height, width]: [usize; 3]) -> Vec<f32> {
    let pixels = (0..channels * height).flat_map(|row| (0..width).map(move |x| (row / height, row % height, x)));
    pixels
        .map(|(c, y, x)| {
            let at = |y: usize, x: usize| (c * height + y) * width + x;
            (1.5 * noise(2 * number, at(y / 16, x / 16)) + 0.5 * noise(2 * number + 1, at(y, x))) as f32
        })
        .collect()
}

/// Of each network in the zoo that torchvision or MindSpore defines: recognised from its parameters, strictly loaded,
/// and held to its framework's logits. Nothing is a multiple of anything, or everything.
#[test]
fn networks_of_the_zoo() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let read = |file: &str| std::fs::read_to_string(data.join(file)).unwrap();
    let mut goldens: Vec<Golden> = serde_json::from_str(&read("zoo_goldens.json")).unwrap();
    goldens.push(serde_json::from_str(&read("mindspore_resnet_golden.json")).unwrap());
    assert!(goldens.len() >= 18, "only {} goldens", goldens.len());
    for golden in goldens {
        let network = golden.network();
        let parameters = network.graph.parameters().iter();
        let state: StateDict = parameters.map(|p| (p.name.clone(), noisy(p, golden.gain))).collect();
        let model = Model::from_state_dict(&state, Strictness::Strict).unwrap();
        let mut recognised = model.network().clone();
        // That names and shapes do not tell all of it.
        recognised.notes.retain(|note| !note.starts_with(&format!("assumed {}: ", network.name)));
        assert_eq!(recognised, network);
        drop(state);
        let images = [0, 1].map(|number| image(number, golden.size)).concat();
        let [channels, height, width] = golden.size;
        let shape = Shape::new(channels, height, width);
        check_model(&golden.network, &model, shape, &images, &golden.logits, TOLERANCE);
    }
}

/// The weights were rounded to 11 bits, and so are those that PyTorch computed with.
#[test]
fn lenet() {
    let Some(shared) = shared() else { return };
    let expected = StateDict::open(shared.join("fixtures/lenet_expected.safetensors")).unwrap();
    check(&shared.join("fixtures/lenet_f16.safetensors"), &expected, "input", "logits", TOLERANCE);
}

fn check_mlp(weights: &[&str], input: &str, logits: &str, tolerance: f32) {
    let Some(shared) = shared() else { return };
    let fixtures = shared.join("fixtures");
    let expected = StateDict::open(fixtures.join("mlp_expected.safetensors")).unwrap();
    for weights in weights {
        check(&fixtures.join(weights), &expected, input, logits, tolerance);
    }
}

#[test]
fn mlp() {
    let files = ["mlp.safetensors", "mlp_zip.pth", "mlp_legacy.pth", "mlp_dataparallel.pth", "mlp_f64.pth"];
    check_mlp(&files, "mlp.input", "mlp.logits", TOLERANCE);
}

#[test]
fn mlp_from_oneflow_and_mindspore() {
    let files = [
        "mlp_legacy_snapshot",
        "mlp_snapshot",
        "mlp_oneflow08",
        "mlp_oneflow08_training",
        "mlp_oneflow09",
        "mlp_oneflow09_training",
        "mlp_oneflow_single_file",
        "mlp.ckpt",
        "mlp-3_600.ckpt",
    ];
    check_mlp(&files, "mlp.input", "mlp.logits", TOLERANCE);
}

/// The weights were rounded, to 11 and 8 bits, so the logits are as far off as that makes them.
#[test]
fn mlp_in_half_precision() {
    check_mlp(&["mlp_f16.pth"], "mlp.input", "mlp.logits", 2e-3);
    check_mlp(&["mlp_bf16.pth", "mlp_bf16.safetensors"], "mlp.input", "mlp.logits", 2e-2);
}

#[test]
fn mlp_from_a_training_checkpoint() {
    check_mlp(&["mlp_training_checkpoint.pth"], "mlp.input", "training_checkpoint.logits", TOLERANCE);
}

#[test]
fn mlp_from_modules_and_graphs() {
    let files = ["mlp_whole_module.pth", "mlp_whole_module_legacy.pth", "mlp_torchscript.pt", "mlp.mindir"];
    check_mlp(&files, "mlp.input", "mlp.logits", TOLERANCE);
}

#[test]
fn tutorial_mlp() {
    check_mlp(&["tutorial_mlp.pth", "tutorial_mlp_whole.pth"], "tutorial.input", "tutorial.logits", TOLERANCE);
}

/// By tests/frameworks/modules.py, which says what they are made of.
#[test]
fn models_saved_whole_are_rebuilt_from_their_modules() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/modules");
    let expected = StateDict::open(folder.join("expected.safetensors")).unwrap();
    for (name, suggested) in [("tutorial", "1x6x6"), ("cnn", "3x16x16"), ("pooled", "3x224x224")] {
        for file in [format!("{name}.pth"), format!("{name}_legacy.pth")] {
            let path = folder.join(file);
            let network = detect(&StateDict::open(&path).unwrap()).unwrap();
            assert_eq!(network.input.to_string(), suggested, "{}", path.display());
            check(&path, &expected, &format!("{name}.input"), &format!("{name}.output"), TOLERANCE);
        }
    }
}

/// A network that ends in a softmax returns probabilities, of which a classifier must not make others.
#[test]
fn a_classifier_takes_the_softmax_once() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/modules");
    let expected = StateDict::open(folder.join("expected.safetensors")).unwrap();
    let (input, output) = (values(&expected, "cnn.input"), values(&expected, "cnn.output"));
    let classifier = Classifier::builder().weights(folder.join("cnn.pth")).device(Device::cpu()).build().unwrap();
    let image = Planes { channels: 3, height: 16, width: 16, values: input[..3 * 16 * 16].to_vec() };
    let probabilities = softmax(&classifier.run(&[image]).unwrap()).unwrap();
    assert!(relative_error(&probabilities, &output[..4]) < TOLERANCE, "{probabilities:?}, {output:?}");
}

/// Small networks as the exporters write them, and the outputs of ONNX Runtime: tests/frameworks/make_onnx.py made both.
#[test]
fn onnx() {
    #[derive(serde::Deserialize)]
    struct Expected {
        input: [usize; 3],
        /// Whether the outputs are probabilities, which leave open what is added to all logits.
        softmax: bool,
        output: Vec<f32>,
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/onnx");
    let expected = std::fs::read(folder.join("expected.json")).unwrap();
    let expected: BTreeMap<String, Expected> = serde_json::from_slice(&expected).unwrap();
    assert!(expected.len() > 30);
    let mut failures = Vec::new();
    for (name, Expected { input: [channels, height, width], softmax, output }) in &expected {
        let state = StateDict::open(folder.join(format!("{name}.onnx"))).unwrap();
        let model = match Model::from_state_dict(&state, Strictness::Strict) {
            Ok(model) => model,
            Err(error) => {
                failures.push(error.to_string());
                continue;
            }
        };
        let shape = Shape::new(*channels, *height, *width);
        assert_eq!((model.network().input, &model.network().name), (shape, name));
        let pixel = |i: usize| (1.5 * (0.013 * i as f64).sin() + 0.5 * (0.37 * i as f64).sin()) as f32;
        let image: Vec<f32> = (0..shape.elements()).map(pixel).collect();
        let mut logits = reference::run(&model.network().graph, model.weights(), shape, &image).unwrap();
        let given = if *softmax { pretrained::vision::softmax(&logits).unwrap() } else { logits.clone() };
        let error = relative_error(&given, output);
        println!("{name}: {error:.1e}");
        if error > 1e-5 {
            failures.push(format!("{name}: {error:.1e}: {given:?} {output:?}"));
        }
        // Another image beside it, which every device has to keep apart.
        let other: Vec<f32> = image.iter().rev().copied().collect();
        logits.extend(reference::run(&model.network().graph, model.weights(), shape, &other).unwrap());
        check_model(name, &model, shape, &[image, other].concat(), &logits, TOLERANCE);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
