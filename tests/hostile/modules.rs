//! Opens whole modules, TorchScript archives and optimizers that are damaged or made to harm.

use crate::build::{self, legacy_with, open_bytes, open_bytes_with, zip_with};
use crate::{assert_refused, bend, small, survive};
use pretrained::{Error, Format, Limits, StateDict};
use proptest::prelude::*;

fn names(dict: &StateDict) -> Vec<&str> {
    dict.names().collect()
}

// Pickles, as opcodes that make one value.

pub fn text(text: &str) -> Vec<u8> {
    let mut opcodes = Vec::new();
    build::text(&mut opcodes, text);
    opcodes
}

pub fn global(name: &str) -> Vec<u8> {
    let (module, name) = name.rsplit_once('.').unwrap();
    format!("c{module}\n{name}\n").into_bytes()
}

pub fn dict(items: &[(&str, &[u8])]) -> Vec<u8> {
    let items = items.iter().flat_map(|(key, value)| [&text(key)[..], value].concat());
    [b"}(".to_vec(), items.collect(), b"u".to_vec()].concat()
}

/// Six floats, shaped 2 by 3; the legacy stream wants one more part in its storage.
pub fn tensor(legacy: bool) -> Vec<u8> {
    let storage = [&b"("[..], &text("storage"), b"ctorch\nFloatStorage\n", &text("0"), &text("cpu"), b"K\x06"].concat();
    let end: &[u8] = if legacy { b"NtQ" } else { b"tQ" };
    let view = b"K\x00(K\x02K\x03t(K\x03K\x01t\x89}tR";
    [b"ctorch._utils\n_rebuild_tensor_v2\n(", &storage[..], end, view].concat()
}

/// An object of `class` with these parameters, buffers and submodules, all of them opcodes for dicts.
fn module_of(class: &str, parameters: &[u8], buffers: &[u8], modules: &[u8]) -> Vec<u8> {
    let passing = [b"c__builtin__\nset\n](", &text("passing")[..], b"e\x85R"].concat();
    let state = [
        ("training", &b"\x89"[..]),
        ("_parameters", parameters),
        ("_buffers", buffers),
        ("_non_persistent_buffers_set", &passing),
        ("_modules", modules),
    ];
    [&global(class)[..], b")\x81", &dict(&state), b"b"].concat()
}

fn leaf() -> Vec<u8> {
    module_of("torch.nn.modules.linear.Linear", &dict(&[("weight", &tensor(false)), ("bias", b"N")]), b"}", b"}")
}

pub fn zip_of(opcodes: &[u8]) -> Vec<u8> {
    let pickle = [b"\x80\x02", opcodes, b"."].concat();
    zip_with(&[("a/data.pkl", &pickle), ("a/data/0", &[0; 24])], false)
}

fn script_of(opcodes: &[u8]) -> Vec<u8> {
    let pickle = [b"\x80\x02", opcodes, b"."].concat();
    zip_with(&[("a/data.pkl", &pickle), ("a/data/0", &[0; 24]), ("a/constants.pkl", b"\x80\x02).")], false)
}

fn script_module() -> Vec<u8> {
    let linear = dict(&[("weight", &tensor(false)), ("training", b"\x89")]);
    let linear = [&global("__torch__.torch.nn.Linear")[..], b")\x81", &linear, b"b"].concat();
    [&global("__torch__.Net")[..], b")\x81", &dict(&[("l", &linear), ("scale", &tensor(false))]), b"b"].concat()
}

fn whole_module() -> Vec<u8> {
    let buffers = dict(&[("kept", &tensor(false)), ("passing", &tensor(false)), ("none", b"N")]);
    let modules = dict(&[("l1", &leaf()), ("empty", b"N"), ("l2", &leaf())]);
    module_of("__main__.Net", &dict(&[("scale", &tensor(false))]), &buffers, &modules)
}

#[test]
fn modules_are_named_as_their_state_dict_names_them() {
    let expected = ["scale", "kept", "l1.weight", "l2.weight"];
    let found = open_bytes(&zip_of(&whole_module())).unwrap();
    assert_eq!(names(&found), expected);
    assert_eq!(found.get("l1.weight").unwrap().shape(), [2, 3]);
    // Within a training checkpoint, under a usual key or as the one thing there is.
    for key in ["model", "ema"] {
        let found = open_bytes(&zip_of(&dict(&[("epoch", b"K\x07"), (key, &whole_module())]))).unwrap();
        assert_eq!(names(&found), expected, "{key}");
        assert_eq!(found.metadata()["epoch"], "7");
    }
    // As protocols 0 and 1 make objects, and as the legacy stream does, with source text.
    for reconstructor in ["copyreg._reconstructor", "copy_reg._reconstructor"] {
        let made = [&global(reconstructor)[..], b"(", &global("m.Net"), &global("__builtin__.object"), b"NtR"].concat();
        let state = dict(&[("_parameters", &dict(&[("w", &tensor(false))])), ("_modules", b"}")]);
        assert_eq!(names(&open_bytes(&zip_of(&[&made[..], &state, b"b"].concat())).unwrap()), ["w"]);
    }
    let class =
        [b"(", &text("module")[..], b"cm\nNet\n", &text("net.py"), &text("class Net: pass"), b"tQ)\x81"].concat();
    let backend = b"ctorch.nn.backends.thnn\n_get_thnn_function_backend\n)R";
    let state = dict(&[("_backend", backend), ("_parameters", &dict(&[("w", &tensor(true))])), ("_modules", b"}")]);
    let pickle = [b"\x80\x02", &class[..], &state, b"b."].concat();
    let legacy = legacy_with(&pickle, b"\x80\x02](U\x010e.", &[&6i64.to_le_bytes()[..], &[0; 24]].concat());
    let found = open_bytes(&legacy).unwrap();
    assert_eq!((names(&found), found.format()), (vec!["w"], Some(Format::TorchLegacy)));
    assert!(found.notes()[0].contains("within m.Net hold them"), "{:?}", found.notes());
    // One module under two names has its parameters under both.
    let shared = [&leaf()[..], b"q\x010", &module_of("m.Net", b"}", b"}", &dict(&[("a", b"h\x01"), ("b", b"h\x01")]))];
    assert_eq!(names(&open_bytes(&zip_of(&shared.concat())).unwrap()), ["a.weight", "b.weight"]);
    let script = open_bytes(&script_of(&script_module())).unwrap();
    assert_eq!((names(&script), script.format()), (vec!["scale", "l.weight"], Some(Format::TorchScript)));
}

#[test]
fn what_modules_would_call_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("ran");
    let command = text(&format!("touch {}", trace.display()));
    let system = global("os.system");
    let calls = [
        [&system[..], &command, b"\x85R"].concat(),
        [b"(", &command[..], b"ios\nsystem\n"].concat(),
        [b"(", &system[..], &command, b"o"].concat(),
        // The legacy stream's wrapping of a class around it.
        [b"(", &text("module")[..], &system, b"NNtQ", &command, b"\x85R"].concat(),
        // First the class of an object, then called.
        [&system[..], b"q\x09)\x810h\x09", &command, b"\x85R"].concat(),
    ];
    for call in &calls {
        let parameters = module_of("m.Net", &dict(&[("w", &tensor(false)), ("x", call)]), b"}", b"}");
        let attribute = [
            &global("m.Net")[..],
            b")\x81",
            &dict(&[("_parameters", &dict(&[("w", &tensor(false))])), ("_modules", b"}"), ("activation", call)]),
            b"b",
        ]
        .concat();
        let beside = dict(&[("model", &leaf()), ("args", call)]);
        for pickle in [parameters, attribute, beside] {
            assert_refused(&zip_of(&pickle), "refused os.system: a checkpoint may only hold");
        }
        assert_refused(&script_of(&[call, &b"0"[..], &script_module()].concat()), "refused os.system");
    }
    // As the class of an object too, although Python would not get as far as calling it.
    for made in [[&system[..], &command, b"\x85\x81"].concat(), [&system[..], b")}\x92", &command, b"b"].concat()] {
        assert_refused(&zip_of(&dict(&[("w", &tensor(false)), ("args", &made)])), "refused os.system");
    }
    // Merely mentioned, or called and harmless, it is left out: nothing is called.
    for (opcodes, left) in
        [(system, "the class or function os.system"), ([&global("m.f")[..], &command, b"\x85R"].concat(), "a m.f")]
    {
        let found = open_bytes(&zip_of(&dict(&[("w", &tensor(false)), ("f", &opcodes)]))).unwrap();
        assert_eq!(
            (names(&found), found.notes()),
            (vec!["w"], &[format!("left out what is no tensor: `f` ({left})")][..])
        );
        assert!(open_bytes(&zip_of(&dict(&[("model", &leaf()), ("f", &opcodes)]))).is_ok());
        // Where a parameter should be, too: whoever needs it is told.
        let parameters = dict(&[("w", &tensor(false)), ("x", &opcodes)]);
        let found = open_bytes(&zip_of(&module_of("m.Net", &parameters, b"}", b"}"))).unwrap();
        assert_eq!(
            (names(&found), found.left_out()["x"].as_str()),
            (vec!["w"], &*format!("it is {left}, not a tensor"))
        );
    }
    assert!(!trace.exists(), "the pickle was run");
}

#[test]
fn trees_that_have_no_end() {
    // A module that is its own submodule, at once and two levels down.
    let state = |modules: &[u8]| dict(&[("_parameters", &dict(&[("w", &tensor(false))])), ("_modules", modules)]);
    let made = [&global("m.Net")[..], b")\x81q\x01"].concat();
    let own = [&made[..], &state(&dict(&[("a", b"h\x01")])), b"b"].concat();
    assert_refused(&zip_of(&own), "its module `a` contains itself");
    let below = module_of("m.Mid", b"}", b"}", &dict(&[("b", b"h\x01"), ("c", b"h\x01")]));
    assert_refused(
        &zip_of(&[&made[..], &state(&dict(&[("a", &below)])), b"b"].concat()),
        "its module `a.b` contains itself",
    );
    let script = [&global("__torch__.Net")[..], b")\x81q\x01", &dict(&[("a", b"h\x01")]), b"b"].concat();
    assert_refused(&script_of(&script), "its module `a` contains itself");
    // Each module holds the one before twice: 2^200 in all, were they ever looked at.
    let mut bomb = [&leaf()[..], b"q\x010"].concat();
    for _ in 0..200 {
        bomb.extend(module_of("m.Net", b"}", b"}", &dict(&[("a", b"h\x01"), ("b", b"h\x01")])));
        bomb.extend_from_slice(b"q\x010");
    }
    let limits = Limits { pickle_opcodes: 100_000, ..Limits::default() };
    match open_bytes_with(&zip_of(&[&bomb[..], b"h\x01"].concat()), &limits) {
        Err(Error::Limit { what, .. }) => assert!(what.contains("module tree"), "{what}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_hundred_thousand_modules_within_each_other() {
    // Opened from the outside in, so that each one's attributes lie within those of the one around it.
    let open =
        [&global("m.N")[..], b")\x81}(", &text("_parameters"), b"}", &text("_modules"), b"}", &text("a")].concat();
    let deep = [open.repeat(100_000), leaf(), b"sub".repeat(100_000)].concat();
    match open_bytes(&zip_of(&deep)) {
        Err(Error::Limit { what, limit: 4096, .. }) => assert!(what.contains("name"), "{what}"),
        other => panic!("{other:?}"),
    }
    let shallow = [open.repeat(100), leaf(), b"sub".repeat(100)].concat();
    assert_eq!(names(&open_bytes(&zip_of(&shallow)).unwrap()), ["a.".repeat(100) + "weight"]);
    let open = [&global("__torch__.N")[..], b")\x81}", &text("a")].concat();
    let script = [open.repeat(100_000), script_module(), b"sb".repeat(100_000)].concat();
    assert!(matches!(open_bytes(&script_of(&script)), Err(Error::Limit { limit: 4096, .. })));
}

#[test]
fn modules_that_hold_what_no_module_holds() {
    let odd = dict(&[("w", &tensor(false)), ("s", &text("no tensor")), ("d", b"}"), ("n", b"N")]);
    let modules = dict(&[("x", b"K\x01"), ("l", &leaf())]);
    let found = open_bytes(&zip_of(&module_of("m.Net", &odd, b"]", &modules))).unwrap();
    assert_eq!(names(&found), ["w", "l.weight"]);
    assert!(
        found.notes()[1].contains("no tensor and no module: `s` (a str), `d` (a dict), `x` (an int)"),
        "{:?}",
        found.notes()
    );
    // Two paths to one name.
    let inner = module_of("m.A", b"}", b"}", &dict(&[("b", &leaf())]));
    let twice = module_of("m.Net", b"}", b"}", &dict(&[("a", &inner), ("a.b", &leaf())]));
    assert_refused(&zip_of(&twice), "two parameters the name `a.b.weight`");
    let again = module_of("m.Net", &dict(&[("w", &tensor(false)), ("w", &tensor(false))]), b"}", b"}");
    assert_refused(&zip_of(&again), "two parameters the name `w`");
    let empty = module_of("m.Net", b"}", b"}", b"}");
    assert_refused(&zip_of(&empty), "holds a module of class m.Net without parameters");
    let numbered = module_of("m.Net", &[b"}(N", &tensor(false)[..], b"u"].concat(), b"}", b"}");
    assert_refused(&zip_of(&numbered), "None where a parameter's name should be");
    for broken in [&b"N"[..], b"]", b"K\x01"] {
        assert_refused(&zip_of(&module_of("m.Net", broken, broken, broken)), "without parameters");
    }
    // Not the attributes of a module.
    let object = [&global("m.Net")[..], b")\x81}b"].concat();
    assert_refused(&zip_of(&object), "holds a m.Net, not a state dict");
}

#[test]
fn optimizers_are_kept_apart() {
    let slots = dict(&[("step", b"K\x05"), ("exp_avg", &tensor(false)), ("exp_avg_sq", &tensor(false))]);
    let optimizer =
        dict(&[("state", &[b"}(K\x00", &slots[..], b"K\x01", &slots, b"u"].concat()), ("param_groups", b"]")]);
    for (model, weights) in [(leaf(), "weight"), (dict(&[("w", &tensor(false))]), "w")] {
        let found = open_bytes(&zip_of(&dict(&[("optimizer", &optimizer), ("model", &model)]))).unwrap();
        assert_eq!(names(&found), [weights]);
        let kept: Vec<_> = found.optimizer().keys().collect();
        assert_eq!(kept, ["state.0.exp_avg", "state.0.exp_avg_sq", "state.1.exp_avg", "state.1.exp_avg_sq"]);
    }
    for odd in [&b"N"[..], b"}", &dict(&[("state", b"N")]), &dict(&[("state", b"}(K\x00Nu")])] {
        let found = open_bytes(&zip_of(&dict(&[("model", &leaf()), ("optimizer", odd)]))).unwrap();
        assert!(found.optimizer().is_empty());
    }
    // One dict of slots stands for those of ten thousand parameters.
    let slots: Vec<u8> = (0..1000u16).flat_map(|n| [b"M", &n.to_le_bytes()[..], b"N"].concat()).collect();
    let slots = [b"}(", &slots[..], b"uq\x010}("].concat();
    let state: Vec<u8> = (0..10_000u16).flat_map(|n| [b"M", &n.to_le_bytes()[..], b"h\x01"].concat()).collect();
    let bomb = [&b"}("[..], &text("model"), &leaf(), &text("optimizer"), b"}", &text("state"), &slots, &state, b"usu"];
    match open_bytes(&zip_of(&bomb.concat())) {
        Err(Error::Limit { what, .. }) => assert!(what.contains("slots"), "{what}"),
        other => panic!("{other:?}"),
    }
}

// what is left out

#[test]
fn what_is_left_out_a_million_times_is_over_the_limit() {
    // A hundred dicts hold one dict of a thousand values that are no tensors, beside one that is.
    let values: Vec<u8> = (0..1000u16).flat_map(|n| [b"M", &n.to_le_bytes()[..], b"]"].concat()).collect();
    let inner = [b"}(", &values[..], &text("w"), &tensor(false), b"uq\x010"].concat();
    let outer: Vec<u8> = (0..100u16).flat_map(|n| [b"M", &n.to_le_bytes()[..], b"h\x01"].concat()).collect();
    let file = zip_of(&[&inner[..], b"}(", &outer, &text("v"), &tensor(false), b"u"].concat());
    match small(&file) {
        Err(Error::Limit { what, .. }) => assert!(what.contains("expanded data"), "{what}"),
        other => panic!("{:?}", other.map(|dict| dict.left_out().len())),
    }
    let dict = open_bytes(&file).unwrap();
    assert_eq!((dict.len(), dict.left_out().len()), (101, 100_000));
    assert!(dict.notes().iter().all(|note| note.len() < 2000), "{:?}", dict.notes());
}

#[test]
fn dicts_that_share_a_large_dict_are_looked_through_once() {
    let values: Vec<u8> = (0..60_000u16).flat_map(|n| [b"M", &n.to_le_bytes()[..], b"N"].concat()).collect();
    let shared = [b"}(", &values[..], b"uq\x010"].concat();
    let around: Vec<u8> = (0..20_000u16).flat_map(|n| [b"M", &n.to_le_bytes()[..], b"}K\x01h\x01s"].concat()).collect();
    let start = std::time::Instant::now();
    let file = zip_of(&[&shared[..], b"}(", &text("w"), &tensor(false), &around, b"u"].concat());
    assert_eq!(names(&open_bytes(&file).unwrap()), ["w"]);
    // Looked through for each, it would be 1.2 billion entries.
    assert!(start.elapsed().as_secs() < 30, "{:?}", start.elapsed());
    // Dicts and lists within each other without end.
    let endless = [b"}q\x01".to_vec(), text("a"), b"h\x01s".to_vec(), text("w"), tensor(false), b"s".to_vec()].concat();
    assert!(matches!(small(&zip_of(&endless)), Err(Error::Limit { .. })) || open_bytes(&zip_of(&endless)).is_ok());
    assert_refused(&zip_of(&[&b"]q\x01h\x01ah\x01a"[..]].concat()), "holds a list");
}

// anything

fn valid_files() -> [Vec<u8>; 2] {
    [zip_of(&whole_module()), script_of(&script_module())]
}

#[test]
fn truncated_anywhere_is_an_error() {
    for bytes in valid_files() {
        assert!(open_bytes(&bytes).is_ok());
        for end in 0..bytes.len() {
            assert!(open_bytes(&bytes[..end]).is_err(), "{end} of {} bytes", bytes.len());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_files_never_panic(
        which in 0..2usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = valid_files()[which].clone();
        bend(&mut bytes, &changes, cut);
        survive(small(&bytes));
    }
}
