//! candle on the CPU.

use candle_core::{Device, Module, Result, Tensor};
use candle_nn::{Conv2d, Conv2dConfig};
use peers::shufflenet_v2::{Conv, ShuffleNetV2, Unit};
use peers::{About, Case, Run, serve};

fn main() -> peers::Result<()> {
    serve(load)
}

fn load(case: &Case) -> peers::Result<(About, Run)> {
    let network = ShuffleNetV2::read(case)?.map(|conv| Ok(layer(conv)?))?;
    let [channels, height, width] = case.shape;
    let shape = (case.batch, channels, height, width);
    let run = move |batch: &[f32]| -> peers::Result<Vec<f32>> {
        let images = Tensor::from_slice(batch, shape, &Device::Cpu)?;
        Ok(forward(&network, &images)?.flatten_all()?.to_vec1()?)
    };
    Ok((About { engine: "candle", device: "cpu".into() }, Box::new(run)))
}

fn layer(conv: Conv) -> Result<Conv2d> {
    let config =
        Conv2dConfig { padding: conv.padding(), stride: conv.stride, groups: conv.groups, ..Conv2dConfig::default() };
    let weight = Tensor::from_vec(conv.weight, &conv.shape, &Device::Cpu)?;
    let bias = Tensor::from_vec(conv.bias, conv.shape[0], &Device::Cpu)?;
    Ok(Conv2d::new(weight, Some(bias), config))
}

fn forward(network: &ShuffleNetV2<Conv2d>, images: &Tensor) -> Result<Tensor> {
    let x = network.conv1.forward(images)?.relu()?;
    // Its pooling does not pad; after a ReLU, zeros are as good as minus infinity.
    let mut x = x.pad_with_zeros(2, 1, 1)?.pad_with_zeros(3, 1, 1)?.max_pool2d_with_stride(3, 2)?;
    for Unit { branch1, branch2: [first, depthwise, last] } in &network.units {
        let (left, right) = match branch1 {
            Some([depthwise, pointwise]) => (pointwise.forward(&depthwise.forward(&x)?)?.relu()?, x),
            None => {
                let half = x.dim(1)? / 2;
                (x.narrow(1, 0, half)?, x.narrow(1, half, half)?.contiguous()?)
            }
        };
        let right = last.forward(&depthwise.forward(&first.forward(&right)?.relu()?)?)?.relu()?;
        let (n, c, h, w) = right.dims4()?;
        x = Tensor::stack(&[left, right], 2)?.reshape((n, 2 * c, h, w))?;
    }
    let means = network.conv5.forward(&x)?.relu()?.mean_keepdim((2, 3))?;
    network.fc.forward(&means)
}
