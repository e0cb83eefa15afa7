//! Opens the checkpoints that the real frameworks wrote and compares every value.

mod common;

use half::{bf16, f16};
use pretrained::{DType, Error, Format, Limits, StateDict, Tensor};
use std::path::PathBuf;

/// The sum of l1.weight in f64, by NumPy over the raw bytes of mlp.safetensors.
const MLP_L1_SUM: f64 = 0.8403543930158435;

const MLP: [(&str, &[usize]); 6] = [
    ("l1.weight", &[128, 784]),
    ("l1.bias", &[128]),
    ("l2.weight", &[64, 128]),
    ("l2.bias", &[64]),
    ("l3.weight", &[10, 64]),
    ("l3.bias", &[10]),
];

fn fixture(name: &str) -> Option<PathBuf> {
    Some(common::shared()?.join("fixtures").join(name))
}

fn open(path: PathBuf) -> StateDict {
    StateDict::open(path).unwrap_or_else(|error| panic!("{error}"))
}

/// The MLP's values from its safetensors file, which is the simplest of the formats.
fn mlp() -> Option<StateDict> {
    Some(open(fixture("mlp.safetensors")?))
}

fn assert_mlp(found: &StateDict, expected: &StateDict, dtype: DType, round: impl Fn(f32) -> f32) {
    assert_eq!(found.len(), MLP.len());
    for (name, shape) in MLP {
        let tensor = found.get(name).unwrap_or_else(|| panic!("{name} in {:?}", found.names().collect::<Vec<_>>()));
        assert_eq!((tensor.dtype(), tensor.shape()), (dtype, shape), "{name}");
        let expected: Vec<f32> = expected.get(name).unwrap().to_f32_vec().into_iter().map(&round).collect();
        assert_eq!(tensor.to_f32_vec(), expected, "{name}");
    }
}

#[test]
fn safetensors_opens() {
    let Some(mlp) = mlp() else { return };
    assert_mlp(&mlp, &mlp, DType::F32, |x| x);
    assert_eq!(mlp.format(), Some(Format::Safetensors));
    assert!(mlp.path().unwrap().ends_with("mlp.safetensors"));
    // The numbers themselves, by NumPy from the raw bytes.
    let sum: f64 = mlp.get("l1.weight").unwrap().to_f32_vec().iter().map(|&x| f64::from(x)).sum();
    assert!((sum - MLP_L1_SUM).abs() < 1e-6, "{sum}");
    let bf16_file = open(fixture("mlp_bf16.safetensors").unwrap());
    assert_mlp(&bf16_file, &mlp, DType::BF16, |x| bf16::from_f32(x).to_f32());
}

#[test]
fn torch_zip_and_legacy_hold_the_same_values_in_module_order() {
    let Some(mlp) = mlp() else { return };
    for (file, format) in [("mlp_zip.pth", Format::TorchZip), ("mlp_legacy.pth", Format::TorchLegacy)] {
        let found = open(fixture(file).unwrap());
        assert_mlp(&found, &mlp, DType::F32, |x| x);
        assert_eq!(found.format(), Some(format));
        assert_eq!(found.names().collect::<Vec<_>>(), MLP.map(|(name, _)| name));
        assert!(found.metadata().is_empty() && found.notes().is_empty(), "{found:?}");
    }
}

#[test]
fn other_precisions_convert() {
    let Some(mlp) = mlp() else { return };
    assert_mlp(&open(fixture("mlp_f16.pth").unwrap()), &mlp, DType::F16, |x| f16::from_f32(x).to_f32());
    assert_mlp(&open(fixture("mlp_bf16.pth").unwrap()), &mlp, DType::BF16, |x| bf16::from_f32(x).to_f32());
    assert_mlp(&open(fixture("mlp_f64.pth").unwrap()), &mlp, DType::F64, |x| x);
}

#[test]
fn the_prefix_of_dataparallel_comes_off() {
    let Some(mlp) = mlp() else { return };
    let found = open(fixture("mlp_dataparallel.pth").unwrap());
    assert_mlp(&found, &mlp, DType::F32, |x| x);
    assert_eq!(found.notes(), ["took `module.` off every name"]);
}

#[test]
fn a_training_checkpoint_gives_the_model_and_its_numbers() {
    let Some(mlp) = mlp() else { return };
    let found = open(fixture("mlp_training_checkpoint.pth").unwrap());
    assert_eq!(found.names().collect::<Vec<_>>(), MLP.map(|(name, _)| name));
    let metadata: Vec<_> = found.metadata().iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(metadata, [("epoch", "3"), ("loss", "0.25")]);
    assert_eq!(found.notes(), ["read from the key `model_state_dict`", "left out: `optimizer_state_dict` (a dict)"]);
    // One step of SGD later: near the others, and not equal.
    for (name, tensor) in found.iter() {
        let before = mlp.get(name).unwrap().to_f32_vec();
        let difference = tensor.to_f32_vec().iter().zip(&before).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(difference > 0.0 && difference < 0.1, "{name}: {difference}");
    }
}

#[test]
fn views_of_one_storage_come_out_as_torch_has_them() {
    let Some(path) = fixture("views_expected.safetensors") else { return };
    let expected = open(path);
    assert!(expected.len() >= 9);
    for file in ["views_zip.pth", "views_legacy.pth"] {
        let found = open(fixture(file).unwrap());
        assert_eq!(found.len(), expected.len());
        for (name, tensor) in expected.iter() {
            let found = found.get(name).unwrap_or_else(|| panic!("{file}: {name}"));
            assert_eq!((found.dtype(), found.shape()), (tensor.dtype(), tensor.shape()), "{file}: {name}");
            assert_eq!(found.bytes(), tensor.bytes(), "{file}: {name}");
        }
    }
}

#[test]
fn contiguous_tensors_share_the_bytes_of_the_file() {
    let Some(path) = fixture("views_zip.pth") else { return };
    let views = open(path);
    let start = |name: &str| views.get(name).unwrap().bytes().as_ptr() as usize;
    // Both begin in one storage: `rows` at element 120, `scalar` at 83.
    assert_eq!(start("rows") - start("scalar"), (120 - 83) * 4);
}

#[test]
fn shufflenets_open_in_every_container() {
    let Some(path) = fixture("shufflenetv2_x0_5_f16.safetensors") else { return };
    let expected = open(path);
    let legacy = open(fixture("shufflenetv2_x0_5_legacy.pth").unwrap());
    assert_eq!(legacy.len(), expected.len());
    for (name, tensor) in expected.iter() {
        let found = legacy.get(name).unwrap();
        assert_eq!(found.shape(), tensor.shape(), "{name}");
        assert_eq!(found.to_f32_vec(), tensor.to_f32_vec(), "{name}");
    }
    for width in ["x1_0", "x1_5", "x2_0"] {
        let found = open(fixture(&format!("shufflenetv2_{width}_f16.safetensors")).unwrap());
        assert!(found.get("conv5.0.weight").is_some() && found.get("fc.bias").unwrap().shape() == [1000]);
    }
    let odd = open(fixture("shufflenetv2_tiny_odd.pth").unwrap());
    assert_eq!(odd.get("conv1.0.weight").unwrap().shape(), [10, 3, 3, 3]);
    assert_eq!(odd.get("conv1.1.num_batches_tracked").map(Tensor::dtype), Some(DType::I64));
    // `_metadata`, the versions of modules, is an attribute of the dict and no entry.
    assert!(odd.notes().is_empty() && odd.metadata().is_empty());
}

#[test]
fn the_other_fixtures_open() {
    let Some(shared) = common::shared() else { return };
    let shape = |dict: &StateDict, name: &str| dict.get(name).unwrap().shape().to_vec();
    let tutorial = open(shared.join("fixtures/tutorial_mlp.pth"));
    assert_eq!(shape(&tutorial, "linear_relu_stack.0.weight"), [512, 784]);
    assert_eq!(shape(&open(shared.join("fixtures/lenet_f16.safetensors")), "conv1.weight")[0], 32);
    for file in std::fs::read_dir(shared.join("fixtures")).unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_some_and(|extension| extension == "safetensors") {
            assert!(!open(file).is_empty());
        }
    }
    for weights in ["shufflenetv2_x0_5_imagenet.pth", "shufflenetv2_x1_0_imagenet_approx.pth"] {
        let dict = open(shared.join("data/weights").join(weights));
        assert_eq!(shape(&dict, "conv1.0.weight"), [24, 3, 3, 3], "{weights}");
        assert_eq!(shape(&dict, "fc.weight"), [1000, 1024], "{weights}");
    }
}

#[test]
fn what_is_not_read_is_refused_for_the_reason_it_has() {
    let Some(shared) = common::shared() else { return };
    let refused = [
        ("mlp_whole_module.pth", "a whole pickled module of class __main__.Net"),
        ("mlp_whole_module_legacy.pth", "a whole pickled module of class __main__.Net"),
        ("tutorial_mlp_whole.pth", "torch.save(model.state_dict(), path)"),
        ("mlp_torchscript.pt", "is a TorchScript archive"),
        ("mlp_encrypted.ckpt", "is an encrypted MindSpore checkpoint"),
        ("mlp_oneflow08/pickled_data", "give the folder that it lies in"),
        ("mlp.mindir", "MindIR"),
        ("shufflenetv2_x0_5.onnx", "is an ONNX model"),
    ];
    for (name, reason) in refused {
        let path = shared.join("fixtures").join(name);
        match StateDict::open(&path).unwrap_err() {
            Error::Checkpoint { path: at, reason: found } => {
                assert_eq!(at, path);
                assert!(found.contains(reason), "{name}: {found}");
            }
            other => panic!("{name}: {other}"),
        }
    }
}

#[test]
fn an_extension_says_nothing() {
    let Some(path) = fixture("mlp_zip.pth") else { return };
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("weights.safetensors");
    std::fs::copy(path, &copy).unwrap();
    assert_eq!(open(copy).format(), Some(Format::TorchZip));
}

#[test]
fn shards_open_by_index_and_by_folder() {
    let Some(mlp) = mlp() else { return };
    let folder = tempfile::tempdir().unwrap();
    let write = |file: &str, names: &[&str]| {
        let tensors = names.iter().map(|&name| {
            let tensor = mlp.get(name).unwrap();
            let view =
                safetensors::tensor::TensorView::new(safetensors::Dtype::F32, tensor.shape().to_vec(), tensor.bytes());
            (name, view.unwrap())
        });
        let meta = [("format".to_owned(), "pt".to_owned())].into();
        std::fs::write(folder.path().join(file), safetensors::serialize(tensors, Some(meta)).unwrap()).unwrap();
    };
    write("model-1.safetensors", &["l1.weight", "l1.bias", "l2.weight"]);
    write("model-2.safetensors", &["l2.bias", "l3.weight", "l3.bias"]);
    let index = folder.path().join("model.safetensors.index.json");
    let map = MLP.map(|(name, _)| {
        let shard = if ["l1.weight", "l1.bias", "l2.weight"].contains(&name) { 1 } else { 2 };
        format!("\"{name}\": \"model-{shard}.safetensors\"")
    });
    let json = format!("{{\"metadata\": {{\"total_size\": 437544}}, \"weight_map\": {{{}}}}}", map.join(", "));
    std::fs::write(&index, json).unwrap();
    for path in [index.clone(), folder.path().to_owned()] {
        let found = open(path);
        assert_mlp(&found, &mlp, DType::F32, |x| x);
        assert_eq!(found.format(), Some(Format::ShardedSafetensors));
        assert_eq!(found.metadata()["total_size"], "437544");
        assert_eq!(found.metadata()["format"], "pt");
    }
    // All shards together stay under the limit, or none is read.
    let limits = Limits { file_bytes: 430_000, ..Limits::default() };
    assert!(matches!(StateDict::open_with(&index, &limits), Err(Error::Limit { .. })));
    std::fs::write(folder.path().join("other.index.json"), "{}").unwrap();
    assert!(StateDict::open(folder.path()).unwrap_err().to_string().contains("several indexes"));
}
