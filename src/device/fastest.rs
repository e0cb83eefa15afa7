//! Which of a GPU and the CPU runs a model faster: measured once, and remembered in a file.

use super::clock::Stopwatch;
use super::{CpuOptions, Device, DeviceChoice, Precision, Session, SessionOptions, choice};
use crate::error::Result;
use crate::file::memo;
use crate::graph::Shape;
use crate::model::Model;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Runs before those that are timed, and those: a GPU raises its clock under load.
const WARM_UP: usize = 3;
const TIMED: usize = 7;

/// A larger file is not one that was written here.
const MOST_BYTES: u64 = 1 << 20;

/// Seconds that a batch takes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Times {
    gpu: f64,
    cpu: f64,
}

/// The file: times by what they were measured on.
type Memory = BTreeMap<String, Times>;

/// See [`Device::fastest`].
pub(super) fn fastest(
    model: &Model,
    input: Shape,
    batch: usize,
    precision: Precision,
    cpu: CpuOptions,
    remembered: Option<&Path>,
) -> Result<Device> {
    // The CPU has no other, so there is nothing to measure.
    if precision != Precision::F32 {
        return Device::open_with(&DeviceChoice::Gpu, cpu);
    }
    let cpu = Device::cpu_for(cpu)?;
    let Some(adapter) = pollster::block_on(choice::best_gpu()) else { return Ok(cpu) };
    let key = [
        concat!("pretrained ", env!("CARGO_PKG_VERSION")).to_owned(),
        format!("{} of {} numbers", model.network().name, model.weights().count()),
        format!("{batch} of {input}"),
        adapter.info.to_string(),
        processor(&cpu),
    ];
    let key = key.join("; ");
    if let Some(times) = remembered.and_then(|file| recall(file, &key)) {
        return if times.gpu < times.cpu { pollster::block_on(adapter.open()) } else { Ok(cpu) };
    }
    let gpu = pollster::block_on(adapter.open()).and_then(|gpu| Ok((time(&gpu, model, input, batch)?, gpu)));
    let (gpu, cpu) = match (gpu, time(&cpu, model, input, batch)) {
        (Ok((seconds, gpu)), Ok(cpu_seconds)) => {
            let times = Times { gpu: seconds, cpu: cpu_seconds };
            if let Some(file) = remembered {
                remember(file, key, times);
            }
            return Ok(if times.gpu < times.cpu { gpu } else { cpu });
        }
        (gpu, seconds) => (gpu, seconds.map(|_| cpu)),
    };
    // A device that cannot run the model is no choice. That is not remembered: its reason may pass.
    cpu.or_else(|error| gpu.map(|(_, gpu)| gpu).map_err(|_| error))
}

/// The shortest of a few runs, in seconds.
fn time(device: &Device, model: &Model, input: Shape, batch: usize) -> Result<f64> {
    let session = Session::new(device, model, input, &SessionOptions::default().max_batch(batch))?;
    let images = vec![0.5; batch * input.elements()];
    let run = || -> Result<Duration> {
        let began = Stopwatch::start();
        session.run(&images)?;
        Ok(began.elapsed())
    };
    for _ in 0..WARM_UP {
        run()?;
    }
    let times = (0..TIMED).map(|_| run()).collect::<Result<Vec<Duration>>>()?;
    Ok(times.into_iter().min().unwrap_or_default().as_secs_f64())
}

/// The processor, and how the `cpu` device uses it.
fn processor(cpu: &Device) -> String {
    // Nothing in std tells the model; on systems without the file, the GPU's name has to tell machines apart.
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or(std::env::consts::ARCH, |(_, name)| name.trim());
    format!("{model}, {}, {} threads", cpu.name(), cpu.engine().threads().unwrap_or(1))
}

fn read(file: &Path) -> Memory {
    memo::read(file, MOST_BYTES).and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

fn recall(file: &Path, key: &str) -> Option<Times> {
    read(file).get(key).copied()
}

/// Adds an entry. Of two processes at once one may lose its entry, which is measured again.
fn remember(file: &Path, key: String, times: Times) {
    let mut memory = read(file);
    memory.insert(key, times);
    if let Ok(text) = serde_json::to_vec_pretty(&memory) {
        memo::write(file, &text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: Times = Times { gpu: 0.25, cpu: 0.5 };

    #[test]
    fn what_was_measured_is_recalled_by_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/fastest.json");
        assert_eq!(recall(&file, "a"), None);
        remember(&file, "a".into(), TIMES);
        let other = Times { gpu: 2.0, ..TIMES };
        remember(&file, "b".into(), other);
        assert_eq!((recall(&file, "a"), recall(&file, "b"), recall(&file, "c")), (Some(TIMES), Some(other), None));
    }

    #[test]
    fn a_damaged_file_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("fastest.json");
        let huge = format!("{}{{\"a\": {{\"gpu\": 1, \"cpu\": 2}}}}", " ".repeat(MOST_BYTES as usize));
        for damage in ["", "{", "[]", r#"{"a": {"gpu": "no", "cpu": 1}}"#, "\u{0}\u{1}", &huge] {
            fs::write(&file, damage).unwrap();
            assert_eq!(recall(&file, "a"), None);
            remember(&file, "a".into(), TIMES);
            assert_eq!(recall(&file, "a"), Some(TIMES));
        }
    }
}
