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
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$variant),*];

            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            fn source(self) -> &'static str {
                match self { $(Self::$variant => include_str!(concat!("../../../shaders/", $name, ".wgsl"))),* }
            }
        }
    };
}

shaders! {
    Pointwise "pointwise",
    Pointwise4x32 "pointwise_4x32",
    Depthwise "depthwise",
    DepthwiseAny "depthwise_any",
    DepthwisePairs "depthwise_pairs",
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
        use Shader::{Conv, ConvGrouped, Elementwise, Pointwise, Pointwise4x32};
        matches!(self, Pointwise | Pointwise4x32 | Conv | ConvGrouped | Elementwise)
    }

    /// Which of the [`bindings`] it has.
    pub fn layout(self) -> usize {
        usize::from(self.weighted()) + 2 * usize::from(self.paired())
    }
}

/// Which of a shader's arrays hold numbers in 16 bits, in pairs, as every device can take them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Halves {
    pub x: bool,
    pub y: bool,
    pub weights: bool,
    pub other: bool,
}

/// What shaders have where numbers take 32 bits, and what stands there where they take 16. Of pairs, one load brings two
/// pixels or inputs.
const X: [&str; 2] = [
    "alias X = vec4<f32>;\nfn from_x(v: X) -> vec4<f32> {\n    return v;\n}",
    "alias X = vec2<u32>;\nfn from_x(v: X) -> vec4<f32> {\n    return vec4<f32>(unpack2x16float(v.x), unpack2x16float(v.y));\n}",
];
const ELEMENTS: [&str; 2] = [
    "alias X = f32;\nfn element(i: u32) -> f32 {\n    return x[i];\n}",
    "alias X = u32;\nfn element(i: u32) -> f32 {\n    return unpack2x16float(x[i / 2u])[i % 2u];\n}",
];
const Y: [&str; 2] = [
    "alias Y = vec4<f32>;\nfn to_y(v: vec4<f32>) -> Y {\n    return v;\n}",
    "alias Y = vec2<u32>;\nfn to_y(v: vec4<f32>) -> Y {\n    return vec2<u32>(pack2x16float(v.xy), pack2x16float(v.zw));\n}",
];
const WEIGHTS: [&str; 2] = [
    "alias W = vec4<f32>;\nfn from_w(v: W) -> vec4<f32> {\n    return v;\n}",
    "alias W = vec2<u32>;\nfn from_w(v: W) -> vec4<f32> {\n    return vec4<f32>(unpack2x16float(v.x), unpack2x16float(v.y));\n}",
];
const X_PAIRS: [&str; 2] = [
    "alias X = vec4<u64>;\nfn first_x(v: X) -> vec4<f32> {\n    return bitcast<vec4<f32>>(vec4<u32>(u32(v.x), u32(v.x >> 32u), u32(v.y), u32(v.y >> 32u)));\n}\nfn second_x(v: X) -> vec4<f32> {\n    return bitcast<vec4<f32>>(vec4<u32>(u32(v.z), u32(v.z >> 32u), u32(v.w), u32(v.w >> 32u)));\n}",
    "alias X = vec4<u32>;\nfn first_x(v: X) -> vec4<f32> {\n    return vec4<f32>(unpack2x16float(v.x), unpack2x16float(v.y));\n}\nfn second_x(v: X) -> vec4<f32> {\n    return vec4<f32>(unpack2x16float(v.z), unpack2x16float(v.w));\n}",
];
const Y_PAIRS: [&str; 2] = [
    "alias Y = vec4<u64>;\nalias HalfY = vec2<u64>;\nfn to_y(v: vec4<f32>) -> HalfY {\n    let bits = vec4<u64>(bitcast<vec4<u32>>(v));\n    return HalfY(bits.x | bits.y << 32u, bits.z | bits.w << 32u);\n}",
    "alias Y = vec4<u32>;\nalias HalfY = vec2<u32>;\nfn to_y(v: vec4<f32>) -> HalfY {\n    return HalfY(pack2x16float(v.xy), pack2x16float(v.zw));\n}",
];
const WEIGHT_PAIRS: [&str; 2] = [
    "alias W = vec4<u64>;\nfn first_w(v: W) -> vec4<f32> {\n    return bitcast<vec4<f32>>(vec4<u32>(u32(v.x), u32(v.x >> 32u), u32(v.y), u32(v.y >> 32u)));\n}\nfn second_w(v: W) -> vec4<f32> {\n    return bitcast<vec4<f32>>(vec4<u32>(u32(v.z), u32(v.z >> 32u), u32(v.w), u32(v.w >> 32u)));\n}",
    "alias W = vec4<u32>;\nfn first_w(v: W) -> vec4<f32> {\n    return vec4<f32>(unpack2x16float(v.x), unpack2x16float(v.y));\n}\nfn second_w(v: W) -> vec4<f32> {\n    return vec4<f32>(unpack2x16float(v.z), unpack2x16float(v.w));\n}",
];
const OTHER: [&str; 2] = [
    "alias Other = vec4<f32>;\nfn from_other(v: Other) -> vec4<f32> {\n    return v;\n}",
    "alias Other = vec2<u32>;\nfn from_other(v: Other) -> vec4<f32> {\n    return vec4<f32>(unpack2x16float(v.x), unpack2x16float(v.y));\n}",
];

impl Halves {
    /// The text of `shader` with these arrays.
    pub fn source(self, shader: Shader) -> String {
        let Self { x, y, weights, other } = self;
        let replaced = [
            (x, X),
            (x, ELEMENTS),
            (x, X_PAIRS),
            (y, Y),
            (y, Y_PAIRS),
            (weights, WEIGHTS),
            (weights, WEIGHT_PAIRS),
            (other, OTHER),
        ];
        let wanted = replaced.into_iter().filter(|(wanted, _)| *wanted);
        wanted.fold(shader.source().to_owned(), |text, (_, [full, half])| text.replace(full, half))
    }
}

/// A shader with values for its `override`s: what one compiled pipeline is made of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Pipeline {
    pub shader: Shader,
    pub halves: Halves,
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

/// The bindings of one of the layouts that shaders share, those without and with weights, each without and with a second
/// operand: number, kind, and the fewest bytes that may be bound.
pub(super) fn bindings(layout: usize) -> impl Iterator<Item = (u32, wgpu::BufferBindingType, u64)> {
    let storage = |read_only| wgpu::BufferBindingType::Storage { read_only };
    // The table, weights and biases are matrices, which constants are filled up to; elsewhere a load may bring two vectors.
    let always = [
        (0, wgpu::BufferBindingType::Uniform, size_of::<Params>() as u64),
        (1, storage(true), 32),
        (2, storage(true), 64),
        (3, storage(false), 32),
    ];
    let weights = [(4, storage(true), 64), (5, storage(true), 64)].into_iter().filter(move |_| layout & 1 != 0);
    let other = [(6, storage(true), 32)].into_iter().filter(move |_| layout & 2 != 0);
    always.into_iter().chain(weights).chain(other)
}

#[cfg(test)]
mod tests {
    use super::{ELEMENTS, Halves, OTHER, Shader, WEIGHT_PAIRS, WEIGHTS, X, X_PAIRS, Y, Y_PAIRS};
    use naga::valid::{Capabilities, ShaderStages, SubgroupOperationSet, ValidationFlags, Validator};

    /// Every array that may hold halves is declared by the text that is replaced, and what stands there then is valid.
    #[test]
    fn every_shader_can_have_halves() {
        for &shader in Shader::ALL {
            let (name, full) = (shader.name(), shader.source());
            let alternatives: [&[[&str; 2]]; 4] =
                [&[X, ELEMENTS, X_PAIRS], &[Y, Y_PAIRS], &[WEIGHTS, WEIGHT_PAIRS], &[OTHER]];
            for blocks in alternatives {
                let declared = blocks[0][0].split('=').next().unwrap();
                let held = blocks.iter().filter(|block| full.contains(block[0])).count();
                assert_eq!(held, full.matches(declared).count(), "{name}");
            }
            let weights = [WEIGHTS, WEIGHT_PAIRS].iter().any(|block| full.contains(block[0]));
            assert_eq!(weights, shader.weighted(), "{name}");
            assert_eq!(full.contains(OTHER[0]), shader.paired(), "{name}");
            for bits in 0..16u8 {
                let [x, y, weights, other] = [0, 1, 2, 3].map(|bit| bits & 1 << bit != 0);
                let text = Halves { x, y, weights, other }.source(shader);
                let module =
                    naga::front::wgsl::parse_str(&text).unwrap_or_else(|e| panic!("{}", e.emit_to_string(&text)));
                let capabilities =
                    Capabilities::SUBGROUP | Capabilities::SHADER_FLOAT16_IN_FLOAT32 | Capabilities::SHADER_INT64;
                let mut validator = Validator::new(ValidationFlags::all(), capabilities);
                validator.subgroup_stages(ShaderStages::COMPUTE).subgroup_operations(SubgroupOperationSet::all());
                validator.validate(&module).unwrap_or_else(|e| panic!("{}", e.emit_to_string(&text)));
            }
        }
    }
}
