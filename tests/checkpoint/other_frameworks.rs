//! OneFlow's and MindSpore's checkpoints: those that the frameworks wrote, against the same values from safetensors.

use crate::common;
use pretrained::graph::Shape;
use pretrained::{
    Classifier, Device, Format, Initialiser, Model, Session, SessionOptions, StateDict, Strictness, Tensor, zoo,
};
use std::io::Read;
use std::path::{Path, PathBuf};

const MLP: [&str; 6] = ["l1.weight", "l1.bias", "l2.weight", "l2.bias", "l3.weight", "l3.bias"];

fn open(path: impl AsRef<Path>) -> StateDict {
    StateDict::open(path).unwrap_or_else(|error| panic!("{error}"))
}

fn fixtures() -> Option<PathBuf> {
    Some(common::shared()?.join("fixtures"))
}

fn assert_same(found: &StateDict, expected: &StateDict, what: &str) {
    let sorted = |dict: &StateDict| {
        let mut names: Vec<String> = dict.names().map(str::to_owned).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(sorted(found), sorted(expected), "{what}");
    for (name, tensor) in expected.iter() {
        let found = found.get(name).unwrap();
        assert_eq!(found.shape(), tensor.shape(), "{what}: {name}");
        assert_eq!(found.to_f32_vec(), tensor.to_f32_vec(), "{what}: {name}");
    }
}

fn metadata(dict: &StateDict) -> Vec<(&str, &str)> {
    dict.metadata().iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

// OneFlow

#[test]
fn oneflow_layouts_hold_the_same_values() {
    let Some(fixtures) = fixtures() else { return };
    let mlp = open(fixtures.join("mlp.safetensors"));
    for (file, format) in [
        ("mlp_snapshot", Format::OneFlowSnapshot),
        ("mlp_oneflow08", Format::OneFlowPickledData),
        ("mlp_oneflow09", Format::OneFlowPickledData),
        ("mlp_oneflow08_training", Format::OneFlowPickledData),
        ("mlp_oneflow09_training", Format::OneFlowPickledData),
        ("mlp_oneflow_single_file", Format::OneFlowSingleFile),
    ] {
        let found = open(fixtures.join(file));
        assert_same(&found, &mlp, file);
        assert_eq!(found.format(), Some(format), "{file}");
        assert!(found.shapes_known() && found.optimizer().is_empty(), "{file}");
        if file.ends_with("_training") {
            assert_eq!(found.metadata().keys().collect::<Vec<_>>(), ["epoch", "best"], "{file}");
            assert_eq!(found.metadata()["epoch"], "3");
            assert_eq!(found.notes(), ["read from the key `model`"], "{file}");
        } else {
            assert!(found.metadata().is_empty() && found.notes().is_empty(), "{file}: {found:?}");
        }
    }
}

#[test]
fn oneflow_without_shapes_is_flat_and_takes_them_from_the_network() {
    let Some(fixtures) = fixtures() else { return };
    let mlp = open(fixtures.join("mlp.safetensors"));
    let found = open(fixtures.join("mlp_legacy_snapshot"));
    assert_eq!((found.format(), found.len(), found.shapes_known()), (Some(Format::OneFlowLegacy), 6, false));
    for name in MLP {
        let (layer, last) = name.split_once('.').unwrap();
        let flat = found.get(&format!("dense{}-{last}", &layer[1..])).unwrap();
        let expected = mlp.get(name).unwrap();
        assert_eq!(flat.shape(), [expected.element_count()], "{name}");
        assert_eq!(flat.to_f32_vec(), expected.to_f32_vec(), "{name}");
    }
    assert_eq!(found.metadata().keys().collect::<Vec<_>>(), ["System-Train-TrainStep-train_job"]);
    assert!(found.notes()[0].contains("no shapes"), "{:?}", found.notes());
    let network = zoo::detect(&found).unwrap();
    assert_eq!(network.name, "mlp_784-128-64-10");
    let model = Model::load(network, &found, Strictness::Strict).unwrap();
    assert_eq!(model.report().renamed, ["OneFlow's `-weight` is `.weight`", "OneFlow's `-bias` is `.bias`"]);
    let reference = Model::from_state_dict(&mlp, Strictness::Strict).unwrap();
    assert_eq!(model.weights(), reference.weights());
    assert!(reference.report().renamed.is_empty());
}

#[test]
fn a_snapshot_that_was_not_finished_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        std::fs::create_dir_all(folder.path().join(name)).unwrap();
        std::fs::write(folder.path().join(name).join("out"), bytes).unwrap();
    };
    write("dense-weight", &[0; 24]);
    write("dense-bias", &[0; 8]);
    write("dense-bias-m", &[0; 8]);
    write("other-m", &[0; 8]);
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    let found = open(folder.path());
    assert_eq!(found.names().collect::<Vec<_>>(), ["dense-bias", "dense-weight", "other-m"]);
    assert_eq!(found.optimizer().keys().collect::<Vec<_>>(), ["dense-bias-m"]);
    assert!(found.notes().iter().any(|note| note.contains("snapshot_done")), "{:?}", found.notes());
    assert!(found.notes().iter().any(|note| note.contains("`empty`")), "{:?}", found.notes());
    std::fs::create_dir(folder.path().join("snapshot_done")).unwrap();
    assert!(!open(folder.path()).notes().iter().any(|note| note.contains("snapshot_done")));

    // 3 to 2 features: as many weights as the network needs, or not.
    std::fs::remove_dir_all(folder.path().join("other-m")).unwrap();
    let found = open(folder.path());
    assert_eq!(zoo::detect(&found).unwrap().name, "mlp_3-2");
    let other: StateDict = [("dense.weight", filled(&[2, 4])), ("dense.bias", filled(&[2]))].into_iter().collect();
    let error = Model::load(zoo::detect(&other).unwrap(), &found, Strictness::Strict).unwrap_err().to_string();
    assert!(error.contains("dense.weight: expected [2, 4], found [6] (in the file: dense-weight)"), "{error}");
}

fn filled(shape: &[usize]) -> Tensor {
    Tensor::from_f32(shape, &vec![0.5; shape.iter().product()]).unwrap()
}

// MindSpore

#[test]
fn mindspore_opens_with_the_same_values() {
    let Some(fixtures) = fixtures() else { return };
    let mlp = open(fixtures.join("mlp.safetensors"));
    for file in ["mlp.ckpt", "mlp-3_600.ckpt"] {
        let found = open(fixtures.join(file));
        assert_same(&found, &mlp, file);
        assert_eq!(found.names().collect::<Vec<_>>(), MLP, "{file}");
        assert_eq!(found.format(), Some(Format::MindSpore));
    }
    assert!(open(fixtures.join("mlp.ckpt")).metadata().is_empty());
    let training = open(fixtures.join("mlp-3_600.ckpt"));
    assert_eq!(metadata(&training), [("epoch_num", "3"), ("step_num", "600"), ("loss", "0.25"), ("done", "true")]);
    let error = StateDict::open(fixtures.join("mlp_encrypted.ckpt")).unwrap_err().to_string();
    assert!(error.contains("mlp_encrypted.ckpt: is an encrypted MindSpore checkpoint"), "{error}");
    assert!(error.contains("dec_key"), "{error}");
}

#[test]
fn shufflenet_has_the_same_values_under_mindspores_and_oneflows_names() {
    let Some(fixtures) = fixtures() else { return };
    let expected =
        Model::from_state_dict(&open(fixtures.join("shufflenetv2_x0_5_f16.safetensors")), Strictness::Strict);
    let expected = expected.unwrap();
    let mindspore = open(fixtures.join("shufflenetv2_x0_5.ckpt"));
    // The file's own names stay in the state dict.
    assert!(mindspore.contains("conv1.1.gamma") && !mindspore.contains("conv1.1.weight"));
    let mindspore = Model::from_state_dict(&mindspore, Strictness::Strict).unwrap();
    assert_eq!(mindspore.weights(), expected.weights());
    assert_eq!(mindspore.network(), expected.network());
    assert_eq!(
        mindspore.report().renamed,
        [
            "MindSpore's `.gamma` is `.weight`",
            "MindSpore's `.beta` is `.bias`",
            "MindSpore's `.moving_mean` is `.running_mean`",
            "MindSpore's `.moving_variance` is `.running_var`"
        ]
    );
    let oneflow = open(fixtures.join("shufflenetv2_x0_5_oneflow"));
    assert_eq!(oneflow.get("conv1.1.num_batches_tracked").unwrap().shape(), [0usize; 0]);
    let oneflow = Model::from_state_dict(&oneflow, Strictness::Strict).unwrap();
    assert_eq!(oneflow.weights(), expected.weights());
    assert!(oneflow.report().renamed.is_empty());
}

#[test]
fn errors_name_what_the_file_has() {
    let state: StateDict = [
        ("dense1-weight", filled(&[2, 3])),
        ("dense1-bias", Tensor::from_f32(&[2], &[f32::NAN, 0.0]).unwrap()),
        ("extra-weight", filled(&[1])),
        ("bn.gamma", filled(&[7])),
    ]
    .into_iter()
    .collect();
    let plain: StateDict = [("dense1.weight", filled(&[2, 3])), ("dense1.bias", filled(&[2]))].into_iter().collect();
    let network = zoo::detect(&plain).unwrap();
    let error = Model::load(network.clone(), &state, Strictness::AllowUnexpected).unwrap_err().to_string();
    assert!(error.contains("NaN or infinity: dense1-bias (1 of 2)"), "{error}");
    let error = Model::load(network, &state, Strictness::Strict).unwrap_err().to_string();
    assert!(error.contains("unexpected extra-weight") && error.contains("unexpected bn.gamma"), "{error}");
    // A network that has such names itself is matched without any rule.
    let plain: StateDict =
        [("dense1-weight.weight", filled(&[2, 3])), ("dense1-weight.bias", filled(&[2]))].into_iter().collect();
    assert!(Model::from_state_dict(&plain, Strictness::Strict).unwrap().report().renamed.is_empty());
}

// Files that other people trained.

#[test]
fn the_real_mindspore_lenet_opens_with_its_optimizer_apart() {
    let Some(shared) = common::shared() else { return };
    let found = open(shared.join("data/real_checkpoints/mindspore_lenet5.ckpt"));
    let names: Vec<&str> = found.names().collect();
    let layers = ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias", "fc3.weight", "fc3.bias"];
    assert_eq!(names, [&["conv1.weight", "conv2.weight"][..], &layers].concat());
    assert_eq!(found.optimizer().len(), 8);
    assert!(found.optimizer().iter().all(|(name, tensor)| {
        found.get(name.strip_prefix("moments.").unwrap()).unwrap().shape() == tensor.shape()
    }));
    assert_eq!(
        metadata(&found),
        [
            ("scale_sense", "1048576.0"),
            ("learning_rate", "0.01"),
            ("momentum", "0.9"),
            ("current_iterator_step", "18751"),
            ("last_overflow_iterator_step", "17072")
        ]
    );
}

#[test]
fn the_real_oneflow_mlp_reads_handwriting() {
    let Some(shared) = common::shared() else { return };
    let found = open(shared.join("data/real_checkpoints/oneflow_mlp_784_500_10"));
    assert_eq!(found.names().collect::<Vec<_>>(), ["dense1-bias", "dense1-weight", "dense2-bias", "dense2-weight"]);
    assert_eq!((found.format(), found.optimizer().len()), (Some(Format::OneFlowSnapshot), 8));
    assert!(found.optimizer().contains_key("dense1-weight-m") && found.notes().is_empty(), "{:?}", found.notes());
    let model = Model::from_state_dict(&found, Strictness::Strict).unwrap();
    assert_eq!(model.network().name, "mlp_784-500-10");

    let (images, labels) = test_digits(&shared);
    let session =
        Session::new(&Device::cpu(), &model, Shape::new(1, 28, 28), &SessionOptions::default().max_batch(500)).unwrap();
    let mut logits = Vec::new();
    for images in images.chunks(500 * 784) {
        let pixels: Vec<f32> = images.iter().map(|&pixel| f32::from(pixel) / 255.0).collect();
        logits.extend(session.run(&pixels).unwrap());
    }
    let right = right(&logits, &labels);
    assert!((9810..=9820).contains(&right), "{right} of {} right", labels.len());
}

/// Who trained it says 98 %; PyTorch and Pillow, made to do what the network and its preset say, get 9867 right.
#[test]
fn the_real_mindspore_lenet_reads_handwriting() {
    let Some(shared) = common::shared() else { return };
    let weights = shared.join("data/real_checkpoints/mindspore_lenet5.ckpt");
    let builder = Classifier::builder().weights(weights).strictness(Strictness::Strict);
    let classifier = builder.device(Device::cpu()).max_batch(500).build().unwrap();
    assert_eq!((classifier.name(), classifier.model().network().input), ("lenet5", Shape::new(1, 32, 32)));
    let (images, labels) = test_digits(&shared);
    let digits = images.chunks(784).map(|levels| {
        let pixels = levels.iter().flat_map(|&level| [level; 3]).collect();
        classifier.preprocess().apply(&image::RgbImage::from_raw(28, 28, pixels).unwrap()).unwrap()
    });
    let digits: Vec<_> = digits.collect();
    let right = right(&classifier.run(&digits).unwrap(), &labels);
    assert!((9862..=9872).contains(&right), "{right} of {} right", labels.len());
}

/// Levels of MNIST's test digits, 784 a digit, and what they are.
fn test_digits(shared: &Path) -> (Vec<u8>, Vec<u8>) {
    let idx = |name: &str, header: usize| {
        let file = std::fs::File::open(shared.join("data/mnist").join(name)).unwrap();
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(file).read_to_end(&mut bytes).unwrap();
        bytes.split_off(header)
    };
    (idx("t10k-images-idx3-ubyte.gz", 16), idx("t10k-labels-idx1-ubyte.gz", 8))
}

/// How many of ten logits a label are the largest at their label.
fn right(logits: &[f32], labels: &[u8]) -> usize {
    assert_eq!(logits.len(), 10 * labels.len());
    let best = |row: &[f32]| (0..10).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
    let right = logits.chunks(10).zip(labels).filter(|(row, label)| best(row) == usize::from(**label)).count();
    println!("{right} of {} right", labels.len());
    right
}

/// The page's LeNet in OneFlow's oldest layout, a folder a parameter with nothing but its bytes.
#[test]
fn a_lenet_without_shapes_is_told_from_biases_and_counts() {
    let lenet = zoo::LeNet { in_channels: 1, side: 28, channels: [32, 64], hidden: 512, num_classes: 10 };
    let model = Model::initialise(lenet.network(), Initialiser::LayerDefault, 1).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (name, tensor) in model.state_dict().iter() {
        let parameter = folder.path().join(name.replace('.', "-"));
        std::fs::create_dir(&parameter).unwrap();
        let bytes: Vec<u8> = tensor.to_f32_vec().iter().flat_map(|v| v.to_le_bytes()).collect();
        std::fs::write(parameter.join("out"), bytes).unwrap();
    }
    std::fs::create_dir(folder.path().join("snapshot_done")).unwrap();
    let state = open(folder.path());
    assert!(!state.shapes_known());
    let found = Model::from_state_dict(&state, Strictness::Strict).unwrap();
    assert_eq!(found.network(), model.network());
    assert_eq!(found.weights(), model.weights());
}
