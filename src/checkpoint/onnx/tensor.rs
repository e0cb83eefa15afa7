//! A tensor as ONNX's `TensorProto` describes it, and MindIR's, whose fields have other numbers.

use super::model::{Fault, entry, unsound};
use super::numbers::{dtype, numbers};
use super::schema::{EXTERNAL, ONNX, Schema};
use crate::checkpoint::StateDict;
use crate::checkpoint::source::{Source, short};
use crate::error::{Error, Result};
use crate::file::protobuf::{Field, Fields, varint};
use crate::tensor::Tensor;
use bytes::Bytes;

/// More dimensions than any framework has.
const MAX_RANK: usize = 64;
const MAX_NAME_BYTES: usize = 4096;

/// The tensors of a model, as they come.
pub(in crate::checkpoint) struct Tensors<'s> {
    source: &'s Source<'s>,
    schema: &'s Schema,
}

impl<'s> Tensors<'s> {
    pub fn new(source: &'s Source, schema: &'s Schema) -> Self {
        Self { source, schema }
    }

    /// Adds to `dict` the tensor that `field` describes, whose name loses `prefix`.
    pub fn add(&mut self, dict: &mut StateDict, field: &Field, prefix: &str) -> Result<()> {
        let Self { source, schema } = *self;
        let message =
            field.bytes().ok_or_else(|| unsound(source, schema.format, "a number where a tensor should be"))?;
        // What a tensor costs beside its data: its name, its shape, and its place.
        source.expand(|| format!("the list of tensors, of which it has {} or more,", dict.len()), 256)?;
        let (name, tensor) = named(source, schema, message, dict.len())?;
        let name = name.strip_prefix(prefix).filter(|rest| !rest.is_empty()).unwrap_or(&name);
        match dict.insert(name, tensor) {
            Some(_) => Err(source.fault(format!("has two tensors of the name `{}`", short(name)))),
            None => Ok(()),
        }
    }

    /// The fault of a model without tensors.
    pub fn none(&self) -> Error {
        self.source.fault(format!("is an {} that holds neither tensors nor operators", self.schema.format))
    }
}

/// What a tensor's fields say, before it is known what they mean together.
#[derive(Default)]
struct Description {
    name: Option<String>,
    shape: Vec<u64>,
    dtype: u64,
    raw: Option<Bytes>,
    /// Numbers in fields of their own type: the field, and the bytes of one or many.
    typed: Vec<(u32, Field)>,
    /// Where the data lies, if in another file.
    external: External,
    refusal: Option<&'static str>,
}

/// A part of a file beside the model.
#[derive(Default)]
struct External {
    file: Option<String>,
    offset: usize,
    /// To the end of what the shape takes, where it is not said.
    length: Option<usize>,
}

impl External {
    /// Takes in one entry of `TensorProto.external_data`; `None` where its number is none.
    fn say(&mut self, key: &str, value: &str) -> Option<()> {
        match key {
            "location" if !value.is_empty() => self.file = Some(value.to_owned()),
            "offset" => self.offset = value.parse().ok()?,
            "length" => self.length = Some(value.parse().ok()?),
            _ => {}
        }
        Some(())
    }
}

/// Name and tensor of `message`, the one after `index` others.
fn named(source: &Source, schema: &Schema, message: &Bytes, index: usize) -> Result<(String, Tensor)> {
    match described(source, schema, message, Some(index))? {
        (Some(name), tensor) => Ok((name, tensor)),
        (None, _) => Err(source.fault(format!("tensor number {index}: it has no name"))),
    }
}

/// The tensor of `message`, and its name if it has one; errors speak of number `index`, or of a constant.
pub(super) fn described(
    source: &Source,
    schema: &Schema,
    message: &Bytes,
    index: Option<usize>,
) -> Result<(Option<String>, Tensor)> {
    let mut found = Description::default();
    let read = fields(source, schema, message, &mut found);
    // The name may come after the field that is wrong.
    let called = || match &found.name {
        Some(name) => format!("tensor `{}`", short(name)),
        None => index.map_or("a constant".into(), |index| format!("tensor number {index}")),
    };
    let tensor = read.and_then(|()| match found.name.is_none() && index.is_some() {
        true => Err("it has no name".into()),
        false => tensor(source, schema, &found, called),
    });
    let tensor = tensor.map_err(|fault| fault.of(source, called))?;
    Ok((found.name, tensor))
}

/// The tensor that `found` describes, which errors of memory call what `called` says.
fn tensor(
    source: &Source,
    schema: &Schema,
    found: &Description,
    called: impl Fn() -> String,
) -> std::result::Result<Tensor, Fault> {
    let external = found.external.file.as_deref();
    if let Some(reason) = found.refusal.filter(|reason| external.is_none() || *reason != EXTERNAL) {
        return Err(reason.into());
    }
    let dtype = dtype(found.dtype)?;
    let shape: Option<Vec<usize>> = found.shape.iter().map(|&d| usize::try_from(d.cast_signed()).ok()).collect();
    let shape = shape.ok_or("its shape has a negative dimension; the file is damaged")?;
    let expected = || Tensor::byte_count(dtype, &shape).map_err(|error| Fault::from(error.to_string()));
    let bytes = match (external, found.raw.clone()) {
        (Some(file), None) => {
            let expected = expected()?;
            let data = source.neighbour(file)?;
            let (start, length) = (found.external.offset, found.external.length.unwrap_or(expected));
            let end = start.checked_add(length).filter(|&end| end <= data.len());
            data.slice(start..end.ok_or_else(|| format!("`{}` ends before its data", short(file)))?)
        }
        (Some(_), Some(_)) => return Err("it has its data twice, here and in another file".into()),
        (None, Some(_)) if !found.typed.is_empty() => {
            return Err("it has its data twice, raw and as numbers".into());
        }
        (None, Some(raw)) => raw,
        (None, None) => {
            numbers(schema, dtype, &found.typed, expected()?, |bytes| source.expand(&called, bytes as u64))?
        }
    };
    Tensor::new(dtype, &shape, bytes).map_err(|error| error.to_string().into())
}

/// Gathers the fields of `message`.
fn fields(
    source: &Source,
    schema: &Schema,
    message: &Bytes,
    found: &mut Description,
) -> std::result::Result<(), Fault> {
    for field in Fields::of(message) {
        match field.map_err(|_| "its description is damaged")? {
            (1, Field::Number(dimension)) => found.shape.push(dimension),
            (1, Field::Bytes(packed)) => {
                let mut rest = &packed[..];
                while !rest.is_empty() && found.shape.len() <= MAX_RANK {
                    let (dimension, len) = varint(rest).map_err(|_| "its shape is damaged")?;
                    found.shape.push(dimension);
                    rest = rest.get(len..).unwrap_or_default();
                }
            }
            (2, Field::Number(dtype)) => found.dtype = dtype,
            (tag, field) if tag == schema.name => match field.text() {
                Some(name) if name.len() <= MAX_NAME_BYTES => {
                    source.expand(|| format!("the name `{}`", short(name)), name.len() as u64)?;
                    found.name = Some(name.to_owned());
                }
                Some(name) => {
                    let what = "the length of a tensor's name in bytes";
                    return Err(source.over(what, name.len() as u64, MAX_NAME_BYTES as u64).into());
                }
                None => return Err("its name is no text".into()),
            },
            (tag, Field::Bytes(raw)) if tag == schema.raw => found.raw = Some(raw),
            (tag, Field::Bytes(said)) if tag == schema.external && tag == ONNX.external => {
                let (key, value) = entry(source, &said)?;
                found.refusal = found.refusal.or(Some(EXTERNAL));
                if found.external.say(&key, &value).is_none() {
                    return Err("the place of its data in another file is no number".into());
                }
            }
            (tag, _) if tag == schema.external => found.refusal = Some(EXTERNAL),
            (tag, field)
                if [schema.floats, schema.ints, schema.longs, schema.doubles, schema.unsigned].contains(&tag) =>
            {
                source.expand(|| "the list of a tensor's numbers".into(), 64)?;
                found.typed.push((tag, field));
            }
            (tag, field) => {
                let special = schema.special.iter().find(|(special, _)| *special == tag);
                if let Some((_, reason)) = special
                    && field != Field::Number(0)
                {
                    found.refusal = found.refusal.or(Some(reason));
                }
            }
        }
        if found.shape.len() > MAX_RANK {
            return Err("it has more than 64 dimensions".into());
        }
    }
    Ok(())
}
