//! Runs a model on raw numbers: `cargo run --example logits -- MODEL NUMBERS [DEVICE]`, where NUMBERS holds an image as
//! little-endian `f32`, channels first, and DEVICE is `cpu`, unless another is named. Prints the logits, a line each.

use pretrained::{Device, DeviceChoice, Error, Model, Session, SessionOptions, StateDict, Strictness};
use std::io::Write;

fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (model, numbers, device) = match arguments.as_slice() {
        [model, numbers] => (model, numbers, DeviceChoice::Cpu),
        [model, numbers, device] => (model, numbers, device.parse().unwrap_or_default()),
        _ => return Err(Error::Usage("name a model and a file of numbers".into())),
    };
    let model = Model::from_state_dict(&StateDict::open(model)?, Strictness::Strict)?;
    let bytes = std::fs::read(numbers).map_err(|e| Error::io(numbers, e))?;
    let image: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect();
    let session = Session::new(&Device::open(&device)?, &model, model.network().input, &SessionOptions::default())?;
    let mut out = std::io::stdout().lock();
    for logit in session.run(&image)? {
        writeln!(out, "{logit:e}").map_err(|e| Error::io("-", e))?;
    }
    Ok(())
}
