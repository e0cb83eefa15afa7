//! Names and other text of files: such as would steer a terminal, are endless, or are no Unicode.

use crate::program;
use pretrained::printable::is_hidden;
use program::*;
use serde_json::json;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Clears the screen, sets a title, turns the direction of writing, and begins a line of its own.
const STEERING: &str = "fc\x1b[2J\x1b]0;title\x07\u{202e}\u{9b}31m\rpredict: done\nerror: none";

/// A checkpoint with `STEERING` wherever a file can have text.
fn steering(folder: &Path) -> PathBuf {
    let path = folder.join("steering.safetensors");
    let header = json!({
        "__metadata__": {STEERING: STEERING, "labels": json!([STEERING, "b"]).to_string()},
        format!("{STEERING}.weight"): {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        format!("{STEERING}.bias"): {"dtype": "F32", "shape": [2], "data_offsets": [24, 32]},
        format!("{STEERING}.nan"): {"dtype": "F32", "shape": [1], "data_offsets": [32, 36]},
    });
    let numbers = [0.5f32, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, f32::NAN];
    write_safetensors(&path, &header, &numbers.map(f32::to_le_bytes).concat());
    path
}

/// Neither stream has a character that steers, nor a line that the file has begun.
fn is_tame(left: &program::Left, what: &str) {
    for text in [&left.out, &left.err] {
        let hidden = text.chars().find(|c| is_hidden(*c) && *c != '\n');
        assert!(hidden.is_none(), "{what}: {hidden:?} in {text:?}");
        assert!(!text.lines().any(|line| line.starts_with("error: none") || line == "predict: done"), "{what}: {text}");
    }
}

#[test]
fn text_of_a_checkpoint_steers_no_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let file = steering(folder.path());
    let file = file.to_str().unwrap();
    let other = folder.path().join("other.pth");
    let other = other.to_str().unwrap();
    for arguments in [
        &["inspect", file][..],
        &["inspect", "--json", file],
        &["verify", file],
        &["diff", file, MNIST],
        &["diff", MNIST, file],
        &["convert", file, other],
        &["verify", other],
        &["inspect", other],
        &["export", file, "x.onnx"],
        &["bench", "--weights", file, "--device", "cpu"],
        &["bench", "--model", "mnist_mlp", "--weights", file, "--device", "cpu"],
        &["inspect", file, "--rename", "fc=x"],
        &["inspect", file, "--rename", ".*=x"],
    ] {
        is_tame(&run(PRETRAINED, arguments), &format!("{arguments:?}"));
    }
    let image = digit(1);
    for arguments in [
        &["--weights", file, &image][..],
        &["--weights", other, &image],
        &["--weights", file, "--model", "mnist_mlp", &image],
        &["--weights", file, "--model", "mnist_mlp", "--init-missing", &image],
        &["--weights", file, "--model", "mnist_mlp", "--init-missing", "-v", &image],
        &["--model", "mnist_mlp", file],
        &[file],
    ] {
        let all = [&["--device", "cpu"], arguments].concat();
        is_tame(&run(PREDICT, &all), &format!("{arguments:?}"));
    }
    let shown = run(PRETRAINED, &["inspect", file]).out;
    assert!(
        shown.contains(
            r"fc\u{1b}[2J\u{1b}]0;title\u{7}\u{202e}\u{9b}31m\rpredict: done\nerror: none.weight  f32  [2, 3]"
        ),
        "{shown}"
    );
    // JSON has it as it is, once it is read.
    let object: serde_json::Value = serde_json::from_str(&run(PRETRAINED, &["inspect", "--json", file]).out).unwrap();
    assert_eq!(object["metadata"][STEERING], STEERING);
}

#[test]
fn labels_and_names_of_images_steer_no_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let labels = folder.path().join("labels.json");
    std::fs::write(&labels, json!(vec![STEERING; 10]).to_string()).unwrap();
    let mut names = vec![digit(1)];
    if cfg!(unix) {
        names.push(folder.path().join(format!("{STEERING}.png").replace('/', "")).display().to_string());
        std::fs::copy(digit(2), &names[1]).unwrap();
        names.push(folder.path().join(format!("{STEERING}.txt")).display().to_string());
    }
    for format in ["text", "json", "jsonl"] {
        let left = digits(
            &[
                &["--format", format, "--labels", labels.to_str().unwrap()],
                &*names.iter().map(String::as_str).collect::<Vec<_>>(),
            ]
            .concat(),
        );
        is_tame(&left, format);
    }
    let left = digits(&["--format", "jsonl", "--labels", labels.to_str().unwrap(), names.last().unwrap(), &names[0]]);
    assert_eq!(records(&left.out)[0]["image"], **names.last().unwrap());
    assert_eq!(records(&left.out)[1]["predictions"][0]["label"], STEERING);
    // For programs CSV has a file's name as it is, which quotes hold together.
    let left = digits(&["--format", "csv", "--labels", labels.to_str().unwrap(), names.last().unwrap(), &names[0]]);
    let rows: Vec<csv::StringRecord> =
        csv::Reader::from_reader(left.out.as_bytes()).records().map(Result::unwrap).collect();
    assert_eq!(&rows[0][0], names.last().unwrap());
    assert!(!rows[1][5].chars().any(is_hidden) && rows[1][5].starts_with(r"fc\u{1b}[2J"), "{rows:?}");
}

#[test]
fn a_network_whose_names_steer_runs_and_steers_no_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.safetensors");
    let header = json!({
        format!("{STEERING}.weight"): {"dtype": "F32", "shape": [10, 784], "data_offsets": [0, 31360]},
        format!("{STEERING}.bias"): {"dtype": "F32", "shape": [10], "data_offsets": [31360, 31400]},
    });
    write_safetensors(&path, &header, &[0; 31400]);
    let file = path.to_str().unwrap();
    let image = digit(1);
    for flags in [&["--profile"][..], &["--verbose", "--timings"], &["--format", "csv"], &["--image_path", &image]] {
        let all = [&["--device", "cpu", "--preset", "mnist", "--weights", file, &image], flags].concat();
        let left = run(PREDICT, &all);
        assert_eq!(left.code, Some(0), "{left:?}");
        is_tame(&left, &format!("{flags:?}"));
    }
    let onnx = folder.path().join("runs.onnx");
    let onnx = onnx.to_str().unwrap();
    let left = run(PRETRAINED, &["export", file, onnx]);
    assert_eq!(left.code, Some(0), "{left:?}");
    let left = run(PREDICT, &["--device", "cpu", "--profile", "--preset", "mnist", "--weights", onnx, &image]);
    assert_eq!(left.code, Some(0), "{left:?}");
    is_tame(&left, "onnx");
    let all = ["bench", "--weights", file, "--device", "cpu", "--runs", "1"];
    is_tame(&run(PRETRAINED, &all), "bench");
}

#[test]
fn a_name_that_passes_for_a_flag_steers_no_terminal() {
    for program in [PREDICT, PRETRAINED] {
        for start in ["--", "--size=", "-x"] {
            let argument = format!("{start}{STEERING}");
            let left = run(program, &[argument.as_str(), "a.png"]);
            assert_eq!(left.code, Some(2));
            is_tame(&left, &format!("{argument:?}"));
        }
    }
    is_tame(&run(PREDICT, &["--model", STEERING, "a.png"]), "--model");
    is_tame(&run(PREDICT, &["--size", STEERING, "a.png"]), "--size");
    is_tame(&run(PREDICT, &["--device", STEERING, "a.png"]), "--device");
    is_tame(&run(PRETRAINED, &["predict", STEERING]), "predict");
    is_tame(&run(PRETRAINED, &[STEERING]), "command");
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_no_unicode_survive() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(OsStr::from_bytes(b"caf\xe9.png"));
    std::fs::copy(digit(4), &path).unwrap();
    let bytes = path.as_os_str().as_bytes();
    for given in [path.as_path(), folder.path()] {
        let left = digits(&[OsStr::new("--format"), OsStr::new("jsonl"), given.as_os_str()]);
        let record = &records(&left.out)[0];
        assert!(record["image"].as_str().unwrap().ends_with("caf\u{fffd}.png"), "{record}");
        assert_eq!((&record["image_bytes"], &record["predictions"][0]["class"]), (&json!(bytes), &json!(4)));
        for format in ["text", "csv"] {
            let mut predict = program::digits_command();
            let output = predict.args(["--format", format]).arg(given).output().unwrap();
            assert!(output.stdout.windows(bytes.len()).any(|window| window == bytes), "{format}: {:?}", output.stdout);
        }
    }
    // A name that is Unicode has no such field.
    assert!(records(&digits(&["--format", "jsonl", &digit(1)]).out)[0]["image_bytes"].is_null());
    let output =
        program::digits_command().arg(folder.path().join(OsStr::from_bytes(b"lost\xff.png"))).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains(r"lost\xff.png: No such file"), "{output:?}");
    let checkpoint = folder.path().join(OsStr::from_bytes(b"m\xfc.safetensors"));
    std::fs::copy(MNIST, &checkpoint).unwrap();
    let output = program::command(PRETRAINED).args(["inspect", "--json"]).arg(&checkpoint).output().unwrap();
    let object: serde_json::Value = serde_json::from_str(&left(output).out).unwrap();
    assert_eq!(object["file_bytes"], json!(checkpoint.as_os_str().as_bytes()));
}

/// Windows once took 260 characters at most.
#[test]
fn a_path_may_be_longer_than_260_characters() {
    let folder = tempfile::tempdir().unwrap();
    let deep = (0..4).fold(folder.path().to_owned(), |path, n| path.join(format!("{n}").repeat(80)));
    std::fs::create_dir_all(&deep).unwrap();
    let [image, model, new] = ["7.png", "model.safetensors", "new.safetensors"].map(|name| deep.join(name));
    std::fs::copy(digit(7), &image).unwrap();
    std::fs::copy(MNIST, &model).unwrap();
    assert!(image.as_os_str().len() > 320);
    for given in [&image, &deep] {
        let mut arguments = ["--format", "jsonl", "--weights"].map(OsStr::new).to_vec();
        arguments.extend([model.as_os_str(), given.as_os_str()]);
        let left = digits(&arguments);
        assert_eq!(left.code, Some(0), "{left:?}");
        assert_eq!(records(&left.out)[0]["predictions"][0]["class"], json!(7));
    }
    // Made, replaced, and read.
    for what in [&["convert"][..], &["convert", "--force"], &["diff"]] {
        let files = [model.as_os_str(), new.as_os_str()];
        let left = run(PRETRAINED, &[&what.iter().map(OsStr::new).collect::<Vec<_>>()[..], &files].concat());
        assert_eq!(left.code, Some(0), "{left:?}");
    }
}

/// The files of cases/hostile/ext_nm.py and ext_bomb.py, and more of their kind.
#[test]
fn endless_names_and_shapes_are_cut() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let long = "a".repeat(70_000);
    let files = [at("name"), at("name2"), at("wide")].map(|path| path + ".safetensors");
    write_safetensors(files[0].as_ref(), &json!({&long: {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}), &[0]);
    let two = json!({
        &long: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
        "b": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]},
    });
    write_safetensors(files[1].as_ref(), &two, &[0; 8]);
    let wide = json!({"fc.weight": {"dtype": "F32", "shape": vec![1; 30_000], "data_offsets": [0, 4]}});
    write_safetensors(files[2].as_ref(), &wide, &[0; 4]);
    for file in &files {
        let inspected = run(PRETRAINED, &["inspect", file]);
        assert_eq!(inspected.code, Some(0), "{inspected:?}");
        for arguments in
            [&["inspect", file][..], &["verify", file], &["diff", file, MNIST], &["export", file, "x.onnx"]]
        {
            let left = run(PRETRAINED, arguments);
            assert!(left.code.is_some_and(|code| code <= 2), "{arguments:?}: {left:?}");
            let longest = left.out.lines().chain(left.err.lines()).map(str::len).max();
            assert!(longest < Some(3000), "{arguments:?}: {longest:?}");
        }
        let left = run(PREDICT, &["--device", "cpu", "--weights", file, &digit(1)]);
        assert!(left.code == Some(2) && left.err.lines().all(|line| line.len() < 3000), "{left:?}");
        // JSON has all of it.
        let object: serde_json::Value =
            serde_json::from_str(&run(PRETRAINED, &["inspect", "--json", file]).out).unwrap();
        assert!(
            object["tensors"][0]["name"] == long || object["tensors"][0]["shape"].as_array().unwrap().len() == 30_000
        );
    }
    let inspected = run(PRETRAINED, &["inspect", &files[1]]).out;
    assert!(inspected.contains("a... (70000 characters)  f32"), "{inspected}");
    assert!(inspected.contains("\nb                 ") || inspected.contains("\nb  f32  [1]"), "{inspected}");
    assert!(run(PRETRAINED, &["inspect", &files[2]]).out.contains("[1, 1, 1, 1, 1, 1, 1, 1, ... 30000 dimensions]"));
}

/// One name of 65,000 bytes beside 140,000 short ones: as columns of one width they would take 9 GB.
#[cfg(target_os = "linux")]
#[test]
fn one_endless_name_among_many_takes_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bomb.safetensors");
    let entry = r#"{"dtype":"U8","shape":[0],"data_offsets":[0,0]}"#;
    let names = (0..140_000).map(|n| n.to_string()).chain(["a".repeat(65_000)]);
    let header = format!("{{{}}}", names.map(|name| format!("\"{name}\":{entry}")).collect::<Vec<_>>().join(","));
    let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
    std::fs::write(&file, bytes).unwrap();
    // 1 GB of addresses, in which parsing the header takes a part.
    for (flag, least) in [(None, 140_000), (Some("--json"), 1)] {
        let mut shell = program::command("sh");
        shell.args(["-c", "ulimit -v 1000000 && exec \"$@\"", "sh", PRETRAINED, "inspect"]).args(flag).arg(&file);
        let output = shell.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stdout.iter().filter(|byte| **byte == b'\n').count() >= least);
        assert!(output.stdout.len() < 20_000_000, "{} bytes", output.stdout.len());
    }
}
