//! Recognising a network and matching its parameters by name: what loads, and what is reported.

use crate::recognised;
use pretrained::checkpoint::remap;
use pretrained::graph::{Builder, Linear, Shape, Value};
use pretrained::zoo::{
    LeNet, LeNet5, MegviiShuffleNetV2, MindSporeResNet, Mlp, MobileNetV2, Network, ShuffleNetV2, by_name, detect,
};
use pretrained::{
    Error, Format, Initialiser, LoadReport, Model, SaveFormat, SaveOptions, StateDict, Strictness, Tensor, TensorError,
};
use std::path::Path;

/// A small ShuffleNetV2.
fn shufflenet() -> ShuffleNetV2 {
    ShuffleNetV2 { stages_repeats: [1, 2, 1], stages_out_channels: [4, 6, 8, 10, 12], num_classes: 3 }
}

/// A checkpoint with every parameter of the small network, and PyTorch's counters beside them.
fn checkpoint() -> StateDict {
    let graph = shufflenet().network().graph;
    let parameters = graph.parameters().iter().map(|p| (p.name.clone(), filled(&p.shape, 0.5)));
    let counters = graph.parameters().iter().filter_map(|p| p.name.strip_suffix("running_var"));
    let counters = counters.map(|module| (format!("{module}num_batches_tracked"), filled(&[], 7.0)));
    parameters.chain(counters).collect()
}

fn filled(shape: &[usize], value: f32) -> Tensor {
    Tensor::from_f32(shape, &vec![value; shape.iter().product()]).unwrap()
}

/// The checkpoint without some parameters.
fn without(names: &[&str]) -> StateDict {
    checkpoint().iter().filter(|(name, _)| !names.contains(name)).map(|(n, t)| (n.to_owned(), t.clone())).collect()
}

fn layers(names: &[&str], widths: &[usize]) -> StateDict {
    let pairs = names.iter().zip(widths.windows(2));
    pairs
        .flat_map(|(name, w)| {
            let weight = (format!("{name}.weight"), filled(&[w[1], w[0]], 0.1));
            [weight, (format!("{name}.bias"), filled(&[w[1]], 0.1))]
        })
        .collect()
}

#[test]
fn a_shufflenet_is_told_from_names_and_shapes() {
    let network = recognised(&checkpoint());
    assert_eq!(network, shufflenet().network());
    assert_eq!(network.name, "shufflenetv2_4-6-8-10-12");
    let x1_0 = ShuffleNetV2::by_name("shufflenetv2_x1_0", 17).unwrap();
    assert_eq!(x1_0.name(), "shufflenetv2_x1_0");
}

#[test]
fn counters_are_ignored_by_rule() {
    let model = Model::from_state_dict(&checkpoint(), Strictness::Strict).unwrap();
    let report = model.report();
    assert_eq!(report.loaded.len(), model.network().graph.parameters().len());
    assert!(report.ignored.len() > 10 && report.unexpected.is_empty() && report.is_complete());
}

#[test]
fn all_that_is_missing_or_misshapen_is_listed_at_once_with_the_nearest_names() {
    let mut state = without(&["conv5.1.weight", "stage2.0.branch1.1.running_mean", "fc.bias"]);
    state.insert("conv5.1.wieght", filled(&[12], 0.5));
    state.insert("conv1.1.bias", filled(&[5], 0.5));
    let error = Model::load(shufflenet().network(), &state, Strictness::AllowUnexpected).unwrap_err();
    let text = error.to_string();
    let Some(report) = error.report() else { panic!("{text}") };
    let missing: Vec<&str> = report.missing.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(missing, ["stage2.0.branch1.1.running_mean", "conv5.1.weight", "fc.bias"]);
    assert_eq!(report.missing[1].nearest, ["conv5.1.wieght"]);
    assert_eq!((report.mismatched[0].expected.clone(), report.mismatched[0].found.clone()), (vec![4], vec![5]));
    for part in ["missing fc.bias [3]", "conv5.1.wieght", "conv1.1.bias: expected [4], found [5]", "3 missing"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[test]
fn unexpected_names_are_reported_and_fail_only_when_strict() {
    let mut state = checkpoint();
    state.insert("aux.weight", filled(&[2], 0.5));
    let model = Model::from_state_dict(&state, Strictness::AllowUnexpected).unwrap();
    assert_eq!(model.report().unexpected, ["aux.weight"]);
    let error = Model::from_state_dict(&state, Strictness::Strict).unwrap_err();
    assert!(matches!(error, Error::Mismatch { .. }) && error.to_string().contains("unexpected aux.weight"));
}

#[test]
fn weights_that_are_not_finite_are_named() {
    let mut state = checkpoint();
    state.insert("fc.bias", Tensor::from_f32(&[3], &[0.0, f32::NAN, f32::INFINITY]).unwrap());
    let error = Model::from_state_dict(&state, Strictness::Strict).unwrap_err().to_string();
    assert!(error.contains("NaN or infinity: fc.bias (2 of 3)"), "{error}");
}

#[test]
fn megviis_shufflenet_is_told_from_torchvisions() {
    let definition =
        MegviiShuffleNetV2 { stages_repeats: [1, 2, 1], stages_out_channels: [4, 12, 24, 48, 8], num_classes: 3 };
    let network = definition.network();
    let parameters = network.graph.parameters().iter();
    let mut state: StateDict = parameters.map(|p| (p.name.clone(), filled(&p.shape, 0.5))).collect();
    assert_eq!(recognised(&state), network);
    assert_eq!((network.name.as_str(), network.preset), ("megvii_shufflenetv2_4-12-24-48-8", Some("megvii")));
    Model::from_state_dict(&state, Strictness::Strict).unwrap();
    // A stage more.
    state.insert("features.4.branch_main.5.weight", filled(&[48, 48, 1, 1], 0.5));
    state.insert("features.4.branch_proj.2.weight", filled(&[48, 48, 1, 1], 0.5));
    let error = detect(&state).unwrap_err().to_string();
    assert!(error.contains("Megvii's ShuffleNetV2 came closest, but its features are 4 stages"), "{error}");
}

/// A checkpoint with every parameter of a network.
fn checkpoint_of(network: &Network) -> StateDict {
    network.graph.parameters().iter().map(|p| (p.name.clone(), filled(&p.shape, 0.5))).collect()
}

/// A line of the goldens; tests/networks/goldens.rs reads the rest of it.
#[derive(serde::Deserialize)]
struct Golden {
    network: String,
    family: String,
    classes: usize,
}

/// The networks of the goldens that have a name, and others of every family but MLP, each with the family's name and the
/// classifier's weight.
fn networks() -> Vec<(Network, String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/zoo_goldens.json");
    let goldens: Vec<Golden> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let named = goldens.into_iter().filter_map(|golden| {
        let network = by_name(&golden.network, golden.classes)?;
        assert_eq!(network.name, golden.network);
        let last = network.graph.parameters().iter().rev().find(|p| p.name.ends_with(".weight")).unwrap().name.clone();
        Some((network, golden.family, last))
    });
    let megvii =
        MegviiShuffleNetV2 { stages_repeats: [1, 2, 1], stages_out_channels: [4, 12, 24, 48, 8], num_classes: 3 };
    let lenet = LeNet { in_channels: 1, side: 28, channels: [32, 64], hidden: 512, num_classes: 10 };
    let lenet5 =
        LeNet5 { in_channels: 1, side: 32, channels: [6, 16], bias: false, hidden: [120, 84], num_classes: 10 };
    let others = [
        (by_name("resnext50_32x4d", 2).unwrap(), "ResNet", "fc.weight"),
        (by_name("wide_resnet50_2", 4).unwrap(), "ResNet", "fc.weight"),
        (megvii.network(), "Megvii's ShuffleNetV2", "classifier.0.weight"),
        (MobileNetV2::with_width(0.35, 11).network(), "MobileNetV2", "classifier.1.weight"),
        (
            MindSporeResNet { layer_nums: [3, 4, 6, 3], num_classes: 10 }.network(),
            "MindSpore's ResNet",
            "end_point.weight",
        ),
        (lenet.network(), "OneFlow's LeNet", "dense2.bias"),
        (LeNet { in_channels: 3, side: 32, ..lenet }.network(), "OneFlow's LeNet", "dense2.bias"),
        (lenet5.network(), "LeNet-5", "fc3.weight"),
        (LeNet5 { in_channels: 3, bias: true, ..lenet5 }.network(), "LeNet-5", "fc3.weight"),
    ];
    let others = others.map(|(network, family, last)| (network, family.to_owned(), last.to_owned()));
    named.chain(others).collect()
}

#[test]
fn every_network_is_told_under_every_frameworks_names_and_every_class_count() {
    for (network, ..) in networks() {
        let state = checkpoint_of(&network);
        let named =
            |names: Vec<String>| -> StateDict { names.into_iter().zip(state.iter().map(|(_, t)| t.clone())).collect() };
        let mindspore = named(remap::to_mindspore(state.names()));
        let oneflow = named(state.names().map(remap::to_oneflow_legacy).collect());
        for state in [&state, &mindspore, &oneflow] {
            assert_eq!(recognised(state), network, "{}", network.name);
            Model::from_state_dict(state, Strictness::Strict).unwrap();
        }
    }
}

#[test]
fn a_network_without_its_classifier_is_called_by_its_family() {
    for (network, family, last) in networks() {
        let state = checkpoint_of(&network);
        let state = state.iter().filter(|(name, _)| *name != last).map(|(n, t)| (n.to_owned(), t.clone())).collect();
        let error = detect(&state).unwrap_err().to_string();
        assert!(error.contains(&format!(": {family} came closest, but these are absent")), "{}: {error}", network.name);
        assert!(error.contains(&format!(": {last};")), "{}: {error}", network.name);
    }
}

#[test]
fn networks_come_back_from_every_container() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["squeezenet1_1", "mobilenet_v3_small"] {
        let model = Model::initialise(by_name(name, 3).unwrap(), Initialiser::LayerDefault, 1).unwrap();
        for format in [SaveFormat::Safetensors, SaveFormat::Torch, SaveFormat::OneFlow, SaveFormat::MindSpore] {
            let path = folder.path().join(format!("{name}_{format:?}"));
            model.state_dict().save(&path, &SaveOptions { format, ..SaveOptions::default() }).unwrap();
            let state = StateDict::open(&path).unwrap();
            let found = Model::from_state_dict(&state, Strictness::Strict).unwrap();
            assert_eq!((&recognised(&state), found.weights()), (model.network(), model.weights()), "{name} {format:?}");
        }
    }
}

/// At other sizes MindSpore pads otherwise.
#[test]
fn mindspores_resnet_takes_sides_that_are_multiples_of_32() {
    let network = MindSporeResNet { layer_nums: [1, 1, 1, 1], num_classes: 2 }.network();
    assert_eq!(network.name, "mindspore_resnet_1-1-1-1");
    assert!(network.graph.shapes(Shape::new(3, 64, 96)).is_ok());
    for (height, width) in [(225, 224), (224, 226), (16, 32)] {
        let error = network.graph.shapes(Shape::new(3, height, width)).unwrap_err().to_string();
        assert!(error.contains("multiples of 32"), "{error}");
    }
}

/// Sizes that no network has, in checkpoints that nearly are one.
#[test]
fn sizes_that_make_no_network_are_refused() {
    let refuses = |network: &Network, name: &str, shape: &[usize]| {
        let mut state = checkpoint_of(network);
        state.insert(name, filled(shape, 0.5));
        Model::from_state_dict(&state, Strictness::AllowUnexpected).unwrap_err().to_string()
    };
    for (network, ..) in networks().iter().filter(|(_, family, _)| family.contains("LeNet")) {
        let weight = if network.name == "lenet" { "dense1.weight" } else { "fc1.weight" };
        let error = refuses(network, weight, &[120, 7]);
        assert!(error.contains("no square image"), "{error}");
    }
    let resnet = by_name("resnext50_32x4d", 2).unwrap();
    assert!(refuses(&resnet, "layer1.0.conv2.weight", &[4, 128, 3, 3]).contains("expected"));
    assert!(refuses(&resnet, "conv1.weight", &[64, 3, 3, 3]).contains("conv1.weight: expected [64, 3, 7, 7]"));
}

#[test]
fn what_came_closest_is_said() {
    let error = detect(&without(&["fc.weight", "conv5.0.weight"])).unwrap_err().to_string();
    assert!(error.contains("ShuffleNetV2 came closest") && error.contains("conv5.0.weight, fc.weight"), "{error}");
    let error = detect(
        &layers(&["fc1", "fc2"], &[4, 5, 6])
            .iter()
            .take(3)
            .map(|(n, t)| (n.to_owned(), if n == "fc2.weight" { filled(&[6, 9], 0.1) } else { t.clone() }))
            .collect(),
    )
    .unwrap_err()
    .to_string();
    assert!(error.contains("MLP came closest") && error.contains("do not chain"), "{error}");
    let error = detect(&[("embedding", filled(&[2, 2, 2], 0.0))].into_iter().collect()).unwrap_err().to_string();
    assert!(error.contains("its 1 parameters (embedding)") && error.contains("the families known by"), "{error}");
    assert!(detect(&StateDict::new()).is_err());
}

#[test]
fn an_mlp_is_told_under_the_names_that_people_use() {
    let names: [&[&str]; 6] = [
        &["l1", "l2", "l3"],
        &["fc1", "fc2", "fc3"],
        &["layers.0", "layers.1", "layers.2"],
        &["linear_relu_stack.0", "linear_relu_stack.2", "linear_relu_stack.4"],
        &["dense1", "dense2", "dense3"],
        // File order decides where no number does.
        &["input", "hidden", "classifier"],
    ];
    for names in names {
        let network = detect(&layers(names, &[784, 128, 64, 10])).unwrap();
        assert_eq!((network.name.as_str(), network.input.height), ("mlp_784-128-64-10", 28), "{names:?}");
    }
    let twelve: Vec<String> = (1..=12).map(|i| format!("fc{i}")).collect();
    let mut twelve: Vec<&str> = twelve.iter().map(String::as_str).collect();
    let widths: Vec<usize> = (0..13).map(|i| 20 - i).collect();
    let network = detect(&layers(&twelve, &widths)).unwrap();
    assert_eq!(network.graph.parameters()[22].name, "fc12.weight");
    // A file sorted by name, as safetensors has it, puts fc10 before fc2.
    let state = layers(&twelve, &widths);
    twelve.sort_unstable();
    let sorted = twelve.iter().flat_map(|n| [format!("{n}.weight"), format!("{n}.bias")]);
    let sorted: StateDict = sorted
        .map(|name| {
            let t = state.get(&name).unwrap().clone();
            (name, t)
        })
        .collect();
    assert_eq!(detect(&sorted).unwrap(), network);
}

/// By tests/frameworks/modules.py.
#[test]
fn a_model_saved_whole_is_no_other_than_its_modules_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/modules");
    let error = |file: &str| detect(&StateDict::open(folder.join(file)).unwrap()).unwrap_err().to_string();
    // By names and shapes alone it would be an MLP.
    let tanh = error("tanh.pth");
    assert!(tanh.contains("its parameters are mlp_4-3-2's, but its modules do what mlp_4-3-2 does not"), "{tanh}");
    assert!(tanh.contains("`tanh` (torch.nn.modules.activation.Tanh): no graph has a Tanh"), "{tanh}");
    let unknown = error("unknown.pth");
    for part in [
        "`0` (Conv2d): its padding_mode is \"reflect\"",
        "`1` (Tanh): no graph has such a layer",
        "`2` (BatchNorm2d): its affine is False",
        "`4.0` (AdaptiveAvgPool2d): its output_size is 2",
        "`4.1` (GELU): no graph",
    ] {
        assert!(unknown.contains(part), "{unknown}\nshould contain: {part}");
    }
    assert!(!unknown.contains("`3`") && !unknown.contains("`6`"), "{unknown}");
    let stacks = error("two_stacks.pth");
    assert!(stacks.contains("nor do its modules tell it, since the model is a __main__.TwoStacks"), "{stacks}");
}

#[test]
fn a_builder_takes_only_its_own_values() {
    let mut other = Builder::new();
    let x = other.relu(Value::INPUT);
    let foreign = other.relu(x);
    let mut g = Builder::new();
    let x = g.relu(foreign);
    let error = g.finish(x).shapes(Shape::vector(1)).unwrap_err().to_string();
    assert!(error.contains("refers to a value that is not of this graph"), "{error}");
    assert!(Builder::new().finish(foreign).shapes(Shape::vector(1)).is_err());
}

#[test]
fn an_mlp_without_biases_loads() {
    let state: StateDict =
        [("a.weight", filled(&[3, 12], 0.1)), ("b.weight", filled(&[2, 3], 0.1))].into_iter().collect();
    let model = Model::from_state_dict(&state, Strictness::Strict).unwrap();
    assert_eq!(model.network().graph.parameters().len(), 2);
    assert_eq!(model.network().input.to_string(), "3x2x2");
}

const INIT: Strictness = Strictness::InitMissing { initialiser: Initialiser::LayerDefault, seed: 3 };

/// Every value of a model's parameter.
fn values(model: &Model, name: &str) -> Vec<f32> {
    model.state_dict().get(name).unwrap_or_else(|| panic!("there is no {name}")).to_f32_vec()
}

fn mlp(layers: &[(&str, usize, usize)]) -> Network {
    Mlp { layers: layers.iter().map(|(name, i, o)| ((*name).to_owned(), Linear::new(*i, *o))).collect() }.network()
}

#[test]
fn a_state_dict_goes_in_and_comes_out() {
    let mut model = Model::initialise(shufflenet().network(), Initialiser::LayerDefault, 1).unwrap();
    assert_eq!(model.report().initialised.len(), model.network().graph.parameters().len());
    assert!(model.report().is_complete());
    let loaded = checkpoint();
    let report = model.load_state_dict(&loaded, Strictness::Strict).unwrap();
    assert!(report.initialised.is_empty() && report.is_complete());
    let out = model.state_dict();
    let names: Vec<&str> = model.network().graph.parameters().iter().map(|p| p.name.as_str()).collect();
    assert_eq!(out.names().collect::<Vec<_>>(), names);
    assert!(out.iter().all(|(name, tensor)| loaded.get(name) == Some(tensor)));
    assert_eq!(Model::from_state_dict(&out, Strictness::Strict).unwrap().weights(), model.weights());
    // After an error all is as before.
    let before = model.clone();
    assert!(model.load_state_dict(&without(&["fc.bias"]), Strictness::AllowUnexpected).is_err());
    assert!(model == before);
}

#[test]
fn what_is_missing_is_initialised_and_named() {
    let state = without(&["conv5.1.running_var", "conv5.1.weight", "conv5.1.bias", "fc.weight", "fc.bias"]);
    let model = Model::load(shufflenet().network(), &state, INIT).unwrap();
    let report = model.report();
    let lines: Vec<String> = report.initialised.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "conv5.1.weight [12] is not in the checkpoint; initialised by ones",
            "conv5.1.bias [12] is not in the checkpoint; initialised by zeros",
            "conv5.1.running_var [12] is not in the checkpoint; initialised by ones",
            "fc.weight [3, 12] is not in the checkpoint; initialised by kaiming_uniform:2.23606797749979,fan_in",
            "fc.bias [3] is not in the checkpoint; initialised by uniform:-0.2886751345948129,0.2886751345948129",
        ]
    );
    assert!(report.is_complete() && report.to_string().contains(&lines[3]), "{report}");
    assert_eq!(report.loaded.len() + 5, model.network().graph.parameters().len());
    assert_eq!(values(&model, "conv5.1.running_var"), [1.0; 12]);
    assert!(values(&model, "fc.weight").iter().any(|v| *v != 0.5) && values(&model, "conv5.0.weight")[0] == 0.5);

    let zeros = Strictness::InitMissing { initialiser: Initialiser::ZEROS, seed: 0 };
    let model = Model::load(shufflenet().network(), &state, zeros).unwrap();
    assert_eq!((values(&model, "fc.bias"), values(&model, "conv5.1.weight")), (vec![0.0; 3], vec![1.0; 12]));
    let odd = Strictness::InitMissing { initialiser: "normal:0,-1".parse().unwrap(), seed: 0 };
    let error = Model::load(shufflenet().network(), &state, odd).unwrap_err().to_string();
    assert!(error.contains("fc.weight: normal:0,-1 makes no sense"), "{error}");
}

#[test]
fn a_seed_is_a_seed_whatever_else_is_missing() {
    let seeded = |names: &[&str], seed| {
        let strictness = Strictness::InitMissing { initialiser: Initialiser::LayerDefault, seed };
        values(&Model::load(shufflenet().network(), &without(names), strictness).unwrap(), "fc.weight")
    };
    let alone = seeded(&["fc.weight"], 3);
    assert_eq!(alone, seeded(&["conv1.0.weight", "fc.weight", "fc.bias"], 3));
    assert_ne!(alone, seeded(&["fc.weight"], 4));
}

#[test]
fn initialising_hides_no_other_fault() {
    let mut state = without(&["fc.weight"]);
    state.insert("fc.bias", filled(&[5], 0.5));
    let error = Model::load(shufflenet().network(), &state, INIT).unwrap_err();
    assert!(error.report().is_some_and(|report| report.initialised.is_empty()), "{error}");
    // A checkpoint of another network altogether.
    let error = Model::load(shufflenet().network(), &layers(&["l1", "l2"], &[4, 5, 6]), INIT).unwrap_err();
    assert!(error.to_string().contains("0 loaded"), "{error}");
    let mut state = without(&["fc.weight"]);
    state.insert("fc.bias", filled(&[3], f32::NAN));
    assert!(matches!(Model::load(shufflenet().network(), &state, INIT), Err(Error::Checkpoint { .. })));
}

#[test]
fn a_small_checkpoint_cannot_ask_for_much_memory() {
    let wide = 1 << 16;
    let network = mlp(&[("a", 1, wide), ("b", wide, wide), ("c", wide, 1)]);
    let state: StateDict = [("a.weight", filled(&[wide, 1], 0.5))].into_iter().collect();
    let error = Model::load(network, &state, INIT).unwrap_err();
    assert!(matches!(error, Error::Limit { limit, .. } if limit == 1 << 30), "{error}");
}

/// OneFlow's page on loading and saving trains a network of 784-512-10 and goes on from its checkpoint with one more
/// layer. The checkpoint is a folder of its oldest layout, which keeps no shapes.
#[test]
fn a_network_grows_by_a_layer_as_on_oneflows_page() {
    let folder = tempfile::tempdir().unwrap();
    for (name, count) in
        [("dense1-weight", 512 * 784), ("dense1-bias", 512), ("dense2-weight", 5120), ("dense2-bias", 10)]
    {
        std::fs::create_dir_all(folder.path().join(name)).unwrap();
        let bytes: Vec<u8> = (0..count).flat_map(|n| (n as f32 * 0.5).to_le_bytes()).collect();
        std::fs::write(folder.path().join(name).join("out"), bytes).unwrap();
    }
    let state = StateDict::open(folder.path()).unwrap();
    assert_eq!(state.format(), Some(Format::OneFlowLegacy));
    let network = mlp(&[("dense1", 784, 512), ("dense2", 512, 10), ("dense3", 10, 10)]);
    assert!(Model::load(network.clone(), &state, Strictness::AllowUnexpected).is_err());

    let strictness = Strictness::InitMissing { initialiser: "truncated_normal:0,0.1".parse().unwrap(), seed: 0 };
    let model = Model::load(network, &state, strictness).unwrap();
    let report = model.report();
    assert_eq!(report.loaded, ["dense1.weight", "dense1.bias", "dense2.weight", "dense2.bias"]);
    let names: Vec<&str> = report.initialised.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["dense3.weight", "dense3.bias"]);
    let old = values(&model, "dense1.weight");
    assert!(old.iter().enumerate().all(|(n, value)| *value == n as f32 * 0.5));
    let new = values(&model, "dense3.weight");
    assert!(new.len() == 100 && new.iter().all(|value| value.abs() <= 0.2) && new.iter().any(|value| *value != new[0]));

    // The grown network is a checkpoint of its own.
    let grown = folder.path().join("grown");
    let options = SaveOptions { format: SaveFormat::OneFlow, ..SaveOptions::default() };
    model.state_dict().save(&grown, &options).unwrap();
    let again = Model::from_state_dict(&StateDict::open(&grown).unwrap(), Strictness::Strict).unwrap();
    assert_eq!((again.network().name.as_str(), again.weights()), ("mlp_784-512-10-10", model.weights()));
}

#[test]
fn renamed_parameters_load() -> Result<(), TensorError> {
    let prefixed: StateDict = checkpoint().iter().map(|(n, t)| (format!("net.{n}_ema"), t.clone())).collect();
    let rules = ["^net.=".parse().unwrap(), "_ema$=".parse().unwrap(), "nothing=x".parse().unwrap()];
    let renaming = prefixed.rename(&rules).unwrap();
    assert!(renaming.state.names().eq(checkpoint().names()));
    assert_eq!(renaming.unmatched.iter().map(ToString::to_string).collect::<Vec<_>>(), ["nothing=x"]);
    Model::from_state_dict(&renaming.state, Strictness::Strict).unwrap();

    let both: StateDict =
        [("a.w", Tensor::from_f32(&[1], &[1.0])?), ("b.w", Tensor::from_f32(&[1], &[2.0])?)].into_iter().collect();
    let error = both.rename(&["^[ab]=c".parse().unwrap()]).unwrap_err().to_string();
    assert!(error.contains("`a.w` and `b.w` the same name, `c.w`"), "{error}");
    Ok(())
}

#[test]
fn a_report_lists_so_many_of_a_kind_and_counts_the_rest() {
    let unexpected = (0..140_000).map(|n| format!("{n}\n{}", "a".repeat(500))).collect();
    let mut report = LoadReport::default();
    report.unexpected = unexpected;
    let text = report.to_string();
    assert!(
        text.starts_with("0 loaded, 0 missing, 0 of another shape, 140000 unexpected, 0 ignored\n  unexpected 0\\naaa")
    );
    assert!(text.ends_with("... (503 characters)\n  and 139950 more unexpected"), "{text}");
    assert_eq!(text.lines().count(), 52);
    assert!(text.lines().all(|line| line.len() < 300), "{text}");
}
