//! Runs `predict` and `pretrained` as a user does, away from the user's caches and the network.
#![allow(dead_code)]

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output};

pub const PREDICT: &str = env!("CARGO_BIN_EXE_predict");
pub const PRETRAINED: &str = env!("CARGO_BIN_EXE_pretrained");
pub const DIGITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/digits");
pub const MNIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/mnist_mlp.safetensors");
pub const CIFAR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/cifar10_shufflenet_v2_x0_5.safetensors");

/// What a program left behind.
#[derive(Debug)]
pub struct Left {
    pub out: String,
    pub err: String,
    pub code: Option<i32>,
}

pub fn command(program: &str) -> Command {
    let nowhere = std::env::temp_dir().join("pretrained-tests-nowhere");
    let mut command = Command::new(program);
    command.env("PRETRAINED_OFFLINE", "1").env("PRETRAINED_CACHE", &nowhere).env("TORCH_HOME", &nowhere);
    command
}

pub fn run<A: AsRef<OsStr>>(program: &str, arguments: &[A]) -> Left {
    left(command(program).args(arguments).output().unwrap())
}

/// `predict` on the CPU, with the model of digits.
pub fn digits<A: AsRef<OsStr>>(arguments: &[A]) -> Left {
    left(digits_command().args(arguments).output().unwrap())
}

pub fn digits_command() -> Command {
    let mut command = command(PREDICT);
    command.args(["--device", "cpu", "--model", "mnist_mlp"]);
    command
}

pub fn left(output: Output) -> Left {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Left { out: text(output.stdout), err: text(output.stderr), code: output.status.code() }
}

/// What the system says of a file that is not there.
pub fn no_file() -> String {
    std::fs::metadata("no-such-file").unwrap_err().to_string()
}

/// What it says of one in a folder that is not there.
pub fn no_folder() -> String {
    std::fs::metadata("no-such-folder/no-such-file").unwrap_err().to_string()
}

pub fn digit(n: usize) -> String {
    format!("{DIGITS}/digit_{n}.png")
}

/// JSON Lines as values.
pub fn records(text: &str) -> Vec<serde_json::Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Writes a safetensors file with these header and data.
pub fn write_safetensors(path: &Path, header: &serde_json::Value, data: &[u8]) {
    let header = header.to_string();
    let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat();
    std::fs::write(path, bytes).unwrap();
}
