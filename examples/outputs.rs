//! Runs every model of a folder on raw numbers, on several devices: `cargo run --example outputs -- FOLDER [DEVICE...]`,
//! where the numbers of FOLDER/NAME.onnx lie beside it in FOLDER/NAME.f32, images as little-endian `f32`, channels first;
//! where there is no such file, it is an image of zeros. FOLDER/NAME.json, `{"sides": [HEIGHT, WIDTH]}`, says how large
//! they are where the model leaves that open. Without a DEVICE it is the CPU with each of its instruction sets. Prints a
//! line of JSON for each model and device:
//! `{"model": "NAME.onnx", "device": "cpu", "outputs": [...]}`, or what went wrong as `"error"`.

use pretrained::import::ImportOptions;
use pretrained::{
    CpuOptions, Device, DeviceChoice, Error, InstructionSet, Model, Result, Session, SessionOptions, StateDict,
    Strictness,
};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or_else(|| Error::Usage("name a folder of models".into()))?;
    let named = arguments.map(|name| Device::open(&DeviceChoice::Named(name))).collect::<Result<Vec<_>>>()?;
    let devices = if named.is_empty() { cpus()? } else { named };
    let entries = std::fs::read_dir(&folder).map_err(|e| Error::io(&folder, e))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut models: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|e| e == "onnx")).collect();
    models.sort();
    let mut out = std::io::stdout().lock();
    for path in models {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let options = ImportOptions { sides: sides(&path), ..ImportOptions::default() };
        let model = StateDict::open(&path).and_then(|state| Model::from_graph(&state, &options, Strictness::Strict));
        for device in &devices {
            let outputs = model.as_ref().map_err(ToString::to_string);
            let outputs = outputs.and_then(|model| outputs_of(model, &path, device).map_err(|e| e.to_string()));
            let (what, value) =
                outputs.map_or_else(|e| ("error", e.into()), |outputs| ("outputs", Value::from(outputs)));
            let line = json!({ "model": name, "device": device.name(), what: value });
            writeln!(out, "{line}").map_err(|e| Error::io("-", e))?;
        }
    }
    Ok(())
}

/// The CPU with each instruction set that this machine has.
fn cpus() -> Result<Vec<Device>> {
    let with = |set| Device::cpu_with(CpuOptions { instruction_set: Some(set), ..CpuOptions::default() });
    InstructionSet::available().into_iter().map(with).collect()
}

/// What the file beside a model says of its images.
fn sides(path: &Path) -> Option<[usize; 2]> {
    let json = std::fs::read(path.with_extension("json")).ok()?;
    let json: Value = serde_json::from_slice(&json).ok()?;
    serde_json::from_value(json.get("sides")?.clone()).ok()
}

fn outputs_of(model: &Model, path: &Path, device: &Device) -> Result<Vec<f32>> {
    let numbers = path.with_extension("f32");
    let bytes = match std::fs::read(&numbers) {
        Ok(bytes) => Some(bytes),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
        Err(e) => return Err(Error::io(numbers, e)),
    };
    let input = model.network().input;
    let values = |bytes: Vec<u8>| bytes.as_chunks::<4>().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect();
    let images: Option<Vec<f32>> = bytes.map(values);
    let count = images.as_ref().map_or(1, |images| images.len() / input.elements());
    // Zeros only once the network is known to fit: a file may say that its input is as large as it likes.
    let session = Session::new(device, model, input, &SessionOptions::default().max_batch(count.max(1)))?;
    session.run(&images.unwrap_or_else(|| vec![0.0; input.elements()]))
}
