//! The shaders, and the form that all of them take: bindings, parameters, constants.

use bytemuck::{Pod, Zeroable};

macro_rules! shaders {
    ($($variant:ident $name:literal),* $(,)?) => {
        /// A file of shaders/.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(super) enum Shader {
            $($variant),*
        }

        impl Shader {
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            pub fn source(self) -> &'static str {
                match self { $(Self::$variant => include_str!(concat!("../../../shaders/", $name, ".wgsl"))),* }
            }
        }
    };
}

shaders! {
    Pointwise "pointwise",
    Pointwise4x32 "pointwise_4x32",
    Pointwise7x16 "pointwise_7x16",
    Depthwise "depthwise",
    Conv "conv",
    Stem "stem",
    Linear "linear",
    Linear8 "linear_8",
    MaxPool "max_pool",
    Mean "mean",
    Copy "copy",
}

impl Shader {
    /// Whether it reads weights and a bias.
    pub fn weighted(self) -> bool {
        !matches!(self, Self::MaxPool | Self::Mean | Self::Copy)
    }
}

/// A shader with values for its `override`s: what one compiled pipeline is made of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Pipeline {
    pub shader: Shader,
    pub constants: Vec<(&'static str, u32)>,
}

/// The uniform that every shader declares, word for word.
#[derive(Debug, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Params {
    pub x_image: u32,
    pub y_image: u32,
    pub y_offset: u32,
    pub y_group: u32,
    pub x_height: u32,
    pub x_width: u32,
    pub y_height: u32,
    pub y_width: u32,
    pub x_pixel: u32,
    pub inputs: u32,
    pub runs: u32,
    pub out_groups: u32,
    pub stride: u32,
    pub padding: u32,
    pub rows: u32,
    /// Uniforms are sized in units of 16 bytes.
    pub unused: u32,
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
