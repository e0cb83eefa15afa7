//! `pretrained convert`, `diff`, `verify` and `inspect --json` as a user meets them: output, exit codes, refusals.

use pretrained::{DType, SaveFormat, SaveOptions, StateDict, Tensor};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

const BINARY: &str = env!("CARGO_BIN_EXE_pretrained");
const MNIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/mnist_mlp.safetensors");

fn run(arguments: &[&str]) -> (String, String, i32) {
    let output = Command::new(BINARY).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code().unwrap())
}

fn path(folder: &tempfile::TempDir, name: &str) -> String {
    folder.path().join(name).to_str().unwrap().to_owned()
}

/// A checkpoint of one tensor `w` with these numbers.
fn write(path: &str, values: &[f32]) {
    let dict: StateDict = [("w", Tensor::from_f32(&[values.len()], values).unwrap())].into_iter().collect();
    dict.save(path, &SaveOptions { format: SaveFormat::Torch, overwrite: true, ..SaveOptions::default() }).unwrap();
}

fn small(folder: &tempfile::TempDir) -> String {
    let file = path(folder, "small.pth");
    write(&file, &[1.0, -2.0, 0.1]);
    file
}

#[test]
fn convert_there_and_back_differs_in_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (source, safe, torch) = (small(&folder), path(&folder, "a.safetensors"), path(&folder, "b.pt"));
    let (out, err, code) = run(&["convert", &source, &safe]);
    assert!(out.contains("1 tensors as safetensors") && code == 0, "{out}{err}");
    assert_eq!(run(&["convert", &safe, &torch]).2, 0);
    let (out, err, code) = run(&["diff", &source, &torch]);
    assert_eq!((out.as_str(), code), ("1 tensors are equal, 0 differ\n", 0), "{err}");
    assert!(std::fs::read(&source).unwrap() == std::fs::read(&torch).unwrap());
}

#[test]
fn the_format_is_told_from_the_extension_or_given() {
    let folder = tempfile::tempdir().unwrap();
    let source = small(&folder);
    for (name, arguments, format) in [
        ("x.ckpt", &[][..], "MindSpore .ckpt"),
        ("snapshot", &[], "OneFlow snapshot"),
        ("y.weights", &["--to", "torch"], "PyTorch zip"),
        ("z", &["--to", "safetensors"], "safetensors"),
    ] {
        let (out, err, code) = run(&[&["convert", &source, &path(&folder, name)], arguments].concat());
        assert!(out.contains(format) && code == 0, "{name}: {out}{err}");
    }
    assert!(Path::new(&path(&folder, "snapshot/w/meta")).is_file());
    let (_, err, code) = run(&["convert", &source, &path(&folder, "x.onnx")]);
    assert!(code == 2 && err.contains("--to"), "{err}");
}

#[test]
fn convert_overwrites_only_by_force_and_says_what_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (source, target) = (small(&folder), path(&folder, "t.safetensors"));
    std::fs::write(&target, "precious").unwrap();
    let (_, err, code) = run(&["convert", &source, &target]);
    assert!(code == 2 && err.contains("--force"), "{err}");
    assert_eq!(std::fs::read(&target).unwrap(), b"precious");
    assert_eq!(run(&["convert", &source, &target, "--force", "--dtype", "f16"]).2, 0);
    assert_eq!(StateDict::open(&target).unwrap().get("w").unwrap().dtype(), DType::F16);
    assert_eq!(run(&["convert", &source, &target, "--force-dtype"]).2, 2);
    let (_, err, code) = run(&["convert", "/no/such/file", &path(&folder, "n.pth")]);
    assert!(code == 2 && err.contains("/no/such/file"), "{err}");
}

#[test]
fn shipped_weights_convert_and_their_metadata_is_mentioned() {
    let folder = tempfile::tempdir().unwrap();
    if !Path::new(MNIST).exists() {
        return;
    }
    let (torch, safe) = (path(&folder, "m.pth"), path(&folder, "m.safetensors"));
    let (_, err, code) = run(&["convert", MNIST, &torch]);
    assert!(code == 0 && err.contains("preset"), "{err}");
    assert_eq!(run(&["diff", MNIST, &torch]).2, 0);
    let (_, err, code) = run(&["convert", MNIST, &safe]);
    assert_eq!((err.as_str(), code), ("", 0));
    assert_eq!(StateDict::open(&safe).unwrap().metadata(), StateDict::open(MNIST).unwrap().metadata());
}

#[test]
fn export_writes_what_describes_itself() {
    let folder = tempfile::tempdir().unwrap();
    for (name, format) in [("m.onnx", "ONNX"), ("m.mindir", "MindIR")] {
        let target = path(&folder, name);
        let (out, err, code) = run(&["export", MNIST, &target]);
        assert!(out.contains(&format!("as {format} to {target}, for any number of images of 1x28x28")), "{out}{err}");
        assert!(code == 0 && err.lines().count() == 1 && err.contains("assumed ReLU"), "{err}");
        assert_eq!(run(&["diff", MNIST, &target]).2, 0);
        let written = StateDict::open(&target).unwrap();
        let labels = r#"["0","1","2","3","4","5","6","7","8","9"]"#;
        assert_eq!((&*written.metadata()["preset"], &*written.metadata()["labels"]), ("mnist", labels));
        // Windows replaces no file that is open.
        drop(written);
        let (_, err, code) = run(&["export", MNIST, &target, "--fold"]);
        assert!(code == 2 && err.contains(&target) && err.contains("--force"), "{err}");
        assert_eq!(run(&["export", MNIST, &target, "--fold", "--force"]).2, 0);
    }
}

/// How images are prepared is written where it is known or given, and otherwise said to be unknown.
#[test]
fn export_writes_the_preset_or_says_that_there_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let state = StateDict::open(MNIST).unwrap();
    let state: StateDict = state.iter().map(|(name, tensor)| (name.to_owned(), tensor.clone())).collect();
    let (bare, target) = (path(&folder, "bare.safetensors"), path(&folder, "m.onnx"));
    state.save(&bare, &SaveOptions::default()).unwrap();
    let (_, err, code) = run(&["export", &bare, &target]);
    assert!(code == 0 && err.contains("no preset is known") && err.contains("--preset NAME writes it"), "{err}");
    assert!(!StateDict::open(&target).unwrap().metadata().contains_key("preset"));
    let (_, err, code) = run(&["export", &bare, &target, "--preset", "mnist", "--force"]);
    assert!(code == 0 && !err.contains("preset"), "{err}");
    assert_eq!(StateDict::open(&target).unwrap().metadata()["preset"], "mnist");
}

/// Everywhere `--size` is a side, or a width and a height; `--input` is a shape.
#[test]
fn sizes_are_given_the_same_way_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/cifar10_shufflenet_v2_x0_5.safetensors");
    for (n, flags, shape) in [
        (0, &["--size", "64x32"][..], "3x32x64"),
        (1, &["--size", "48"], "3x48x48"),
        (2, &["--input", "64x32"], "3x64x32"),
    ] {
        let target = path(&folder, &format!("{n}.onnx"));
        let (out, err, code) = run(&[&["export", model, &target], flags].concat());
        assert!(code == 0 && out.contains(&format!("images of {shape}\n")), "{flags:?}: {out}{err}");
    }
    assert_eq!(run(&["export", model, &path(&folder, "x.onnx"), "--size", "32", "--input", "32x32"]).2, 2);
    // A network of 784 numbers says what it was given.
    let (_, err, code) = run(&["bench", "--model", "mnist_mlp", "--device", "cpu", "--size", "56x28"]);
    assert!(code == 2 && err.contains("1x28x56"), "{err}");
    for command in ["bench", "export"] {
        assert!(run(&[command, "--help"]).0.contains("--size <N|WxH>"));
    }
}

/// A network that takes any side is exported for the one that it was trained on.
#[test]
fn export_takes_the_side_that_the_preset_resizes_to() {
    let folder = tempfile::tempdir().unwrap();
    let target = path(&folder, "cifar10.onnx");
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/cifar10_shufflenet_v2_x0_5.safetensors");
    let (out, err, code) = run(&["export", shipped, &target]);
    assert!(code == 0 && out.contains("images of 3x112x112"), "{out}{err}");
    assert_eq!(StateDict::open(&target).unwrap().metadata()["preset"], "cifar10");
}

#[test]
fn export_refuses_what_it_cannot_write_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let target = |name| path(&folder, name);
    for (arguments, parts) in [
        (&[MNIST, &target("m.air")][..], &["AIR", "Ascend", "--to mindir", "mindspore.export"][..]),
        (&[MNIST, &target("m.x"), "--to", "air"], &["AIR", "Ascend", "--to mindir", "mindspore.export"]),
        (&[MNIST, &target("m.tflite")], &["m.tflite", ".onnx", "--to"]),
        (&[MNIST, &target("m.x"), "--to", "tflite"], &["tflite", "onnx", "mindir"]),
        (&[MNIST, &target("m.onnx"), "--input", "30x28"], &["1x30x28", "784"]),
        (&[MNIST, &target("m.onnx"), "--input", "0x28"], &["0x28", "HEIGHTxWIDTH"]),
        (&[&small(&folder), &target("m.onnx")], &["small.pth", "no known network"]),
    ] {
        let (_, err, code) = run(&[&["export"], arguments].concat());
        assert_eq!(code, 2, "{arguments:?}");
        parts.iter().for_each(|part| assert!(err.contains(part), "{part} is not in {err}"));
    }
    // Nothing was written beside the checkpoint.
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
}

/// A limit on the size of files stands in for a disk that is full.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_the_old_file_and_no_temporary() {
    let folder = tempfile::tempdir().unwrap();
    let source = path(&folder, "big.pth");
    write(&source, &vec![0.5; 100_000]);
    for (name, format) in [("t.safetensors", "safetensors"), ("t.pth", "torch"), ("t.ckpt", "mindspore")] {
        let target = path(&folder, name);
        std::fs::write(&target, "old").unwrap();
        let script = r#"trap "" XFSZ; ulimit -f 8; exec "$0" convert "$1" "$2" --to "$3" --force"#;
        let output = Command::new("sh").args(["-c", script, BINARY, &source, &target, format]).output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && err.contains(name), "{err}");
        assert_eq!(std::fs::read(&target).unwrap(), b"old");
    }
    // And a folder.
    let target = path(&folder, "snapshot");
    assert_eq!(run(&["convert", &small(&folder), &target]).2, 0);
    let script = r#"trap "" XFSZ; ulimit -f 8; exec "$0" convert "$1" "$2" --force"#;
    let output = Command::new("sh").args(["-c", script, BINARY, &source, &target]).output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && err.contains("`w`"), "{err}");
    assert_eq!(std::fs::read(folder.path().join("snapshot/w/out")).unwrap().len(), 12);
    assert!(!std::fs::read_dir(&folder).unwrap().any(|e| e.unwrap().file_name().to_str().unwrap().starts_with('.')));
}

/// The names of what a write that did not end has left.
fn temporaries(folder: &tempfile::TempDir) -> BTreeSet<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(".pretrained-")).collect()
}

const FILES: [(&str, SaveFormat); 3] =
    [("t.safetensors", SaveFormat::Safetensors), ("t.pth", SaveFormat::Torch), ("t.ckpt", SaveFormat::MindSpore)];

/// Killed by the system at a limit, where it is sure that it was writing.
#[cfg(unix)]
#[test]
fn a_write_that_is_killed_at_a_limit_leaves_the_old_checkpoint() {
    use std::os::unix::process::ExitStatusExt;
    const SIGKILL: i32 = 9;
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (path(&folder, "old.pth"), path(&folder, "new.pth"));
    write(&old, &[1.0, -2.0, 0.1]);
    write(&new, &vec![0.5; 4_000_000]);
    let old = StateDict::open(&old).unwrap();
    for (name, format) in FILES.into_iter().chain([("snapshot", SaveFormat::OneFlow)]) {
        let target = path(&folder, name);
        old.save(&target, &SaveOptions { format, ..SaveOptions::default() }).unwrap();
        let before = temporaries(&folder);
        let script = r#"ulimit -c 0; ulimit -f 4096; exec "$0" convert "$1" "$2" --force"#;
        let status = Command::new("sh").args(["-c", script, BINARY, &new, &target]).status().unwrap();
        assert!(status.signal().is_some_and(|signal| signal != SIGKILL), "{status}");
        assert!(StateDict::open(&target).unwrap().iter().eq(old.iter()), "{name}");
        assert_eq!(temporaries(&folder).difference(&before).count(), 1, "{name}: it was not writing");
    }
}

/// Killed by another process at moments of all kinds: the old checkpoint or the new one is there, but nothing between.
/// A folder is replaced by two renames, with a moment between them, and is not among these.
#[test]
fn a_write_that_is_killed_leaves_the_old_checkpoint_or_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (path(&folder, "old.pth"), path(&folder, "new.pth"));
    write(&old, &[1.0, -2.0, 0.1]);
    write(&new, &vec![0.5; 4_000_000]);
    let (old, new_state) = (StateDict::open(&old).unwrap(), StateDict::open(&new).unwrap());
    let mut kept = 0;
    for (name, format) in FILES {
        let target = path(&folder, name);
        let is = |state: &StateDict| StateDict::open(&target).unwrap().iter().eq(state.iter());
        for delay in 0..10 {
            let replacing = SaveOptions { format, overwrite: true, ..SaveOptions::default() };
            old.save(&target, &replacing).unwrap();
            let before = temporaries(&folder);
            let mut child = Command::new(BINARY);
            let mut child = child.args(["convert", &new, &target, "--force"]).stdout(Stdio::null()).spawn().unwrap();
            while temporaries(&folder) == before && child.try_wait().unwrap().is_none() {}
            std::thread::sleep(std::time::Duration::from_millis(delay));
            child.kill().unwrap();
            // It did not fail by itself, which would leave the old one too.
            assert_ne!(child.wait().unwrap().code(), Some(2), "{name}");
            assert!(is(&old) || is(&new_state), "{name}");
            kept += usize::from(is(&old));
        }
        // What killed writers left is in nobody's way.
        assert_eq!(run(&["convert", &new, &target, "--force"]).2, 0);
        assert!(is(&new_state), "{name}");
    }
    assert!(kept > 0, "none was killed while it wrote");
}

#[test]
fn diff_says_what_differs_and_by_how_much() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (path(&folder, "a.safetensors"), path(&folder, "b.safetensors"));
    let tensor = |shape: &[usize], values: &[f32]| Tensor::from_f32(shape, values).unwrap();
    let big = |n: u64| Tensor::new(DType::U64, &[1], n.to_le_bytes().to_vec()).unwrap();
    let nan = tensor(&[1], &[f32::NAN]);
    let left = [("near", tensor(&[2], &[1.0, 4.0])), ("shape", tensor(&[2], &[1.0, 2.0])), ("left", nan.clone())];
    let right =
        [("near", tensor(&[2], &[1.0, 4.5])), ("shape", tensor(&[1, 2], &[1.0, 2.0])), ("right", tensor(&[], &[1.0]))];
    // Differ in the last bit, which f64 does not hold.
    let (left, right) = (
        left.into_iter().chain([("big", big(u64::MAX)), ("nan", nan.clone())]),
        right.into_iter().chain([("big", big(u64::MAX - 1)), ("nan", nan)]),
    );
    StateDict::from_iter(left).save(&a, &SaveOptions::default()).unwrap();
    StateDict::from_iter(right).save(&b, &SaveOptions::default()).unwrap();
    let (out, err, code) = run(&["diff", &a, &b]);
    for part in [
        "near: 1 of 2 numbers differ, by at most 5.000e-1 absolute, 1.111e-1 relative\n",
        "shape: shape [2] and [1, 2]\n",
        "big: 1 of 1 numbers differ, by at most 1.000e0 absolute",
        &format!("left: only in {a}"),
        &format!("right: only in {b}"),
        "1 tensors are equal, 5 differ\n",
    ] {
        assert!(out.contains(part), "{part} is not in {out}{err}");
    }
    assert_eq!((code, run(&["diff", &a, &a]).2, run(&["diff", &a, "/no/such/file"]).2), (1, 0, 2));
}

#[test]
fn a_tolerance_forgives_rounding() {
    let folder = tempfile::tempdir().unwrap();
    let (source, half) = (small(&folder), path(&folder, "half.pth"));
    assert_eq!(run(&["convert", &source, &half, "--dtype", "f16"]).2, 0);
    let (out, _, code) = run(&["diff", &source, &half]);
    assert!(code == 1 && out.contains("w: dtype f32 and f16; 1 of 3 numbers differ"), "{out}");
    assert_eq!(run(&["diff", &source, &half, "--tolerance", "1e-3"]).2, 0);
    assert_eq!(run(&["diff", &source, &half, "--tolerance", "1e-5"]).2, 1);
    assert_eq!(run(&["diff", &source, &half, "--tolerance", "nan"]).2, 2);
    assert_eq!(run(&["diff", &source, &half, "--tolerance=-1"]).2, 2);
}

#[test]
fn verify_finds_flipped_bits_and_numbers_that_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let file = small(&folder);
    let (out, err, code) = run(&["verify", &file]);
    assert!(code == 0 && out.contains("nothing is wrong: 6 checksums are right, 1 tensors read"), "{out}{err}");

    let mut bytes = std::fs::read(&file).unwrap();
    let needle = (-2.0f32).to_le_bytes();
    let at = bytes.windows(4).position(|window| window == needle).unwrap();
    bytes[at] ^= 1;
    let flipped = path(&folder, "flipped.pth");
    std::fs::write(&flipped, &bytes).unwrap();
    let (out, err, code) = run(&["verify", &flipped]);
    assert!(code == 1 && out.contains("archive/data/0"), "{out}{err}");

    let cut = path(&folder, "cut.pth");
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    let (out, _, code) = run(&["verify", &cut]);
    assert!(code == 1 && out.contains("does not open"), "{out}");

    let bad = path(&folder, "bad.pth");
    write(&bad, &[1.0, f32::NAN, f32::NAN, f32::NEG_INFINITY]);
    let (out, _, code) = run(&["verify", &bad]);
    assert!(code == 1 && out.contains("w: 2 NaN and 1 infinite of 4 numbers"), "{out}");
    assert_eq!(run(&["verify", "/no/such/file"]).2, 2);
}

#[test]
fn verify_says_where_there_is_no_checksum_to_compare() {
    let folder = tempfile::tempdir().unwrap();
    let file = small(&folder);
    let mut bytes = std::fs::read(&file).unwrap();
    // As torch.save leaves them after torch.serialization.set_crc32_options(False).
    let entries: Vec<usize> = (0..bytes.len() - 4).filter(|&at| bytes[at..].starts_with(b"PK\x01\x02")).collect();
    entries.iter().for_each(|at| bytes[at + 16..at + 20].fill(0));
    std::fs::write(&file, bytes).unwrap();
    let (out, err, code) = run(&["verify", &file]);
    assert!(code == 0 && out.contains("nothing is wrong: 0 checksums are right, 6 entries have none"), "{out}{err}");
}

#[test]
fn the_optimizers_part_is_listed_and_verified() {
    let folder = tempfile::tempdir().unwrap();
    let file = path(&folder, "t.ckpt");
    let tensor = |values: &[f32]| Tensor::from_f32(&[values.len()], values).unwrap();
    let dict: StateDict = [("w", tensor(&[1.0, 3.0])), ("moment1.w", tensor(&[0.5, f32::NAN]))].into_iter().collect();
    dict.save(&file, &SaveOptions { format: SaveFormat::MindSpore, ..SaveOptions::default() }).unwrap();
    let (out, err, code) = run(&["inspect", &file, "--json"]);
    let object: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}{err}"));
    let statistics = serde_json::json!({"min": 0.5, "max": 0.5, "mean": 0.5, "std": 0.0, "nan": 1, "inf": 0});
    let row = serde_json::json!({"name": "moment1.w", "dtype": "f32", "shape": [2], "statistics": statistics});
    assert_eq!((&object["optimizer"], &object["elements"], code), (&serde_json::json!([row]), &2.into(), 0));
    let (out, _, _) = run(&["inspect", &file]);
    assert!(out.contains("1 optimizer tensors") && out.contains("moment1.w  f32  [2]  min 5.0000e-1"), "{out}");
    let (out, _, code) = run(&["verify", &file]);
    assert!(code == 1 && out.contains("optimizer moment1.w: 1 NaN and 0 infinite of 2 numbers"), "{out}");
}

#[test]
fn inspect_gives_statistics_in_text_and_json() {
    let folder = tempfile::tempdir().unwrap();
    let file = path(&folder, "x.safetensors");
    let mut dict = StateDict::new();
    dict.insert("w", Tensor::from_f32(&[2, 2], &[1.0, 3.0, f32::NAN, f32::INFINITY]).unwrap());
    dict.insert("empty", Tensor::from_f32(&[0], &[]).unwrap());
    dict.insert("n", Tensor::new(DType::I64, &[], 7i64.to_le_bytes().to_vec()).unwrap());
    dict.save(&file, &SaveOptions::default()).unwrap();
    let (out, err, code) = run(&["inspect", &file, "--json"]);
    let object: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}{err}"));
    let row =
        |name: &str| object["tensors"].as_array().unwrap().iter().find(|row| row["name"] == name).unwrap().clone();
    let w = serde_json::json!({"min": 1.0, "max": 3.0, "mean": 2.0, "std": 1.0, "nan": 1, "inf": 1});
    assert_eq!((&row("w")["statistics"], &row("w")["shape"], code), (&w, &serde_json::json!([2, 2]), 0));
    assert_eq!(row("empty")["statistics"]["mean"], serde_json::Value::Null);
    assert_eq!((&row("n")["statistics"], &row("n")["dtype"]), (&serde_json::Value::Null, &"i64".into()));
    assert_eq!(
        (&object["format"], &object["elements"], &object["bytes"]),
        (&"safetensors".into(), &5.into(), &24.into())
    );
    assert!(object["network"].is_null() && object["network_error"].is_string());
    let (out, _, _) = run(&["inspect", &file]);
    assert!(out.contains("min 1.0000e0 max 3.0000e0 mean 2.0000e0 std 1.0000e0 NaN 1 infinite 1"), "{out}");
    // What has no statistics ends with its shape.
    assert!(out.contains("[]\n") && out.contains("[0]\n"), "{out}");
}

#[test]
fn renaming_goes_before_everything_else() {
    let folder = tempfile::tempdir().unwrap();
    let (renamed, back) = (path(&folder, "renamed.pth"), path(&folder, "back.safetensors"));
    let prefix = r"^l(\d)\.=net.dense$1.";
    let (_, err, code) = run(&["convert", MNIST, &renamed, "--rename", prefix, "--rename", "^nothing$=x"]);
    assert!(
        code == 0 && err.contains("--rename ^nothing$=x matches no parameter") && !err.contains("--rename ^l"),
        "{err}"
    );
    let (out, _, code) = run(&["inspect", &renamed]);
    assert!(code == 0 && out.contains("net.dense1.weight") && !out.contains("l1.weight"), "{out}");
    // Rules follow each other.
    let rules = ["--rename", r"^net\.=", "--rename", "dense=l"];
    let (out, _, code) = run(&[&["inspect", &renamed], &rules[..]].concat());
    assert!(code == 0 && out.contains("l1.weight") && !out.contains("net."), "{out}");
    // The first of two checkpoints is renamed.
    assert_eq!(run(&[&["diff", &renamed, MNIST], &rules[..]].concat()).2, 0);
    assert_eq!(run(&["diff", &renamed, MNIST]).2, 1);
    assert_eq!(run(&[&["convert", &renamed, &back], &rules[..]].concat()).2, 0);
    assert_eq!(run(&["diff", &back, MNIST]).2, 0);
}

#[test]
fn renaming_two_parameters_into_one_is_an_error_that_names_both() {
    let folder = tempfile::tempdir().unwrap();
    let target = path(&folder, "x.pth");
    let (_, err, code) = run(&["convert", MNIST, &target, "--rename", r"^l\d="]);
    assert!(code == 2 && !Path::new(&target).exists(), "{err}");
    assert!(err.contains("`l1.bias` and `l2.bias` the same name, `.bias`"), "{err}");
    let (_, err, code) = run(&["inspect", MNIST, "--rename", "(=x"]);
    assert!(code == 2 && err.contains("no regular expression"), "{err}");
}

#[test]
fn help_states_the_exit_codes() {
    for command in ["convert", "diff", "verify"] {
        let (out, _, code) = run(&[command, "--help"]);
        assert!(out.contains("Exit codes:") && code == 0, "{out}");
    }
}
