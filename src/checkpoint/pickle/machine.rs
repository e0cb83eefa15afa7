//! The pickle machine: a loop over opcodes, a stack and a memo, of protocols 0 to 5.

use super::cursor::Cursor;
use super::stack::Stack;
use super::{Id, Pickle, Value, containers, literal, text};
use crate::checkpoint::source::Source;
use crate::error::{Error, Result};
use bytes::Bytes;
use std::collections::HashMap;

/// Reads the pickle that starts at `start` of `bytes`, a part of `source` that errors call `what`.
///
/// Of all that it asks Python to call, only the containers of `containers.rs` are made. Everything else becomes an inert
/// object that says what was asked for.
pub(in crate::checkpoint) fn read(source: &Source, what: &str, bytes: &Bytes, start: usize) -> Result<Pickle> {
    let mut machine = Machine {
        input: Cursor::new(bytes, start),
        source,
        what,
        limit: source.limits.pickle_opcodes,
        work: 0,
        values: Vec::new(),
        stack: Stack::default(),
        memo: HashMap::new(),
    };
    match machine.run() {
        Ok(root) => Ok(Pickle { values: machine.values, root, end: machine.input.at() }),
        Err(Halt::Fault(reason)) => {
            Err(source
                .fault(format!("{what} is no sound pickle: {reason}, at its byte {}", machine.input.at() - start)))
        }
        Err(Halt::Memory(error)) => Err(error),
        Err(Halt::Limit) => {
            let what = format!("the number of opcodes of {what} (Limits::pickle_opcodes)");
            Err(source.over(what, machine.work, machine.limit))
        }
    }
}

/// Why the machine stopped early.
enum Halt {
    Fault(String),
    /// Of opcodes.
    Limit,
    Memory(Error),
}

impl From<&'static str> for Halt {
    fn from(reason: &'static str) -> Self {
        Self::Fault(reason.into())
    }
}

type Step<T = ()> = std::result::Result<T, Halt>;

struct Machine<'a> {
    input: Cursor<'a>,
    source: &'a Source<'a>,
    what: &'a str,
    limit: u64,
    /// Opcodes done and items copied.
    work: u64,
    values: Vec<Value>,
    stack: Stack,
    memo: HashMap<u32, Id>,
}

impl Machine<'_> {
    fn run(&mut self) -> Step<Id> {
        loop {
            self.charge(1)?;
            let opcode = self.input.u8()?;
            let mut ask = |bytes: usize| copy(self.source, self.what, bytes);
            if let Some(value) = literal::read(&mut self.input, opcode, &mut ask)? {
                self.push(value)?;
                continue;
            }
            match opcode {
                b'.' => return Ok(self.stack.pop()?),
                // Framing and protocol.
                0x80 => match self.input.u8()? {
                    0..=5 => {}
                    other => return Err(Halt::Fault(format!("protocol {other} is unknown; 0 to 5 are"))),
                },
                0x95 => {
                    self.input.u64()?;
                }
                // Makes a buffer read-only, which all are here.
                0x98 => {}
                // The stack and its marks.
                b'(' => self.stack.mark(),
                b'0' => self.stack.drop_top()?,
                b'1' => {
                    self.stack.pop_mark()?;
                }
                b'2' => {
                    let top = self.stack.top()?;
                    self.stack.push(top);
                }
                // Containers.
                b']' => self.push(Value::List(Vec::new()))?,
                b')' => self.push(Value::Tuple(Vec::new()))?,
                b'}' => self.push(Value::Dict(Vec::new()))?,
                0x8f => self.push(Value::Set(Vec::new()))?,
                b'l' => {
                    let items = self.stack.pop_mark()?;
                    self.push(Value::List(items))?;
                }
                b't' => {
                    let items = self.stack.pop_mark()?;
                    self.push(Value::Tuple(items))?;
                }
                0x91 => {
                    let items = self.stack.pop_mark()?;
                    self.push(Value::Set(items))?;
                }
                b'd' => {
                    let items = pairs(&self.stack.pop_mark()?)?;
                    self.push(Value::Dict(items))?;
                }
                0x85..=0x87 => {
                    let mut items = vec![self.stack.pop()?];
                    for _ in 0x85..opcode {
                        items.insert(0, self.stack.pop()?);
                    }
                    self.push(Value::Tuple(items))?;
                }
                b'a' => {
                    let item = self.stack.pop()?;
                    self.append(&[item])?;
                }
                b'e' | 0x90 => {
                    let items = self.stack.pop_mark()?;
                    self.append(&items)?;
                }
                b's' => {
                    let value = self.stack.pop()?;
                    let key = self.stack.pop()?;
                    self.set_items(&[key, value])?;
                }
                b'u' => {
                    let items = self.stack.pop_mark()?;
                    self.set_items(&items)?;
                }
                // The memo.
                b'p' | b'q' | b'r' => {
                    let slot = self.slot(opcode == b'p', opcode == b'q')?;
                    let top = self.stack.top()?;
                    self.memo.insert(slot, top);
                }
                0x94 => {
                    let slot = u32::try_from(self.memo.len()).map_err(|_| "its memo is full")?;
                    let top = self.stack.top()?;
                    self.memo.insert(slot, top);
                }
                b'g' | b'h' | b'j' => {
                    let slot = self.slot(opcode == b'g', opcode == b'h')?;
                    let id = self.memo.get(&slot).copied();
                    let id = id.ok_or_else(|| Halt::Fault(format!("its memo has nothing at {slot}")))?;
                    self.stack.push(id);
                }
                // Names and calls, which make inert values.
                b'c' => {
                    let global = self.global_lines()?;
                    self.stack.push(global);
                }
                0x93 => {
                    let name = self.stack.pop()?;
                    let module = self.stack.pop()?;
                    let global = self.global(module, name)?;
                    self.stack.push(global);
                }
                b'R' | 0x81 => {
                    let args = self.stack.pop()?;
                    let class = self.stack.pop()?;
                    self.call(class, args)?;
                }
                0x92 => {
                    // Named arguments are dropped: nothing that yields a value takes any.
                    self.stack.pop()?;
                    let args = self.stack.pop()?;
                    let class = self.stack.pop()?;
                    self.call(class, args)?;
                }
                b'i' => {
                    let class = self.global_lines()?;
                    let args = self.stack.pop_mark()?;
                    self.push(Value::Tuple(args))?;
                    let args = self.stack.pop()?;
                    self.call(class, args)?;
                }
                b'o' => {
                    let mut args = self.stack.pop_mark()?;
                    if args.is_empty() {
                        return Err("a call without a class".into());
                    }
                    let class = args.remove(0);
                    self.push(Value::Tuple(args))?;
                    let args = self.stack.pop()?;
                    self.call(class, args)?;
                }
                b'b' => {
                    let state = self.stack.pop()?;
                    let object = self.stack.top()?;
                    match self.value_mut(object) {
                        Value::Object { state: slot, .. } => *slot = Some(state),
                        // Attributes of a container, such as `_metadata` of a state dict: module versions, not needed.
                        Value::Dict(_) | Value::List(_) | Value::Set(_) => {}
                        // Those of a class or function that was defined in a notebook.
                        Value::Global { .. } | Value::Persistent(_) => {}
                        _ => return Err("state for what has none".into()),
                    }
                }
                b'P' => {
                    let key = self.input.line()?;
                    copy(self.source, self.what, key.len())?;
                    self.push(text::str_or_bytes(key.to_vec()))?;
                    let key = self.stack.pop()?;
                    self.push(Value::Persistent(key))?;
                }
                b'Q' => {
                    let key = self.stack.pop()?;
                    self.push(Value::Persistent(key))?;
                }
                0x82..=0x84 => return Err("a registered extension, which only its own program knows".into()),
                0x97 => return Err("a buffer outside the file".into()),
                other => return Err(Halt::Fault(format!("unknown opcode {other:#04x}"))),
            }
        }
    }

    fn charge(&mut self, work: u64) -> Step {
        self.work = self.work.saturating_add(work);
        if self.work > self.limit { Err(Halt::Limit) } else { Ok(()) }
    }

    fn add(&mut self, value: Value) -> Step<Id> {
        let id = Id(u32::try_from(self.values.len()).map_err(|_| Halt::Limit)?);
        self.values.push(value);
        Ok(id)
    }

    fn push(&mut self, value: Value) -> Step {
        let id = self.add(value)?;
        self.stack.push(id);
        Ok(())
    }

    fn value(&self, id: Id) -> &Value {
        // Only `add` makes places, and values are never removed.
        &self.values[id.0 as usize]
    }

    fn value_mut(&mut self, id: Id) -> &mut Value {
        &mut self.values[id.0 as usize]
    }

    fn append(&mut self, items: &[Id]) -> Step {
        let container = self.items(|| Value::List(Vec::new()))?;
        match self.value_mut(container) {
            Value::List(list) | Value::Set(list) => list.extend_from_slice(items),
            _ => return Err("items for what is no list".into()),
        }
        Ok(())
    }

    fn set_items(&mut self, items: &[Id]) -> Step {
        let items = pairs(items)?;
        let container = self.items(|| Value::Dict(Vec::new()))?;
        match self.value_mut(container) {
            Value::Dict(dict) => dict.extend_from_slice(&items),
            _ => return Err("items for what is no dict".into()),
        }
        Ok(())
    }

    /// The container at the top of the stack, or that of the object there, which gets an `empty` one where it has none.
    fn items(&mut self, empty: fn() -> Value) -> Step<Id> {
        let top = self.stack.top()?;
        let Value::Object { items, .. } = self.value(top) else { return Ok(top) };
        if let Some(items) = items {
            return Ok(*items);
        }
        let made = self.add(empty())?;
        if let Value::Object { items, .. } = self.value_mut(top) {
            *items = Some(made);
        }
        Ok(made)
    }

    /// What `REDUCE`, `NEWOBJ` and their like ask for: a container is made, `copyreg` makes an object, and any other
    /// call becomes data.
    fn call(&mut self, class: Id, args: Id) -> Step {
        let Value::Tuple(given) = self.value(args) else {
            return Err("a call whose arguments are no tuple".into());
        };
        if let Some((module, name)) = self.name(class) {
            if let Some((value, copied)) = containers::call(module, name, given, &|id| self.value(id)) {
                self.charge(copied as u64)?;
                return self.push(value);
            }
            match (module, name, &given[..]) {
                // The class, what it is made from, and the items that are made from that.
                ("copyreg" | "copy_reg", "_reconstructor", &[class, _, state]) => {
                    let items = matches!(self.value(state), Value::Dict(_) | Value::List(_)).then_some(state);
                    let args = self.add(Value::Tuple(Vec::new()))?;
                    return self.push(Value::Object { class, args, state: None, items });
                }
                ("copyreg" | "copy_reg", "__newobj__", [class, rest @ ..]) => {
                    let (class, rest) = (*class, rest.to_vec());
                    self.charge(rest.len() as u64)?;
                    let args = self.add(Value::Tuple(rest))?;
                    return self.push(Value::Object { class, args, state: None, items: None });
                }
                _ => {}
            }
        }
        self.push(Value::Object { class, args, state: None, items: None })
    }

    fn name(&self, id: Id) -> Option<(&str, &str)> {
        match self.value(id) {
            Value::Global { module, name } => match (self.value(*module), self.value(*name)) {
                (Value::Str(module), Value::Str(name)) => Some((module, name)),
                _ => None,
            },
            _ => None,
        }
    }

    fn global_lines(&mut self) -> Step<Id> {
        let mut part = || {
            let line = self.input.line()?;
            copy(self.source, self.what, line.len())?;
            let text = std::str::from_utf8(&line).map_err(|_| "a name that is no UTF-8")?.to_owned();
            self.add(Value::Str(text))
        };
        let (module, name) = (part()?, part()?);
        self.global(module, name)
    }

    fn global(&mut self, module: Id, name: Id) -> Step<Id> {
        match (self.value(module), self.value(name)) {
            (Value::Str(_), Value::Str(_)) => self.add(Value::Global { module, name }),
            _ => Err("a class whose name is no string".into()),
        }
    }

    /// A place in the memo: a decimal line, one byte, or four.
    fn slot(&mut self, line: bool, byte: bool) -> Step<u32> {
        if line {
            let line = self.input.line()?;
            let slot = std::str::from_utf8(&line).ok().and_then(|digits| digits.trim().parse().ok());
            return slot.ok_or_else(|| "a place in the memo that is no number".into());
        }
        if byte { Ok(self.input.u8()?.into()) } else { Ok(u32::from_le_bytes(self.input.array()?)) }
    }
}

/// Counts so many `bytes` of text that are about to be copied out of `what`, a part of `source`: they stay in memory
/// beside the pickle itself.
fn copy(source: &Source, what: &str, bytes: usize) -> Step {
    source.expand(|| format!("the text in {what}"), bytes as u64).map_err(Halt::Memory)
}

fn pairs(items: &[Id]) -> Step<Vec<(Id, Id)>> {
    match items.as_chunks::<2>() {
        (pairs, []) => Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect()),
        _ => Err("a key without a value".into()),
    }
}
