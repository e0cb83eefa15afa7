//! What other people's checkpoints hold beside a network, before its names or in the place of its last layers: each is
//! taken for what it is, or refused by name; never for something else without a word.

mod binding;
#[path = "../build/mod.rs"]
mod build;
#[path = "../common/mod.rs"]
mod common;
mod guesses;
mod heads;
mod leftovers;
mod strangers;
mod whole;

use pretrained::graph::{Activation, Linear, Op, Shape};
use pretrained::zoo::{
    LeNet, LeNet5, MegviiShuffleNetV2, MindSporeResNet, MobileNetV2, Network, ShuffleNetV2, by_name, detect,
};
use pretrained::{Error, Model, StateDict, Strictness, Tensor, catalog};
use std::cell::RefCell;
use std::collections::HashMap;

/// A tensor of halves, made once for each shape.
fn filled(shape: &[usize]) -> Tensor {
    thread_local!(static MADE: RefCell<HashMap<Vec<usize>, Tensor>> = RefCell::default());
    let make = || Tensor::from_f32(shape, &vec![0.5; shape.iter().product()]).unwrap();
    MADE.with_borrow_mut(|made| made.entry(shape.to_vec()).or_insert_with(make).clone())
}

/// Whether it is worth loading a network in a test that only looks at names.
fn is_small(network: &Network) -> bool {
    network.graph.parameters().iter().map(|p| p.shape.iter().product::<usize>()).sum::<usize>() < 300_000
}

/// The network of `state`, but for the note that names and shapes do not tell all of it, which must be there unless its
/// family says more.
fn recognised(state: &StateDict) -> Network {
    let mut network = detect(state).unwrap();
    let assumed: Vec<String> = network.notes.iter().filter(|note| note.starts_with("assumed ")).cloned().collect();
    assert!(!assumed.is_empty(), "{:?}", network.notes);
    network.notes.retain(|note| !note.starts_with(&format!("assumed {}: ", network.name)));
    network
}

/// Every parameter of `network`, behind `prefix`.
fn behind(prefix: &str, network: &Network) -> StateDict {
    network.graph.parameters().iter().map(|p| (format!("{prefix}{}", p.name), filled(&p.shape))).collect()
}

fn with(state: &StateDict, more: &[(&str, &[usize])]) -> StateDict {
    let mut state = state.clone();
    for (name, shape) in more {
        state.insert(*name, filled(shape));
    }
    state
}

fn without(state: &StateDict, start: &str) -> StateDict {
    state.iter().filter(|(name, _)| !name.starts_with(start)).map(|(n, t)| (n.to_owned(), t.clone())).collect()
}

fn shufflenet() -> Network {
    ShuffleNetV2 { stages_repeats: [1, 2, 1], stages_out_channels: [4, 6, 8, 10, 12], num_classes: 3 }.network()
}

/// One of every family but MLP, and a module in the middle of it.
fn networks() -> Vec<(Network, &'static str)> {
    let megvii =
        MegviiShuffleNetV2 { stages_repeats: [1, 2, 1], stages_out_channels: [4, 12, 24, 48, 8], num_classes: 3 };
    let mindspore = MindSporeResNet { layer_nums: [1, 1, 1, 1], num_classes: 4 };
    vec![
        (shufflenet(), "stage3.0"),
        (megvii.network(), "features.1"),
        (by_name("resnet18", 7).unwrap(), "layer2.1"),
        (by_name("resnext50_32x4d", 7).unwrap(), "layer2.1"),
        (mindspore.network(), "layer2.0"),
        (MobileNetV2::with_width(0.35, 11).network(), "features.4.conv"),
        (by_name("mobilenet_v3_small", 5).unwrap(), "features.3.block"),
        (by_name("squeezenet1_1", 5).unwrap(), "features.4"),
        (lenet().network(), "conv1"),
        (lenet5().network(), "fc1"),
    ]
}

fn lenet() -> LeNet {
    LeNet { in_channels: 1, side: 28, channels: [6, 8], hidden: 12, num_classes: 10 }
}

fn lenet5() -> LeNet5 {
    LeNet5 { in_channels: 1, side: 32, channels: [6, 16], bias: true, hidden: [12, 8], num_classes: 10 }
}

fn refused(state: &StateDict) -> String {
    match detect(state) {
        Ok(network) => panic!("was taken for {}: {:?}", network.name, network.notes),
        Err(error) => error.to_string(),
    }
}

#[test]
fn layers_within_a_networks_blocks_make_it_another_network() {
    let layers: [(&str, &[usize]); 9] = [
        ("se.fc1.weight", &[2, 4, 1, 1]),
        ("se.conv.weight", &[1, 1, 3]),
        ("attn.in_proj_weight", &[12, 4]),
        ("cbam.fc.weight", &[4, 4]),
        ("norm9.running_mean", &[4]),
        ("ln.bias", &[4]),
        ("gamma9", &[4]),
        ("downsample.9.weight", &[4, 4, 1, 1]),
        ("act.weight", &[1]),
    ];
    for (network, module) in networks() {
        let whole = behind("", &network);
        for (name, shape) in layers {
            let error = refused(&with(&whole, &[(&format!("{module}.{name}"), shape)]));
            let layer = name.rsplit_once('.').map_or(module.to_owned(), |(layer, _)| format!("{module}.{layer}"));
            assert!(error.contains(&layer) && error.contains("another network"), "{}: {error}", network.name);
            let error = refused(&with(&behind("model.", &network), &[(&format!("model.{module}.{name}"), shape)]));
            assert!(error.contains("another network"), "{}: {error}", network.name);
        }
        // What counts, and not computes, is nothing to a network.
        let counters: [(&str, &[usize]); 2] =
            [(&format!("{module}.total_ops"), &[1]), (&format!("{module}.bn.num_batches_tracked"), &[])];
        assert_eq!(recognised(&with(&whole, &counters)), network);
    }
}

#[test]
fn so_they_do_where_the_network_is_named() {
    let resnet = by_name("resnet18", 1000).unwrap();
    let squeezing = with(&behind("", &resnet), &[("layer1.0.se.fc1.weight", &[4, 64, 1, 1])]);
    for state in [squeezing.clone(), without(&squeezing, "fc.")] {
        let error = catalog::find("resnet18").unwrap().network(&state).unwrap_err().to_string();
        assert!(error.contains("layer1.0.se.fc1 (a convolution)"), "{error}");
    }
    let error = catalog::find("resnet34").unwrap().network(&behind("", &resnet)).unwrap_err().to_string();
    assert!(error.contains("those of resnet18, not of resnet34"), "{error}");
    let wrapped = behind("model.", &by_name("resnet18", 6).unwrap());
    let network = catalog::find("resnet18").unwrap().network(&wrapped).unwrap();
    assert!(Model::load(network, &wrapped, Strictness::Strict).is_ok());
}

#[test]
fn layers_beside_a_network_are_its_own_or_nobodys() {
    let computing: [&[(&str, &[usize])]; 10] = [
        &[("conv0.weight", &[3, 3, 1, 1])],
        &[("proj.weight", &[12, 12, 1, 1])],
        &[("attn.qkv.weight", &[36, 12])],
        &[("neck.1.running_mean", &[12])],
        &[("norm.weight", &[12]), ("norm.bias", &[12])],
        &[("bn9.running_var", &[12])],
        &[("stage5.0.branch2.0.weight", &[4, 4, 1, 1])],
        &[("rnn.self_attn.in_proj_weight", &[36, 12])],
        // From the classes on, and between the features and the last layer.
        &[("fc2.weight", &[2, 3])],
        &[("bottleneck.weight", &[12, 12])],
    ];
    let whole = behind("", &shufflenet());
    for more in computing {
        let error = refused(&with(&whole, more));
        assert!(error.contains(more[0].0.rsplit_once('.').unwrap().0), "{error}");
    }
    let beside: [&[(&str, &[usize])]; 8] = [
        &[("aux.weight", &[3]), ("aux.conv.weight", &[4, 4, 1, 1])],
        &[("criterion.weight", &[3])],
        &[("fc_aux.weight", &[9, 4])],
        &[("loss_fn.features.0.weight", &[4, 3, 3, 3])],
        &[("projector.1.running_mean", &[12])],
        &[("queue", &[12, 9])],
        &[("class_weights", &[3])],
        &[("train_metric.confusion", &[3, 3])],
    ];
    for more in beside {
        let state = with(&whole, more);
        assert_eq!(recognised(&state), shufflenet(), "{more:?}");
        let report = Model::from_state_dict(&state, Strictness::AllowUnexpected).unwrap().report().clone();
        assert_eq!(report.unexpected, more.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    }
    for copy in ["ema.", "model_ema.module.", "moments.", "teacher.", "other."] {
        let mut state = whole.clone();
        for (name, tensor) in behind(copy, &shufflenet()).iter() {
            state.insert(name, tensor.clone());
        }
        assert_eq!(recognised(&state), shufflenet(), "{copy}");
    }
}

#[test]
fn one_prefix_comes_off_with_a_note() {
    for prefix in ["model.", "net.", "backbone.", "resnet.", "model.module.", "module.model.", "a.b.c.d."] {
        for (network, _) in networks() {
            let state = behind(prefix, &network);
            let found = detect(&state).unwrap();
            assert_eq!((found.graph, found.name), (network.graph.clone(), network.name.clone()), "{prefix}");
            assert_eq!(found.notes[0], format!("took `{prefix}` off the names of its parameters"));
            if !is_small(&network) {
                continue;
            }
            let report = Model::from_state_dict(&state, Strictness::Strict).unwrap().report().clone();
            assert_eq!(report.renamed, [format!("`{prefix}` comes off")]);
            // A network that somebody asks for finds its parameters there too.
            Model::load(network, &state, Strictness::Strict).unwrap();
        }
    }
    // As torch.compile wraps, in either order, whole and in parts.
    for prefix in ["_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "_orig_mod.model._orig_mod."] {
        let found = detect(&behind(prefix, &shufflenet())).unwrap();
        assert_eq!(found.graph, shufflenet().graph, "{prefix}");
        Model::from_state_dict(&behind(prefix, &shufflenet()), Strictness::Strict).unwrap();
    }
    let state = behind("", &shufflenet());
    let compiled = |name: &str| name.replacen("stage3.", "stage3._orig_mod.", 1);
    let part: StateDict = state.iter().map(|(name, tensor)| (compiled(name), tensor.clone())).collect();
    Model::from_state_dict(&part, Strictness::Strict).unwrap();
    // Beside something: a counter of averages, a criterion, a head of mmpretrain's.
    let averaged = with(&behind("module.", &shufflenet()), &[("n_averaged", &[])]);
    assert_eq!(detect(&averaged).unwrap().graph, shufflenet().graph);
    let lightning = with(&behind("model.", &shufflenet()), &[("criterion.weight", &[3])]);
    Model::from_state_dict(&lightning, Strictness::AllowUnexpected).unwrap();
    let after = with(&behind("model.", &shufflenet()), &[("head.weight", &[2, 3])]);
    assert!(refused(&after).contains("head (a fully connected layer)"));
    let before = with(&behind("model.", &shufflenet()), &[("stem.weight", &[3, 3, 1, 1])]);
    assert!(refused(&before).contains("stem (a convolution)"));
}

#[test]
fn of_two_networks_none_is_taken() {
    let both = |one: &str, other: &str| -> StateDict {
        let (one, other) = (behind(one, &shufflenet()), behind(other, &shufflenet()));
        one.iter().chain(other.iter()).map(|(name, tensor)| (name.to_owned(), tensor.clone())).collect()
    };
    for (one, other) in [("student.", "teacher."), ("online.net.", "target.net."), ("encoder_q.", "encoder_k.")] {
        let state = both(one, other);
        let error = detect(&state).unwrap_err();
        assert!(matches!(&error, Error::Ambiguous { prefixes, .. } if prefixes[..] == [one, other]), "{error}");
        let error = error.to_string();
        assert!(error.contains(one) && error.contains(other) && error.contains("StateDict::rename"), "{error}");
        assert!(matches!(Model::load(shufflenet(), &state, Strictness::AllowUnexpected), Err(Error::Ambiguous { .. })));
        // The way that it tells.
        let rule = format!("^{}=", regex_of(other)).parse().unwrap();
        let chosen = state.rename(&[rule]).unwrap().state;
        assert_eq!(detect(&chosen).unwrap().name, shufflenet().name);
    }
    let network = detect(&both("model_ema.", "model.")).unwrap();
    assert_eq!(network.notes[0], "took `model.` off the names of its parameters");
}

fn regex_of(prefix: &str) -> String {
    prefix.replace('.', r"\.")
}

/// The linear layers of a network in a row, and what is between them.
fn end_of(network: &Network) -> String {
    let nodes = network.graph.nodes().iter().skip_while(|node| !matches!(node.op, Op::Linear { .. }));
    let told = nodes.map(|node| match &node.op {
        Op::Linear { linear: Linear { in_features, out_features, bias }, .. } => {
            format!("{} {in_features}-{out_features}{}", node.name, if *bias { "" } else { " bare" })
        }
        Op::BatchNorm2d { .. } => format!("{} norm", node.name),
        Op::Activation(Activation::Relu) => "relu".into(),
        Op::Activation(Activation::HardSwish) => "hardswish".into(),
        op => format!("{op:?}"),
    });
    told.collect::<Vec<_>>().join(", ")
}

#[test]
fn last_layers_that_people_put_there() {
    let names = |note: &str| note.contains("assumed ReLU between");
    /// Backbone, what is taken out, what is put in, what the name then says, and whether an activation is guessed.
    type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a [usize])], &'a str, bool);
    let cases: [Case; 12] = [
        ("shuffle", "fc.", &[("fc.1.weight", &[5, 12]), ("fc.1.bias", &[5])], "fc.1 12-5", false),
        ("shuffle", "fc.bias", &[], "fc 12-3 bare", false),
        (
            "shuffle",
            "fc.",
            &[("fc.0.weight", &[9, 12]), ("fc.0.bias", &[9]), ("fc.3.weight", &[5, 9]), ("fc.3.bias", &[5])],
            "fc.0 12-9, relu, fc.3 9-5",
            true,
        ),
        // Nothing stands between two that follow on each other.
        (
            "shuffle",
            "fc.",
            &[("fc.0.weight", &[9, 12]), ("fc.1.weight", &[5, 9])],
            "fc.0 12-9 bare, fc.1 9-5 bare",
            false,
        ),
        (
            "shuffle",
            "fc.",
            &[
                ("fc.0.weight", &[9, 12]),
                ("fc.1.weight", &[9]),
                ("fc.1.bias", &[9]),
                ("fc.1.running_mean", &[9]),
                ("fc.1.running_var", &[9]),
                ("fc.4.weight", &[5, 9]),
            ],
            "fc.0 12-9 bare, fc.1 norm, relu, fc.4 9-5 bare",
            true,
        ),
        (
            "shuffle",
            "fc.",
            &[("fc.fc1.weight", &[9, 12]), ("fc.output.weight", &[5, 9])],
            "fc.fc1 12-9 bare, relu, fc.output 9-5 bare",
            true,
        ),
        (
            "mobile2",
            "classifier.",
            &[("classifier.weight", &[5, 1280]), ("classifier.bias", &[5])],
            "classifier 1280-5",
            false,
        ),
        (
            "mobile2",
            "classifier.",
            &[("classifier.1.weight", &[9, 1280]), ("classifier.4.weight", &[5, 9])],
            "classifier.1 1280-9 bare, relu, classifier.4 9-5 bare",
            true,
        ),
        (
            "mobile3",
            "classifier.3",
            &[("classifier.3.1.weight", &[5, 1024])],
            "classifier.0 576-1024, hardswish, classifier.3.1 1024-5 bare",
            false,
        ),
        ("mobile3", "classifier.3.bias", &[], "classifier.0 576-1024, hardswish, classifier.3 1024-5 bare", false),
        ("resnet", "fc.", &[("head.fc.weight", &[5, 512]), ("head.fc.bias", &[5])], "head.fc 512-5", false),
        ("resnet", "fc.", &[("classifier.weight", &[5, 512])], "classifier 512-5 bare", false),
    ];
    for (which, off, more, expected, guessed) in cases {
        let network = match which {
            "mobile2" => MobileNetV2::with_width(1.0, 5).network(),
            "mobile3" => by_name("mobilenet_v3_small", 5).unwrap(),
            "resnet" => by_name("resnet18", 5).unwrap(),
            _ => shufflenet(),
        };
        for prefix in ["", "backbone."] {
            let mut state = without(&behind(prefix, &network), &format!("{prefix}{off}"));
            for (name, shape) in more {
                let beside = name.starts_with("head.") || (which == "resnet" && name.starts_with("classifier"));
                let name = if beside { (*name).to_owned() } else { format!("{prefix}{name}") };
                state.insert(name, filled(shape));
            }
            let found = detect(&state).unwrap_or_else(|error| panic!("{more:?}: {error}"));
            assert_eq!(end_of(&found), expected);
            assert_eq!(found.notes.iter().any(|note| names(note)), guessed, "{more:?}: {:?}", found.notes);
            Model::from_state_dict(&state, Strictness::Strict).unwrap();
        }
    }
    // Features that no layer takes, and parts of a head that no graph has.
    let state = without(&behind("", &shufflenet()), "fc.");
    assert!(refused(&with(&state, &[("fc.1.weight", &[5, 24])])).contains("fc.1 takes 24 features"));
    assert!(refused(&state).contains("ShuffleNetV2 came closest, but these are absent or of another rank: fc.weight"));
    let odd = with(&state, &[("fc.1.weight", &[5, 12]), ("fc.2.weight_v", &[5, 5])]);
    assert!(refused(&odd).contains("fc.2"));
}

#[test]
fn images_have_as_many_channels_as_the_first_convolution_takes() {
    for (channels, name, weight) in
        [(1, "resnet18", "conv1"), (4, "mobilenet_v2", "features.0.0"), (1, "squeezenet1_0", "features.0")]
    {
        let mut state = behind("model.", &by_name(name, 5).unwrap());
        let weight = format!("model.{weight}.weight");
        let shape = state.get(&weight).unwrap().shape().to_vec();
        state.insert(weight, filled(&[shape[0], channels, shape[2], shape[3]]));
        let model = Model::from_state_dict(&state, Strictness::Strict).unwrap();
        assert_eq!(model.network().input, Shape::new(channels, 224, 224));
        assert!(model.network().graph.shapes(model.network().input).is_ok());
    }
}

#[test]
fn what_is_no_classifier_is_none() {
    let matrices = |layers: &[(&str, [usize; 2])], biases: bool| -> StateDict {
        let mut state = StateDict::new();
        for (name, shape) in layers {
            state.insert(format!("{name}.weight"), filled(shape));
            if biases {
                state.insert(format!("{name}.bias"), filled(&shape[..1]));
            }
        }
        state
    };
    for (layers, biases, reason) in [
        (&[("l.0.q_proj.lora_A", [8, 64]), ("l.0.q_proj.lora_B", [64, 8])][..], false, "lora_A"),
        (&[("embedding", [48, 1000])], false, "embedding"),
        (&[("table", [48, 64])], false, "a single matrix without a bias"),
        (
            &[("encoder.0", [16, 784]), ("encoder.2", [3, 16]), ("up.0", [16, 3]), ("up.2", [784, 16])],
            true,
            "autoencoder",
        ),
        (&[("encoder.0", [16, 784]), ("decoder.0", [10, 16])], true, "decoder"),
        (&[("a", [256, 100]), ("b", [784, 256])], true, "784 numbers of 100"),
        (&[("attn.q", [64, 64]), ("attn.o", [64, 64])], true, "attn"),
    ] {
        let error = refused(&matrices(layers, biases));
        assert!(error.contains(reason), "{error}");
    }
    let mlp = detect(&matrices(&[("fc1", [9, 16]), ("fc2", [9, 9]), ("fc3", [3, 9])], true)).unwrap();
    assert_eq!(mlp.notes, ["assumed ReLU between fully connected layers: names and shapes do not tell"]);
    // The file's order, not the alphabet's.
    let mlp = detect(&matrices(&[("inp", [16, 16]), ("hidden", [16, 16]), ("last", [3, 16])], true)).unwrap();
    assert_eq!(mlp.graph.parameters()[0].name, "inp.weight");
    assert!(
        mlp.notes[1].contains("in the order of the file, and others fit as well: inp, hidden, last"),
        "{:?}",
        mlp.notes
    );
}

#[test]
fn weights_that_are_kept_in_parts_are_named() {
    let whole = behind("", &shufflenet());
    let state = without(&whole, "fc.weight");
    for (parts, by) in [
        (["fc.weight_g", "fc.weight_v"], "weight_norm"),
        (["fc.weight_orig", "fc.weight_mask"], "pruning"),
        (["fc.weight_orig", "fc.weight_u"], "spectral_norm"),
        (["fc.parametrizations.weight.original0", "fc.parametrizations.weight.original1"], "remove_parametrizations"),
    ] {
        let error = refused(&with(&state, &parts.map(|part| (part, &[3, 12][..]))));
        assert!(error.contains("the weight of `fc` is kept in parts by") && error.contains(by), "{error}");
    }
}

#[test]
fn no_family_is_called_the_closest_that_is_not_close() {
    let vit: StateDict = (0..560)
        .map(|n| match n % 4 {
            0 => (format!("blocks.{n}.attn.qkv.weight"), filled(&[6, 2])),
            1 => (format!("blocks.{n}.norm1.weight"), filled(&[2])),
            2 => (format!("blocks.{n}.mlp.fc1.weight"), filled(&[4, 2])),
            _ => (format!("patch{n}.\u{1b}[31m.weight"), filled(&[2, 3, 4, 4])),
        })
        .collect();
    let error = refused(&vit);
    assert!(!error.contains("closest") && error.contains("ShuffleNetV2, ") && error.contains("ONNX"), "{error}");
    assert!(error.contains("560 parameters") && error.len() < 700 && !error.contains('\u{1b}'), "{error}");
    assert!(!error.contains("pretrained inspect") && !error.contains("--"), "{error}");
    // Asked for all the same, it is no list of all names.
    for name in ["resnet18", "shufflenetv2_x1_0"] {
        let network = catalog::find(name).unwrap().network(&vit).unwrap();
        let error = Model::load(network, &vit, Strictness::Strict).unwrap_err().to_string();
        assert!(error.lines().count() < 120 && error.contains("more"), "{} lines", error.lines().count());
        assert!(!error.contains('\u{1b}'));
    }
}
