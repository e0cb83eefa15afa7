//! What the programs say of the networks in files: how their outputs end, which output is meant, and what harms.

use pretrained::{SaveOptions, StateDict, Tensor};
use std::process::Command;

#[test]
fn records_say_the_activation() {
    let folder = tempfile::tempdir().unwrap();
    let weights = folder.path().join("model.safetensors");
    let values = [2.0, -1.0, 3.0].map(|output| [output, 0.0, 0.0, 0.0]).concat();
    let fc = [
        ("fc.weight", Tensor::from_f32(&[3, 4], &values).unwrap()),
        ("fc.bias", Tensor::from_f32(&[3], &[0.0; 3]).unwrap()),
    ];
    fc.into_iter().collect::<StateDict>().save(&weights, &SaveOptions::default()).unwrap();
    let image = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/images/grey.png");
    let predict = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_predict"));
        command.args(["--device", "cpu", "--top-k", "3", "--weights", weights.to_str().unwrap(), image]);
        let output = command.args(arguments).output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap(), output.status.code())
    };
    for (arguments, activation) in
        [(&[][..], "softmax"), (&["--activation", "sigmoid"], "sigmoid"), (&["--activation", "none"], "none")]
    {
        let (out, err, code) = predict(&[&["--format", "jsonl"], arguments].concat());
        let record: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!((&record["activation"], code), (&activation.into(), Some(0)), "{err}");
        let (out, _, _) = predict(&[&["--format", "csv"], arguments].concat());
        assert!(out.lines().next().unwrap().ends_with(",activation"), "{out}");
        assert!(out.lines().skip(1).all(|line| line.ends_with(&format!(",{activation}"))), "{out}");
    }
    let (_, err, code) = predict(&["--activation", "relu"]);
    assert!(code == Some(2) && err.contains("softmax, sigmoid, none"), "{err}");
}

#[test]
fn both_programs_choose_an_output_and_say_the_same_of_a_graph() {
    let run = |program: &str, arguments: &[&str]| {
        let made = Command::new(program).args(arguments).output().unwrap();
        [made.stdout, made.stderr].map(|text| String::from_utf8(text).unwrap()).concat()
    };
    let (predict, tool) = (env!("CARGO_BIN_EXE_predict"), env!("CARGO_BIN_EXE_pretrained"));
    let digit = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/digits/digit_3.png");
    let two = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/onnx/case_out_of_order.onnx");
    let weights = ["--device", "cpu", "--no-cache", "--weights", two, digit];
    for found in [run(predict, &weights), run(tool, &["inspect", two])] {
        assert!(found.contains("2 outputs, of which one is to be chosen: `y`, `c`"), "{found}");
    }
    let found = run(predict, &weights);
    assert!(found.contains("--output NAME"), "{found}");
    let found = run(predict, &[&weights[..], &["--output", "y", "--format", "jsonl"]].concat());
    assert!(found.contains("\"error\": null"), "{found}");
    let found = run(tool, &["inspect", two, "--output", "y"]);
    assert!(found.contains("network: case_out_of_order, usual input 3x6x5"), "{found}");
}

/// The files of the shared cases: whatever each says, it says within a moment and in little memory.
#[test]
#[cfg(target_os = "linux")]
fn hostile_graphs_are_refused_in_a_moment_and_in_little_memory() {
    use crate::common;
    use std::process::Stdio;
    use std::time::{Duration, Instant};
    /// How long any of these may take, on a machine that does other things too.
    const MOMENT: Duration = Duration::from_secs(5);
    const MOST_KB: u64 = 300 << 10;
    let Some(shared) = common::shared() else { return };
    let image = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/images/ship.png");
    let mut tried = 0;
    for entry in std::fs::read_dir(shared.join("cases/hostile")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.extension().is_none_or(|extension| extension != "onnx") {
            continue;
        }
        tried += 1;
        let mut command = Command::new(env!("CARGO_BIN_EXE_predict"));
        command.args(["--device", "cpu", "--weights"]).arg(&path).arg(image);
        let began = Instant::now();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut peak = 0;
        while child.try_wait().unwrap().is_none() {
            let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            peak = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0).max(peak);
            if peak > MOST_KB || began.elapsed() > MOMENT {
                child.kill().unwrap();
                panic!("{name} takes {peak} kB and {:?}", began.elapsed());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let output = child.wait_with_output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        // Refused, or a network like any other.
        assert!(matches!(output.status.code(), Some(0..=2)), "{name}: {:?} {words}", output.status);
        if ["h_compute", "h_concx", "z_"].iter().any(|start| name.starts_with(start)) {
            assert!(words.contains("over the limit of"), "{name}: {words}");
        }
    }
    assert!(tried >= 10, "{tried} files");
}
