//! Turns the keys of a pickled dict into names of parameters.

use crate::checkpoint::pickle::{Id, Pickle, Value};
use crate::checkpoint::source::Source;
use crate::error::Result;

/// Longest parameter name; nothing honest comes near.
pub(super) const MAX_NAME_BYTES: usize = 4096;

/// A key as a name.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Key {
    pub name: String,
    /// Whether it is text that Python 2 wrote and Python 3 loaded as bytes.
    pub bytes: bool,
}

/// The name that the key at `id` is; `None` where it is neither text nor a number.
///
/// # Errors
/// [`Error::Limit`](crate::Error::Limit) for text that is too long for a name.
pub(super) fn key(source: &Source, pickle: &Pickle, id: Id) -> Result<Option<Key>> {
    let (name, bytes) = match pickle.get(id) {
        Value::Int(number) => (number.to_string(), false),
        Value::Str(text) => (text.as_str().to_owned(), false),
        Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => (text.to_owned(), true),
            Err(_) => return Ok(None),
        },
        _ => return Ok(None),
    };
    match name.len() <= MAX_NAME_BYTES {
        true => Ok(Some(Key { name, bytes })),
        false => Err(source.over("the length of a name in bytes", name.len() as u64, MAX_NAME_BYTES as u64)),
    }
}

/// The name that a member of a module has, which is always text.
pub(super) fn name(source: &Source, pickle: &Pickle, id: Id) -> Result<String> {
    match key(source, pickle, id)? {
        Some(key) => Ok(key.name),
        None => Err(source.fault(format!("has {} where a parameter's name should be", pickle.kind(id)))),
    }
}

/// The key at `id` in words, as Python prints it where that is short.
pub(super) fn words(pickle: &Pickle, id: Id) -> String {
    match pickle.get(id) {
        Value::Str(text) => text.chars().take(MAX_NAME_BYTES).collect(),
        Value::Int(number) => number.to_string(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Float(number) => format!("{number:?}"),
        Value::Bytes(bytes) => bytes.iter().take(64).flat_map(|byte| byte.escape_ascii()).map(char::from).collect(),
        _ => pickle.kind(id),
    }
}
