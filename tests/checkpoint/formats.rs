//! Opens the checkpoints that the real frameworks wrote and compares every value.

use crate::common;
use half::{bf16, f16};
use pretrained::graph::Shape;
use pretrained::{
    DType, Device, Error, Format, Limits, Model, SaveFormat, SaveOptions, Session, SessionOptions, StateDict,
    Strictness, Tensor,
};
use std::path::{Path, PathBuf};

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
    let kept = "kept the optimizer's state of `optimizer_state_dict` apart: 6 tensors";
    assert_eq!(found.notes(), ["read from the key `model_state_dict`", kept]);
    // SGD with momentum: a slot for each parameter, in their order, of their shape.
    for (index, (slot, (_, shape))) in found.optimizer().iter().zip(MLP).enumerate() {
        assert_eq!(slot.0, &format!("state.{index}.momentum_buffer"));
        assert_eq!((slot.1.dtype(), slot.1.shape()), (DType::F32, shape));
        assert!(slot.1.to_f32_vec().iter().any(|&x| x != 0.0));
    }
    assert_eq!(found.optimizer().len(), MLP.len());
    // One step of SGD later: near the others, and not equal.
    for (name, tensor) in found.iter() {
        let before = mlp.get(name).unwrap().to_f32_vec();
        let difference = tensor.to_f32_vec().iter().zip(&before).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(difference > 0.0 && difference < 0.1, "{name}: {difference}");
    }
}

#[test]
fn whole_modules_give_what_their_state_dict_would() {
    let Some(mlp) = mlp() else { return };
    for (file, format) in
        [("mlp_whole_module.pth", Format::TorchZip), ("mlp_whole_module_legacy.pth", Format::TorchLegacy)]
    {
        let found = open(fixture(file).unwrap());
        assert_mlp(&found, &mlp, DType::F32, |x| x);
        assert_eq!(found.format(), Some(format));
        assert_eq!(found.names().collect::<Vec<_>>(), MLP.map(|(name, _)| name));
        let note = "named the parameters as the modules within __main__.Net hold them; its code was not run";
        assert_eq!(found.notes(), [note]);
    }
    let whole = open(fixture("tutorial_mlp_whole.pth").unwrap());
    let state = open(fixture("tutorial_mlp.pth").unwrap());
    assert_eq!(whole.names().collect::<Vec<_>>(), state.names().collect::<Vec<_>>());
    assert!(whole.iter().zip(state.iter()).all(|(a, b)| a == b));
}

#[test]
fn torchscript_gives_the_parameters_of_its_modules() {
    let Some(mlp) = mlp() else { return };
    let found = open(fixture("mlp_torchscript.pt").unwrap());
    assert_mlp(&found, &mlp, DType::F32, |x| x);
    assert_eq!(found.format(), Some(Format::TorchScript));
    assert_eq!(found.names().collect::<Vec<_>>(), MLP.map(|(name, _)| name));
    assert!(found.notes()[0].contains("__torch__.Net"), "{:?}", found.notes());
}

#[test]
fn mindir_gives_its_parameters() {
    let Some(mlp) = mlp() else { return };
    let found = open(fixture("mlp.mindir").unwrap());
    assert_mlp(&found, &mlp, DType::F32, |x| x);
    assert_eq!(found.format(), Some(Format::MindIr));
}

#[test]
fn onnx_gives_its_initializers_and_says_that_the_exporter_folded_them() {
    let Some(path) = fixture("shufflenetv2_x0_5.onnx") else { return };
    let found = open(path);
    let expected = open(fixture("shufflenetv2_x0_5_f16.safetensors").unwrap());
    assert_eq!(found.format(), Some(Format::Onnx));
    // Weights and biases of 56 convolutions with their batch normalisation folded in, and the last layer as it was.
    assert_eq!(found.len(), 114);
    let kept: Vec<_> = found.names().filter(|name| expected.contains(name)).collect();
    assert_eq!(kept, ["fc.weight", "fc.bias"]);
    for name in kept {
        let (found, expected) = (found.get(name).unwrap(), expected.get(name).unwrap());
        assert_eq!((found.dtype(), found.shape()), (DType::F32, expected.shape()));
        assert_eq!(found.to_f32_vec(), expected.to_f32_vec());
    }
    assert_eq!(found.get("onnx::Conv_1315").unwrap().shape(), [24, 3, 3, 3]);
    // conv1 is its weight times gamma / sqrt(variance + epsilon), by channel.
    let values = |name: &str| expected.get(name).unwrap().to_f32_vec();
    let (weight, gamma, variance) = (values("conv1.0.weight"), values("conv1.1.weight"), values("conv1.1.running_var"));
    let folded = found.get("onnx::Conv_1315").unwrap().to_f32_vec();
    for (at, (found, weight)) in folded.iter().zip(&weight).enumerate() {
        let expected = weight * gamma[at / 27] / (variance[at / 27] + 1e-5).sqrt();
        assert!((found - expected).abs() < 1e-5, "{at}: {found} {expected}");
    }
    assert!(found.notes()[0].contains("the exporter renamed 112 of 114 tensors (`onnx::Conv_1315`)"));
    // Its graph is the truth: tests/networks/goldens.rs runs it. Renaming its tensors leaves it as it was.
    let renamed = found.rename(&["^onnx::=folded.".parse().unwrap()]).unwrap().state;
    let [model, other] = [&found, &renamed].map(|state| Model::from_state_dict(state, Strictness::Strict).unwrap());
    assert_eq!(model.network().name, "shufflenetv2_x0_5");
    assert_eq!((model.report().loaded.len(), model.weights()), (114, other.weights()));
    assert!(other.report().loaded.contains(&"folded.Conv_1315".to_owned()), "{}", other.report());
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

/// What a checkpoint must turn out to hold.
enum Holds {
    /// The tensors of another, as they are once `f32` was rounded so.
    TensorsOf(&'static str, fn(f32) -> f32),
    /// Under names of its own the weights of the network that another holds.
    NetworkOf(&'static str),
    /// Some tensors of another; the rest was changed by the exporter.
    SomeOf(&'static str, &'static [&'static str]),
    /// What the crate `safetensors` finds in it.
    Safetensors,
    /// A network that makes logits of an input, both in a file of what PyTorch computed.
    Network { expected: &'static str, input: &'static str, logits: &'static str },
    /// Tensors whose sums in f64 are these, by NumPy.
    Sums(&'static [(&'static str, f64)]),
    /// Nothing: it is refused for this reason.
    Refused(&'static str),
}

fn holds(name: &str) -> Holds {
    use Holds::*;
    let mlp = |input, logits| Network { expected: "mlp_expected.safetensors", input, logits };
    match name {
        "mlp_encrypted.ckpt" => Refused("is an encrypted MindSpore checkpoint"),
        "mlp_f16.pth" => TensorsOf("mlp.safetensors", |x| f16::from_f32(x).to_f32()),
        "mlp_bf16.pth" => TensorsOf("mlp.safetensors", |x| bf16::from_f32(x).to_f32()),
        "mlp_training_checkpoint.pth" => mlp("mlp.input", "training_checkpoint.logits"),
        "mlp_legacy_snapshot" => NetworkOf("mlp.safetensors"),
        "tutorial_mlp.pth" | "tutorial_mlp_whole.pth" => mlp("tutorial.input", "tutorial.logits"),
        "views_zip.pth" | "views_legacy.pth" => TensorsOf("views_expected.safetensors", |x| x),
        "shufflenetv2_tiny_odd.pth" => {
            Network { expected: "shufflenetv2_tiny_odd_expected.safetensors", input: "input", logits: "logits" }
        }
        "shufflenetv2_x0_5_legacy.pth" => TensorsOf("shufflenetv2_x0_5_f16.safetensors", |x| x),
        "shufflenetv2_x0_5.ckpt" | "shufflenetv2_x0_5_oneflow" => NetworkOf("shufflenetv2_x0_5_f16.safetensors"),
        "shufflenetv2_x0_5.onnx" => SomeOf("shufflenetv2_x0_5_f16.safetensors", &["fc.weight", "fc.bias"]),
        "mindspore_lenet5.ckpt" => Sums(&[
            ("conv1.weight", 0.6956086445134133),
            ("conv2.weight", -78.60247431024618),
            ("fc1.weight", -292.20718130021726),
            ("fc1.bias", 0.21752419484982966),
            ("fc2.weight", -59.45258134065352),
            ("fc2.bias", 1.236549583300075),
            ("fc3.weight", -0.3770495061035035),
            ("fc3.bias", 0.00010279426351189613),
        ]),
        "oneflow_mlp_784_500_10" => Sums(&[
            ("dense1-weight", -4032.838278180693),
            ("dense1-bias", 2.4583551832838566),
            ("dense2-weight", -230.98300597446178),
            ("dense2-bias", -0.12499844469130039),
        ]),
        name if name.ends_with(".safetensors") => Safetensors,
        name if name.starts_with("mlp") => TensorsOf("mlp.safetensors", |x| x),
        name => panic!("{name} is new here: say what it must hold"),
    }
}

/// Holds the checkpoint at `path` to what [`holds`] says of it.
fn check(path: &Path, fixtures: &Path) {
    let name = path.file_name().unwrap().to_str().unwrap();
    let found = match (StateDict::open(path), holds(name)) {
        (Err(error), Holds::Refused(reason)) => return assert!(error.to_string().contains(reason), "{error}"),
        (found, _) => found.unwrap_or_else(|error| panic!("{error}")),
    };
    let network = |dict: &StateDict| Model::from_state_dict(dict, Strictness::Strict).unwrap();
    match holds(name) {
        Holds::TensorsOf(other, round) => {
            let other = open(fixtures.join(other));
            assert_eq!(found.len(), other.len(), "{name}");
            for (tensor, expected) in other.iter() {
                let found = found.get(tensor).unwrap_or_else(|| panic!("{name} lacks {tensor}"));
                assert_eq!(found.shape(), expected.shape(), "{name}: {tensor}");
                let expected: Vec<f32> = expected.to_f32_vec().into_iter().map(round).collect();
                assert_eq!(found.to_f32_vec(), expected, "{name}: {tensor}");
            }
        }
        Holds::NetworkOf(other) => {
            let (found, expected) = (network(&found), network(&open(fixtures.join(other))));
            assert_eq!(found.weights(), expected.weights(), "{name}");
        }
        Holds::SomeOf(other, tensors) => {
            let other = open(fixtures.join(other));
            let same = |tensor| found.get(tensor).unwrap().to_f32_vec() == other.get(tensor).unwrap().to_f32_vec();
            assert!(found.len() > tensors.len() && tensors.iter().copied().all(same), "{name}");
        }
        Holds::Safetensors => {
            let bytes = std::fs::read(path).unwrap();
            let expected = safetensors::SafeTensors::deserialize(&bytes).unwrap();
            assert_eq!(found.len(), expected.len(), "{name}");
            for (tensor, view) in expected.iter() {
                let found = found.get(tensor).unwrap();
                assert_eq!((found.shape(), &found.bytes()[..]), (view.shape(), view.data()), "{name}: {tensor}");
                assert_eq!(format!("{:?}", found.dtype()), format!("{:?}", view.dtype()).replace("BOOL", "Bool"));
            }
        }
        Holds::Network { expected, input, logits } => {
            let (model, expected) = (network(&found), open(fixtures.join(expected)));
            let images = common::values(&expected, input);
            let shape = match *expected.get(input).unwrap().shape() {
                [_, channels, height, width] => Shape::new(channels, height, width),
                _ => model.network().input,
            };
            let count = images.len() / shape.elements();
            let session =
                Session::new(&Device::cpu(), &model, shape, &SessionOptions::default().max_batch(count)).unwrap();
            let found = session.run(&images).unwrap();
            let error = common::relative_error(&found, &common::values(&expected, logits));
            assert!(error <= 1e-4, "{name}: {error:.1e}");
        }
        Holds::Sums(sums) => {
            assert_eq!(found.len(), sums.len(), "{name}");
            for (tensor, expected) in sums {
                let sum: f64 = common::values(&found, tensor).iter().map(|&x| f64::from(x)).sum();
                assert!((sum - expected).abs() < 1e-9 * expected.abs().max(1.0), "{name}: {tensor}: {sum}");
            }
        }
        Holds::Refused(reason) => panic!("{name} should be refused, because it {reason}"),
    }
}

#[test]
fn every_checkpoint_of_the_folders_holds_what_it_should() {
    let Some(shared) = common::shared() else { return };
    let fixtures = shared.join("fixtures");
    let mut count = 0;
    for folder in [&fixtures, &shared.join("data/real_checkpoints")] {
        for entry in std::fs::read_dir(folder).unwrap() {
            check(&entry.unwrap().path(), &fixtures);
            count += 1;
        }
    }
    assert!(count >= 47, "{count} checkpoints");
}

#[test]
fn the_imagenet_weights_open() {
    let Some(shared) = common::shared() else { return };
    let shape = |dict: &StateDict, name: &str| dict.get(name).unwrap().shape().to_vec();
    for weights in ["shufflenetv2_x0_5_imagenet.pth", "shufflenetv2_x1_0_imagenet_approx.pth"] {
        let dict = open(shared.join("data/weights").join(weights));
        assert_eq!(shape(&dict, "conv1.0.weight"), [24, 3, 3, 3], "{weights}");
        assert_eq!(shape(&dict, "fc.weight"), [1000, 1024], "{weights}");
    }
}

#[test]
fn a_part_of_a_checkpoint_is_refused_with_advice() {
    let Some(path) = fixture("mlp_oneflow08/pickled_data") else { return };
    match StateDict::open(&path).unwrap_err() {
        Error::Checkpoint { path: at, reason, .. } => {
            assert_eq!(at, path);
            assert!(reason.contains("give the folder that it lies in"), "{reason}");
        }
        other => panic!("{other}"),
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

/// Limits under which every file is mapped, or none.
fn mapping(map_from_bytes: u64) -> Limits {
    Limits { map_from_bytes, ..Limits::default() }
}

#[test]
fn mapped_and_read_checkpoints_are_the_same() {
    let Some(shared) = common::shared() else { return };
    let mut opened = 0;
    for entry in std::fs::read_dir(shared.join("fixtures")).unwrap() {
        let path = entry.unwrap().path();
        let open = |map_from_bytes| StateDict::open_with(&path, &mapping(map_from_bytes));
        match (open(0), open(u64::MAX)) {
            (Ok(mapped), Ok(read)) => {
                assert!(mapped.iter().eq(read.iter()), "{}", path.display());
                assert!(mapped.optimizer() == read.optimizer() && mapped.metadata() == read.metadata());
                assert_eq!((mapped.notes(), mapped.format()), (read.notes(), read.format()));
                opened += 1;
            }
            // One is encrypted.
            (mapped, read) => assert_eq!(mapped.unwrap_err().to_string(), read.unwrap_err().to_string()),
        }
    }
    assert!(opened > 30, "{opened}");
}

#[test]
fn a_file_without_bytes_can_be_mapped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapshot");
    let dict: StateDict = [("w", Tensor::from_f32(&[0, 2], &[]).unwrap())].into_iter().collect();
    dict.save(&path, &SaveOptions { format: SaveFormat::OneFlow, ..SaveOptions::default() }).unwrap();
    assert_eq!(StateDict::open_with(&path, &mapping(0)).unwrap().get("w"), dict.get("w"));
}

/// The file that the system says these bytes are mapped from; none where they are the process's own.
#[cfg(target_os = "linux")]
fn mapped_from(bytes: &[u8]) -> Option<PathBuf> {
    let at = bytes.as_ptr() as usize;
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let line = maps.lines().find(|line| {
        let (start, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        let address = |text| usize::from_str_radix(text, 16).unwrap();
        (address(start)..address(end)).contains(&at)
    });
    line.unwrap().split_whitespace().nth(5).map(PathBuf::from).filter(|path| path.is_absolute())
}

#[cfg(target_os = "linux")]
#[test]
fn large_files_are_mapped_and_their_tensors_are_slices_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    let numbers: Vec<f32> = (0..40_000u16).map(f32::from).collect();
    let large: StateDict =
        ["a", "b"].map(|name| (name, Tensor::from_f32(&[200, 200], &numbers).unwrap())).into_iter().collect();
    let formats = [SaveFormat::Safetensors, SaveFormat::Torch, SaveFormat::MindSpore, SaveFormat::OneFlow];
    for format in formats {
        let path = folder.join(format!("{format:?}"));
        large.save(&path, &SaveOptions { format, ..SaveOptions::default() }).unwrap();
        let state = open(path.clone());
        for (name, tensor) in state.iter() {
            let file = if path.is_dir() { path.join(name).join("out") } else { path.clone() };
            assert_eq!(mapped_from(tensor.bytes()), Some(file), "{format}");
        }
        // Read where that is asked for, and where it is the quicker way.
        for (limits, path) in [(mapping(u64::MAX), path.clone()), (Limits::default(), small(&folder, format))] {
            let state = StateDict::open_with(path, &limits).unwrap();
            assert!(state.iter().all(|(_, tensor)| mapped_from(tensor.bytes()).is_none()), "{format}");
        }
        // What was opened outlives its file, replaced or gone.
        let other: StateDict = [("c", Tensor::from_f32(&[1], &[1.0]).unwrap())].into_iter().collect();
        other.save(&path, &SaveOptions { format, overwrite: true, ..SaveOptions::default() }).unwrap();
        assert!(state.iter().eq(large.iter()), "{format}");
        assert!(open(path).contains("c"));
    }
}

#[cfg(target_os = "linux")]
fn small(folder: &std::path::Path, format: SaveFormat) -> PathBuf {
    let path = folder.join(format!("small {format:?}"));
    let dict: StateDict = [("w", Tensor::from_f32(&[2], &[1.0, 2.0]).unwrap())].into_iter().collect();
    dict.save(&path, &SaveOptions { format, ..SaveOptions::default() }).unwrap();
    path
}
