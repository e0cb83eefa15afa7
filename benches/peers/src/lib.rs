//! Serves one engine over standard input and output; the README beside this crate describes the protocol.

use serde::{Deserialize, Serialize};
use std::error::Error;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Any error; the harness prints it beside the engine's name.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A batch on the host (N x C x H x W) to logits on the host.
pub type Run = Box<dyn FnMut(&[f32]) -> Result<Vec<f32>>>;

/// What is to be run.
#[derive(Debug, Deserialize)]
pub struct Case {
    /// torchvision's name of the network.
    pub model: String,
    /// The checkpoint.
    pub weights: PathBuf,
    /// The same network as ONNX, for this batch.
    pub onnx: PathBuf,
    /// Images in a batch.
    pub batch: usize,
    /// Channels, height and width of an image.
    pub shape: [usize; 3],
    /// Threads, where the engine runs on the CPU.
    pub threads: usize,
    /// Part of the name of a GPU; none for the CPU.
    pub adapter: Option<String>,
    /// Files of 32-bit floats, a batch each.
    pub inputs: Vec<PathBuf>,
}

/// What the harness prints about an engine.
#[derive(Debug, Serialize)]
pub struct About {
    /// What it is called.
    pub engine: &'static str,
    /// What it runs on.
    pub device: String,
}

struct Loaded {
    run: Run,
    inputs: Vec<Vec<f32>>,
    output: Vec<f32>,
    batch: usize,
    count: usize,
}

impl Loaded {
    /// One run, on the next input, and its time in milliseconds.
    fn step(&mut self) -> Result<f64> {
        let input = &self.inputs[self.count % self.inputs.len()];
        self.output = Vec::new();
        let began = Instant::now();
        self.output = (self.run)(input)?;
        let took = began.elapsed();
        self.count += 1;
        Ok(took.as_secs_f64() * 1e3)
    }
}

/// Answers every line with one line of JSON, until standard input ends.
pub fn serve(mut load: impl FnMut(&Case) -> Result<(About, Run)>) -> Result<()> {
    let mut loaded = None;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (command, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let answer = answer(command, rest, &mut loaded, &mut load);
        let answer = answer.unwrap_or_else(|error| serde_json::json!({ "error": error.to_string() }));
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{answer}")?;
        stdout.flush()?;
    }
    Ok(())
}

fn answer(
    command: &str,
    rest: &str,
    loaded: &mut Option<Loaded>,
    load: &mut impl FnMut(&Case) -> Result<(About, Run)>,
) -> Result<serde_json::Value> {
    if command == "load" {
        *loaded = None;
        let case: Case = serde_json::from_str(rest)?;
        let inputs = case.inputs.iter().map(|path| floats(path)).collect::<Result<_>>()?;
        let began = Instant::now();
        let (about, run) = load(&case)?;
        let load_ms = began.elapsed().as_secs_f64() * 1e3;
        let loaded = loaded.insert(Loaded { run, inputs, output: Vec::new(), batch: case.batch, count: 0 });
        let first_ms = loaded.step()?;
        return Ok(serde_json::json!({ "about": about, "load_ms": load_ms, "first_ms": first_ms }));
    }
    let loaded = loaded.as_mut().ok_or("nothing is loaded")?;
    match command {
        "run" => {
            let words: Vec<&str> = rest.split(' ').collect();
            let [warm_up, runs, seconds] = words[..] else { return Err("run takes three numbers".into()) };
            let (warm_up, runs, seconds): (usize, usize, f64) = (warm_up.parse()?, runs.parse()?, seconds.parse()?);
            let began = Instant::now();
            for _ in 0..warm_up {
                loaded.step()?;
                if began.elapsed().as_secs_f64() > seconds {
                    break;
                }
            }
            let mut times = Vec::new();
            while times.len() < runs && (times.is_empty() || began.elapsed().as_secs_f64() < seconds) {
                times.push(loaded.step()?);
            }
            Ok(serde_json::json!({ "ms": times }))
        }
        "logits" => {
            std::fs::write(rest, bytemuck::cast_slice(&loaded.output))?;
            let shape = [loaded.batch, loaded.output.len() / loaded.batch];
            Ok(serde_json::json!({ "input": (loaded.count - 1) % loaded.inputs.len(), "shape": shape }))
        }
        _ => Err(format!("unknown command {command:?}").into()),
    }
}

fn floats(path: &Path) -> Result<Vec<f32>> {
    Ok(bytemuck::pod_collect_to_vec(&std::fs::read(path)?))
}
