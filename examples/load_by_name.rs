//! Loads a checkpoint by parameter names and prints the report: `cargo run --example load_by_name -- CHECKPOINT`.

use pretrained::graph::Shape;
use pretrained::{Device, DeviceChoice, Error, Model, Session, SessionOptions, StateDict, Strictness, zoo};

fn main() -> Result<(), Error> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "models/mnist_mlp.safetensors".into());
    let state = StateDict::open(path)?;
    let network = zoo::detect(&state)?;
    println!("{} for inputs of {}", network.name, network.input);

    let model = Model::load(network, &state, Strictness::AllowUnexpected)?;
    println!("{}", model.report());

    let device = Device::open(&DeviceChoice::Auto)?;
    let input: Shape = model.network().input;
    let session = Session::new(&device, &model, input, &SessionOptions::default())?;
    let logits = session.run(&vec![0.0; input.elements()])?;
    println!("{} logits for a black image on {}: {:?}...", logits.len(), device.name(), &logits[..logits.len().min(4)]);
    Ok(())
}
