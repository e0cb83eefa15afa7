//! pretrained, by its public API.

use peers::{About, Case, Result, Run, serve};
use pretrained::graph::Shape;
use pretrained::{CpuOptions, Device, DeviceChoice, Model, Session, SessionOptions, StateDict, Strictness};
use std::num::NonZeroUsize;

fn main() -> Result<()> {
    serve(load)
}

fn load(case: &Case) -> Result<(About, Run)> {
    let device = match &case.adapter {
        Some(name) => Device::open(&DeviceChoice::Named(name.clone()))?,
        None => Device::cpu_with(CpuOptions { threads: NonZeroUsize::new(case.threads), ..CpuOptions::default() })?,
    };
    let model = Model::from_state_dict(&StateDict::open(&case.weights)?, Strictness::AllowUnexpected)?;
    let [channels, height, width] = case.shape;
    let session = Session::new(&device, &model, Shape::new(channels, height, width), &SessionOptions::default().max_batch(case.batch))?;
    let about = About { engine: "pretrained", device: device.name() };
    Ok((about, Box::new(move |batch| Ok(session.run(batch)?))))
}
