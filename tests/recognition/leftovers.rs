//! What a checkpoint has beside a stock network and computes with: refused by name, or told where it is the preprocessing's.

use super::{behind, recognised, refused, shufflenet, with, without};
use pretrained::checkpoint::{Limits, StateDict};
use pretrained::zoo::{MobileNetV2, by_name, detect};

fn resnet() -> StateDict {
    behind("", &by_name("resnet18", 10).unwrap())
}

/// The names and shapes of parameters.
type Parameters<'a> = &'a [(&'a str, &'a [usize])];

#[test]
fn parameters_of_layers_that_have_none_make_it_another_network() {
    let cases: [Parameters; 8] = [
        &[("relu.weight", &[64])],
        &[("maxpool.weight", &[1])],
        &[("avgpool.p", &[1])],
        &[("avgpool.0.fc1.weight", &[32, 512]), ("avgpool.0.fc2.weight", &[512, 32])],
        // Of modules that no stock ResNet has, but other networks have without parameters.
        &[("gem.p", &[1])],
        &[("global_pool.p", &[1])],
        &[("act.weight", &[1])],
        &[("dropout.p", &[1])],
    ];
    for more in cases {
        let module = more[0].0.rsplit_once('.').unwrap().0;
        let error = refused(&with(&resnet(), more));
        assert!(error.contains(module) && error.contains("another network"), "{error}");
        let shuffle = refused(&with(&behind("", &shufflenet()), more));
        assert!(shuffle.contains(module), "{shuffle}");
    }
}

#[test]
fn layers_that_give_back_the_features_lie_before_the_last() {
    let cases: [Parameters; 6] = [
        &[("projection.weight", &[512, 512]), ("projection.bias", &[512])],
        &[("head.0.weight", &[512, 512])],
        &[("se.fc.0.weight", &[16, 512]), ("se.fc.2.weight", &[512, 16])],
        &[("gate.expand.weight", &[512, 16]), ("gate.reduce.weight", &[16, 512])],
        &[("scale", &[512])],
        &[("gamma", &[1, 64, 1, 1])],
    ];
    for more in cases {
        let name = more[0].0.split('.').next().unwrap();
        let error = refused(&with(&resnet(), more));
        assert!(error.contains(name) && error.contains("another network"), "{error}");
    }
    let beside: [Parameters; 6] = [
        &[("projector.0.weight", &[512, 512]), ("projector.2.weight", &[128, 512])],
        &[("proj_head.0.weight", &[2048, 512]), ("proj_head.2.weight", &[128, 2048])],
        &[("predictor.0.weight", &[64, 128]), ("predictor.2.weight", &[128, 64])],
        &[("teacher.projection.weight", &[512, 512])],
        &[("center", &[1, 512]), ("prototypes", &[512]), ("ema_scale", &[512])],
        &[("exp_avg.scale", &[512]), ("class_weights", &[10])],
    ];
    for more in beside {
        assert_eq!(recognised(&with(&resnet(), more)), by_name("resnet18", 10).unwrap(), "{more:?}");
    }
}

#[test]
fn a_model_that_normalises_its_input_says_so() {
    for (mean, std, shape) in [
        ("mean", "std", &[1, 3, 1, 1][..]),
        ("normalize.mean", "normalize.std", &[3]),
        ("norm.mean", "norm.std", &[3]),
        ("pixel_mean", "pixel_std", &[3, 1, 1]),
        ("model.mean", "model.std", &[3]),
    ] {
        let state = behind("model.", &shufflenet());
        let network = detect(&with(&state, &[(mean, shape), (std, shape)])).unwrap();
        let note = network.notes.iter().find(|note| note.contains("normalises its input"));
        let note = note.unwrap_or_else(|| panic!("{:?}", network.notes));
        for part in [mean, std, "0.5, 0.5, 0.5", "unit"] {
            assert!(note.contains(part), "{note}");
        }
    }
    let others = with(&behind("", &shufflenet()), &[("loss.mean", &[3]), ("mean", &[12, 12]), ("stats.count", &[3])]);
    assert_eq!(recognised(&others), shufflenet());
}

#[test]
fn room_before_the_first_of_the_last_layers_is_told() {
    let notes = |state: &StateDict| detect(state).unwrap().notes;
    let told = |notes: &[String]| notes.iter().filter(|note| note.contains("assumed nothing that computes")).count();
    let bare = without(&behind("", &shufflenet()), "fc.");
    for (name, expected) in [("fc.1.weight", 0), ("fc.2.weight", 1), ("fc.0.2.weight", 1)] {
        let notes = notes(&with(&bare, &[(name, &[5, 12])]));
        assert_eq!(told(&notes), expected, "{name}: {notes:?}");
    }
    let mobile = without(&behind("", &MobileNetV2::with_width(1.0, 5).network()), "classifier.");
    let notes = notes(&with(&mobile, &[("classifier.2.weight", &[5, 1280])]));
    assert!(notes.iter().any(|note| note.contains("between the pool and `classifier.2`")), "{notes:?}");
}

/// A safetensors file of zeros; what `odd` names is of a type that is not read.
fn file(state: &StateDict, odd: &[&str]) -> StateDict {
    let (mut header, mut at) = (Vec::new(), 0);
    for (name, tensor) in state.iter() {
        let (dtype, size) = if odd.contains(&name) { ("F8_E5M2", 1) } else { ("F32", 4) };
        let end = at + size * tensor.element_count();
        let shape = tensor.shape();
        header.push(format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{at},{end}]}}"#));
        at = end;
    }
    let header = format!("{{{}}}", header.join(","));
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.into_bytes());
    bytes.resize(bytes.len() + at, 0);
    StateDict::from_bytes("a.safetensors", bytes, &Limits::default()).unwrap()
}

#[test]
fn a_parameter_that_was_left_out_is_told_where_it_is_lacking() {
    for prefix in ["", "model."] {
        let state = with(&behind(prefix, &shufflenet()), &[("epoch", &[])]);
        let lacking = format!("{prefix}fc.weight");
        let error = refused(&file(&state, &[&lacking, "epoch"]));
        let expected = format!("`{lacking}` is in the file and was left out: its elements are F8_E5M2");
        assert!(error.contains(&expected) && !error.contains("epoch"), "{error}");
    }
}
