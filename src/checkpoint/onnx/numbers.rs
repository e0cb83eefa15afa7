//! The elements of a tensor: their type by its number, and their bytes where they lie in the fields of numbers.

use super::model::Fault;
use super::schema::Schema;
use crate::error::Result;
use crate::file::protobuf::{Field, varint};
use crate::tensor::DType;
use bytes::Bytes;

/// The element type with this number in `TensorProto.DataType`, which the formats share; or what it is instead.
pub(super) fn dtype(number: u64) -> std::result::Result<DType, Fault> {
    Ok(match number {
        1 => DType::F32,
        2 => DType::U8,
        3 => DType::I8,
        4 => DType::U16,
        5 => DType::I16,
        6 => DType::I32,
        7 => DType::I64,
        9 => DType::Bool,
        10 => DType::F16,
        11 => DType::F64,
        12 => DType::U32,
        13 => DType::U64,
        16 => DType::BF16,
        0 => return Err("it has no element type; the file is damaged".into()),
        8 => return Err("its elements are strings, which are not read".into()),
        14 | 15 => return Err("its elements are complex, which are not read".into()),
        other => {
            return Err(format!("its element type has the number {other}, which is not read; save it as float").into());
        }
    })
}

/// The little-endian bytes of numbers that lie in `typed` fields, `expected` of them in all. `ask` is asked before
/// memory is taken.
pub(super) fn numbers(
    schema: &Schema,
    dtype: DType,
    typed: &[(u32, Field)],
    expected: usize,
    ask: impl Fn(usize) -> Result<()>,
) -> std::result::Result<Bytes, Fault> {
    let belongs = match dtype {
        DType::F32 => schema.floats,
        DType::F64 => schema.doubles,
        DType::I64 => schema.longs,
        DType::U32 | DType::U64 => schema.unsigned,
        DType::F16 | DType::BF16 | DType::I32 | DType::I16 | DType::I8 | DType::U16 | DType::U8 | DType::Bool => {
            schema.ints
        }
    };
    if typed.iter().any(|(tag, _)| *tag != belongs) {
        return Err(format!("its numbers are not where those of {dtype} belong; the file is damaged").into());
    }
    let fixed = matches!(dtype, DType::F32 | DType::F64);
    if let ([(_, Field::Bytes(packed))], true) = (typed, fixed) {
        return Ok(packed.clone());
    }
    // Each number takes a byte or more in the file, so lies about the shape end here.
    let held: usize = typed.iter().map(|(_, field)| field.bytes().map_or(1, Bytes::len)).sum();
    if expected / dtype.size() > held {
        return Err(format!("its shape takes {} numbers and at most {held} are there", expected / dtype.size()).into());
    }
    ask(expected)?;
    let mut out = Vec::new();
    if out.try_reserve_exact(expected).is_err() {
        return Err(format!("its {expected} bytes do not fit into memory").into());
    }
    let mut put = |bytes: &[u8]| {
        let fits = out.len().saturating_add(bytes.len()) <= expected;
        if fits {
            out.extend_from_slice(bytes);
        }
        fits
    };
    for (_, field) in typed {
        let fits = match field {
            Field::Fixed32(bytes) if dtype == DType::F32 => put(bytes),
            Field::Fixed64(bytes) if dtype == DType::F64 => put(bytes),
            Field::Bytes(packed) if fixed => put(packed),
            Field::Number(number) if !fixed => put(number.to_le_bytes().get(..dtype.size()).unwrap_or_default()),
            Field::Bytes(packed) => {
                let mut rest = &packed[..];
                let mut fits = true;
                while fits && !rest.is_empty() {
                    let (number, len) = varint(rest).map_err(|_| "its numbers are damaged")?;
                    // The low bytes are right for every type: negatives are extended, halves stand for themselves.
                    fits = put(number.to_le_bytes().get(..dtype.size()).unwrap_or_default());
                    rest = rest.get(len..).unwrap_or_default();
                }
                fits
            }
            _ => return Err("its numbers are not of the type that it names".into()),
        };
        if !fits {
            return Err(format!("it has more numbers than the {} of its shape", expected / dtype.size()).into());
        }
    }
    Ok(out.into())
}
