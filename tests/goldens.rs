//! Whole networks against the logits that PyTorch computed, on every device.

mod common;

use common::{devices, relative_error, shared, values};
use pretrained::graph::Shape;
use pretrained::{Model, Session, StateDict, Strictness};
use std::path::Path;

/// The largest |logit error| allowed, as a share of the largest |logit|.
const TOLERANCE: f32 = 1e-4;

/// Loads `weights`, and compares its logits for a golden input on every device: the whole batch at once, image by
/// image, and once more as the tail of an odd batch.
fn check(weights: &Path, expected: &StateDict, input: &str, logits: &str, tolerance: f32) {
    let state = StateDict::open(weights).unwrap();
    let model = Model::from_state_dict(&state, Strictness::Strict).unwrap();
    let images = values(expected, input);
    let logits = values(expected, logits);
    let shape = match *expected.get(input).unwrap().shape() {
        [_, channels, height, width] => Shape::new(channels, height, width),
        _ => model.network().input,
    };
    let count = images.len() / shape.elements();
    let classes = logits.len() / count;
    for device in devices() {
        let mut session = Session::new(&device, &model, shape, count + 1).unwrap();
        let mut compare = |what: &str, batch: &[f32], expected: &[f32]| {
            let error = relative_error(&session.run(batch).unwrap(), expected);
            println!("{} on {}, {what}: {error:.1e}", weights.display(), device.name());
            assert!(error <= tolerance, "{} on {}, {what}: {error:.1e}", weights.display(), device.name());
        };
        compare("all at once", &images, &logits);
        compare("one image", &images[..shape.elements()], &logits[..classes]);
        let (last, last_logits) = (&images[(count - 1) * shape.elements()..], &logits[(count - 1) * classes..]);
        compare("an odd batch", &[last, &images].concat(), &[last_logits, &logits].concat());
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
fn tutorial_mlp() {
    check_mlp(&["tutorial_mlp.pth"], "tutorial.input", "tutorial.logits", TOLERANCE);
}
