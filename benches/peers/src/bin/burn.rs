//! burn: Flex, its backend for the CPU, or wgpu with its own fusion and choice of kernels.

use burn::tensor::activation::relu;
use burn::tensor::module::{conv2d, max_pool2d};
use burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, DeviceType, Tensor, TensorData};
use peers::shufflenet_v2::{Conv, ShuffleNetV2, Unit};
use peers::{About, Case, Result, Run, serve};

fn main() -> Result<()> {
    serve(load)
}

fn load(case: &Case) -> Result<(About, Run)> {
    let (device, name) = open(case.adapter.as_deref())?;
    let network = ShuffleNetV2::read(case)?.map(|conv| Ok(Layer::new(conv, &device)))?;
    let [channels, height, width] = case.shape;
    let shape = [case.batch, channels, height, width];
    let run = move |batch: &[f32]| -> Result<Vec<f32>> {
        let images = Tensor::<4>::from_data(TensorData::new(batch.to_vec(), shape), &device);
        let logits = forward(&network, images).try_into_data().map_err(|error| format!("{error:?}"))?;
        logits.into_vec().map_err(|error| format!("{error:?}").into())
    };
    Ok((About { engine: "burn", device: name }, Box::new(run)))
}

/// Flex, or the first adapter whose name contains `adapter`.
fn open(adapter: Option<&str>) -> Result<(Device, String)> {
    let Some(wanted) = adapter else { return Ok((Device::flex(), "cpu".into())) };
    let mut names = Vec::new();
    for device in Device::enumerate(DeviceType::Wgpu) {
        let name = device.identity().map(|identity| identity.name).unwrap_or_default();
        if name.to_lowercase().contains(&wanted.to_lowercase()) {
            return Ok((device, name));
        }
        names.push(name);
    }
    Err(format!("burn finds no adapter called {wanted}, only {names:?}").into())
}

struct Layer {
    weight: Tensor<4>,
    bias: Tensor<1>,
    options: ConvOptions<2>,
}

impl Layer {
    fn new(conv: Conv, device: &Device) -> Self {
        let options = ConvOptions::new([conv.stride; 2], [conv.padding(); 2], [1; 2], conv.groups);
        let outputs = conv.shape[0];
        Self {
            weight: Tensor::from_data(TensorData::new(conv.weight, conv.shape), device),
            bias: Tensor::from_data(TensorData::new(conv.bias, [outputs]), device),
            options,
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        conv2d(x, self.weight.clone(), Some(self.bias.clone()), self.options.clone())
    }
}

fn forward(network: &ShuffleNetV2<Layer>, images: Tensor<4>) -> Tensor<4> {
    let pooling = MaxPoolOptions { stride: [2; 2], padding: [(1, 1); 2], ..MaxPoolOptions::new([3; 2]) };
    let mut x = max_pool2d(relu(network.conv1.forward(images)), pooling);
    for Unit { branch1, branch2: [first, depthwise, last] } in &network.units {
        let (left, right) = match branch1 {
            Some([depthwise, pointwise]) => (relu(pointwise.forward(depthwise.forward(x.clone()))), x),
            None => {
                let half = x.dims()[1] / 2;
                (x.clone().narrow(1, 0, half), x.narrow(1, half, half))
            }
        };
        let right = relu(last.forward(depthwise.forward(relu(first.forward(right)))));
        let [n, c, h, w] = right.dims();
        x = Tensor::<4>::stack::<5>(vec![left, right], 2).reshape([n, 2 * c, h, w]);
    }
    let means = relu(network.conv5.forward(x)).mean_dim(2).mean_dim(3);
    network.fc.forward(means)
}
