//! Reads pickles as inert data: containers, numbers, strings and the names of what they would call; nothing is called.
//!
//! Values live in one flat list and refer to each other by number. So a value that a pickle mentions a million times
//! is held once, lists may hold themselves, and neither nesting nor dropping recurses.

mod containers;
mod cursor;
mod machine;
mod text;

pub(super) use machine::read;

use bytes::Bytes;

/// A value's place in its [`Pickle`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Id(u32);

/// What a pickle holds. Containers hold the places of their items.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    /// An integer beyond `i64`: two's complement, little-endian.
    Long(Bytes),
    Float(f64),
    Str(String),
    Bytes(Bytes),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Set(Vec<Id>),
    /// `dict`, and `OrderedDict` and its like.
    Dict(Vec<(Id, Id)>),
    /// A class or function by its name, which is never looked up. Both are `Str`.
    Global {
        module: Id,
        name: Id,
    },
    /// What calling `class` with `args` would have made, with the state it would have been given.
    Object {
        class: Id,
        args: Id,
        state: Option<Id>,
    },
    /// Something outside the pickle, such as a tensor's storage.
    Persistent(Id),
}

/// Everything that one pickle holds.
#[derive(Debug)]
pub(super) struct Pickle {
    values: Vec<Value>,
    root: Id,
    end: usize,
    refused: Refused,
}

impl Pickle {
    /// The value that the pickle stands for.
    pub fn root(&self) -> Id {
        self.root
    }

    /// Where the pickle ends in the bytes that it was read from.
    pub fn end(&self) -> usize {
        self.end
    }

    /// Names of classes and functions outside the closed list.
    pub fn refused(&self) -> &Refused {
        &self.refused
    }

    /// Every value, in the order of making.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    pub fn get(&self, id: Id) -> &Value {
        // The machine hands out only places that it has filled.
        &self.values[id.0 as usize]
    }

    pub fn str(&self, id: Id) -> Option<&str> {
        match self.get(id) {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    pub fn int(&self, id: Id) -> Option<i64> {
        match self.get(id) {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }

    pub fn tuple(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Value::Tuple(items) => Some(items),
            _ => None,
        }
    }

    pub fn dict(&self, id: Id) -> Option<&[(Id, Id)]> {
        match self.get(id) {
            Value::Dict(items) => Some(items),
            _ => None,
        }
    }

    /// The value under the text `key` of the dict at `id`; the last one, as in Python, where there are several.
    pub fn item(&self, id: Id, key: &str) -> Option<Id> {
        self.dict(id)?.iter().rev().find(|(k, _)| self.str(*k) == Some(key)).map(|(_, value)| *value)
    }

    /// Module and name of the class or function at `id`.
    pub fn global(&self, id: Id) -> Option<(&str, &str)> {
        match self.get(id) {
            Value::Global { module, name } => Some((self.str(*module)?, self.str(*name)?)),
            _ => None,
        }
    }

    /// What kind of value is at `id`, in Python's words.
    pub fn kind(&self, id: Id) -> String {
        let word = match self.get(id) {
            Value::None => "None",
            Value::Bool(_) => "a bool",
            Value::Int(_) | Value::Long(_) => "an int",
            Value::Float(_) => "a float",
            Value::Str(_) => "a str",
            Value::Bytes(_) => "bytes",
            Value::List(_) => "a list",
            Value::Tuple(_) => "a tuple",
            Value::Set(_) => "a set",
            Value::Dict(_) => "a dict",
            Value::Global { .. } => "a class or function",
            Value::Persistent(_) => "a storage",
            Value::Object { class, .. } => {
                return match self.global(*class) {
                    Some((module, name)) => super::source::short(&format!("a {module}.{name}")),
                    None => "an object".into(),
                };
            }
        };
        word.into()
    }
}

/// The names that a pickle would look up and that are not in the closed list; the first few, and how many there are.
#[derive(Debug, Default)]
pub(super) struct Refused {
    names: Vec<String>,
    more: usize,
}

impl Refused {
    const SHOWN: usize = 16;

    fn add(&mut self, module: &str, name: &str) {
        let full = super::source::short(&format!("{}.{}", super::source::short(module), super::source::short(name)));
        if self.names.contains(&full) {
        } else if self.names.len() < Self::SHOWN {
            self.names.push(full);
        } else {
            self.more += 1;
        }
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The names in one line.
    pub fn list(&self) -> String {
        let names = self.names.join(", ");
        if self.more > 0 { format!("{names} and {} more", self.more) } else { names }
    }
}
