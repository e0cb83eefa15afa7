//! The closed list of what a PyTorch pickle may name, and which element types those names stand for.

use crate::tensor::DType;

/// Whether a checkpoint may name `module.name`. All of these are tensors, their parts, or numbers; none is called.
pub(super) fn known(module: &str, name: &str) -> bool {
    match module {
        "torch._utils" => is_rebuild(module, name),
        "torch._tensor" => is_rebuild(module, name),
        "torch" => {
            matches!(name, "Size" | "device" | "Tensor" | "strided")
                || STORAGES.iter().any(|(storage, _)| *storage == name)
                || UNREAD_STORAGES.contains(&name)
                || DTYPES.iter().any(|(dtype, _)| *dtype == name)
                || UNREAD_DTYPES.contains(&name)
        }
        "torch.storage" => matches!(name, "TypedStorage" | "UntypedStorage"),
        "torch.nn.parameter" => matches!(name, "Parameter" | "Buffer"),
        "torch.serialization" => name == "_get_layout",
        // What TorchScript wraps lists and dicts in.
        "torch.jit._pickle" => matches!(
            name,
            "build_intlist" | "build_doublelist" | "build_boollist" | "build_tensorlist" | "restore_type_tag"
        ),
        // An attribute of every module before PyTorch 1.2.
        "torch.nn.backends.thnn" => name == "_get_thnn_function_backend",
        // NumPy numbers among the metadata; arrays are not read.
        "numpy" => name == "dtype",
        "numpy.core.multiarray" | "numpy._core.multiarray" => name == "scalar",
        _ => false,
    }
}

/// Functions that make a tensor.
pub(super) fn is_rebuild(module: &str, name: &str) -> bool {
    match module {
        "torch._utils" => matches!(
            name,
            "_rebuild_tensor"
                | "_rebuild_tensor_v2"
                | "_rebuild_tensor_v3"
                | "_rebuild_parameter"
                | "_rebuild_parameter_with_state"
        ),
        "torch._tensor" => name == "_rebuild_from_type_v2",
        _ => false,
    }
}

/// What a storage's elements are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Elements {
    Typed(DType),
    /// Bytes, whose type each tensor names.
    Untyped,
}

/// The elements of the storage class `module.name`; an error says what it is instead.
pub(super) fn storage(module: &str, name: &str) -> Result<Elements, String> {
    match (module, name) {
        ("torch.storage", "UntypedStorage" | "TypedStorage") => Ok(Elements::Untyped),
        ("torch", name) => match STORAGES.iter().find(|(storage, _)| *storage == name) {
            Some((_, elements)) => Ok(*elements),
            None => Err(format!("torch.{name} is not read")),
        },
        _ => Err(format!("{module}.{name} is no storage")),
    }
}

/// The element type `module.name`; an error says what it is instead.
pub(super) fn dtype(module: &str, name: &str) -> Result<DType, String> {
    let found = DTYPES.iter().find(|(dtype, _)| module == "torch" && *dtype == name);
    found.map(|(_, dtype)| *dtype).ok_or_else(|| format!("elements of {module}.{name} are not read"))
}

const STORAGES: &[(&str, Elements)] = &[
    ("DoubleStorage", Elements::Typed(DType::F64)),
    ("FloatStorage", Elements::Typed(DType::F32)),
    ("HalfStorage", Elements::Typed(DType::F16)),
    ("BFloat16Storage", Elements::Typed(DType::BF16)),
    ("LongStorage", Elements::Typed(DType::I64)),
    ("IntStorage", Elements::Typed(DType::I32)),
    ("ShortStorage", Elements::Typed(DType::I16)),
    ("CharStorage", Elements::Typed(DType::I8)),
    ("ByteStorage", Elements::Typed(DType::U8)),
    ("BoolStorage", Elements::Typed(DType::Bool)),
    ("UntypedStorage", Elements::Untyped),
];

/// Known, so that the error can name the parameter that has one.
const UNREAD_STORAGES: &[&str] = &[
    "ComplexFloatStorage",
    "ComplexDoubleStorage",
    "QUInt8Storage",
    "QInt8Storage",
    "QInt32Storage",
    "QUInt4x2Storage",
    "QUInt2x4Storage",
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

const UNREAD_DTYPES: &[&str] = &[
    "complex32",
    "complex64",
    "complex128",
    "quint8",
    "qint8",
    "qint32",
    "quint4x2",
    "quint2x4",
    "float8_e4m3fn",
    "float8_e5m2",
    "float8_e4m3fnuz",
    "float8_e5m2fnuz",
    "float8_e8m0fnu",
    "float4_e2m1fn_x2",
];
