//! Whole networks against the logits that PyTorch computed, on every device.

mod common;

use common::{devices, relative_error, shared, values};
use pretrained::graph::{Parameter, Shape};
use pretrained::zoo::MegviiShuffleNetV2;
use pretrained::{Model, Session, StateDict, Strictness, Tensor, reference};
use std::collections::BTreeMap;
use std::path::Path;

/// The largest |logit error| allowed, as a share of the largest |logit|.
const TOLERANCE: f32 = 1e-4;

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

/// Compares logits on every device: the whole batch at once, image by image, and once more as the tail of an odd batch.
fn check_model(weights: &str, model: &Model, shape: Shape, images: &[f32], logits: &[f32], tolerance: f32) {
    let count = images.len() / shape.elements();
    let classes = logits.len() / count;
    for device in devices() {
        let mut session = Session::new(&device, model, shape, count + 1).unwrap();
        let mut compare = |what: &str, batch: &[f32], expected: &[f32]| {
            let error = relative_error(&session.run(batch).unwrap(), expected);
            println!("{} on {}, {what}: {error:.1e}", weights, device.name());
            assert!(error <= tolerance, "{} on {}, {what}: {error:.1e}", weights, device.name());
        };
        compare("all at once", images, logits);
        compare("one image", &images[..shape.elements()], &logits[..classes]);
        let (last, last_logits) = (&images[(count - 1) * shape.elements()..], &logits[(count - 1) * classes..]);
        compare("an odd batch", &[last, images].concat(), &[last_logits, logits].concat());
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
    let tensors = parameters.into_iter().enumerate().map(|(phase, Parameter { name, shape })| {
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
