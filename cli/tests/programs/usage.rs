//! `predict` and `pretrained` as a user meets them: formats, exit codes, flags, and what bad input gets.

use crate::common;
use crate::program::{no_file, no_folder};
use pretrained::{SaveFormat, SaveOptions, StateDict};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const DIGITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/digits");
const IMAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/images");
const MNIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/mnist_mlp.safetensors");

fn command(binary: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary);
    // No cache of the user's, and no network, may have a part in this.
    let nowhere = std::env::temp_dir().join("pretrained-tests-nowhere");
    command
        .args(arguments)
        .env("PRETRAINED_OFFLINE", "1")
        .env("PRETRAINED_CACHE", &nowhere)
        .env("TORCH_HOME", &nowhere);
    command
}

fn run(binary: &str, arguments: &[&str]) -> (String, String, i32) {
    finished(command(binary, arguments).output().unwrap())
}

fn finished(output: Output) -> (String, String, i32) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code().unwrap())
}

/// `predict` on the CPU, with the MNIST model.
fn digits(arguments: &[&str]) -> (String, String, i32) {
    let all = [&["--device", "cpu", "--model", "mnist_mlp"], arguments].concat();
    run(env!("CARGO_BIN_EXE_predict"), &all)
}

fn digit(n: usize) -> String {
    format!("{DIGITS}/digit_{n}.png")
}

fn lines(text: &str) -> Vec<serde_json::Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn json_lines_are_exactly_as_documented() {
    let (out, _, code) = digits(&["--format", "jsonl", &digit(3)]);
    let start = format!(
        r#"{{"image": "{}", "model": "mnist_mlp", "device": "cpu", "activation": "softmax", "predictions": [{{"class": 3, "label": "3", "probability": 0."#,
        digit(3)
    );
    assert!(out.starts_with(&start), "{out}");
    assert!(out.ends_with("}], \"error\": null}\n"), "{out}");
    assert_eq!((lines(&out).len(), code), (1, 0));
}

#[test]
fn results_come_in_the_order_of_the_images_whatever_the_batch() {
    let names: Vec<String> = [5, 1, 9, 0, 7, 2, 8].into_iter().map(digit).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for batch in ["1", "3", "100"] {
        let (out, _, code) = digits(&[&["--format", "jsonl", "--batch-size", batch], &names[..]].concat());
        let images: Vec<String> = lines(&out).iter().map(|l| l["image"].as_str().unwrap().to_owned()).collect();
        let classes: Vec<u64> = lines(&out).iter().map(|l| l["predictions"][0]["class"].as_u64().unwrap()).collect();
        assert_eq!((images, code), (names.iter().map(|n| n.to_string()).collect(), 0));
        assert_eq!(classes, [5, 1, 9, 0, 7, 2, 8]);
    }
}

#[test]
fn results_are_the_same_on_any_number_of_threads() {
    let all = |threads| digits(&["--format", "csv", "--top-k", "10", "--threads", threads, DIGITS, "missing.png"]);
    let (out, err, code) = all("1");
    assert_eq!((out.lines().count(), code), (1 + 10 * 10 + 1, 1), "{out}");
    assert_eq!(err, format!("predict: missing.png: {}\npredict: 1 of 11 failed\n", no_file()));
    for threads in ["2", "3", "16"] {
        assert_eq!(all(threads), (out.clone(), err.clone(), 1), "{threads} threads");
    }
}

#[test]
fn the_fastest_device_is_measured_once_and_remembered() {
    let Some(gpu) = common::gpus().into_iter().next() else { return };
    let cache = tempfile::tempdir().unwrap();
    let file = cache.path().join("fastest.json");
    let device = || {
        let image = digit(4);
        let arguments = ["--device", "fastest", "--model", "mnist_mlp", "--format", "jsonl", &image];
        let mut predict = command(env!("CARGO_BIN_EXE_predict"), &arguments);
        let name = gpu.name();
        predict.env("PRETRAINED_CACHE", cache.path()).env("WGPU_ADAPTER_NAME", name.split(' ').next().unwrap());
        let (out, err, code) = finished(predict.output().unwrap());
        assert_eq!((&lines(&out)[0]["predictions"][0]["class"], code), (&4.into(), 0), "{out}{err}");
        lines(&out)[0]["device"].as_str().unwrap().to_owned()
    };
    let measured = device();
    assert!(measured == "cpu" || measured == gpu.name(), "{measured}");

    // Whatever the file says from now on is believed.
    let mut times: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let entries = times.as_object_mut().unwrap();
    assert_eq!(entries.len(), 1);
    let key = entries.keys().next().unwrap().clone();
    for part in ["mlp_784", "1 of 1x28x28", &gpu.name(), env!("CARGO_PKG_VERSION")] {
        assert!(key.contains(part), "{part} is not in {key}");
    }
    for (gpu_seconds, expected) in [(1.0, gpu.name()), (3.0, "cpu".to_owned())] {
        let times = serde_json::json!({ &key: { "gpu": gpu_seconds, "cpu": 2.0 } });
        std::fs::write(&file, times.to_string()).unwrap();
        assert_eq!(device(), expected);
    }
    std::fs::write(&file, "damaged").unwrap();
    device();
    assert!(std::fs::read_to_string(&file).unwrap().contains(&key), "a damaged file is replaced");
}

#[test]
fn a_bad_image_is_reported_and_the_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.png");
    std::fs::write(&empty, b"").unwrap();
    let text = folder.path().join("text.jpg");
    std::fs::write(&text, b"this is no picture").unwrap();
    let path = |p: &Path| p.to_str().unwrap().to_owned();
    let (out, _, code) =
        digits(&["--format", "jsonl", &path(&empty), &digit(4), &path(&text), "/no/such/file.png", &digit(6)]);
    let lines = lines(&out);
    assert_eq!((lines.len(), code), (5, 1));
    for (i, reason) in [(0, "empty"), (2, "text.jpg"), (3, &*no_folder())] {
        assert_eq!(lines[i]["predictions"], serde_json::json!([]));
        assert!(lines[i]["error"].as_str().unwrap().contains(reason), "{}", lines[i]);
    }
    assert_eq!((&lines[1]["predictions"][0]["class"], &lines[4]["predictions"][0]["class"]), (&4.into(), &6.into()));
}

#[test]
fn text_carries_the_lines_of_oneflows_page() {
    let page = ["--model", "mnist_mlp", "--model_path", MNIST, "--image_path", &digit(7), "--device", "cpu"];
    let (out, _, code) = run(env!("CARGO_BIN_EXE_predict"), &page);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!((lines.len(), code), (6, 0), "{out}");
    assert_eq!(lines[0], "Predicting using mnist_mlp ...");
    assert!(lines[1].starts_with("init time : ") && lines[2].starts_with("load params time : "), "{out}");
    assert_eq!(lines[3], digit(7));
    assert!(lines[4].starts_with("infer time : "), "{out}");
    assert!(lines[5].starts_with("predict prob: 0.") && lines[5].ends_with(", class name: 7"), "{out}");
}

#[test]
fn text_is_results_and_nothing_else() {
    let (out, err, code) = digits(&[&digit(7), "missing.png", &digit(1)]);
    let expected = format!(
        "{}\npredict prob: _, class name: 7\nmissing.png\nerror: {}\n{}\npredict prob: _, class name: 1\n",
        digit(7),
        no_file(),
        digit(1)
    );
    let probability = regex::Regex::new(r"0\.\d{6}").unwrap();
    assert_eq!((probability.replace_all(&out, "_").as_ref(), code), (&*expected, 1), "{err}");
    let (same, err, _) = digits(&["--verbose", &digit(7), "missing.png", &digit(1)]);
    assert_eq!(same, out);
    for part in ["mlp_784-128-64-10 runs on cpu, for images of 1x28x28", "6 parameters loaded", "load "] {
        assert!(err.contains(part), "{part} is not in {err}");
    }
}

#[test]
fn json_is_one_array_and_csv_has_a_header() {
    let (out, _, _) = digits(&["--format", "json", "--top-k", "3", &digit(1), &digit(2)]);
    let array: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(array.as_array().unwrap().len(), 2);
    assert_eq!(array[1]["predictions"].as_array().unwrap().len(), 3);
    let (out, _, _) = digits(&["--format", "csv", "--top-k", "2", &digit(1), "missing,\"1\".png"]);
    let rows: Vec<csv::StringRecord> = csv::Reader::from_reader(out.as_bytes()).records().map(Result::unwrap).collect();
    assert!(out.starts_with("image,model,device,rank,class,label,probability,error,activation\n"));
    assert_eq!((rows.len(), &rows[0][3], &rows[1][3], &rows[0][4]), (3, "1", "2", "1"));
    assert_eq!((&rows[2][0], &rows[2][3]), ("missing,\"1\".png", ""));
    assert!(!rows[2][7].is_empty());
}

#[test]
fn folders_globs_and_standard_input_are_images_too() {
    let (out, _, code) = digits(&["--format", "jsonl", DIGITS]);
    assert_eq!((lines(&out).len(), code), (10, 0));
    let (out, _, code) = digits(&["--format", "jsonl", &format!("{DIGITS}/digit_[1-3].*")]);
    assert_eq!((lines(&out).len(), code), (3, 0));
    let (out, _, code) = digits(&["--format", "jsonl", &format!("{DIGITS}/*.nothing")]);
    assert!(lines(&out)[0]["error"].as_str().unwrap().contains("no file matches") && code == 1, "{out}");

    let mut child =
        command(env!("CARGO_BIN_EXE_predict"), &["--device", "cpu", "--model", "mnist_mlp", "--format", "jsonl", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
    child.stdin.take().unwrap().write_all(&std::fs::read(digit(8)).unwrap()).unwrap();
    let (out, _, code) = finished(child.wait_with_output().unwrap());
    assert_eq!(
        (&lines(&out)[0]["image"], &lines(&out)[0]["predictions"][0]["class"], code),
        (&"-".into(), &8.into(), 0)
    );
}

#[test]
fn what_cannot_start_says_why_and_exits_with_2() {
    let cases: [(&[&str], &str); 28] = [
        (&[], "no image is given"),
        (&["--model", "mnist_mpl", "x.png"], "did you mean mnist_mlp?"),
        (&["--weights", "/no/such/weights.pth", "x.png"], "/no/such/weights.pth"),
        (&["--weights", &digit(1), "x.png"], "digit_1.png"),
        (&["--device", "no such device", "x.png"], "cpu [CPU]"),
        (&["--preset", "imagenets", "x.png"], "torchvision"),
        (&["--device", "", "x.png"], "cpu [CPU]"),
        (&["--device", " ", "x.png"], "cpu [CPU]"),
        (&["--activation", "relu", "x.png"], "softmax, sigmoid, none"),
        (&["--batch-size", "0", "x.png"], "at least 1"),
        (&["--threads", "0", "x.png"], "a whole number of at least 1"),
        (&["--threads", "100000", "--device", "cpu", "x.png"], "at most 1024"),
        (&["--top-k", "five", "x.png"], "a whole number of at least 1"),
        (&["-k", "0", "x.png"], "a whole number of at least 1"),
        (&["-k", "-1", "x.png"], "a whole number of at least 1"),
        (&["--rename", "(=x", "x.png"], "`(` is no regular expression: unclosed group"),
        (&["--rename", "[a=x", "x.png"], "`[a` is no regular expression: unclosed character class"),
        (&["--std", "inf,1,1", "x.png"], "the std inf,1,1 must be finite"),
        (&["--mean", "0,-inf,0", "x.png"], "the mean 0,-inf,0 must be finite"),
        (&["--device", "cuda", "x.png"], "--device gpu"),
        (&["--device", "cuda:0", "x.png"], "--device gpu"),
        (&["--device", "mps", "x.png"], "--device gpu"),
        (&["--threads", "-1", "x.png"], "--threads"),
        (&["--labels", MNIST, "x.png"], "mnist_mlp.safetensors"),
        (&["--mean", "123,117,104", "x.png"], "divide by 255, which gives 0.48235,0.45882,0.40784"),
        (&["--std", "58.395,57.12,57.375", "x.png"], "divide by 255, which gives 0.229,0.224,0.225"),
        (&["--mean", "a,b", "x.png"], "0.485,0.456,0.406"),
        (&["--mean", "", "x.png"], "one a channel"),
    ];
    for (arguments, reason) in cases {
        let (out, err, code) = run(env!("CARGO_BIN_EXE_predict"), arguments);
        assert_eq!((out.as_str(), code), ("", 2), "{arguments:?}: {err}");
        assert!(err.contains(reason), "{arguments:?}: {err}");
        assert!(!err.contains(r"\n"), "{arguments:?}: {err}");
    }
    let (_, err, code) =
        run(env!("CARGO_BIN_EXE_pretrained"), &["bench", "--model", "mnist_mlp", "--device", "cuda:0"]);
    assert!(code == 2 && err.contains("--device gpu"), "{err}");
}

#[test]
fn only_the_command_with_two_checkpoints_speaks_of_the_first() {
    for (command, two) in [("inspect", false), ("convert", false), ("export", false), ("diff", true)] {
        let (out, _, code) = run(env!("CARGO_BIN_EXE_pretrained"), &[command, "--help"]);
        assert_eq!((code, out.contains("--rename"), out.contains("of the first checkpoint:")), (0, true, two), "{out}");
    }
}

#[test]
fn a_model_that_cannot_be_had_says_where_it_was_looked_for() {
    let (_, err, code) = run(env!("CARGO_BIN_EXE_predict"), &["--model", "shufflenetv2_x1.0", &digit(1), "x.png"]);
    let parts =
        ["https://download.pytorch.org/models/shufflenetv2_x1-5666bf0f80.pth", "--weights", "pretrained-tests-nowhere"];
    assert!(code == 2 && parts.iter().all(|part| err.contains(part)), "{err}");
}

#[test]
fn no_weights_are_downloaded_where_no_picture_is_there() {
    for arguments in [&["typo.jpg"][..], &["typo.jpg", "*.nothing"]] {
        let (out, err, code) = run(env!("CARGO_BIN_EXE_predict"), &[&["--model", "resnet18"], arguments].concat());
        let expected = format!("predict: typo.jpg: {}\n", no_file());
        assert_eq!((out.as_str(), err.as_str(), code), ("", expected.as_str(), 2));
    }
    let (_, err, _) = run(env!("CARGO_BIN_EXE_predict"), &["--model", "resnte18", "typo.jpg"]);
    assert!(err.contains("did you mean resnet18?"), "{err}");
}

#[test]
fn a_checkpoint_that_is_given_as_an_image_leads_to_weights() {
    let folder = tempfile::tempdir().unwrap();
    let [torch, oneflow] = ["model.pth", "snapshot"].map(|name| folder.path().join(name).to_str().unwrap().to_owned());
    for (file, format) in [(&torch, "torch"), (&oneflow, "oneflow")] {
        assert_eq!(run(env!("CARGO_BIN_EXE_pretrained"), &["convert", MNIST, file, "--to", format]).2, 0);
    }
    for (file, kind) in [(MNIST, "safetensors"), (&torch, "PyTorch zip"), (&oneflow, "OneFlow")] {
        // The shipped model has no say about a picture beside it.
        let (out, err, code) = run(env!("CARGO_BIN_EXE_predict"), &["--device", "cpu", file, &digit(1)]);
        assert_eq!((out.as_str(), code), ("", 2), "{err}");
        let expected = format!("predict: {file}: is a checkpoint ({kind}");
        assert!(err.contains(&expected) && err.contains(&format!("--weights {file}")), "{err}");
        // Where there is a model, it is one image that fails.
        let (out, err, code) = digits(&["--format", "jsonl", file, &digit(1)]);
        assert_eq!((lines(&out).len(), code), (2, 1), "{err}");
        assert!(lines(&out)[0]["error"].as_str().unwrap().contains("is a checkpoint"), "{out}");
    }
    // One that does not open is told by its name.
    let damaged = folder.path().join("damaged.pth").to_str().unwrap().to_owned();
    std::fs::write(&damaged, b"PK\x03\x04 and nothing else").unwrap();
    let (out, err, code) = run(env!("CARGO_BIN_EXE_predict"), &["--device", "cpu", &damaged, &digit(1)]);
    assert!(out.is_empty() && code == 2 && err.contains(&format!("--weights {damaged}")), "{out}{err}");
    // The other way round.
    let (_, err, code) = run(env!("CARGO_BIN_EXE_predict"), &["--weights", &digit(1), &digit(2)]);
    assert!(code == 2 && err.contains(&format!("pictures go without a flag: predict {}", digit(1))), "{err}");
}

#[test]
fn errors_lead_on_in_the_words_of_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("odd.safetensors");
    let odd: StateDict = [("odd", pretrained::Tensor::from_f32(&[1], &[0.5]).unwrap())].into_iter().collect();
    odd.save(&file, &SaveOptions::default()).unwrap();
    let file = file.to_str().unwrap();
    let (_, err, code) = run(env!("CARGO_BIN_EXE_predict"), &["--weights", file, &digit(1)]);
    assert!(
        code == 2 && err.ends_with(&format!("predict: `pretrained inspect {file}` lists what it holds\n")),
        "{err}"
    );
    // Not where that could not be read either.
    std::fs::write(file, "neither").unwrap();
    let (_, err, code) = run(env!("CARGO_BIN_EXE_predict"), &["--weights", file, &digit(1)]);
    assert!(code == 2 && !err.contains("inspect"), "{err}");
}

#[test]
fn commands_of_the_other_program_lead_there() {
    for command in ["inspect", "convert", "diff", "verify", "bench", "export", "devices"] {
        let (out, err, code) = run(env!("CARGO_BIN_EXE_predict"), &[command, "model.pth"]);
        assert_eq!((out.as_str(), code), ("", 2));
        assert!(err.contains(&format!("pretrained {command}")), "{err}");
    }
    let (out, err, code) = run(env!("CARGO_BIN_EXE_pretrained"), &["predict", "--weights", "m.pth", "cat.jpg"]);
    assert_eq!((out.as_str(), code), ("", 2));
    assert!(err.contains("predict --weights m.pth cat.jpg"), "{err}");
    let (out, _, code) = run(env!("CARGO_BIN_EXE_predict"), &["help"]);
    assert!(code == 0 && out.contains("Usage: predict"), "{out}");
}

/// Whoever uses the library has no command line.
#[test]
fn no_error_of_the_library_speaks_of_flags_or_commands() {
    let commands = ["devices", "inspect", "convert", "export", "diff", "verify", "bench"];
    let mut help = run(env!("CARGO_BIN_EXE_predict"), &["--help"]).0;
    help.extend(commands.map(|command| run(env!("CARGO_BIN_EXE_pretrained"), &[command, "--help"]).0));
    let flag = regex::Regex::new(r"--[a-z][a-z-]+").unwrap();
    let flags: std::collections::BTreeSet<&str> = flag.find_iter(&help).map(|found| found.as_str()).collect();
    assert!(flags.contains("--weights") && flags.contains("--tolerance"), "{flags:?}");
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../src")];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
                let spoken = flag.find_iter(line).find(|found| flags.contains(found.as_str()));
                assert!(spoken.is_none(), "{}: {line}", path.display());
                let named = commands.iter().any(|command| line.contains(&format!("pretrained {command}")));
                assert!(!named, "{}: {line}", path.display());
            }
        }
    }
}

#[test]
fn help_has_examples_and_exit_codes() {
    for flag in ["--help", "-h", "help"] {
        let (out, _, code) = run(env!("CARGO_BIN_EXE_predict"), &[flag]);
        assert!(
            out.contains("Examples:\n  predict photos/") && out.contains("Exit codes: 0 all images") && code == 0,
            "{out}"
        );
    }
    for command in [&[][..], &["inspect"], &["convert"], &["export"], &["diff"], &["verify"], &["bench"]] {
        let (out, _, code) = run(env!("CARGO_BIN_EXE_pretrained"), &[command, &["--help"]].concat());
        assert!(out.contains("Exit codes: 0 ") && out.contains("Example") && code == 0, "{out}");
    }
}

#[test]
fn flags_have_short_names() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("results.csv");
    std::fs::write(&file, "what was there before, which is longer than what is written now, or so it should be")
        .unwrap();
    let arguments = ["-d", "cpu", "-k", "2", "-f", "csv", "-b", "3", "-o", file.to_str().unwrap(), "-q"];
    let (out, err, code) =
        run(env!("CARGO_BIN_EXE_predict"), &[&arguments[..], &["--model", "mnist_mlp", DIGITS]].concat());
    assert_eq!((out.as_str(), err.as_str(), code), ("", "", 0));
    let long = ["--top-k", "2", "--format", "csv", "--batch-size", "3", DIGITS];
    assert_eq!(std::fs::read_to_string(&file).unwrap(), digits(&long).0);
    let (_, err, code) = run(env!("CARGO_BIN_EXE_predict"), &["-v", "-d", "cpu", &digit(1)]);
    assert!(code == 0 && err.contains("runs on cpu"), "{err}");
    let (_, err, code) = run(
        env!("CARGO_BIN_EXE_pretrained"),
        &["bench", "-d", "cpu", "-b", "1", "-q", "--runs", "1", "--model", "mnist_mlp"],
    );
    assert_eq!((err.as_str(), code), ("", 0));
}

#[test]
fn results_replace_no_picture_and_are_written_where_they_can_be() {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("a.png");
    std::fs::copy(digit(1), &picture).unwrap();
    let picture = picture.to_str().unwrap();
    let (_, err, code) = digits(&["-o", picture, picture]);
    assert!(code == 2 && err.contains("is one of the images"), "{err}");
    assert_eq!(std::fs::read(picture).unwrap(), std::fs::read(digit(1)).unwrap());
    let (_, err, code) = digits(&["-o", "/no/such/folder/x.json", picture]);
    assert!(code == 2 && err.contains(&format!("/no/such/folder/x.json: {}", no_folder())), "{err}");
}

/// Whatever path leads to it, and before anything else is done with it.
#[cfg(unix)]
#[test]
fn results_replace_nothing_that_is_read_for_them() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let before = std::fs::read(digit(1)).unwrap();
    std::fs::create_dir(at("photos")).unwrap();
    for name in ["a.png", "photos/b.png"] {
        std::fs::write(at(name), &before).unwrap();
    }
    std::fs::create_dir(at("weights")).unwrap();
    std::fs::copy(MNIST, at("weights/w.safetensors")).unwrap();
    std::fs::write(at("weights/config.json"), "{}").unwrap();
    std::fs::write(at("labels.txt"), "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n").unwrap();
    std::fs::write(at("model.onnx"), b"\x0alocation\x12\x0amodel.data").unwrap();
    std::fs::write(at("index.json"), r#"{"weight_map": {"x": "part-1.bin"}}"#).unwrap();
    for part in ["model.data", "part-1.bin"] {
        std::fs::write(at(part), b"data").unwrap();
    }
    std::os::unix::fs::symlink(at("a.png"), at("soft")).unwrap();
    std::fs::hard_link(at("a.png"), at("hard")).unwrap();
    std::fs::hard_link(at("weights/w.safetensors"), at("hard weights")).unwrap();
    let refused = |what: &str, results: &str, arguments: &[&str]| {
        let old = std::fs::read(folder.path().join(results)).unwrap();
        let all = [&["--device", "cpu", "--model", "mnist_mlp", "-o", results], arguments].concat();
        let mut predict = command(env!("CARGO_BIN_EXE_predict"), &all);
        predict.current_dir(folder.path()).stdin(std::fs::File::open(at("a.png")).unwrap());
        let (_, err, code) = finished(predict.output().unwrap());
        let said = err.contains(results) && err.contains(what) && err.contains("would replace it");
        assert!(said && code == 2, "{results} {arguments:?}: {err}");
        assert!(std::fs::read(folder.path().join(results)).unwrap() == old, "{results} {arguments:?} was replaced");
    };
    for same in ["a.png", "./a.png", "photos/../a.png", "soft", "hard", &at("a.png")] {
        refused("one of the images, a.png", same, &["a.png"]);
        refused("standard input", same, &["-"]);
    }
    refused("one of the images, soft", "a.png", &["soft"]);
    refused("one of the images, photos/b.png", &at("photos/b.png"), &["photos"]);
    refused("labels.txt", "./labels.txt", &["a.png", "--labels", "labels.txt"]);
    for same in ["weights/w.safetensors", "./weights/w.safetensors", "hard weights"] {
        refused("weights/w.safetensors", same, &["a.png", "--weights", "weights/w.safetensors"]);
        refused("in the folder of weights, weights", same, &["a.png", "--weights", "weights"]);
    }
    refused("in the folder of weights, weights", "weights/config.json", &["a.png", "--weights", "weights"]);
    refused("model.onnx", "./model.data", &["a.png", "--weights", "model.onnx"]);
    refused("index.json", "part-1.bin", &["a.png", "--weights", "./index.json"]);

    // Results of an earlier run are there to be replaced, beside pictures and weights too.
    for results in ["photos/results.csv", "weights/results.csv"] {
        for _ in 0..2 {
            let (results, weights) = (at(results), at("weights/w.safetensors"));
            let (_, err, code) = digits(&["-f", "csv", "-o", &results, "--weights", &weights, &at("photos")]);
            assert_eq!(code, 0, "{err}");
            assert!(std::fs::read_to_string(&results).unwrap().contains("b.png"));
        }
    }
}

/// The second image is a pipe into which nothing is written until the first result is there.
#[cfg(unix)]
#[test]
fn the_first_result_does_not_wait_for_other_images() {
    use std::io::{BufRead, BufReader};
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("slow.png");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for threads in ["1", "4"] {
        let (first, pipe) = (digit(3), pipe.to_str().unwrap());
        let all = [
            "--device",
            "cpu",
            "--model",
            "mnist_mlp",
            "--format",
            "jsonl",
            "--threads",
            threads,
            &first,
            pipe,
            &first,
        ];
        let mut child = command(env!("CARGO_BIN_EXE_predict"), &all).stdout(Stdio::piped()).spawn().unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        let reader = std::thread::spawn(move || out.lines().for_each(|line| drop(sender.send(line.unwrap()))));
        let line = receiver.recv_timeout(std::time::Duration::from_secs(60));
        if line.is_err() {
            child.kill().unwrap();
        }
        assert!(line.unwrap().contains("\"class\": 3"));
        std::fs::write(pipe, std::fs::read(digit(8)).unwrap()).unwrap();
        reader.join().unwrap();
        let rest: Vec<String> = receiver.iter().collect();
        assert!(rest.len() == 2 && rest[0].contains("\"class\": 8"), "{rest:?}");
        assert!(child.wait().unwrap().success());
    }
}

/// The refusal names the pipe, and nothing reads it after that.
#[cfg(unix)]
#[test]
fn weights_that_are_a_pipe_are_refused_without_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("weights.pth");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let all = ["--device", "cpu", "--weights", pipe.to_str().unwrap(), &digit(3)];
    let mut child = command(env!("CARGO_BIN_EXE_predict"), &all).stderr(Stdio::piped()).spawn().unwrap();
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while child.try_wait().unwrap().is_none() && std::time::Instant::now() < end {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let hangs = child.try_wait().unwrap().is_none();
    if hangs {
        child.kill().unwrap();
    }
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(!hangs && output.status.code() == Some(2) && err.contains("is no regular file"), "{err}");
}

#[test]
fn without_a_model_the_shipped_one_gets_the_example_images_right() {
    let (out, err, code) = run(env!("CARGO_BIN_EXE_predict"), &["--device", "cpu", "--format", "jsonl", IMAGES]);
    assert!(err.contains("ten classes") && err.contains("--model shufflenetv2_x1_0"), "{err}");
    let lines = lines(&out);
    assert!(lines.len() >= 6 && code == 0, "{out}");
    for line in lines {
        let label = line["predictions"][0]["label"].as_str().unwrap();
        let file = PathBuf::from(line["image"].as_str().unwrap());
        assert!(file.file_stem().unwrap().to_str().unwrap().starts_with(label), "{line}");
    }
}

#[test]
fn parts_of_the_preprocessing_can_be_set() {
    let plain = digits(&["--format", "jsonl", &digit(5)]).0;
    for change in [
        &["--invert"][..],
        &["--mean", "0.5"],
        &["--std", "0.5"],
        &["--resize-filter", "nearest", "--size", "14", "--crop", "28"],
    ] {
        let (out, err, code) = digits(&[change, &["--format", "jsonl", &digit(5)]].concat());
        assert_eq!(code, 0, "{change:?}: {err}");
        assert_ne!(out, plain, "{change:?}");
    }
    let (_, err, code) = digits(&["--size", "32", &digit(5)]);
    assert!(code == 2 && err.contains("784"), "{err}");
}

#[test]
fn numbers_and_words_are_taken_as_people_write_them() {
    let (_, err, code) = digits(&["--mean", "0.1, 0.2, 0.3", &digit(5)]);
    assert!(code == 2 && err.contains("mean has 3 values, and the input has 1 channel"), "{err}");
    let picture = format!("{IMAGES}/ship.png");
    let of = |arguments: &[&str]| {
        let all = [&["--device", "cpu", "--format", "jsonl", "--top-k", "10", &picture], arguments].concat();
        let (out, err, code) = run(env!("CARGO_BIN_EXE_predict"), &all);
        assert_eq!(code, 0, "{arguments:?}: {err}");
        out
    };
    for (one, other) in [
        (&["--mean", "0.485, 0.456, 0.406"][..], &["--mean", "0.485,0.456,0.406"][..]),
        (&["--mean", "[0.485 0.456 0.406]", "--std=0.5"], &["--mean", "0.485,0.456,0.406", "--std", "0.5,0.5,0.5"]),
        (&["--mean", "-0.5,0,0"], &["--mean=-0.5,0,0"]),
        (&["--preset", "imagenet"], &["--preset", "Torchvision"]),
        (&["--resize-filter", "lanczos"], &["--resize-filter", "lanczos3"]),
        (&["--resize-filter", "linear"], &["--resize-filter", "bilinear"]),
        (&["--resize-filter", "cubic"], &["--resize-filter", "bicubic"]),
        (&["--labels", "CIFAR10"], &["--labels", "cifar10"]),
    ] {
        assert_eq!(of(one), of(other), "{one:?}");
    }
    assert_ne!(of(&["--mean", "-0.5,0,0"]), of(&["--mean", "0.5,0,0"]));
}

/// A preset is made for images of a size, and gives the network its own.
#[test]
fn presets_take_the_side_and_the_grey_of_the_network() {
    for preset in ["mnist32", "cifar10-tutorial", "levels", "torchvision"] {
        let (out, err, code) = digits(&["--preset", preset, "--format", "jsonl", &digit(5)]);
        assert!(code == 0 && err.is_empty(), "{preset}: {out}{err}");
    }
}

/// Pixels that are prepared by a guess are told, in one line that says how to set it.
#[test]
fn a_guess_at_the_preprocessing_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plain.safetensors");
    StateDict::open(MNIST)
        .unwrap()
        .iter()
        .map(|(name, tensor)| (name.to_owned(), tensor.clone()))
        .collect::<StateDict>()
        .save(&file, &SaveOptions::default())
        .unwrap();
    let image = digit(5);
    let predict = |arguments: &[&str]| {
        let all = [&["--device", "cpu", "--weights", file.to_str().unwrap(), &image], arguments].concat();
        run(env!("CARGO_BIN_EXE_predict"), &all)
    };
    // Another guess, which no option answers, is told in any case.
    const RELU: &str = "predict: assumed ReLU between fully connected layers: names and shapes do not tell\n";
    let (_, err, code) = predict(&[]);
    let parts = [
        RELU,
        "plain.safetensors",
        "guessed the preset mnist: resized to 28x28 (bilinear), grey, values in 0..1",
        "--preset NAME",
    ];
    assert!(code == 0 && err.lines().count() == 2 && parts.iter().all(|part| err.contains(part)), "{err}");
    // A part of it is still a guess.
    assert!(predict(&["--mean", "0.1307"]).1.contains("guessed"));
    for said in [&["--preset", "mnist-standardized"][..], &["--mean", "0.1307", "--std", "0.3081"]] {
        let (out, err, code) = predict(&[said, &["--format", "jsonl"]].concat());
        assert_eq!((err.as_str(), code), (RELU, 0), "{said:?}");
        assert_eq!(lines(&out)[0]["predictions"][0]["class"], 5);
    }
    // What is shipped says how.
    assert_eq!(digits(&[&digit(5)]).1, "");
}

#[test]
fn labels_that_do_not_fit_name_their_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let labelled = |text: &str| {
        let file = folder.path().join("names.txt");
        std::fs::write(&file, text).unwrap();
        digits(&["--format", "jsonl", "--labels", file.to_str().unwrap(), &digit(5)])
    };
    let ten: String = (0..10).map(|n| format!("digit {n}\n")).collect();
    for header in ["background", "Background", "dummy", "label"] {
        let (out, err, code) = labelled(&format!("{header}\n{ten}"));
        assert!(code == 0 && err.contains("names.txt: line 1, ") && err.contains(header), "{err}");
        assert_eq!(lines(&out)[0]["predictions"][0]["label"], "digit 5");
    }
    let (_, err, code) = labelled(&format!("zero\n{ten}"));
    let reason = "names.txt: there are 11 labels, and the network has 10 classes; is line 1, \"zero\", a header";
    assert!(code == 2 && err.contains(reason), "{err}");
    let (_, err, code) = labelled("a\nb\nc\nd\ne\nf\ng\nh\ni");
    assert!(code == 2 && err.contains("names.txt: there are 9 labels, and the network has 10 classes"), "{err}");
    let numbered: String = (0..10).rev().map(|n| format!("{n}: digit {n}\n")).collect();
    let (out, err, code) = labelled(&format!("number: name\n{numbered}"));
    assert!(code == 0 && err.contains("line 1, \"number: name\", is taken for a header"), "{err}");
    assert_eq!(lines(&out)[0]["predictions"][0]["label"], "digit 5");
}

#[test]
fn strict_refuses_and_plain_mentions_parameters_of_no_use() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("more.safetensors");
    let state = pretrained::StateDict::open(MNIST).unwrap();
    let extra = pretrained::Tensor::from_f32(&[2], &[0.0, 0.0]).unwrap();
    let views = state.iter().chain([("l4.bias", &extra)]).map(|(name, tensor)| {
        let view = TensorView::new(Dtype::F32, tensor.shape().to_vec(), tensor.bytes()).unwrap();
        (name.to_owned(), view)
    });
    safetensors::serialize_to_file(views, None, &path).unwrap();
    let path = path.to_str().unwrap();
    let (_, err, code) = digits(&["--weights", path, &digit(1)]);
    assert!(err.contains("l4.bias"), "{code} {err}");
    let (_, err, code) = digits(&["--strict", "--weights", path, &digit(1)]);
    assert!(code == 2 && err.contains("l4.bias"), "{err}");
}

#[test]
fn a_folder_of_checkpoints_stands_for_its_newest() {
    let folder = tempfile::tempdir().unwrap();
    let mut older = pretrained::StateDict::open(MNIST).unwrap();
    let names: Vec<String> = older.names().map(str::to_owned).collect();
    let newest = folder.path().join("mlp-3_10.ckpt");
    let options = SaveOptions { format: SaveFormat::MindSpore, ..SaveOptions::default() };
    older.save(&newest, &options).unwrap();
    for name in names {
        let shape = older.get(&name).unwrap().shape().to_vec();
        let zeros = vec![0.0; shape.iter().product()];
        older.insert(name, pretrained::Tensor::from_f32(&shape, &zeros).unwrap());
    }
    older.save(folder.path().join("mlp-3_9.ckpt"), &options).unwrap();
    let (folder, newest) = (folder.path().to_str().unwrap(), newest.to_str().unwrap());

    let of = |weights: &str| {
        let model = ["--device", "cpu", "--preset", "mnist", "--format", "csv", "--weights", weights];
        run(env!("CARGO_BIN_EXE_predict"), &[&model[..], &[&digit(3), &digit(7)]].concat())
    };
    let ((out, err, code), (expected, quiet, _)) = (of(folder), of(newest));
    assert!(code == 0 && out == expected && expected.lines().count() == 3, "{out}{expected}");
    assert!(err.contains("took mlp-3_10.ckpt") && !quiet.contains("took"), "{err}{quiet}");

    let tool = |arguments: &[&str]| run(env!("CARGO_BIN_EXE_pretrained"), arguments);
    for arguments in [&["inspect", folder][..], &["verify", folder], &["diff", folder, newest]] {
        let (out, err, code) = tool(arguments);
        assert!(code == 0 && format!("{out}{err}").contains("took mlp-3_10.ckpt"), "{arguments:?}: {out}{err}");
    }
    let (out, err, code) = tool(&["bench", "--weights", folder, "--device", "cpu", "--runs", "1"]);
    assert!(code == 0 && err.contains("took mlp-3_10.ckpt"), "{out}{err}");
    assert_eq!(tool(&["diff", folder, &format!("{folder}/mlp-3_9.ckpt")]).2, 1);
    let (out, err, code) = tool(&["convert", folder, &format!("{folder}/out.pth")]);
    assert!(code == 0 && err.contains("took mlp-3_10.ckpt"), "{out}{err}");
}

#[test]
fn lists_name_devices_and_models() {
    let (out, _, code) = run(env!("CARGO_BIN_EXE_predict"), &["--list-devices"]);
    assert!(out.trim_end().ends_with("cpu [CPU]") && code == 0, "{out}");
    assert_eq!(out, run(env!("CARGO_BIN_EXE_pretrained"), &["devices"]).0);
    let (out, _, code) = run(env!("CARGO_BIN_EXE_predict"), &["--list-models"]);
    assert!(out.contains("mnist_mlp") && out.contains("shufflenetv2_x2_0") && code == 0, "{out}");
}

#[test]
fn inspect_lists_parameters_totals_format_and_network() {
    let (out, _, code) = run(env!("CARGO_BIN_EXE_pretrained"), &["inspect", MNIST]);
    for part in [
        "l1.weight  f32  [128, 784]",
        "6 tensors, 109386 numbers, 437544 bytes",
        "format: safetensors",
        "network: mlp_784-128-64-10",
    ] {
        assert!(out.contains(part), "{part} is not in {out}");
    }
    let (_, err, missing) = run(env!("CARGO_BIN_EXE_pretrained"), &["inspect", "/no/such/file"]);
    assert_eq!((code, missing), (0, 2), "{err}");
}

/// What `bench` prints of the smallest model with these arguments, an object a line, and what it remarks.
fn bench(arguments: &[&str]) -> (Vec<serde_json::Value>, String) {
    let all = [&["bench", "--model", "mnist_mlp", "--runs", "5", "--no-cache", "--json"], arguments].concat();
    let (out, err, code) = run(env!("CARGO_BIN_EXE_pretrained"), &all);
    assert_eq!(code, 0, "{err}");
    (lines(&out), err)
}

#[test]
fn bench_prints_one_json_object_a_batch_size() {
    let (objects, _) = bench(&["--device", "cpu", "--batch", "3,1,256"]);
    assert_eq!(objects.len(), 3);
    for (object, batch) in objects.iter().zip([3, 1, 256]) {
        assert_eq!(object.as_object().unwrap().len(), 17, "{object}");
        assert_eq!(object["precision"], "f32");
        let positive = ["min_ms", "median_ms", "p95_ms", "p99_ms", "load_ms", "first_run_ms", "images_per_second"];
        for key in positive.into_iter().chain(["mean_ms", "activation_bytes", "decode_ms", "preprocess_ms"]) {
            assert!(object[key].as_f64().unwrap() > 0.0, "{key}");
        }
        assert!(object["min_ms"].as_f64() <= object["median_ms"].as_f64());
        assert!((object["min_ms"].as_f64()..=object["p99_ms"].as_f64()).contains(&object["mean_ms"].as_f64()));
        assert_eq!(
            (&object["batch"], &object["runs"], &object["model"]),
            (&batch.into(), &5.into(), &"mnist_mlp".into())
        );
    }
    assert_eq!(run(env!("CARGO_BIN_EXE_pretrained"), &["bench", "--batch", "1,0"]).2, 2);
}

#[test]
fn bench_times_the_device_that_is_fastest() {
    let (objects, _) = bench(&["--device", "fastest", "--threads", "1"]);
    // Which one it is depends on the machine.
    assert!(objects[0]["device"].as_str().is_some_and(|name| !name.is_empty() && name != "fastest"));
}

#[test]
fn bench_says_what_a_submit_costs_and_that_a_gpu_has_no_use_for_threads() {
    for device in common::gpus() {
        let (objects, err) = bench(&["--device", &device.name(), "--threads", "2"]);
        assert!(err.contains("--threads is for the cpu device"), "{err}");
        // Not every system says what a thread has had of the processor.
        let submit: &[&str] = if cfg!(unix) { &["submit_cpu_min_us", "submit_cpu_median_us"] } else { &[] };
        for key in ["upload_ms", "gpu_ms", "readback_ms"].iter().chain(submit) {
            assert!(objects[0][key].as_f64().is_some_and(|time| time >= 0.0), "{key} in {}", objects[0]);
        }
        assert!(objects[0]["threads"].is_null(), "{}", objects[0]);
    }
}

#[test]
fn bench_times_halves_where_there_are_any() {
    for device in common::gpus() {
        let (objects, _) = bench(&["--device", &device.name(), "--precision", "f16"]);
        assert_eq!(objects[0]["precision"], "f16");
    }
    let arguments = ["bench", "--model", "mnist_mlp", "--device", "cpu", "--precision", "f16", "--no-cache"];
    let (_, err, code) = run(env!("CARGO_BIN_EXE_pretrained"), &arguments);
    assert_eq!(code, 2);
    assert!(err.contains("not as f16"), "{err}");
}

/// A parameter, and what it starts as.
const LACKING: &str = "stage2.0.branch1.0.weight";

/// The shipped CIFAR-10 model without one parameter, and with other names where `rename` says so.
fn without_one(path: &Path, rename: impl Fn(&str) -> String) {
    let source =
        StateDict::open(concat!(env!("CARGO_MANIFEST_DIR"), "/../models/cifar10_shufflenet_v2_x0_5.safetensors"));
    let source = source.unwrap();
    let kept = source.iter().filter(|(name, _)| *name != LACKING);
    let kept: StateDict = kept.map(|(name, tensor)| (rename(name), tensor.clone())).collect();
    kept.save(path, &SaveOptions::default()).unwrap();
}

#[test]
fn what_the_checkpoint_lacks_is_made_up_on_demand_with_a_line_each() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("part.safetensors");
    without_one(&file, str::to_owned);
    let image = format!("{IMAGES}/ship.png");
    let predict = |arguments: &[&str]| {
        let all = [&["--device", "cpu", "--weights", file.to_str().unwrap(), &image], arguments].concat();
        run(env!("CARGO_BIN_EXE_predict"), &all)
    };
    let (_, err, code) = predict(&[]);
    assert!(code == 2 && err.contains(&format!("missing {LACKING} [24, 1, 3, 3]")), "{err}");
    let (zeros, err, code) = predict(&["--init-missing=zeros", "--top-k", "10", "--format", "jsonl"]);
    assert_eq!(
        err.matches(&format!("predict: {LACKING} [24, 1, 3, 3] is not in the checkpoint; initialised by zeros\n"))
            .count(),
        1,
        "{err}"
    );
    assert!(code == 0 && err.matches("initialised").count() == 1, "{err}");
    let seeded = |seed| predict(&["--init-missing=normal:0,9", "--seed", seed, "--top-k", "10", "--format", "jsonl"]).0;
    assert!(seeded("1") == seeded("1") && seeded("1") != seeded("2") && seeded("1") != zeros);
    let (_, err, code) = predict(&["--init-missing"]);
    assert!(code == 0 && err.contains("initialised by kaiming_uniform:2.23606797749979,fan_in"), "{err}");
    for wrong in [&["--init-missing=nomral"][..], &["--seed", "1"], &["--init-missing", "--strict"]] {
        assert_eq!(predict(wrong).2, 2, "{wrong:?}");
    }
}

#[test]
fn parameters_are_renamed_before_the_network_is_recognised() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("renamed.safetensors");
    without_one(&file, |name| format!("student_{name}"));
    let image = format!("{IMAGES}/ship.png");
    let predict = |arguments: &[&str]| {
        let all =
            [&["--device", "cpu", "--weights", file.to_str().unwrap(), "--init-missing=zeros", &image], arguments];
        run(env!("CARGO_BIN_EXE_predict"), &all.concat())
    };
    let (_, err, code) = predict(&[]);
    assert!(code == 2 && err.contains("no known network"), "{err}");
    let (_, err, code) = predict(&["--rename", "^student_=", "--rename", "teacher=x"]);
    assert!(
        code == 0 && err.contains("predict: --rename teacher=x matches no parameter") && !err.contains("student"),
        "{err}"
    );
}

#[test]
fn a_rule_is_named_that_chooses_one_of_two_networks_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("both.safetensors");
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/cifar10_shufflenet_v2_x0_5.safetensors");
    let shipped = StateDict::open(shipped).unwrap();
    let parts = ["encoder.a.", "encoder.b."];
    let both: StateDict = parts
        .iter()
        .flat_map(|part| shipped.iter().map(move |(name, tensor)| (format!("{part}{name}"), tensor.clone())))
        .collect();
    both.save(&file, &SaveOptions::default()).unwrap();
    let file = file.to_str().unwrap();
    let rule = r"^encoder\.a\.=";
    let hint = format!("--rename '{rule}' takes `encoder.a.`");
    let image = format!("{IMAGES}/ship.png");
    let predict = |more: &[&str]| {
        run(env!("CARGO_BIN_EXE_predict"), &[&["--device", "cpu", "--weights", file, &image], more].concat())
    };
    let (out, err, code) = predict(&[]);
    assert!((out.as_str(), code) == ("", 2) && err.contains(&hint), "{err}");
    let (_, err, code) = run(env!("CARGO_BIN_EXE_pretrained"), &["export", file, &format!("{file}.onnx")]);
    assert!(code == 2 && err.contains(&hint), "{err}");
    let (out, err, code) = predict(&["--rename", rule]);
    assert!(code == 0 && out.contains("predict prob"), "{err}");
}
