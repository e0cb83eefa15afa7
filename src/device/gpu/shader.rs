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
    DepthwiseAny "depthwise_any",
    Conv "conv",
    ConvGrouped "conv_grouped",
    Stem "stem",
    Linear "linear",
    Linear8 "linear_8",
    MaxPool "max_pool",
    Pool "pool",
    Mean "mean",
    Softmax "softmax",
    Elementwise "elementwise",
}

impl Shader {
    /// Whether it reads weights and a bias, at bindings 4 and 5.
    pub fn weighted(self) -> bool {
        !matches!(self, Self::MaxPool | Self::Pool | Self::Mean | Self::Softmax | Self::Elementwise)
    }

    /// Whether it reads a second operand, at binding 6.
    pub fn paired(self) -> bool {
        use Shader::{Conv, ConvGrouped, Elementwise, Pointwise, Pointwise4x32, Pointwise7x16};
        matches!(self, Pointwise | Pointwise4x32 | Pointwise7x16 | Conv | ConvGrouped | Elementwise)
    }

    /// Which of [`layouts`] it has.
    pub fn layout(self) -> usize {
        usize::from(self.weighted()) + 2 * usize::from(self.paired())
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
    pub rows: u32,
    pub stride: [u32; 2],
    pub dilation: [u32; 2],
    /// Top, left, bottom, right.
    pub padding: [u32; 4],
    pub other_image: u32,
    pub other_offset: u32,
    pub other_pixel: u32,
    pub activation: [f32; 2],
    /// Uniforms are sized in units of 16 bytes.
    pub unused: [u32; 2],
}

/// The layouts that shaders share: those without and with weights, each without and with a second operand.
pub(super) fn layouts(device: &wgpu::Device) -> [wgpu::BindGroupLayout; 4] {
    let storage = |read_only| wgpu::BufferBindingType::Storage { read_only };
    let always = [(0, wgpu::BufferBindingType::Uniform), (1, storage(true)), (2, storage(true)), (3, storage(false))];
    let (weights, other) = ([(4, storage(true)), (5, storage(true))], [(6, storage(true))]);
    [0, 1, 2, 3].map(|layout| {
        let weights = weights.iter().filter(|_| layout & 1 != 0);
        let bindings = always.iter().chain(weights).chain(other.iter().filter(|_| layout & 2 != 0));
        let entries: Vec<wgpu::BindGroupLayoutEntry> = bindings
            .map(|&(binding, ty)| wgpu::BindGroupLayoutEntry {
                binding,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
                count: None,
            })
            .collect();
        device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries })
    })
}
