//! The pickle machine: a loop over opcodes, a stack and a memo, of protocols 0 to 5.

use super::cursor::Cursor;
use super::{Id, Pickle, Refused, Value, containers, text};
use crate::checkpoint::source::Source;
use crate::error::Result;
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};

/// Reads the pickle that starts at `start` of `bytes`, a part of `source` that errors call `what`.
///
/// `known` is the closed list of classes and functions that may be named, beside Python's containers; every other
/// name is foreign. A foreign class may stand for inert objects (`NEWOBJ`, or `copyreg._reconstructor`); the foreign
/// names that anything else was done with are collected in [`Pickle::refused`], for the caller to report.
pub(in crate::checkpoint) fn read(
    source: &Source,
    what: &str,
    bytes: &Bytes,
    start: usize,
    known: fn(&str, &str) -> bool,
) -> Result<Pickle> {
    let mut machine = Machine {
        input: Cursor::new(bytes, start),
        known,
        limit: source.limits.pickle_opcodes,
        work: 0,
        values: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        foreign: BTreeMap::new(),
    };
    match machine.run() {
        Ok(root) => {
            let (refused, called) = machine.refused();
            Ok(Pickle { values: machine.values, root, end: machine.input.at(), refused, called })
        }
        Err(Halt::Fault(reason)) => {
            Err(source
                .fault(format!("{what} is no sound pickle: {reason}, at its byte {}", machine.input.at() - start)))
        }
        Err(Halt::Limit) => {
            let what = format!("the number of opcodes of {what} (Limits::pickle_opcodes)");
            Err(source.over(what, machine.work, machine.limit))
        }
    }
}

/// Why the machine stopped early.
enum Halt {
    Fault(String),
    Limit,
}

impl From<&'static str> for Halt {
    fn from(reason: &'static str) -> Self {
        Self::Fault(reason.into())
    }
}

/// The most that was done with a name outside the closed list.
#[derive(Clone, Copy, PartialEq)]
enum Use {
    Named,
    /// It is the class of inert objects.
    Made,
    Called,
}

type Step<T = ()> = std::result::Result<T, Halt>;

struct Machine<'a> {
    input: Cursor<'a>,
    known: fn(&str, &str) -> bool,
    limit: u64,
    /// Opcodes done and items copied.
    work: u64,
    values: Vec<Value>,
    stack: Vec<Id>,
    /// Heights of the stack at each open mark.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    /// Every class or function outside the closed list, in the order of their places.
    foreign: BTreeMap<Id, Use>,
}

impl Machine<'_> {
    fn run(&mut self) -> Step<Id> {
        loop {
            self.charge(1)?;
            let opcode = self.input.u8()?;
            match opcode {
                b'.' => return self.pop(),
                // Framing and protocol.
                0x80 => match self.input.u8()? {
                    0..=5 => {}
                    other => return Err(Halt::Fault(format!("protocol {other} is unknown; 0 to 5 are"))),
                },
                0x95 => {
                    self.input.u64()?;
                }
                // Numbers and constants.
                b'N' => self.push(Value::None)?,
                0x88 => self.push(Value::Bool(true))?,
                0x89 => self.push(Value::Bool(false))?,
                b'K' => {
                    let number = self.input.u8()?;
                    self.push(Value::Int(number.into()))?;
                }
                b'M' => {
                    let number = u16::from_le_bytes(self.input.array()?);
                    self.push(Value::Int(number.into()))?;
                }
                b'J' => {
                    let number = i32::from_le_bytes(self.input.array()?);
                    self.push(Value::Int(number.into()))?;
                }
                b'G' => {
                    let number = f64::from_be_bytes(self.input.array()?);
                    self.push(Value::Float(number))?;
                }
                0x8a => {
                    let len = self.input.u8()?.into();
                    let value = text::little_endian(&self.input.take(len)?);
                    self.push(value)?;
                }
                0x8b => {
                    let len = self.input.u32_len()?;
                    let value = text::little_endian(&self.input.take(len)?);
                    self.push(value)?;
                }
                b'I' => self.line_value(text::int, "an integer")?,
                b'L' => self.line_value(text::long, "an integer of up to 128 bits")?,
                b'F' => self.line_value(text::float, "a float")?,
                // Strings and bytes.
                b'S' => self.line_value(text::quoted, "a quoted string")?,
                b'V' => self.line_value(text::unicode, "a string")?,
                b'T' | b'U' => {
                    let len = if opcode == b'U' { self.input.u8()?.into() } else { self.input.u32_len()? };
                    let value = text::str_or_bytes(self.input.take(len)?.to_vec());
                    self.push(value)?;
                }
                b'X' | 0x8c | 0x8d => {
                    let len = match opcode {
                        b'X' => self.input.u32_len()?,
                        0x8c => self.input.u8()?.into(),
                        _ => self.input.u64_len()?,
                    };
                    let value = self.input.utf8(len)?;
                    self.push(Value::Str(value))?;
                }
                b'B' | b'C' | 0x8e | 0x96 => {
                    let len = match opcode {
                        b'B' => self.input.u32_len()?,
                        b'C' => self.input.u8()?.into(),
                        _ => self.input.u64_len()?,
                    };
                    let value = Value::Bytes(self.input.take(len)?);
                    self.push(value)?;
                }
                0x98 => {}
                // The stack and its marks.
                b'(' => self.marks.push(self.stack.len()),
                b'0' => {
                    if self.marks.last() == Some(&self.stack.len()) {
                        self.marks.pop();
                    } else {
                        self.pop()?;
                    }
                }
                b'1' => {
                    self.pop_mark()?;
                }
                b'2' => {
                    let top = self.top()?;
                    self.stack.push(top);
                }
                // Containers.
                b']' => self.push(Value::List(Vec::new()))?,
                b')' => self.push(Value::Tuple(Vec::new()))?,
                b'}' => self.push(Value::Dict(Vec::new()))?,
                0x8f => self.push(Value::Set(Vec::new()))?,
                b'l' => {
                    let items = self.pop_mark()?;
                    self.push(Value::List(items))?;
                }
                b't' => {
                    let items = self.pop_mark()?;
                    self.push(Value::Tuple(items))?;
                }
                0x91 => {
                    let items = self.pop_mark()?;
                    self.push(Value::Set(items))?;
                }
                b'd' => {
                    let items = pairs(&self.pop_mark()?)?;
                    self.push(Value::Dict(items))?;
                }
                0x85..=0x87 => {
                    let mut items = vec![self.pop()?];
                    for _ in 0x85..opcode {
                        items.insert(0, self.pop()?);
                    }
                    self.push(Value::Tuple(items))?;
                }
                b'a' => {
                    let item = self.pop()?;
                    self.append(&[item])?;
                }
                b'e' | 0x90 => {
                    let items = self.pop_mark()?;
                    self.append(&items)?;
                }
                b's' => {
                    let value = self.pop()?;
                    let key = self.pop()?;
                    self.set_items(&[key, value])?;
                }
                b'u' => {
                    let items = self.pop_mark()?;
                    self.set_items(&items)?;
                }
                // The memo.
                b'p' | b'q' | b'r' => {
                    let slot = self.slot(opcode == b'p', opcode == b'q')?;
                    let top = self.top()?;
                    self.memo.insert(slot, top);
                }
                0x94 => {
                    let slot = u32::try_from(self.memo.len()).map_err(|_| "its memo is full")?;
                    let top = self.top()?;
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
                    let name = self.pop()?;
                    let module = self.pop()?;
                    let global = self.global(module, name)?;
                    self.stack.push(global);
                }
                b'R' | 0x81 => {
                    let args = self.pop()?;
                    let class = self.pop()?;
                    if opcode == b'R' { self.call(class, args)? } else { self.make(class, args)? }
                }
                0x92 => {
                    let named = self.pop()?;
                    let args = self.pop()?;
                    let class = self.pop()?;
                    if !matches!(self.value(named), Value::Dict(items) if items.is_empty()) {
                        return Err("a call with named arguments".into());
                    }
                    self.make(class, args)?;
                }
                b'i' => {
                    let class = self.global_lines()?;
                    let args = self.pop_mark()?;
                    self.push(Value::Tuple(args))?;
                    let args = self.pop()?;
                    self.call(class, args)?;
                }
                b'o' => {
                    let mut args = self.pop_mark()?;
                    if args.is_empty() {
                        return Err("a call without a class".into());
                    }
                    let class = args.remove(0);
                    self.push(Value::Tuple(args))?;
                    let args = self.pop()?;
                    self.call(class, args)?;
                }
                b'b' => {
                    let state = self.pop()?;
                    let object = self.top()?;
                    match self.value_mut(object) {
                        Value::Object { state: slot, .. } => *slot = Some(state),
                        // Attributes of a container, such as `_metadata` of a state dict: module versions, not needed.
                        Value::Dict(_) | Value::List(_) | Value::Set(_) => {}
                        _ => return Err("state for what has none".into()),
                    }
                }
                b'P' => {
                    let key = self.input.line()?;
                    self.push(text::str_or_bytes(key.to_vec()))?;
                    let key = self.pop()?;
                    self.push(Value::Persistent(key))?;
                }
                b'Q' => {
                    let key = self.pop()?;
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

    fn top(&self) -> Step<Id> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.last() {
            Some(top) if self.stack.len() > floor => Ok(*top),
            _ => Err("its stack is empty".into()),
        }
    }

    fn pop(&mut self) -> Step<Id> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_mark(&mut self) -> Step<Vec<Id>> {
        let mark = self.marks.pop().ok_or("no mark is open")?;
        Ok(self.stack.split_off(mark))
    }

    fn append(&mut self, items: &[Id]) -> Step {
        let container = self.top()?;
        match self.value_mut(container) {
            Value::List(list) | Value::Set(list) => list.extend_from_slice(items),
            // A subclass of list, of which only the attributes are kept.
            Value::Object { .. } => {}
            _ => return Err("items for what is no list".into()),
        }
        Ok(())
    }

    fn set_items(&mut self, items: &[Id]) -> Step {
        let items = pairs(items)?;
        let container = self.top()?;
        match self.value_mut(container) {
            Value::Dict(dict) => dict.extend_from_slice(&items),
            // As in `append`.
            Value::Object { .. } => {}
            _ => return Err("items for what is no dict".into()),
        }
        Ok(())
    }

    /// What `REDUCE` and its elders ask for: a container is made, `copyreg` makes an object, and any other call becomes
    /// data, which is refused later where the name is foreign.
    fn call(&mut self, class: Id, args: Id) -> Step {
        let Value::Tuple(items) = self.value(args) else {
            return Err("a call whose arguments are no tuple".into());
        };
        if let Some((module, name)) = self.name(class) {
            if let Some((value, copied)) = containers::call(module, name, items, &|id| self.value(id)) {
                self.charge(copied as u64)?;
                return self.push(value);
            }
            if let (Some(&class), "copyreg" | "copy_reg") = (items.first(), module) {
                let args = self.add(Value::Tuple(Vec::new()))?;
                return self.make(class, args);
            }
        }
        if let Some(used) = self.foreign.get_mut(&self.class(class)) {
            *used = Use::Called;
        }
        self.push(Value::Object { class, args, state: None })
    }

    /// What `NEWOBJ` asks for: an object of `class` before anything was done to it.
    fn make(&mut self, class: Id, args: Id) -> Step {
        match self.foreign.get_mut(&self.class(class)) {
            Some(used) => {
                if *used == Use::Named {
                    *used = Use::Made;
                }
                self.push(Value::Object { class, args, state: None })
            }
            None => self.call(class, args),
        }
    }

    /// The class that `id` stands for. PyTorch's legacy stream wraps one with its source text, as
    /// `('module', class, file, text)` outside the pickle.
    fn class(&self, id: Id) -> Id {
        match self.value(id) {
            Value::Persistent(parts) => match self.value(*parts) {
                Value::Tuple(parts) => parts.get(1).copied().unwrap_or(id),
                _ => id,
            },
            _ => id,
        }
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

    /// The foreign names that do more than stand for a class, and those of them that were called.
    fn refused(&self) -> (Refused, Refused) {
        let (mut refused, mut called) = (Refused::default(), Refused::default());
        for (id, used) in self.foreign.iter().filter(|(_, used)| **used != Use::Made) {
            let Some((module, name)) = self.name(*id) else { continue };
            refused.add(module, name);
            if *used == Use::Called {
                called.add(module, name);
            }
        }
        (refused, called)
    }

    fn global_lines(&mut self) -> Step<Id> {
        let mut part = || {
            let line = self.input.line()?;
            let text = std::str::from_utf8(&line).map_err(|_| "a name that is no UTF-8")?.to_owned();
            self.add(Value::Str(text))
        };
        let (module, name) = (part()?, part()?);
        self.global(module, name)
    }

    fn global(&mut self, module: Id, name: Id) -> Step<Id> {
        let (Value::Str(m), Value::Str(n)) = (self.value(module), self.value(name)) else {
            return Err("a class whose name is no string".into());
        };
        let known = containers::known(m, n) || (self.known)(m, n);
        let id = self.add(Value::Global { module, name })?;
        if !known {
            self.foreign.insert(id, Use::Named);
        }
        Ok(id)
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

    fn line_value(&mut self, parse: fn(&[u8]) -> Option<Value>, what: &str) -> Step {
        let line = self.input.line()?;
        let value = parse(&line).ok_or_else(|| Halt::Fault(format!("what should be {what} is not")))?;
        self.push(value)
    }
}

fn pairs(items: &[Id]) -> Step<Vec<(Id, Id)>> {
    match items.as_chunks::<2>() {
        (pairs, []) => Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect()),
        _ => Err("a key without a value".into()),
    }
}
