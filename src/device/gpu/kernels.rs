//! Which shader runs a step: its constants, its parameters, its packed weights, and the size of its dispatch.

use crate::compile::{Kernel, Step};
use crate::graph::{Conv2d, Shape};
use bytemuck::{Pod, Zeroable};

/// Every shader's name and text.
const SHADERS: [(&str, &str); 7] = [
    ("pointwise", include_str!("../../../shaders/pointwise.wgsl")),
    ("depthwise", include_str!("../../../shaders/depthwise.wgsl")),
    ("conv", include_str!("../../../shaders/conv.wgsl")),
    ("linear", include_str!("../../../shaders/linear.wgsl")),
    ("max_pool", include_str!("../../../shaders/max_pool.wgsl")),
    ("mean", include_str!("../../../shaders/mean.wgsl")),
    ("copy", include_str!("../../../shaders/copy.wgsl")),
];

/// A shader, by its place in [`SHADERS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Shader {
    Pointwise,
    Depthwise,
    Conv,
    Linear,
    MaxPool,
    Mean,
    Copy,
}

impl Shader {
    pub fn name(self) -> &'static str {
        SHADERS[self as usize].0
    }

    pub fn source(self) -> &'static str {
        SHADERS[self as usize].1
    }

    /// Whether it reads weights and a bias.
    pub fn weighted(self) -> bool {
        matches!(self, Self::Pointwise | Self::Depthwise | Self::Conv | Self::Linear)
    }
}

/// A shader with its constants: what one compiled pipeline is made of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Pipeline {
    pub shader: Shader,
    kernel: Option<usize>,
    relu: Option<bool>,
}

impl Pipeline {
    /// Values for the shader's `override`s.
    pub fn constants(&self) -> Vec<(&'static str, f64)> {
        let kernel = self.kernel.map(|size| ("KERNEL", size as f64));
        let relu = self.relu.map(|relu| ("RELU", f64::from(u8::from(relu))));
        kernel.into_iter().chain(relu).collect()
    }
}

/// The uniform that every shader declares, word for word.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Params {
    x_image: u32,
    y_image: u32,
    y_offset: u32,
    y_plane: u32,
    x_height: u32,
    x_width: u32,
    y_height: u32,
    y_width: u32,
    in_channels: u32,
    out_channels: u32,
    groups: u32,
    stride: u32,
    padding: u32,
    /// Uniforms are sized in units of 16 bytes.
    unused: [u32; 3],
}

/// A step as the GPU takes it.
pub(super) struct Dispatch {
    pub pipeline: Pipeline,
    pub params: Params,
    pub planes: Vec<u32>,
    /// Weight and bias, packed.
    pub weights: Option<[Vec<f32>; 2]>,
    /// Workgroups in x and y; z is the batch.
    pub workgroups: [usize; 2],
}

/// The layout that all shaders without weights share, and the one that all with weights share.
pub(super) fn layout(device: &wgpu::Device, weighted: bool) -> wgpu::BindGroupLayout {
    let storage = |read_only| wgpu::BufferBindingType::Storage { read_only };
    let types =
        [wgpu::BufferBindingType::Uniform, storage(true), storage(true), storage(false), storage(true), storage(true)];
    let entries: Vec<wgpu::BindGroupLayoutEntry> = (0..)
        .zip(types)
        .take(if weighted { 6 } else { 4 })
        .map(|(binding, ty)| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
            count: None,
        })
        .collect();
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries })
}

/// The plan keeps channels in planes.
pub(in crate::device) const LANES: usize = 1;

/// Pixels or outputs that one workgroup of the plain kernels covers.
const INVOCATIONS: usize = 64;

/// Chooses the shader for `step`, and packs what it needs.
pub(super) fn dispatch(step: &Step) -> Dispatch {
    let (source, target) = (&step.source, &step.target);
    let image = Shape::new(source.planes.len(), source.height, source.width);
    let out = target.shape;
    let per_pixel = [out.pixels().div_ceil(INVOCATIONS), out.channels];
    let per_channel = [out.channels.div_ceil(INVOCATIONS), 1];
    let pipeline = |shader, kernel, relu| Pipeline { shader, kernel, relu };
    let planes = source.planes.clone();

    let (conv, pipeline, planes, weights, workgroups) = match &step.kernel {
        Kernel::Linear { linear, weight, bias, relu } => {
            let (places, weight) = linear_operands(weight, linear.out_features, &planes, image.pixels());
            let conv = Conv2d::new(places.len(), linear.out_features, 1);
            (conv, pipeline(Shader::Linear, None, Some(*relu)), places, Some([weight, bias.clone()]), per_channel)
        }
        // On a single pixel it is a fully connected layer.
        Kernel::Conv2d { conv, weight, bias, relu } if conv.is_pointwise() && image.pixels() == 1 => {
            let (places, weight) = linear_operands(weight, conv.out_channels, &planes, 1);
            let conv = Conv2d { in_channels: places.len(), ..*conv };
            (conv, pipeline(Shader::Linear, None, Some(*relu)), places, Some([weight, bias.clone()]), per_channel)
        }
        Kernel::Conv2d { conv, weight, bias, relu } if conv.is_pointwise() => {
            let packed = [tiled::<8>(weight, conv, 1), tiled::<8>(bias, &Conv2d::new(1, conv.out_channels, 1), 1)];
            let quads = target.group_stride() / 4;
            let workgroups = [quads.div_ceil(8), conv.out_channels.div_ceil(64)];
            (*conv, pipeline(Shader::Pointwise, None, Some(*relu)), planes, Some(packed), workgroups)
        }
        Kernel::Conv2d { conv, weight, bias, relu } if conv.is_depthwise() => {
            let weights = Some([weight.clone(), bias.clone()]);
            (*conv, pipeline(Shader::Depthwise, Some(conv.kernel), Some(*relu)), planes, weights, per_pixel)
        }
        Kernel::Conv2d { conv, weight, bias, relu } => {
            let bias_of = Conv2d { in_channels: conv.groups, kernel: 1, ..*conv };
            let packed = [tiled::<4>(weight, conv, conv.groups), tiled::<4>(bias, &bias_of, conv.groups)];
            let tiles = conv.groups * (conv.out_channels / conv.groups).div_ceil(4);
            let workgroups = [out.pixels().div_ceil(INVOCATIONS), tiles];
            (*conv, pipeline(Shader::Conv, Some(conv.kernel), Some(*relu)), planes, Some(packed), workgroups)
        }
        Kernel::MaxPool2d(pool) => {
            let conv = Conv2d::depthwise(out.channels, pool.kernel).stride(pool.stride).padding(pool.padding);
            (conv, pipeline(Shader::MaxPool, Some(pool.kernel), None), planes, None, per_pixel)
        }
        Kernel::Mean => {
            (Conv2d::depthwise(out.channels, 1), pipeline(Shader::Mean, None, None), planes, None, per_channel)
        }
        Kernel::Copy { relu } => {
            (Conv2d::depthwise(out.channels, 1), pipeline(Shader::Copy, None, Some(*relu)), planes, None, per_pixel)
        }
    };
    let n = |value: usize| value as u32;
    let params = Params {
        x_image: n(source.image_stride),
        y_image: n(target.image_stride),
        y_offset: n(target.offset),
        y_plane: n(target.group_stride()),
        x_height: n(image.height),
        x_width: n(image.width),
        y_height: n(out.height),
        y_width: n(out.width),
        in_channels: n(conv.in_channels / conv.groups),
        out_channels: n(conv.out_channels),
        groups: n(conv.groups),
        stride: n(conv.stride),
        padding: n(conv.padding),
        unused: [0; 3],
    };
    Dispatch { pipeline, params, planes: planes.into_iter().map(n).collect(), weights, workgroups }
}

/// Rows of output channels as `[tile][everything else][N]`, each group's rows padded by zeros to whole tiles.
fn tiled<const N: usize>(weight: &[f32], conv: &Conv2d, groups: usize) -> Vec<f32> {
    let row = conv.weight_shape()[1..].iter().product::<usize>();
    let mut packed = Vec::new();
    for group in weight.chunks(conv.out_channels / groups * row) {
        for tile in group.chunks(N * row) {
            for k in 0..row {
                packed.extend((0..N).map(|o| tile.get(o * row + k).copied().unwrap_or(0.0)));
            }
        }
    }
    packed
}

/// For a matrix `[out, in]`: where each input lies, padded to a multiple of 4, and the matrix as `[in / 4][out][4]`.
fn linear_operands(weight: &[f32], out: usize, planes: &[usize], pixels: usize) -> (Vec<usize>, Vec<f32>) {
    let mut places: Vec<usize> = planes.iter().flat_map(|plane| (0..pixels).map(move |p| plane + p)).collect();
    let inputs = places.len();
    places.resize(inputs.next_multiple_of(4), places.first().copied().unwrap_or(0));
    let mut packed = Vec::with_capacity(places.len() * out);
    for k in (0..inputs).step_by(4) {
        for row in weight.chunks(inputs) {
            packed.extend((k..k + 4).map(|k| row.get(k).copied().unwrap_or(0.0)));
        }
    }
    (places, packed)
}
