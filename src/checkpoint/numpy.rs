//! NumPy arrays and numbers as pickles hold them: a constructor, and an element type, a shape and bytes.

use crate::checkpoint::pickle::{Id, Pickle, Value};
use crate::tensor::{DType, Tensor};

/// Most dimensions that NumPy gives an array.
const MAX_RANK: usize = 64;

/// Whether an array is at `id`.
pub(super) fn is_array(pickle: &Pickle, id: Id) -> bool {
    let Some((module, name)) = pickle.class(id) else { return false };
    let part = module.strip_prefix("numpy.core.").or_else(|| module.strip_prefix("numpy._core."));
    matches!((part, name), (Some("multiarray"), "_reconstruct") | (Some("numeric"), "_frombuffer"))
}

/// The number at `id`, as a tensor without dimensions; `None` where something else is there.
pub(super) fn number(pickle: &Pickle, id: Id) -> Option<Tensor> {
    let Some(("numpy.core.multiarray" | "numpy._core.multiarray", "scalar")) = pickle.class(id) else { return None };
    let Value::Object { args, .. } = pickle.get(id) else { return None };
    let &[dtype, data] = pickle.tuple(*args)? else { return None };
    let Value::Bytes(data) = pickle.get(data) else { return None };
    Tensor::new(self::dtype(pickle, dtype).ok()?, &[], data.clone()).ok()
}

/// The array at `id`, whose bytes are a slice of the file; an error says what is there instead.
pub(super) fn array(pickle: &Pickle, id: Id) -> Result<Tensor, String> {
    let Value::Object { class, args, state, .. } = pickle.get(id) else {
        return Err(format!("its data is {}, not a NumPy array", pickle.kind(id)));
    };
    let (shape, dtype, fortran, data) = match (pickle.global(*class), pickle.tuple(*args), state) {
        // The state is (version, shape, dtype, whether columns come first, bytes).
        (Some((_, "_reconstruct")), _, Some(state)) => match pickle.tuple(*state) {
            Some(&[_, shape, dtype, fortran, data]) => (shape, dtype, *pickle.get(fortran) != Value::Bool(false), data),
            _ => return Err("its array's state has not the five parts that NumPy writes".into()),
        },
        // Protocol 5: (bytes, dtype, shape, order).
        (Some((_, "_frombuffer")), Some(&[data, dtype, shape, order]), _) => {
            (shape, dtype, pickle.str(order) != Some("C"), data)
        }
        _ => return Err(format!("its data is {}, not a NumPy array", pickle.kind(id))),
    };
    let dtype = self::dtype(pickle, dtype)?;
    let dims = pickle.tuple(shape).filter(|dims| dims.len() <= MAX_RANK);
    let dims = dims.ok_or_else(|| format!("its shape is no tuple of up to {MAX_RANK} counts"))?;
    let shape: Option<Vec<usize>> = dims.iter().map(|dim| usize::try_from(pickle.int(*dim)?).ok()).collect();
    let shape = shape.ok_or("its shape holds what is no count")?;
    if fortran && shape.iter().filter(|&&dim| dim > 1).count() > 1 {
        return Err("its array has its columns first (Fortran order), which is not read; save \
                    numpy.ascontiguousarray of it"
            .into());
    }
    let Value::Bytes(bytes) = pickle.get(data) else {
        return Err(format!("its array's values are {}, not bytes", pickle.kind(data)));
    };
    Tensor::new(dtype, &shape, bytes.clone()).map_err(|error| error.to_string())
}

/// The element type at `id`: `dtype('f4', False, True)` with the byte order in its state.
fn dtype(pickle: &Pickle, id: Id) -> Result<DType, String> {
    let Value::Object { class, args, state, .. } = pickle.get(id) else {
        return Err(format!("its element type is {}", pickle.kind(id)));
    };
    if pickle.global(*class) != Some(("numpy", "dtype")) {
        return Err(format!("its element type is {}", pickle.kind(id)));
    }
    let code = pickle.tuple(*args).and_then(|args| pickle.str(*args.first()?)).ok_or("its element type has no name")?;
    let (code, order) = match code.strip_prefix(['<', '>', '|', '=']) {
        Some(rest) => (rest, code.get(..1)),
        None => (code, None),
    };
    let order_of = |state: &Id| pickle.str(*pickle.tuple(*state)?.get(1)?);
    match state.as_ref().and_then(order_of).or(order) {
        Some(">") => return Err("its array is big-endian; only little-endian checkpoints are read".into()),
        Some("<" | "|" | "=") | None => {}
        Some(_) => return Err("its element type has an unknown byte order".into()),
    }
    Ok(match code {
        "f8" => DType::F64,
        "f4" => DType::F32,
        "f2" => DType::F16,
        "i8" => DType::I64,
        "i4" => DType::I32,
        "i2" => DType::I16,
        "i1" => DType::I8,
        "u8" => DType::U64,
        "u4" => DType::U32,
        "u2" => DType::U16,
        "u1" => DType::U8,
        "b1" => DType::Bool,
        other => {
            return Err(format!(
                "its elements are NumPy's {}, which are not read",
                crate::checkpoint::source::short(other)
            ));
        }
    })
}
