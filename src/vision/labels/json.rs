//! Labels as JSON: a list, an object by class or by label, Keras' class index, Hugging Face's `config.json`.

use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::{in_order, shown};

const EXPECTED: &str = r#"labels as JSON are ["tench", ...], {"0": "tench", ...}, {"tench": 0, ...}, {"0": ["n01440764", "tench"], ...}, [{"id": 0, "name": "tench"}, ...], or an object with `id2label`"#;

/// Whether it is no list of lines: a label may begin with a bracket, so an array counts only if what it holds follows, or
/// if all of it is one.
pub fn is_json(text: &str) -> bool {
    let text = text.trim_start();
    text.starts_with('{')
        || text.strip_prefix('[').is_some_and(|rest| {
            rest.trim_start().starts_with(['"', ']', '[', '{']) || serde_json::from_str::<IgnoredAny>(text).is_ok()
        })
}

pub fn parse(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("damaged JSON: {error}"))
}

/// The labels that `value` holds, in the order of the classes.
pub fn names(value: Value) -> Result<Vec<String>, String> {
    let names = match value {
        Value::Array(list) if list.first().is_some_and(Value::is_object) => {
            in_order(list.iter().map(described).collect::<Option<Vec<_>>>().ok_or_else(other)?, true)?
        }
        Value::Array(list) => list.into_iter().map(name).collect::<Option<Vec<_>>>().ok_or_else(other)?,
        Value::Object(mut object) => match (object.remove("id2label"), object.remove("label2id")) {
            (Some(Value::Object(by_class)), _) => by_number(by_class)?,
            (_, Some(Value::Object(by_label))) => by_label_of(by_label)?,
            (None, None) if object.values().any(Value::is_u64) && object.keys().any(|key| number(key).is_none()) => {
                by_label_of(object)?
            }
            (None, None) => by_number(object)?,
            _ => return Err(other()),
        },
        _ => return Err(other()),
    };
    if names.is_empty() { Err("there is no label in it".to_owned()) } else { Ok(names) }
}

fn other() -> String {
    format!("{EXPECTED}; this is something else")
}

fn number(key: &str) -> Option<usize> {
    key.trim().parse().ok()
}

/// A label, or the second of Keras' pair.
fn name(value: Value) -> Option<String> {
    match value {
        Value::String(name) => Some(name),
        Value::Array(pair) => match <[Value; 2]>::try_from(pair) {
            Ok([Value::String(_), Value::String(name)]) => Some(name),
            _ => None,
        },
        _ => None,
    }
}

/// A class as an object, `{"id": 0, "name": "tench"}`.
fn described(value: &Value) -> Option<(usize, String)> {
    let class = usize::try_from(value.get("id")?.as_u64()?).ok()?;
    Some((class, value.get("name")?.as_str()?.to_owned()))
}

fn by_number(object: Map<String, Value>) -> Result<Vec<String>, String> {
    let entry = |(key, value): (String, Value)| {
        let class =
            number(&key).ok_or_else(|| format!("\"{}\" is not the number of a class; {EXPECTED}", shown(&key)))?;
        Ok((class, name(value).ok_or_else(other)?))
    };
    in_order(object.into_iter().map(entry).collect::<Result<_, String>>()?, false)
}

fn by_label_of(object: Map<String, Value>) -> Result<Vec<String>, String> {
    let entry = |(label, value): (String, Value)| {
        let class = value.as_u64().and_then(|class| usize::try_from(class).ok());
        class.map(|class| (class, label)).ok_or_else(other)
    };
    in_order(object.into_iter().map(entry).collect::<Result<_, String>>()?, false)
}
