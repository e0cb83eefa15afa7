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
    /// With numbers of 32 bits.
    wide: &'static str,
    /// With fewer bits.
    narrow: &'static str,
    /// Whether the latter are levels of 8 bits, which become numbers as they are loaded, and not numbers of 16.
    pub has_levels: bool,
}

macro_rules! form {
    ($name:literal) => {
        form!($name, "storage/f16/", false)
    };
    ($name:literal, $narrow:literal, $has_levels:literal) => {
        Some(Form {
            name: $name,
            wide: file!("storage/f32/", $name),
            narrow: file!($narrow, $name),
            has_levels: $has_levels,
        })
    };
}

/// A function of the table of activations that a pipeline chooses.
#[derive(Debug, Clone, Copy)]
pub struct Applied {
    /// What it is joined as.
    #[allow(dead_code, reason = "tests/devices/shaders.rs compares it with the kernel's first lines")]
    pub name: &'static str,
    function: &'static str,
    /// The `override` that says which one it is.
    pub number: &'static str,
    /// The parameters that hold its settings.
    settings: [&'static str; 2],
}

const OUTER: Applied = Applied { name: "activation", function: "act", number: "ACTIVATION", settings: ["a", "b"] };
const INNER: Applied =
    Applied { name: "activation_inner", function: "act_inner", number: "INNER", settings: ["inner_a", "inner_b"] };

const NONE: Option<Form> = None;
const X: Option<Form> = form!("x");
const X_ELEMENTS: Option<Form> = form!("x_elements");
const X_PAIRS: Option<Form> = form!("x_pairs");
const X_PLANES: Option<Form> = form!("x_planes", "storage/levels/", true);
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
    /// The functions that are applied: none, one to the results, or another to what results are made of besides.
    pub activations: &'static [Applied],
    /// Whether its invocations add up slices.
    pub slices: bool,
}

/// Which arrays hold numbers in fewer than 32 bits: in 16, in pairs, which every device can take apart; or levels in 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Narrow {
    pub x: bool,
    pub y: bool,
    pub weights: bool,
    pub other: bool,
}

macro_rules! shaders {
    ($($variant:ident $name:literal $x:ident $y:ident $weights:ident $other:ident $activations:expr, $slices:literal;)*) => {
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
                        activations: &$activations,
                        slices: $slices,
                    }),*
                }
            }
        }
    };
}

shaders! {
    // shader        file               x          y        weights       other  activations    slices
    Pointwise4x32   "pointwise_4x32"   X_PAIRS    Y_PAIRS  WEIGHTS_PAIRS OTHER [OUTER],        false;
    Dense           "dense"            X          Y        WEIGHTS       OTHER [OUTER],        false;
    DenseSliced     "dense_sliced"     X          Y        WEIGHTS       OTHER [OUTER],        true;
    SeparableSliced "separable_sliced" X          Y        WEIGHTS       OTHER [OUTER, INNER], true;
    Depthwise       "depthwise"        X          Y        WEIGHTS       NONE  [OUTER],        false;
    DepthwiseAny    "depthwise_any"    X          Y        WEIGHTS       NONE  [OUTER],        false;
    DepthwiseRows   "depthwise_rows"   X          Y        WEIGHTS       NONE  [OUTER],        false;
    DepthwisePairs  "depthwise_pairs"  X_PAIRS    Y_PAIRS  WEIGHTS       NONE  [OUTER],        false;
    Conv            "conv"             X_ELEMENTS Y        WEIGHTS       OTHER [OUTER],        false;
    Planes          "planes"           X_PLANES   Y        WEIGHTS       OTHER [OUTER],        false;
    ConvGrouped     "conv_grouped"     X          Y        WEIGHTS       OTHER [OUTER],        false;
    Stem            "stem"             NONE       Y        WEIGHTS       NONE  [OUTER],        false;
    Linear          "linear"           X          Y        WEIGHTS       NONE  [OUTER],        false;
    LinearSliced    "linear_sliced"    X          Y        WEIGHTS       NONE  [OUTER],        false;
    Linear8         "linear_8"         X          NONE     WEIGHTS_PAIRS NONE  [OUTER],        false;
    MaxPool         "max_pool"         X          Y        NONE          NONE  [],             false;
    MaxPoolRows     "max_pool_rows"    X          Y        NONE          NONE  [],             false;
    Pool            "pool"             X          Y        NONE          NONE  [],             false;
    Mean            "mean"             X          Y        NONE          NONE  [],             false;
    MeanSliced      "mean_sliced"      X          Y        NONE          NONE  [],             false;
    Softmax         "softmax"          X_ELEMENTS Y        NONE          NONE  [],             false;
    Elementwise     "elementwise"      X_ELEMENTS Y        NONE          OTHER [OUTER],        false;
}

impl Shader {
    /// The whole text, with the arrays in fewer bits that `narrow` names.
    pub fn source(self, narrow: Narrow) -> String {
        let Parts { x, y, weights, other, activations, slices } = self.parts();
        let arrays = [(x, narrow.x), (y, narrow.y), (weights, narrow.weights), (other, narrow.other)];
        let stored =
            |(form, is_narrow): (Option<Form>, bool)| form.map(|form| if is_narrow { form.narrow } else { form.wide });
        let activations: Vec<String> = activations.iter().map(Applied::text).collect();
        let parts = arrays.into_iter().filter_map(stored).chain(activations.iter().map(String::as_str));
        let parts = parts.chain(slices.then_some(file!("common/slices")));
        let texts: Vec<&str> = [file!("common/params")].into_iter().chain(parts).chain([self.kernel()]).collect();
        texts.join("\n")
    }
}

impl Applied {
    /// Nothing where the number is 0, and otherwise the formula of the row with that number, counted from 1.
    fn text(&self) -> String {
        let Self { function, number, settings: places, .. } = self;
        let cases = Activation::ROWS.iter().zip(1..).map(|(row, number)| {
            let settings = row.settings.iter().zip(places);
            let settings: String = settings.map(|(name, place)| format!("let {name} = params.{place}; ")).collect();
            format!("        case {number}u: {{ {settings}return {}; }}\n", row.wgsl)
        });
        let cases: String = cases.collect();
        format!(
            "override {number}: u32 = 0u;\n\nfn {function}(v: vec4<f32>) -> vec4<f32> {{\n    switch {number} {{\n\
             {cases}        default: {{ return v; }}\n    }}\n}}\n"
        )
    }
}
