//! tract, on the ONNX graph.

use peers::{About, Case, Result, Run, serve};
use tract_linalg::multithread::{Executor, set_default_executor};
use tract_onnx::prelude::*;

fn main() -> Result<()> {
    serve(load)
}

fn load(case: &Case) -> Result<(About, Run)> {
    set_default_executor(if case.threads > 1 { Executor::multithread(case.threads) } else { Executor::SingleThread });
    let [channels, height, width] = case.shape;
    let shape = [case.batch, channels, height, width];
    let model = tract_onnx::onnx().model_for_path(&case.onnx)?.into_optimized()?.into_runnable()?;
    let run = move |batch: &[f32]| -> Result<Vec<f32>> {
        let output = model.run(tvec!(Tensor::from_shape(&shape, batch)?.into()))?;
        Ok(output[0].try_as_plain_ram()?.as_slice::<f32>()?.to_vec())
    };
    Ok((About { engine: "tract", device: "cpu".into() }, Box::new(run)))
}
