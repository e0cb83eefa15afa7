//! Opens whole modules, TorchScript archives and exported graphs that are damaged or made to harm.

mod build;

use build::{legacy_with, open_bytes, open_bytes_with, zip_with};
use pretrained::{DType, Error, Format, Limits, StateDict};
use proptest::prelude::*;

fn refused(bytes: &[u8]) -> String {
    match open_bytes(bytes) {
        Ok(dict) => panic!("was read as {dict:?}"),
        Err(error) => error.to_string(),
    }
}

fn assert_refused(bytes: &[u8], reason: &str) {
    let found = refused(bytes);
    assert!(found.contains(reason), "{found}\nshould contain: {reason}");
}

fn names(dict: &StateDict) -> Vec<&str> {
    dict.names().collect()
}

// Pickles, as opcodes that make one value.

fn text(text: &str) -> Vec<u8> {
    let mut opcodes = Vec::new();
    build::text(&mut opcodes, text);
    opcodes
}

fn global(name: &str) -> Vec<u8> {
    let (module, name) = name.rsplit_once('.').unwrap();
    format!("c{module}\n{name}\n").into_bytes()
}

fn dict(items: &[(&str, &[u8])]) -> Vec<u8> {
    let items = items.iter().flat_map(|(key, value)| [&text(key)[..], value].concat());
    [b"}(".to_vec(), items.collect(), b"u".to_vec()].concat()
}

/// Six floats, shaped 2 by 3; the legacy stream wants one more part in its storage.
fn tensor(legacy: bool) -> Vec<u8> {
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

fn zip_of(opcodes: &[u8]) -> Vec<u8> {
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
    // As the class of an object it is a word: nothing is made but data, and that is left out.
    for made in [[&system[..], &command, b"\x85\x81"].concat(), [&system[..], b")}\x92", &command, b"b"].concat()] {
        let found = open_bytes(&zip_of(&dict(&[("w", &tensor(false)), ("args", &made)]))).unwrap();
        assert_eq!(
            (names(&found), found.notes()),
            (vec!["w"], &["left out what is no tensor: `args` (a os.system)".into()][..])
        );
    }
    // Merely mentioned, it is refused beside loose tensors and harmless within a module.
    assert_refused(&zip_of(&dict(&[("w", &tensor(false)), ("f", &system)])), "refused os.system");
    assert!(open_bytes(&zip_of(&dict(&[("model", &leaf()), ("f", &system)]))).is_ok());
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

// Exported graphs

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

fn number(tag: u64, value: u64) -> Vec<u8> {
    [varint(tag << 3), varint(value)].concat()
}

fn bytes(tag: u64, value: &[u8]) -> Vec<u8> {
    [varint(tag << 3 | 2), varint(value.len() as u64), value.to_vec()].concat()
}

/// An ONNX tensor `w` of this shape and type, and what else it says.
fn initializer(shape: &[i64], dtype: u64, rest: &[u8]) -> Vec<u8> {
    let shape: Vec<u8> = shape.iter().flat_map(|d| number(1, d.cast_unsigned())).collect();
    bytes(5, &[shape, number(2, dtype), bytes(8, b"w"), rest.to_vec()].concat())
}

fn onnx(graph: &[u8]) -> Vec<u8> {
    [
        number(1, 8),
        bytes(2, b"test"),
        bytes(7, &[bytes(2, b"graph"), graph.to_vec()].concat()),
        bytes(8, &number(2, 17)),
    ]
    .concat()
}

fn mindir(parameter: &[u8]) -> Vec<u8> {
    let graph = [bytes(2, b"net:main"), bytes(3, parameter)].concat();
    [bytes(1, b"1.1"), bytes(2, b"MindSpore"), bytes(7, &graph)].concat()
}

const FLOATS: [u8; 24] = [0; 24];

#[test]
fn every_way_to_hold_numbers() {
    let open = |shape: &[i64], dtype, rest: &[u8]| {
        let dict = open_bytes(&onnx(&initializer(shape, dtype, rest))).unwrap_or_else(|error| panic!("{error}"));
        let tensor = dict.get("w").unwrap().clone();
        (tensor.dtype(), tensor.to_f32_vec())
    };
    let two: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    assert_eq!(open(&[2], 1, &bytes(9, &two)), (DType::F32, vec![1.5, -2.0]));
    assert_eq!(open(&[2], 1, &bytes(4, &two)), (DType::F32, vec![1.5, -2.0]));
    let loose: Vec<u8> = two.chunks(4).flat_map(|x| [varint(4 << 3 | 5), x.to_vec()].concat()).collect();
    assert_eq!(open(&[2], 1, &loose), (DType::F32, vec![1.5, -2.0]));
    let doubles: Vec<u8> = [1.5f64, -2.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    assert_eq!(open(&[2], 11, &bytes(10, &doubles)), (DType::F64, vec![1.5, -2.0]));
    let ints = [varint(5), varint((-7i64).cast_unsigned())].concat();
    for dtype in [6, 5, 3] {
        assert_eq!(open(&[2], dtype, &bytes(5, &ints)).1, [5.0, -7.0]);
    }
    assert_eq!(open(&[2], 7, &bytes(7, &ints)).1, [5.0, -7.0]);
    assert_eq!(open(&[2], 7, &[number(7, 5), number(7, 9)].concat()).1, [5.0, 9.0]);
    assert_eq!(open(&[1], 12, &bytes(11, &varint(1 << 31))).1, [(1u64 << 31) as f32]);
    assert_eq!(open(&[1], 10, &bytes(5, &varint(0x3c00))), (DType::F16, vec![1.0]));
    assert_eq!(open(&[1], 16, &bytes(5, &varint(0x3f80))), (DType::BF16, vec![1.0]));
    assert_eq!(open(&[1], 9, &bytes(5, &[1])), (DType::Bool, vec![1.0]));
    assert_eq!(open(&[0], 1, b"").1, [0.0; 0]);
    // Shapes may be packed.
    let packed = bytes(5, &[bytes(1, &[1, 2]), number(2, 1), bytes(8, b"w"), bytes(9, &two)].concat());
    assert_eq!(open_bytes(&onnx(&packed)).unwrap().get("w").unwrap().shape(), [1, 2]);
    let parameter = [number(1, 2), number(2, 1), bytes(7, b"net:main:l1.bias"), bytes(9, &two)].concat();
    let found = open_bytes(&mindir(&parameter)).unwrap();
    assert_eq!((names(&found), found.format()), (vec!["l1.bias"], Some(Format::MindIr)));
}

#[test]
fn graphs_that_lie() {
    let raw = bytes(9, &FLOATS);
    for (tensor, reason) in [
        (initializer(&[7], 1, &raw), "tensor `w`: f32 of shape [7] takes 28 bytes, found 24"),
        (initializer(&[i64::MAX, 4], 1, &raw), "overflows"),
        (initializer(&[1 << 62, 4], 1, b""), "overflows"),
        (initializer(&[-6], 1, &raw), "negative dimension"),
        (initializer(&[1; 65], 1, &raw), "more than 64 dimensions"),
        (initializer(&[1 << 40], 1, b""), "at most 0 are there"),
        (initializer(&[1 << 40], 7, &bytes(7, &[1; 100])), "at most 100 are there"),
        (initializer(&[2], 7, &bytes(7, &[1, 1, 1])), "more numbers than the 2"),
        (initializer(&[2], 7, &bytes(7, &[0x81, 0x01])), "takes 16 bytes, found 8"),
        (initializer(&[2], 7, &bytes(7, &[0x81, 0x81])), "damaged"),
        (initializer(&[2], 7, &bytes(4, &FLOATS[..8])), "not where those of i64 belong"),
        (initializer(&[6], 1, &[raw.clone(), bytes(4, &FLOATS)].concat()), "twice"),
        (initializer(&[6], 0, &raw), "no element type"),
        (initializer(&[6], 8, &raw), "tensor `w`: its elements are strings"),
        (initializer(&[3], 14, &raw), "complex"),
        (initializer(&[24], 17, &raw), "tensor `w`: its element type has the number 17"),
        (initializer(&[6], 1, &bytes(13, &bytes(1, b"location"))), "tensor `w`: its data lies in another file"),
        (initializer(&[6], 1, &number(14, 1)), "tensor `w`: its data lies in another file"),
        (initializer(&[6], 1, &[bytes(3, &number(1, 0)), raw.clone()].concat()), "segment"),
        (bytes(5, &[number(1, 6), number(2, 1), raw.clone()].concat()), "tensor number 0: it has no name"),
        ([initializer(&[6], 1, &raw), initializer(&[6], 1, &raw)].concat(), "two tensors of the name `w`"),
        (initializer(&[6], 1, &[9 << 3 | 2, 100]), "description is damaged"),
        (number(5, 3), "a number where a tensor should be"),
        (b"\x2b".repeat(100_000), "a kind that it does not use"),
        (b"".to_vec(), "without weights"),
    ] {
        assert_refused(&onnx(&tensor), reason);
    }
    assert!(open_bytes(&onnx(&initializer(&[6], 1, &[number(14, 0), raw.clone()].concat()))).is_ok());
    let parameter = [number(1, 6), number(2, 1), bytes(7, b"net:main:w"), raw.clone()].concat();
    assert_refused(&mindir(&[&parameter[..], &number(14, 2)].concat()), "tensor `net:main:w`: its data is compressed");
    assert_refused(&mindir(&[&parameter[..], &bytes(12, b"")].concat()), "lies in another file");
    // Subgraphs a hundred thousand levels deep are passed over in one step.
    let mut deep = Vec::new();
    for _ in 0..1000 {
        deep = bytes(1, &bytes(5, &bytes(6, &deep)));
    }
    assert!(open_bytes(&onnx(&[deep, initializer(&[6], 1, &raw)].concat())).is_ok());
    // A million empty tensors end at the first that has no name; a million names at the limit.
    assert_refused(&onnx(&bytes(5, b"").repeat(1_000_000)), "tensor number 0");
    let many: Vec<u8> =
        (0..10_000u64).flat_map(|n| bytes(5, &[number(1, 0), number(2, 1), bytes(8, &varint(n))].concat())).collect();
    let small = Limits { expanded_bytes: 0, ..Limits::default() };
    assert!(matches!(open_bytes_with(&onnx(&many), &small), Err(Error::Limit { .. }) | Err(Error::Checkpoint { .. })));
}

// Anything

fn survive(bytes: &[u8]) {
    let limits = Limits { expanded_bytes: 1 << 20, ..Limits::default() };
    if let Ok(dict) = open_bytes_with(bytes, &limits) {
        for (_, tensor) in dict.iter().chain(dict.optimizer().iter().map(|(name, tensor)| (name.as_str(), tensor))) {
            assert_eq!(tensor.to_f32_vec().len(), tensor.element_count());
        }
    }
}

fn valid_files() -> Vec<Vec<u8>> {
    let ints = bytes(5, &[number(1, 2), number(2, 7), bytes(8, b"n"), bytes(7, &[1, 2])].concat());
    let graph = [initializer(&[2, 3], 1, &bytes(9, &FLOATS)), ints].concat();
    let parameter = [number(1, 6), number(2, 1), bytes(7, b"net:main:w"), bytes(9, &FLOATS)].concat();
    vec![zip_of(&whole_module()), script_of(&script_module()), onnx(&graph), mindir(&parameter)]
}

#[test]
fn truncated_anywhere_is_an_error() {
    for bytes in valid_files() {
        assert!(open_bytes(&bytes).is_ok());
        // The operator sets come after the graph and say nothing of weights.
        let end = if bytes.starts_with(b"\x08") { bytes.len() - 4 } else { bytes.len() };
        for end in 0..end {
            assert!(open_bytes(&bytes[..end]).is_err(), "{end} of {} bytes", bytes.len());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_files_never_panic(
        which in 0..4usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = valid_files().swap_remove(which);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        survive(&bytes);
    }

    #[test]
    fn random_bytes_are_no_graph(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let found = StateDict::from_bytes("random", bytes, &Limits::default());
        prop_assert!(!found.is_ok_and(|dict| matches!(dict.format(), Some(Format::Onnx | Format::MindIr))));
    }
}
