//! Recognising a network and matching its parameters by name: what loads, and what is reported.

use pretrained::zoo::{ShuffleNetV2, detect};
use pretrained::{Error, Model, StateDict, Strictness, Tensor};

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
    let network = detect(&checkpoint()).unwrap();
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
    let Error::Mismatch { report, .. } = error else { panic!("{text}") };
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
    assert!(error.contains("none of its 1 names is of a known family"), "{error}");
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

#[test]
fn an_mlp_without_biases_loads() {
    let state: StateDict =
        [("a.weight", filled(&[3, 12], 0.1)), ("b.weight", filled(&[2, 3], 0.1))].into_iter().collect();
    let model = Model::from_state_dict(&state, Strictness::Strict).unwrap();
    assert_eq!(model.network().graph.parameters().len(), 2);
    assert_eq!(model.network().input.to_string(), "3x2x2");
}
