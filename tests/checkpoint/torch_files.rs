//! Files by torch.save that hold more than tensors, or tensors of rare kinds: read, or left out by name and reason.
//! tests/frameworks/torch_files.py writes them.

use crate::build;
use crate::common;
use common::values;
use pretrained::graph::{Builder, Linear, Shape, Value};
use pretrained::zoo::Network;
use pretrained::{Limits, Model, Result, StateDict, Strictness, zoo};
use proptest::prelude::*;
use proptest::sample::Index;
use std::path::{Path, PathBuf};

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/torch").join(format!("{name}.pth"))
}

fn open(name: &str) -> StateDict {
    StateDict::open(path(name)).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(name: &str) -> String {
    StateDict::open(path(name)).expect_err(name).to_string()
}

fn names(dict: &StateDict) -> Vec<&str> {
    dict.names().collect()
}

/// Whether `w` is what every file has.
fn assert_w(dict: &StateDict, name: &str) {
    let w = dict.get(name).unwrap_or_else(|| panic!("{name} in {:?}", names(dict)));
    assert_eq!((w.shape(), w.to_f32_vec()), (&[2, 3][..], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]));
}

fn expected() -> StateDict {
    StateDict::open(path("expected").with_extension("safetensors")).unwrap()
}

// What is not needed.

#[test]
fn what_lies_beside_a_state_dict_never_makes_it_unreadable() {
    for (file, count) in [("extras", 46), ("extras_legacy", 46), ("omegaconf", 1)] {
        let dict = open(file);
        assert_eq!(names(&dict), ["w"], "{file}");
        assert_w(&dict, "w");
        let notes = dict.notes();
        assert_eq!(notes[0], "read from the key `state_dict`", "{file}");
        // All that was passed over is counted, and the first ones are named with what they are.
        let left = notes.last().unwrap();
        assert!(left.starts_with("left out: `"), "{file}: {left}");
        let named = left.matches("` (").count();
        let more: usize =
            left.rsplit_once(" and ").map_or(0, |(_, more)| more.trim_end_matches(" more").parse().unwrap());
        assert_eq!(named + more + dict.metadata().len(), count, "{file}: {left}\n{:?}", dict.metadata());
    }
    let left = open("extras").notes().last().unwrap().clone();
    assert!(left.contains("`array` (a NumPy array)"), "{left}");
    assert_eq!(open("extras").metadata()["float64"], "91.5");
    assert!(open("omegaconf").notes().last().unwrap().contains("`hyper_parameters` (a dict)"));
}

#[test]
fn what_would_run_a_program_is_refused_wherever_it_lies() {
    let beside = |call: &[u8]| {
        let before = [b"}X\x04\0\0\0args", call, b"s"].concat();
        let pickle = build::pickle_of(&[("w", 0, &[2, 3], &[3, 1])], &before, true);
        build::open_bytes(&build::zip_with(&[("a/data.pkl", &pickle), ("a/data/0", &[0; 24])], false))
    };
    let found = beside(b"cos\nsystem\nX\x02\0\0\0rm\x85R").unwrap_err().to_string();
    assert!(
        found.contains("refused os.system: a checkpoint may only hold") && found.contains("Do not load it"),
        "{found}"
    );
    // A call that only makes an object is data.
    let dict = beside(b"cmine\nConfig\nX\x02\0\0\0rm\x85R").unwrap();
    assert_eq!((names(&dict), dict.notes().last().unwrap().as_str()), (vec!["w"], "left out: `args` (a mine.Config)"));
}

// Tensors that are not read.

#[test]
fn rare_tensors_are_left_out_with_the_reason() {
    let reasons = [
        ("complex", "it is complex (complex64); torch.view_as_real(tensor) makes floats of it"),
        ("complex_half", "(complex32)"),
        ("float8", "it is of floats of 8 bits or fewer (float8_e4m3fn); tensor.float()"),
        ("coo", "it is sparse (torch.sparse_coo); tensor.to_dense()"),
        ("csr", "it is sparse (torch.sparse_csr)"),
        ("quantised", "it is quantised (qint8); tensor.dequantize() makes floats of it"),
        ("quantised_by_channel", "it is quantised (quint8)"),
        ("meta", "it is on the device `meta` and has no values"),
        ("negated", "tensor.resolve_neg()"),
        ("conjugated", "(complex64)"),
        ("nested", "it is a nested tensor"),
        ("lazy", "being a lazy layer's"),
        ("list", "it is a list, not a tensor"),
    ];
    for file in ["kinds", "kinds_legacy"] {
        let dict = open(file);
        assert_eq!(names(&dict), ["w"], "{file}");
        assert_w(&dict, "w");
        assert_eq!(dict.metadata()["text"], "not a tensor");
        for (name, reason) in reasons {
            let absent = file == "kinds_legacy" && ["coo", "csr", "meta", "nested"].contains(&name);
            match dict.left_out().get(name) {
                Some(found) => assert!(found.contains(reason), "{file}: {name}: {found}"),
                None => assert!(absent, "{file}: {name}"),
            }
        }
        let note = dict.notes().iter().find(|note| note.starts_with("left out what is not read: ")).unwrap();
        assert!(
            note.starts_with("left out what is not read: `complex`") && note.contains("(it is complex (complex64); "),
            "{note}"
        );
    }
    let found = refused("only_kinds");
    assert!(found.contains("no tensor that is read: `complex` (it is complex (complex64)"), "{found}");
}

#[test]
fn a_network_that_needs_what_was_left_out_says_why_it_is_missing() {
    let dict = open("kinds").rename(&["^quantised$=fc.weight".parse().unwrap()]).unwrap().state;
    let mut builder = Builder::new();
    let y = builder.linear("fc", Value::INPUT, Linear { in_features: 3, out_features: 2, bias: false });
    let network = Network::new("linear", builder.finish(y), Shape::new(3, 1, 1));
    let error = Model::load(network, &dict, Strictness::AllowUnexpected).unwrap_err().to_string();
    let expected = "missing fc.weight [2, 3], which is in the file and was left out: it is quantised (qint8)";
    assert!(error.contains(expected), "{error}");
}

#[test]
fn tensors_of_any_make_are_read() {
    for file in ["readable", "readable_legacy"] {
        let dict = open(file);
        assert_eq!(
            names(&dict),
            ["tagged", "tagged_parameter", "buffer", "of_class", "u16", "view", "empty"],
            "{file}"
        );
        for name in ["tagged", "tagged_parameter", "buffer", "of_class", "u16"] {
            assert_eq!(values(&dict, name), [0.0, 1.0, 2.0], "{file}: {name}");
        }
        assert_eq!(values(&dict, "view"), [2.0, 4.0, 6.0], "{file}");
        assert_eq!(dict.get("empty").unwrap().shape(), [0, 3], "{file}");
    }
    for file in ["on_tpu", "arrays", "dict_subclass"] {
        assert_eq!(names(&open(file)), ["w"], "{file}");
        assert_w(&open(file), "w");
    }
}

// Where the parameters are.

#[test]
fn state_dicts_are_found_at_any_depth() {
    let dict = open("nested");
    assert_w(&dict, "w");
    assert_eq!(dict.notes(), ["read from the key `checkpoint`, in it the key `model`, in it the key `state_dict`"]);
    let metadata: Vec<_> = dict.metadata().iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(metadata, [("seed", "1"), ("checkpoint.step", "7"), ("checkpoint.model.epoch", "3")]);
    let dict = open("tuple");
    assert_w(&dict, "w");
    assert_eq!(dict.notes()[0], "read from item 0 of a tuple");
    let dict = open("averaged");
    assert_w(&dict, "w");
    assert_eq!(dict.notes()[0], "read from the key `weights`, which goes before `ema`, also there");
}

#[test]
fn several_dicts_keep_their_keys_in_the_names() {
    let dict = open("two_models");
    assert_eq!(names(&dict), ["generator.w", "discriminator.w"]);
    assert_w(&dict, "generator.w");
    assert_eq!(values(&dict, "discriminator.w"), [1.0; 6]);
    assert!(dict.notes()[0].contains("several dicts of tensors (`generator`, `discriminator`)"), "{:?}", dict.notes());
    let found = refused("two_whole");
    assert!(found.contains("several models (`generator`, `discriminator`)"), "{found}");
    let dict = open("within");
    assert_eq!(names(&dict), ["w", "head.fc.weight"]);
    assert_eq!(dict.metadata()["step"], "5");
}

// Keys.

#[test]
fn no_key_hides_another() {
    let found = refused("keys_number_and_text");
    assert!(found.contains("two tensors that would both be called `0`"), "{found}");
    assert_eq!(names(&open("keys_of_numbers")), ["0", "1"]);
    // Within dicts, too: `0` and `'0'` lead to the same name, and so do `a` with `b` in it and `a.b`.
    let tensor = |offset: u8| {
        let storage: &[u8] = b"(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x06NtQ";
        [b"ctorch._utils\n_rebuild_tensor\n(", storage, b"K", &[offset], b"K\x02\x85K\x01\x85tR"].concat()
    };
    let (one, two) = (tensor(0), tensor(2));
    let digits = [b"}(K\x00}U\x01b", &one[..], b"sU\x010}U\x01b", &two, b"su"].concat();
    assert!(stream(&[&digits]).unwrap_err().to_string().contains("two tensors that would both be called `"));
    let dotted = [b"}(U\x01c", &one[..], b"U\x01a}U\x01b", &one, b"sU\x03a.b", &two, b"u"].concat();
    assert!(stream(&[&dotted]).unwrap_err().to_string().contains("both be called `"));
    // Several in a list have no keys to go before their names.
    let list = [b"](}U\x01b", &one[..], b"s}U\x01b", &two, b"se"].concat();
    let found = stream(&[&list]).unwrap_err().to_string();
    assert!(found.contains("holds several models (`0`, `1`)"), "{found}");
    let dict = open("keys_of_bytes");
    assert_eq!(names(&dict), ["a", "b"]);
    assert!(dict.notes()[0].contains("names that are bytes"), "{:?}", dict.notes());
    let dict = open("keys_of_all_kinds");
    assert_eq!(names(&dict), ["w"]);
    let note = &dict.notes()[0];
    for key in ["`None`", "`a tuple`", "`True`", "`1.5`"] {
        assert!(note.contains(key), "{key}: {note}");
    }
    assert!(refused("keys_of_no_kind").contains("no tensor that is read: `None`"));
}

// Old files.

#[test]
fn parameters_of_old_releases_are_read() {
    let expected = expected();
    for file in ["old_whole", "old_whole_legacy", "old_parameters", "old_parameters_legacy"] {
        let dict = open(file);
        let whole = file.contains("whole");
        assert_eq!(dict.len(), if whole { 9 } else { 6 }, "{file}: {:?}", names(&dict));
        for (name, tensor) in dict.iter() {
            let expected = expected.get(&format!("old.{name}")).unwrap();
            assert_eq!(
                (tensor.shape(), tensor.to_f32_vec()),
                (expected.shape(), expected.to_f32_vec()),
                "{file}: {name}"
            );
        }
    }
}

/// A legacy stream of a dict whose `w` is what `opcodes` make, with a storage of six floats called `0`.
fn stream(opcodes: &[&[u8]]) -> Result<StateDict> {
    let pickle = [b"\x80\x02}U\x01w", &opcodes.concat()[..], b"s."].concat();
    let data: Vec<u8> = (0..6u8).flat_map(|n| f32::from(n).to_le_bytes()).collect();
    build::open_bytes(&build::legacy_with(&pickle, b"](U\x010e.", &[&6i64.to_le_bytes()[..], &data].concat()))
}

#[test]
fn every_way_in_which_the_first_releases_wrote_a_tensor() {
    let storage =
        |class: &str| format!("(U\x07storagec{}\n{}\nU\x010U\x06cuda:0K\x06NtQ", "torch.cuda", class).into_bytes();
    let float = storage("FloatStorage");
    let view: &[u8] = b"K\x00K\x02K\x03\x86K\x03K\x01\x86";
    let tensor = [b"ctorch._utils\n_rebuild_tensor\n(", &float[..], view, b"tR"].concat();
    let hooks: &[u8] = b"ccollections\nOrderedDict\n)R";
    let parameter: &[u8] = b"ctorch.nn.parameter\nParameter\n";
    let variable: &[u8] = b"ctorch.autograd.variable\nVariable\n";
    for opcodes in [
        vec![&tensor[..]],
        // PyTorch 0.4: with a word on gradients. Before: without, and with a state.
        vec![parameter, &tensor, b"\x88\x86R"],
        vec![parameter, &tensor, b"\x85R"],
        vec![parameter, &tensor, b"\x85R(\x88\x89", hooks, b"tb"],
        vec![variable, &tensor, b"\x85R(\x89\x89", hooks, b"tb"],
        vec![parameter, &tensor, b"\x85\x81(\x88\x89", hooks, b"tb"],
        // The very first: an empty object, and all in its state.
        vec![parameter, b")\x81(", &tensor, b"N", hooks, b"\x88\x89tb"],
        vec![b"ctorch.cuda\nFloatTensor\n)R(", &float, view, b"tb"],
        vec![b"ctorch\nFloatTensor\n)\x81(", &float, view, b"tb"],
        // With its class's source text, as the legacy stream has classes.
        vec![b"(U\x06modulectorch.nn.parameter\nParameter\nU\x01aU\x01btQ", &tensor, b"\x85R"],
    ] {
        let dict = stream(&opcodes).unwrap_or_else(|error| panic!("{error}: {:?}", opcodes.concat().escape_ascii()));
        assert_w(&dict, "w");
    }
    // Nothing to make one of.
    for opcodes in [vec![parameter, b"N\x85R"], vec![parameter, b")\x81"], vec![b"ctorch\nFloatTensor\n)R(NtbX"]] {
        let found = stream(&opcodes).map(|dict| format!("{dict:?}")).unwrap_err().to_string();
        assert!(!found.is_empty());
    }
}

// Anything.

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_files_never_panic(
        which in any::<Index>(),
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 1..6),
    ) {
        let mut files: Vec<_> = std::fs::read_dir(path("w").parent().unwrap()).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        let mut bytes = std::fs::read(&files[which.index(files.len())]).unwrap();
        // Where the pickles are; storages follow.
        let reach = bytes.len().min(12_000);
        for (at, value) in changes {
            bytes[at.index(reach)] = value;
        }
        if let Ok(dict) = StateDict::from_bytes("mutated", bytes, &Limits { expanded_bytes: 1 << 20, ..Limits::default() }) {
            for (_, tensor) in dict.iter() {
                assert_eq!(tensor.to_f32_vec().len(), tensor.element_count());
            }
            let _ = format!("{dict:?} {:?}", zoo::detect(&dict));
        }
    }
}

// Weights that are computed of several tensors.

#[test]
fn weights_of_several_tensors_are_computed() {
    let expected = expected();
    for file in [
        "weight_norm",
        "weight_norm_dim1",
        "weight_norm_whole_matrix",
        "weight_norm_parametrised",
        "spectral_norm",
        "spectral_norm_parametrised",
        "pruned",
    ] {
        let dict = open(file);
        let mut found = names(&dict);
        found.sort_unstable();
        assert_eq!(found, ["conv.bias", "conv.weight"], "{file}");
        assert!(dict.notes()[0].starts_with("computed 1 weight of "), "{file}: {:?}", dict.notes());
        let error =
            common::relative_error(&values(&dict, "conv.weight"), &values(&expected, &format!("{file}.conv.weight")));
        // PyTorch computes sums in f32.
        assert!(error <= 2e-6, "{file}: {error:e}");
    }
}

#[test]
fn modules_with_computed_weights_are_still_a_chain() {
    let dict = open("pruned_whole");
    assert_eq!(names(&dict), ["0.bias", "0.weight", "2.bias", "2.weight"]);
    let tree = dict.modules().unwrap();
    let parameters: Vec<_> = tree.modules().iter().map(|module| (module.parameters.clone(), module.hooked)).collect();
    let own = |hooked| (vec!["bias".to_owned(), "weight".to_owned()], hooked);
    assert_eq!(parameters, [(vec![], false), own(false), (vec![], false), own(false)]);
    assert!(dict.notes().iter().all(|note| !note.contains("no state_dict has")), "{:?}", dict.notes());
}

#[test]
fn what_only_a_module_knows_is_named() {
    let dict = open("loose");
    assert_eq!(names(&dict), ["weight", "bias"]);
    let note =
        "left out tensors that no state_dict has: `mean` (an attribute of its module and neither parameter nor buffer)";
    assert!(dict.notes().iter().any(|found| found == note), "{:?}", dict.notes());
    let found = refused("quantised_whole");
    assert!(
        found.contains("`0` (it is a quantised layer") && found.contains("save the state_dict of the float"),
        "{found}"
    );
    let dict = open("quantised_state");
    assert!(dict.left_out()["0.weight"].contains("the packed weight of a quantised layer"), "{:?}", dict.left_out());
}
