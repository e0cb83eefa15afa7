//! Rebuilds tensors from what their pickled constructors were given.

use super::names::{self, Elements};
use super::strided::{Layout, MAX_RANK, View};
use crate::checkpoint::pickle::{Id, Pickle, Value};
use crate::checkpoint::source::{Source, short};
use crate::error::Result;
use crate::tensor::{DType, Tensor};
use bytes::Bytes;

/// A storage that a pickle refers to: `('storage', class, key, location, elements, view)`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Storage<'p> {
    pub key: &'p str,
    pub elements: Elements,
    /// How many elements; bytes where they are untyped.
    pub count: usize,
    /// The legacy stream's window on a storage: offset and length in elements.
    pub window: Option<(usize, usize)>,
}

impl Storage<'_> {
    pub fn element_size(&self) -> usize {
        match self.elements {
            Elements::Typed(dtype) => dtype.size(),
            Elements::Untyped => 1,
        }
    }
}

/// Where a container of storages gets their bytes from; what is returned has at least the storage's length.
pub(super) type Fetch<'f> = dyn FnMut(&Storage) -> Result<Bytes> + 'f;

/// A key is a number in text.
const MAX_KEY_BYTES: usize = 256;

/// The storage at `id`, or why there is none.
pub(super) fn storage(pickle: &Pickle, id: Id) -> std::result::Result<Storage<'_>, String> {
    let Value::Persistent(inner) = pickle.get(id) else {
        return Err(format!("its storage is {}", pickle.kind(id)));
    };
    let parts = pickle.tuple(*inner).ok_or("its storage is no tuple")?;
    let &[tag, class, key, _location, count, ref window @ ..] = parts else {
        return Err("its storage has too few parts".into());
    };
    if pickle.str(tag) != Some("storage") {
        return Err("its storage is something else".into());
    }
    let (module, name) = pickle.global(class).ok_or("its storage has no class")?;
    let elements = names::storage(module, name)?;
    let key = pickle.str(key).filter(|key| key.len() <= MAX_KEY_BYTES).ok_or("its storage has no proper key")?;
    let count = size(pickle, count).ok_or("its storage has no proper size")?;
    let window = match window {
        [id, ..] if !matches!(pickle.get(*id), Value::None) => {
            let parts = pickle
                .tuple(*id)
                .and_then(|parts| Some((size(pickle, *parts.get(1)?)?, size(pickle, *parts.get(2)?)?)));
            Some(parts.ok_or("its storage's view is malformed")?)
        }
        _ => None,
    };
    Ok(Storage { key, elements, count, window })
}

/// Whether the value at `id` is a tensor.
pub(super) fn is_tensor(pickle: &Pickle, id: Id) -> bool {
    match pickle.get(id) {
        Value::Object { class, .. } => {
            pickle.global(*class).is_some_and(|(module, name)| names::is_rebuild(module, name))
        }
        _ => false,
    }
}

/// The tensor at `id`, which errors call `name`.
pub(super) fn tensor(source: &Source, pickle: &Pickle, id: Id, name: &str, fetch: &mut Fetch) -> Result<Tensor> {
    let fault = |reason: String| source.fault(format!("tensor `{}`: {reason}", short(name)));
    let (storage, view) = describe(pickle, id).map_err(fault)?;
    // A pickle can mention one tensor a million times, each time under a name of its own.
    source.expand(|| format!("the shape of tensor `{}`", short(name)), 128 + 8 * view.shape.len() as u64)?;
    let mut bytes = fetch(&storage)?;
    if let Some((offset, count)) = storage.window {
        let size = storage.element_size();
        let range = offset
            .checked_mul(size)
            .zip(count.checked_mul(size))
            .and_then(|(start, len)| Some(start..start.checked_add(len)?));
        let range = range.filter(|range| range.end <= bytes.len());
        bytes =
            bytes.slice(range.ok_or_else(|| fault("its view lies outside its storage; the file is damaged".into()))?);
    }
    let bytes = match view.layout(bytes.len()).map_err(fault)? {
        Layout::Run { start, len } => bytes.slice(start..start + len),
        Layout::Scattered { len } => {
            source.expand(|| format!("tensor `{}` of shape {:?}", short(name), view.shape), len as u64)?;
            let mut gathered = Vec::new();
            gathered.try_reserve_exact(len).map_err(|_| fault(format!("its {len} bytes do not fit into memory")))?;
            view.gather(&bytes, &mut gathered);
            gathered.into()
        }
    };
    Tensor::new(view.dtype, &view.shape, bytes).map_err(|error| fault(error.to_string()))
}

fn describe(pickle: &Pickle, id: Id) -> std::result::Result<(Storage<'_>, View), String> {
    let (function, args) = constructor(pickle, id)?;
    let &[of, offset, shape, strides, ref rest @ ..] = args else {
        return Err(format!("{function} was given {} arguments", args.len()));
    };
    let storage = storage(pickle, of)?;
    let (dtype, extra) = match (function, storage.elements) {
        ("_rebuild_tensor_v3", _) => {
            let dtype = rest.get(2).and_then(|id| pickle.global(*id)).ok_or("it names no element type")?;
            (names::dtype(dtype.0, dtype.1)?, rest.get(3))
        }
        (_, Elements::Typed(dtype)) => (dtype, rest.get(2)),
        (_, Elements::Untyped) => return Err("its storage is untyped and it names no element type".into()),
    };
    if extra.and_then(|id| pickle.dict(*id)).is_some_and(|bits| !bits.is_empty()) {
        return Err("it is a lazily negated or conjugated view; save it after .resolve_neg()".into());
    }
    let offset = size(pickle, offset).ok_or("its offset is no count")?;
    let shape = sizes(pickle, shape).ok_or_else(|| format!("its shape is no tuple of up to {MAX_RANK} counts"))?;
    let strides =
        sizes(pickle, strides).ok_or_else(|| format!("its strides are no tuple of up to {MAX_RANK} counts"))?;
    Ok((storage, View { dtype, shape, strides, offset }))
}

/// The function that makes the tensor at `id` and its arguments, below the parameters that it is wrapped in.
fn constructor(pickle: &Pickle, mut id: Id) -> std::result::Result<(&str, &[Id]), String> {
    // A parameter wraps a tensor; a parameter with attributes wraps once more. More is no honest file.
    for _ in 0..4 {
        let Value::Object { class, args, .. } = pickle.get(id) else {
            return Err(format!("it is {}", pickle.kind(id)));
        };
        let (module, name) = pickle.global(*class).ok_or("it is made by something without a name")?;
        let args = pickle.tuple(*args).ok_or("it is made from no tuple")?;
        if !names::is_rebuild(module, name) {
            return Err(format!("it is made by {}", short(&format!("{module}.{name}"))));
        }
        match (name, args) {
            ("_rebuild_parameter" | "_rebuild_parameter_with_state", [data, ..]) => id = *data,
            ("_rebuild_from_type_v2", [function, _, inner, ..]) => {
                let (module, name) = pickle.global(*function).ok_or("it is made by something without a name")?;
                let args = pickle.tuple(*inner).ok_or("it is made from no tuple")?;
                return match name {
                    "_rebuild_tensor_v2" | "_rebuild_tensor_v3" => Ok((name, args)),
                    _ => Err(format!("it is made by {}", short(&format!("{module}.{name}")))),
                };
            }
            ("_rebuild_tensor" | "_rebuild_tensor_v2" | "_rebuild_tensor_v3", args) => return Ok((name, args)),
            _ => return Err(format!("{name} was given {} arguments", args.len())),
        }
    }
    Err("it is wrapped too often".into())
}

fn size(pickle: &Pickle, id: Id) -> Option<usize> {
    pickle.int(id).and_then(|number| usize::try_from(number).ok())
}

/// A tuple, or the `torch.Size` of one.
fn sizes(pickle: &Pickle, id: Id) -> Option<Vec<usize>> {
    let items = match pickle.get(id) {
        Value::Object { class, args, .. } if pickle.global(*class) == Some(("torch", "Size")) => {
            pickle.tuple(*pickle.tuple(*args)?.first()?)?
        }
        _ => pickle.tuple(id)?,
    };
    // Here, so that no long list of numbers is copied for each of the many tensors that may share it.
    if items.len() > MAX_RANK {
        return None;
    }
    items.iter().map(|item| size(pickle, *item)).collect()
}

/// A number, string or boolean at `id` as text: Python's own, NumPy's, or a tensor of one element.
pub(super) fn scalar(source: &Source, pickle: &Pickle, id: Id, name: &str, fetch: &mut Fetch) -> Option<String> {
    const MAX_TEXT_BYTES: usize = 4096;
    match pickle.get(id) {
        Value::Bool(value) => Some(value.to_string()),
        Value::Int(value) => Some(value.to_string()),
        Value::Float(value) => Some(format!("{value:?}")),
        Value::Str(text) if text.len() <= MAX_TEXT_BYTES => {
            // One text can be mentioned under many keys.
            source.expand(|| format!("`{}`", short(name)), text.len() as u64).ok()?;
            Some(text.clone())
        }
        Value::Object { class, args, .. } if pickle.global(*class).is_some_and(|(_, name)| name == "scalar") => {
            let &[dtype, data] = pickle.tuple(*args)? else { return None };
            let (Value::Object { args, .. }, Value::Bytes(data)) = (pickle.get(dtype), pickle.get(data)) else {
                return None;
            };
            let dtype = match pickle.str(*pickle.tuple(*args)?.first()?)? {
                "f8" => DType::F64,
                "f4" => DType::F32,
                "f2" => DType::F16,
                "i8" => DType::I64,
                "i4" => DType::I32,
                "u1" => DType::U8,
                "b1" => DType::Bool,
                _ => return None,
            };
            number(&Tensor::new(dtype, &[], data.clone()).ok()?)
        }
        // Asked for its size first, so that no large tensor is gathered to be dropped again.
        _ if is_tensor(pickle, id) => match describe(pickle, id).ok()?.1.shape.iter().all(|&d| d == 1) {
            true => number(&tensor(source, pickle, id, name, fetch).ok()?),
            false => None,
        },
        _ => None,
    }
}

/// The one element of `tensor` as text.
pub(in crate::checkpoint) fn number(tensor: &Tensor) -> Option<String> {
    let bytes = &tensor.bytes()[..];
    Some(match tensor.dtype() {
        DType::F64 => format!("{:?}", f64::from_le_bytes(bytes.try_into().ok()?)),
        DType::I64 => i64::from_le_bytes(bytes.try_into().ok()?).to_string(),
        DType::U64 => u64::from_le_bytes(bytes.try_into().ok()?).to_string(),
        DType::Bool => (bytes != [0]).to_string(),
        DType::F32 | DType::F16 | DType::BF16 => format!("{:?}", tensor.to_f32_vec().first()?),
        _ => tensor.to_f32_vec().first()?.to_string(),
    })
}
