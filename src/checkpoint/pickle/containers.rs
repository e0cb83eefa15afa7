//! Python's own container types: the calls that a pickle may make because their results are plain values.

use super::{Id, Value};
use bytes::Bytes;

/// What a call to the container `module.name` with `args` makes, and how many items were copied; `None` where it is
/// no such call. `get` looks values up.
pub(super) fn call<'v>(
    module: &str,
    name: &str,
    args: &[Id],
    get: &impl Fn(Id) -> &'v Value,
) -> Option<(Value, usize)> {
    let first = args.first().map(|id| get(*id));
    let value = match (module, name) {
        ("collections", "defaultdict") if args.len() <= 1 => Value::Dict(Vec::new()),
        ("collections", "OrderedDict" | "Counter") | ("builtins" | "__builtin__", "dict") => match first {
            None => Value::Dict(Vec::new()),
            Some(Value::Dict(items)) => Value::Dict(items.clone()),
            Some(Value::List(pairs) | Value::Tuple(pairs)) => Value::Dict(
                pairs
                    .iter()
                    .map(|pair| match get(*pair) {
                        Value::Tuple(pair) | Value::List(pair) => Some((*pair.first()?, *pair.get(1)?)),
                        _ => None,
                    })
                    .collect::<Option<_>>()?,
            ),
            Some(_) => return None,
        },
        ("builtins" | "__builtin__", "list") => Value::List(items(first)?),
        ("builtins" | "__builtin__", "tuple") => Value::Tuple(items(first)?),
        ("builtins" | "__builtin__", "set" | "frozenset") => Value::Set(items(first)?),
        ("builtins" | "__builtin__", "bytes" | "bytearray") => match first {
            None => Value::Bytes(Bytes::new()),
            Some(Value::Bytes(bytes)) => Value::Bytes(bytes.clone()),
            Some(_) => return None,
        },
        // How protocol 2 spells bytes: as text, each character a byte.
        ("_codecs", "encode") => match (first, args.get(1).map(|id| get(*id))) {
            (Some(Value::Str(text)), Some(Value::Str(codec))) if matches!(codec.as_str(), "latin1" | "latin-1") => {
                let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
                Value::Bytes(bytes?.into())
            }
            _ => return None,
        },
        _ => return None,
    };
    let copied = match &value {
        Value::Dict(items) => items.len(),
        Value::List(items) | Value::Tuple(items) | Value::Set(items) => items.len(),
        Value::Bytes(bytes) if module == "_codecs" => bytes.len() / 16,
        _ => 0,
    };
    Some((value, copied))
}

fn items(from: Option<&Value>) -> Option<Vec<Id>> {
    match from {
        None => Some(Vec::new()),
        Some(Value::List(items) | Value::Tuple(items) | Value::Set(items)) => Some(items.clone()),
        Some(_) => None,
    }
}
