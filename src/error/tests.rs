//! Every kind is reached by an ordinary call; only a lost device (`tests/session`) and a download (`tests/hub`) need more.

use super::*;
use crate::graph::{Builder, Linear, Shape, Value};
use crate::vision::{self, softmax};
use crate::zoo::{Network, detect};
use crate::{
    CpuOptions, Device, DeviceChoice, Initialiser, Limits, Model, Precision, SaveOptions, Session, SessionOptions,
    StateDict, Strictness, Tensor,
};
use std::error::Error as _;
use std::fs;

const SHAPE: Shape = Shape::new(2, 1, 1);

fn network() -> Network {
    let mut g = Builder::new();
    let x = g.flatten(Value::INPUT);
    let x = g.linear("fc", x, Linear::new(2, 3));
    Network::new("tiny", g.finish(x), SHAPE)
}

fn state(prefixes: &[&str]) -> StateDict {
    let parts = prefixes.iter().flat_map(|prefix| [(format!("{prefix}fc.weight"), 6), (format!("{prefix}fc.bias"), 3)]);
    let tensor = |n: usize| Tensor::from_f32(if n == 3 { &[3] } else { &[3, 2] }, &vec![0.5; n]).unwrap();
    parts.map(|(name, numbers)| (name, tensor(numbers))).collect()
}

#[track_caller]
fn assert_kind<T: fmt::Debug>(result: Result<T>, kind: ErrorKind) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.source().is_none(), "anyhow would print it twice: {error}");
}

/// What `anyhow` prints of an error: its own text, and those of all that are behind it.
fn chain(error: &dyn std::error::Error) -> Vec<String> {
    let mut texts = vec![error.to_string()];
    let mut behind = error.source();
    while let Some(error) = behind {
        texts.push(error.to_string());
        behind = error.source();
    }
    texts
}

#[test]
fn no_text_of_a_chain_is_in_another() {
    let system = || std::io::Error::other(Error::Usage("the disk is on fire".into()));
    let tensor = Tensor::new(crate::DType::F32, &[2], vec![0u8; 3]).unwrap_err();
    let errors = [
        Error::checkpoint("a.pth", "is damaged"),
        Error::image("a.png", "is cut short"),
        Error::mismatch("a.pth", crate::LoadReport::default()),
        Error::ambiguous("a.pth", vec!["student.".into(), "teacher.".into()]),
        Error::lost("the GPU is gone"),
        Error::download("https://example.org/a.pth", "is another file"),
        Error::Limit { path: "a.pth".into(), what: "its header".into(), found: 2, limit: 1 },
        Error::io("a.pth", system()),
        Error::Usage("no such model".into()),
        tensor.clone().into(),
    ];
    let errors = errors.iter().map(|error| error as &dyn std::error::Error).chain([&tensor as &dyn std::error::Error]);
    for error in errors {
        let texts = chain(error);
        for (i, text) in texts.iter().enumerate() {
            let again = texts.iter().enumerate().find(|(j, other)| *j != i && other.contains(text.as_str()));
            assert!(again.is_none(), "printed twice: {}", texts.join(": "));
        }
    }
}

#[test]
fn devices() {
    let model = Model::initialise(network(), Initialiser::LayerDefault, 0).unwrap();
    let session = |options: &SessionOptions| Session::new(&Device::cpu(), &model, SHAPE, options);
    let absent = DeviceChoice::Named("a GPU that nobody has".into());
    assert_kind(Device::open(&absent), ErrorKind::DeviceAbsent);
    assert_kind(session(&SessionOptions::default().precision(Precision::F16)), ErrorKind::DeviceUnsupported);
    let little = Limits { activation_bytes: 1, ..Limits::default() };
    assert_kind(session(&SessionOptions::default().limits(little)), ErrorKind::DeviceMemory);
    assert_kind(session(&SessionOptions::default().max_batch(0)), ErrorKind::Usage);
    assert_kind(softmax(&[1.0, f32::NAN]), ErrorKind::DeviceFailed);
    let many = CpuOptions { threads: std::num::NonZeroUsize::new(1_000_000), ..CpuOptions::default() };
    assert_kind(Device::cpu_with(many), ErrorKind::Usage);
}

#[test]
fn checkpoints() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    assert_kind(StateDict::open(folder.path().join("absent")), ErrorKind::Io);
    let text = file("notes.txt", b"This is a sentence, and no checkpoint.");
    assert_kind(StateDict::open(&text), ErrorKind::CheckpointFormat);
    let header = br#"{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}"#;
    let cut = file("cut.safetensors", &[&(header.len() as u64).to_le_bytes()[..], header].concat());
    assert_kind(StateDict::open(&cut), ErrorKind::CheckpointDamaged);
    assert_kind(StateDict::open_with(&cut, &Limits { header_bytes: 1, ..Limits::default() }), ErrorKind::Limit);
    assert_kind(state(&[""]).save(&text, &SaveOptions::default()), ErrorKind::CheckpointUnwritable);
    assert_kind(vision::decode_file(&text, &vision::Limits::default()), ErrorKind::Image);
}

#[test]
fn networks() {
    assert_kind(detect(&StateDict::default()), ErrorKind::CheckpointNetwork);
    let load = |state: &StateDict| Model::load(network(), state, Strictness::Strict);
    assert_kind(load(&state(&["student.", "teacher."])), ErrorKind::CheckpointAmbiguous);
    let mut more = state(&[""]);
    more.insert("aux", Tensor::from_f32(&[1], &[0.0]).unwrap());
    assert_kind(load(&more), ErrorKind::CheckpointMismatch);
    let error = load(&more).unwrap_err();
    assert_eq!(error.report().unwrap().unexpected, ["aux"]);
    assert!(error.to_string().ends_with(&error.report().unwrap().to_string()), "{error}");
    let tensor: Result<Tensor> = Tensor::from_f32(&[2], &[0.0]).map_err(Error::from);
    assert_kind(tensor, ErrorKind::Usage);
}
