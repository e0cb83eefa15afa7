//! Rebuilds tensors from what their pickled constructors were given.

use super::names::{self, Elements};
use super::strided::{Layout, MAX_RANK, View};
use crate::checkpoint::numpy;
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

/// Where a container of storages gets their bytes from; what is returned has at least the storage's length.
pub(super) type Fetch<'f> = dyn FnMut(&Storage) -> Result<Bytes> + 'f;

/// A key is a number in text.
const MAX_KEY_BYTES: usize = 256;

/// The storage at `id`, or why there is none.
fn storage(pickle: &Pickle, id: Id) -> std::result::Result<Storage<'_>, Fault> {
    match pickle.get(id) {
        Value::Persistent(parts) => storage_of(pickle, *parts),
        _ => Err(format!("its storage is {}", pickle.kind(id)).into()),
    }
}

/// Whether the tuple at `parts`, which stands for something outside the pickle, is that of a storage.
pub(super) fn is_storage(pickle: &Pickle, parts: Id) -> bool {
    pickle.tuple(parts).and_then(|parts| pickle.str(*parts.first()?)) == Some("storage")
}

/// The storage that the tuple at `parts` stands for.
pub(super) fn storage_of(pickle: &Pickle, parts: Id) -> std::result::Result<Storage<'_>, Fault> {
    let parts = pickle.tuple(parts).ok_or("its storage is no tuple")?;
    let &[tag, class, key, _location, count, ref window @ ..] = parts else {
        return Err("its storage has too few parts".into());
    };
    if pickle.str(tag) != Some("storage") {
        return Err("its storage is something else".into());
    }
    let (module, name) = pickle.class_name(class).ok_or("its storage has no class")?;
    let elements = names::storage(module, name).map_err(Fault::Unread)?;
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

/// Whether a tensor is at `id`, also one of a kind that is not read, or a NumPy array, which stands for one.
pub(super) fn is_tensor(pickle: &Pickle, id: Id) -> bool {
    pickle.class(id).is_some_and(|(module, name)| names::makes_tensor(module, name)) || numpy::is_array(pickle, id)
}

/// What is at `id`, in words.
pub(super) fn kind(pickle: &Pickle, id: Id) -> String {
    if numpy::is_array(pickle, id) {
        "a NumPy array".into()
    } else if is_tensor(pickle, id) {
        "a tensor".into()
    } else {
        pickle.kind(id)
    }
}

/// Why there is no tensor.
pub(super) enum Fault {
    /// It is sound and of a kind that is not read: which, and what to do about it.
    Unread(String),
    /// What the file says of it cannot be.
    Damaged(String),
}

impl Fault {
    /// The reason, whichever it is.
    pub fn reason(self) -> String {
        match self {
            Self::Unread(reason) | Self::Damaged(reason) => reason,
        }
    }
}

impl From<String> for Fault {
    fn from(reason: String) -> Self {
        Self::Damaged(reason)
    }
}

impl From<&str> for Fault {
    fn from(reason: &str) -> Self {
        Self::Damaged(reason.into())
    }
}

/// A tensor, or why it has to be left out: it is of a kind that is not read.
pub(super) type Read = std::result::Result<Tensor, String>;

/// The tensor at `id`, which errors call `name`.
pub(super) fn tensor(source: &Source, pickle: &Pickle, id: Id, name: &str, fetch: &mut Fetch) -> Result<Read> {
    let fault = |reason: String| source.fault(format!("tensor `{}`: {reason}", short(name)));
    let (storage, view) = match describe(pickle, id) {
        Ok(Described::View(storage, view)) => (storage, view),
        Ok(Described::Array(id)) => {
            source.expand(|| format!("the shape of tensor `{}`", short(name)), 128)?;
            return Ok(numpy::array(pickle, id));
        }
        Err(Fault::Unread(reason)) => return Ok(Err(reason)),
        Err(Fault::Damaged(reason)) => return Err(fault(reason)),
    };
    // A pickle can mention one tensor a million times, each time under a name of its own.
    source.expand(|| format!("the shape of tensor `{}`", short(name)), 128 + 8 * view.shape.len() as u64)?;
    let mut bytes = fetch(&storage)?;
    if let Some((offset, count)) = storage.window {
        let size = storage.elements.size();
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
    Tensor::new(view.dtype, &view.shape, bytes).map(Ok).map_err(|error| fault(error.to_string()))
}

/// Whether the tensor at `id` looks like a parameter: floats that are not a single number. What cannot be read may be one.
pub(super) fn is_parameter(pickle: &Pickle, id: Id) -> bool {
    let float = |dtype: DType| matches!(dtype, DType::F64 | DType::F32 | DType::F16 | DType::BF16);
    match describe(pickle, id) {
        Ok(Described::View(_, view)) => float(view.dtype) && !view.shape.is_empty(),
        Ok(Described::Array(id)) => {
            numpy::array(pickle, id).is_ok_and(|array| float(array.dtype()) && !array.shape().is_empty())
        }
        Err(_) => true,
    }
}

/// What a tensor is made of.
enum Described<'p> {
    View(Storage<'p>, View),
    /// A NumPy array, which has its values within the pickle.
    Array(Id),
}

/// A call that makes a tensor: the function's or class's name, what it is given, and the state that follows.
struct Made<'p> {
    name: &'p str,
    args: &'p [Id],
    state: &'p [Id],
}

impl<'p> Made<'p> {
    fn of(pickle: &'p Pickle, id: Id) -> std::result::Result<Self, Fault> {
        let unread = |what: String| Fault::Unread(format!("it is {what} and not a tensor"));
        let (module, name) = pickle.class(id).ok_or_else(|| unread(pickle.kind(id)))?;
        let Value::Object { args, state, .. } = pickle.get(id) else { return Err(unread(pickle.kind(id))) };
        if !names::makes_tensor(module, name) {
            return Err(unread(pickle.kind(id)));
        }
        let args = pickle.tuple(*args).unwrap_or_default();
        Ok(Self { name, args, state: state.and_then(|state| pickle.tuple(state)).unwrap_or_default() })
    }
}

/// What the tensor at `id` is made of, below all that it is wrapped in.
fn describe(pickle: &Pickle, id: Id) -> std::result::Result<Described<'_>, Fault> {
    let unread = |reason: &str| Err(Fault::Unread(reason.into()));
    if numpy::is_array(pickle, id) {
        return Ok(Described::Array(id));
    }
    let mut made = Made::of(pickle, id)?;
    // A parameter wraps a tensor, and so does a tensor's own class or device. More is not an honest file.
    for _ in 0..8 {
        let data = match (made.name, made.args, made.state) {
            ("_rebuild_tensor" | "_rebuild_tensor_v2" | "_rebuild_tensor_v3", ..) => return view(pickle, &made),
            ("_rebuild_parameter" | "_rebuild_parameter_with_state" | "_rebuild_buffer", &[data, ..], _)
            // PyTorch 0.1 to 0.4.1, with or without a word on gradients.
            | ("Parameter" | "Buffer" | "Variable", &[data, ..], _)
            // Before that, all that a variable had was its state.
            | ("Parameter" | "Variable", [], &[data, _, _, _, _])
            | ("_rebuild_device_tensor_from_cpu_tensor", &[data, ..], _)
            | ("_rebuild_device_tensor_from_numpy" | "_rebuild_xla_tensor", &[data, ..], _) => data,
            (_, &[function, _, args, ..], _) if made.name.starts_with("_rebuild_from_type") => {
                let (Some((_, name)), Some(args)) = (pickle.global(function), pickle.tuple(args)) else {
                    return unread("it is of a class of its own, which does not say how it is made");
                };
                made = Made { name, args, state: &[] };
                continue;
            }
            // A tensor of the first releases: its state is what `_rebuild_tensor` is given.
            (name, [], state @ [_, _, _, _]) if name.ends_with("Tensor") => {
                return view(pickle, &Made { name: "_rebuild_tensor", args: state, state: &[] });
            }
            ("_rebuild_qtensor", args, _) => return quantised(pickle, args),
            (name, args, _) if name.starts_with("_rebuild_sparse") => {
                let layout = args.first().and_then(|layout| layout_name(pickle, *layout));
                let layout = layout.map(|name| format!(" ({})", short(name))).unwrap_or_default();
                return Err(Fault::Unread(format!("it is sparse{layout}; tensor.to_dense() makes a common one of it")));
            }
            ("_rebuild_meta_tensor_no_storage", ..) => {
                return unread("it is on the device `meta` and has no values; save a model whose weights were loaded");
            }
            ("_rebuild_nested_tensor", ..) => {
                return unread("it is a nested tensor; tensor.unbind() makes common ones of it");
            }
            ("_rebuild_wrapper_subclass", args, _) => {
                let class = args.first().map(|class| pickle.kind(*class)).unwrap_or_default();
                return Err(Fault::Unread(format!(
                    "it is made by {class}, a kind of tensor that holds others; of a DTensor, tensor.full_tensor() makes \
                     a common one"
                )));
            }
            ("UninitializedParameter" | "UninitializedBuffer", ..) => {
                return unread("it has no values yet, being a lazy layer's; run the model once before saving");
            }
            (name, args, _) => {
                let count = args.len();
                return Err(Fault::Unread(format!("it is made by {} with {count} arguments, which is unknown", short(name))));
            }
        };
        if numpy::is_array(pickle, data) {
            return Ok(Described::Array(data));
        }
        made = Made::of(pickle, data)?;
    }
    Err("it is wrapped too often".into())
}

/// `torch.serialization._get_layout('torch.sparse_coo')`.
fn layout_name(pickle: &Pickle, id: Id) -> Option<&str> {
    let Value::Object { args, .. } = pickle.get(id) else { return None };
    pickle.str(*pickle.tuple(*args)?.first()?)
}

/// Refuses `_rebuild_qtensor(storage, ...)` by the name of its element type.
fn quantised<'p>(pickle: &'p Pickle, args: &[Id]) -> std::result::Result<Described<'p>, Fault> {
    let storage = storage(pickle, *args.first().ok_or("it is made of nothing")?)?;
    Err(match storage.elements {
        Elements::Unread(unread) => not_read(unread),
        _ => Fault::Unread("it is quantised; tensor.dequantize() makes floats of it".into()),
    })
}

fn not_read(unread: names::Unread) -> Fault {
    Fault::Unread(format!("it is {} ({}); {}", unread.what, unread.name, unread.advice))
}

fn view<'p>(pickle: &'p Pickle, made: &Made<'p>) -> std::result::Result<Described<'p>, Fault> {
    let (function, args) = (made.name, made.args);
    let &[of, offset, shape, strides, ref rest @ ..] = args else {
        return Err(format!("{function} was given {} arguments", args.len()).into());
    };
    let storage = storage(pickle, of)?;
    let (elements, extra) = match (function, storage.elements) {
        ("_rebuild_tensor_v3", _) => {
            let dtype = rest.get(2).and_then(|id| pickle.global(*id)).ok_or("it names no element type")?;
            (names::dtype(dtype.0, dtype.1).map_err(Fault::Unread)?, rest.get(3))
        }
        (_, elements) => (elements, rest.get(2)),
    };
    let dtype = match elements {
        Elements::Typed(dtype) => dtype,
        Elements::Unread(unread) => return Err(not_read(unread)),
        Elements::Untyped => return Err("its storage is untyped and it names no element type".into()),
    };
    if extra.and_then(|id| pickle.dict(*id)).is_some_and(|bits| !bits.is_empty()) {
        return Err(Fault::Unread(
            "it is a view that negates or conjugates when it is looked at; tensor.resolve_neg().resolve_conj() makes a \
             common one of it"
                .into(),
        ));
    }
    let offset = size(pickle, offset).ok_or("its offset is no count")?;
    let shape = sizes(pickle, shape).ok_or_else(|| format!("its shape is no tuple of up to {MAX_RANK} counts"))?;
    let strides =
        sizes(pickle, strides).ok_or_else(|| format!("its strides are no tuple of up to {MAX_RANK} counts"))?;
    Ok(Described::View(storage, View { dtype, shape, strides, offset }))
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
        Value::Object { .. } if !is_tensor(pickle, id) => number(&numpy::number(pickle, id)?),
        // Asked for its size first, so that no large tensor is gathered to be dropped again.
        Value::Object { .. } => match describe(pickle, id).ok()? {
            Described::View(_, view) if view.shape.iter().all(|&d| d == 1) => {
                number(&tensor(source, pickle, id, name, fetch).ok()?.ok()?)
            }
            _ => None,
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
