//! The text of every shader: the file of its kernel, joined with the files of shaders/common and shaders/storage that the
//! kernel uses, and with the formulas of the table of activations.
//!
//! Nothing here needs wgpu, so that tests/devices/shaders.rs can take this file in and check every text without a GPU.

use super::Activation;

/// A file of shaders/.
macro_rules! file {
    ($($path:expr),*) => {
        include_str!(concat!("../../../../shaders/", $($path,)* ".wgsl"))
    };
}

/// How an array is declared, loaded and stored, by the name of two files of shaders/storage.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    #[allow(dead_code, reason = "tests/devices/shaders.rs compares it with the kernel's first lines")]
    pub name: &'static str,
    f32: &'static str,
    f16: &'static str,
}

macro_rules! form {
    ($name:literal) => {
        Some(Form { name: $name, f32: file!("storage/f32/", $name), f16: file!("storage/f16/", $name) })
    };
}

const NONE: Option<Form> = None;
const X: Option<Form> = form!("x");
const X_ELEMENTS: Option<Form> = form!("x_elements");
const X_PAIRS: Option<Form> = form!("x_pairs");
const Y: Option<Form> = form!("y");
const Y_PAIRS: Option<Form> = form!("y_pairs");
const WEIGHTS: Option<Form> = form!("weights");
const WEIGHTS_PAIRS: Option<Form> = form!("weights_pairs");
const OTHER: Option<Form> = form!("other");

/// What a kernel is joined with, besides the parameters.
#[derive(Debug, Clone, Copy)]
pub struct Parts {
    /// The input; none where it is read as numbers of 32 bits only.
    pub x: Option<Form>,
    /// The output; none where it is written as numbers of 32 bits only.
    pub y: Option<Form>,
    /// The weights, where the kernel reads weights and a bias.
    pub weights: Option<Form>,
    /// The second operand, where the kernel reads one.
    pub other: Option<Form>,
    /// Whether an activation is applied to the results.
    pub activation: bool,
}

/// Which arrays hold numbers in 16 bits, in pairs, which every device can take apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Halves {
    pub x: bool,
    pub y: bool,
    pub weights: bool,
    pub other: bool,
}

macro_rules! shaders {
    ($($variant:ident $name:literal $x:ident $y:ident $weights:ident $other:ident $activation:literal)*) => {
        /// A kernel: a file of shaders/.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Shader {
            $($variant),*
        }

        impl Shader {
            #[allow(dead_code, reason = "tests/devices/shaders.rs checks all of them")]
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name of its file.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The text of its file.
            pub fn kernel(self) -> &'static str {
                match self { $(Self::$variant => file!($name)),* }
            }

            /// What it is joined with.
            pub fn parts(self) -> Parts {
                match self {
                    $(Self::$variant => Parts {
                        x: $x,
                        y: $y,
                        weights: $weights,
                        other: $other,
                        activation: $activation,
                    }),*
                }
            }
        }
    };
}

shaders! {
    // shader                         x           y        weights        other  activation
    Pointwise      "pointwise"        X           Y        WEIGHTS        OTHER  true
    Pointwise4x32  "pointwise_4x32"   X_PAIRS     Y_PAIRS  WEIGHTS_PAIRS  OTHER  true
    Depthwise      "depthwise"        X           Y        WEIGHTS        NONE   true
    DepthwiseAny   "depthwise_any"    X           Y        WEIGHTS        NONE   true
    DepthwiseRows  "depthwise_rows"   X           Y        WEIGHTS        NONE   true
    DepthwisePairs "depthwise_pairs"  X_PAIRS     Y_PAIRS  WEIGHTS        NONE   true
    Conv           "conv"             X_ELEMENTS  Y        WEIGHTS        OTHER  true
    Planes         "planes"           NONE        Y        WEIGHTS        OTHER  true
    ConvGrouped    "conv_grouped"     X           Y        WEIGHTS        OTHER  true
    Stem           "stem"             NONE        Y        WEIGHTS        NONE   true
    Linear         "linear"           X           Y        WEIGHTS        NONE   true
    LinearSliced   "linear_sliced"    X           Y        WEIGHTS        NONE   true
    Linear8        "linear_8"         X           NONE     WEIGHTS_PAIRS  NONE   true
    MaxPool        "max_pool"         X           Y        NONE           NONE   false
    MaxPoolRows    "max_pool_rows"    X           Y        NONE           NONE   false
    Pool           "pool"             X           Y        NONE           NONE   false
    Mean           "mean"             X           Y        NONE           NONE   false
    MeanSliced     "mean_sliced"      X           Y        NONE           NONE   false
    Softmax        "softmax"          X_ELEMENTS  Y        NONE           NONE   false
    Elementwise    "elementwise"      X_ELEMENTS  Y        NONE           OTHER  true
}

impl Shader {
    /// The whole text, with the arrays that `halves` names in 16 bits.
    pub fn source(self, halves: Halves) -> String {
        let Parts { x, y, weights, other, activation } = self.parts();
        let arrays = [(x, halves.x), (y, halves.y), (weights, halves.weights), (other, halves.other)];
        let stored = |(form, half): (Option<Form>, bool)| form.map(|form| if half { form.f16 } else { form.f32 });
        let activations = activation.then(activations);
        let parts = arrays.into_iter().filter_map(stored).chain(activations.as_deref());
        let texts: Vec<&str> = [file!("common/params")].into_iter().chain(parts).chain([self.kernel()]).collect();
        texts.join("\n")
    }
}

/// `act`, which is applied to results: nothing where ACTIVATION is 0, and otherwise the formula of the row with that number,
/// counted from 1. Its settings are `a` and `b` of the parameters.
fn activations() -> String {
    let cases = Activation::ROWS.iter().zip(1..).map(|(row, number)| {
        let settings = row.settings.iter().zip(["a", "b"]);
        let settings: String = settings.map(|(name, place)| format!("let {name} = params.{place}; ")).collect();
        format!("        case {number}u: {{ {settings}return {}; }}\n", row.wgsl)
    });
    let cases: String = cases.collect();
    format!(
        "override ACTIVATION: u32 = 0u;\n\nfn act(v: vec4<f32>) -> vec4<f32> {{\n    switch ACTIVATION {{\n{cases}        \
         default: {{ return v; }}\n    }}\n}}\n"
    )
}
