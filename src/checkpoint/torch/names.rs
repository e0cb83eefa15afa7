//! The closed list of what makes a tensor in a PyTorch pickle, and the element types that storages and tensors name.

use crate::checkpoint::source::short;
use crate::tensor::DType;

/// Whether calling `module.name` makes a tensor; it is never called.
pub(super) fn makes_tensor(module: &str, name: &str) -> bool {
    match module {
        "torch._utils" => name.starts_with("_rebuild_"),
        // Before PyTorch 1.9 the module was `torch.tensor`.
        "torch._tensor" | "torch.tensor" => name.starts_with("_rebuild_from_type"),
        "torch.nn.parameter" | "torch.nn" => {
            matches!(name, "Parameter" | "Buffer" | "UninitializedParameter" | "UninitializedBuffer")
        }
        // Before PyTorch 0.4 a tensor that takes part in differentiation was a class of its own.
        "torch.autograd.variable" | "torch.autograd" => name == "Variable",
        // Tensors of the first releases were objects of such a class, with a state.
        "torch" | "torch.cuda" | "torch.sparse" | "torch.cuda.sparse" => name.ends_with("Tensor"),
        _ => false,
    }
}

/// What a storage's elements are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Elements {
    Typed(DType),
    /// Bytes, whose type each tensor names.
    Untyped,
    /// Of a type that is not read.
    Unread(Unread),
}

/// An element type that no [`DType`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unread {
    /// PyTorch's name.
    pub name: &'static str,
    /// Bytes of an element.
    pub size: usize,
    /// What a tensor of them is.
    pub what: &'static str,
    /// What makes common floats of it.
    pub advice: &'static str,
}

impl Elements {
    /// Bytes of an element.
    pub fn size(self) -> usize {
        match self {
            Self::Typed(dtype) => dtype.size(),
            Self::Untyped => 1,
            Self::Unread(unread) => unread.size,
        }
    }
}

/// The elements of the storage class `module.name`; an error says what it is instead. Classes of a device, such as
/// `torch.cuda.FloatStorage`, hold what those of the CPU do.
pub(super) fn storage(module: &str, name: &str) -> Result<Elements, String> {
    let found = match (module, name) {
        ("torch.storage", "UntypedStorage" | "TypedStorage" | "_UntypedStorage" | "_TypedStorage") => {
            Some(Elements::Untyped)
        }
        ("torch" | "torch.cuda" | "torch.npu" | "torch.xpu", name) => name.strip_suffix("Storage").and_then(elements),
        _ => None,
    };
    found.ok_or_else(|| format!("its storage is a {}, which is unknown", short(&format!("{module}.{name}"))))
}

/// The elements of the storage or tensor class that is called `word` before `Storage` or `Tensor`.
fn elements(word: &str) -> Option<Elements> {
    let typed = STORAGES.iter().find(|(name, _)| *name == word).map(|(_, dtype)| Elements::Typed(*dtype));
    let unread = || UNREAD_STORAGES.iter().find(|(name, _)| *name == word).and_then(|(_, dtype)| unread(dtype));
    match word {
        "Untyped" => Some(Elements::Untyped),
        _ => typed.or_else(|| unread().map(Elements::Unread)),
    }
}

/// The element type `module.name`; an error says what it is instead.
pub(super) fn dtype(module: &str, name: &str) -> Result<Elements, String> {
    let name = if module == "torch" { name } else { "" };
    let found = DTYPES.iter().find(|(dtype, _)| *dtype == name).map(|(_, dtype)| Elements::Typed(*dtype));
    found
        .or_else(|| unread(name).map(Elements::Unread))
        .ok_or_else(|| format!("its element type {} is unknown", short(&format!("{module}.{name}"))))
}

fn unread(name: &str) -> Option<Unread> {
    UNREAD.iter().find(|unread| unread.name == name).copied()
}

const STORAGES: &[(&str, DType)] = &[
    ("Double", DType::F64),
    ("Float", DType::F32),
    ("Half", DType::F16),
    ("BFloat16", DType::BF16),
    ("Long", DType::I64),
    ("Int", DType::I32),
    ("Short", DType::I16),
    ("Char", DType::I8),
    ("Byte", DType::U8),
    ("Bool", DType::Bool),
];

const DTYPES: &[(&str, DType)] = &[
    ("float64", DType::F64),
    ("float32", DType::F32),
    ("float16", DType::F16),
    ("bfloat16", DType::BF16),
    ("int64", DType::I64),
    ("int32", DType::I32),
    ("int16", DType::I16),
    ("int8", DType::I8),
    ("uint64", DType::U64),
    ("uint32", DType::U32),
    ("uint16", DType::U16),
    ("uint8", DType::U8),
    ("bool", DType::Bool),
];

const UNREAD_STORAGES: &[(&str, &str)] = &[
    ("ComplexFloat", "complex64"),
    ("ComplexDouble", "complex128"),
    ("QUInt8", "quint8"),
    ("QInt8", "qint8"),
    ("QInt32", "qint32"),
    ("QUInt4x2", "quint4x2"),
    ("QUInt2x4", "quint2x4"),
];

/// What tensors of some types are, and what makes common floats of them.
type Kind = (&'static str, &'static str);
const COMPLEX: Kind = ("complex", "torch.view_as_real(tensor) makes floats of it");
const QUANTISED: Kind = ("quantised", "tensor.dequantize() makes floats of it");
const SMALL: Kind =
    ("of floats of 8 bits or fewer", "tensor.float() makes common ones of them, to be scaled if it has a scale");

const fn kind(name: &'static str, size: usize, (what, advice): Kind) -> Unread {
    Unread { name, size, what, advice }
}

const UNREAD: &[Unread] = &[
    kind("complex32", 4, COMPLEX),
    kind("complex64", 8, COMPLEX),
    kind("complex128", 16, COMPLEX),
    kind("quint8", 1, QUANTISED),
    kind("qint8", 1, QUANTISED),
    kind("qint32", 4, QUANTISED),
    kind("quint4x2", 1, QUANTISED),
    kind("quint2x4", 1, QUANTISED),
    kind("float8_e4m3fn", 1, SMALL),
    kind("float8_e5m2", 1, SMALL),
    kind("float8_e4m3fnuz", 1, SMALL),
    kind("float8_e5m2fnuz", 1, SMALL),
    kind("float8_e8m0fnu", 1, SMALL),
    kind("float4_e2m1fn_x2", 1, SMALL),
];
