//! Reads the weights of exported graphs, ONNX and MindIR, which describe tensors alike, and keeps an ONNX file's operators.
//!
//! Formats: onnx.proto3 of onnx/onnx, and mind_ir.proto of mindspore, whose
//! `TensorProto` has the fields of ONNX's under other numbers.

use super::onnx_graph::{self, OnnxGraph};
use super::source::{Source, short};
use super::{Format, StateDict};
use crate::error::{Error, Result};
use crate::file::protobuf::{Field, Fields, varint};
use crate::tensor::{DType, Tensor};
use bytes::Bytes;

/// More dimensions than any framework has.
const MAX_RANK: usize = 64;
const MAX_NAME_BYTES: usize = 4096;

/// The numbers of the fields that are read, in one of the two formats.
pub(super) struct Schema {
    /// Of the model.
    graph: u32,
    /// Of the graph: the tensors and its own name.
    tensors: u32,
    graph_name: u32,
    /// Of a tensor. Dimensions are 1 and the element type is 2 in both.
    name: u32,
    raw: u32,
    floats: u32,
    ints: u32,
    longs: u32,
    doubles: u32,
    unsigned: u32,
    external: u32,
    /// Fields that say, where they are there and not 0, that the data is not simply that; and in which words.
    special: [(u32, &'static str); 2],
}

pub(super) const ONNX: Schema = Schema {
    graph: 7,
    tensors: 5,
    graph_name: 2,
    name: 8,
    raw: 9,
    floats: 4,
    ints: 5,
    longs: 7,
    doubles: 10,
    unsigned: 11,
    external: 13,
    special: [(3, "it is one segment of several"), (14, EXTERNAL)],
};

const MINDIR: Schema = Schema {
    graph: 7,
    tensors: 3,
    graph_name: 2,
    name: 7,
    raw: 9,
    floats: 3,
    ints: 4,
    longs: 6,
    doubles: 10,
    unsigned: 11,
    external: 12,
    special: [(14, "its data is compressed"), (15, "its data is quantized")],
};

const EXTERNAL: &str = "its data lies in another file, and it does not say in which, or is of a format that has none; \
                        export the model into one file (onnx.save(onnx.load(path), other_path) gathers it)";

/// Reads the initializers of an ONNX model, its metadata and its operators.
pub(super) fn open_onnx(source: &Source) -> Result<StateDict> {
    let mut graph = OnnxGraph::default();
    let mut dict = open(source, Format::Onnx, &ONNX, Some(&mut graph))?;
    describe(source, &mut dict)?;
    const OPSET: u32 = 8;
    for field in Fields::of(&source.bytes) {
        if let (OPSET, Field::Bytes(message)) = field.map_err(|what| unsound(source, Format::Onnx, what))? {
            graph.read_operator_set(source, &message)?;
        }
    }
    let made_up: Vec<&str> = dict.names().filter(|name| name.starts_with("onnx::")).collect();
    let (count, first) = (made_up.len(), made_up.first().map(|name| short(name)));
    let all = dict.len();
    if let Some(first) = first {
        dict.note(format!(
            "the exporter renamed {count} of {all} tensors (`{first}`): it had folded batch normalisation into \
             convolutions or transposed weights, so they fit the graph in the file and no network by name"
        ));
    }
    if !graph.nodes.is_empty() {
        let names: Vec<String> = dict.names().map(str::to_owned).collect();
        names.iter().try_for_each(|name| graph.link(source, name))?;
        dict.set_graph(graph);
    }
    Ok(dict)
}

/// Reads the parameters of a MindIR graph, whose names lose the graph's own before the colon.
pub(super) fn open_mindir(source: &Source) -> Result<StateDict> {
    let mut dict = open(source, Format::MindIr, &MINDIR, None)?;
    describe(source, &mut dict)?;
    Ok(dict)
}

/// Takes over what a sound model says of itself: entries of a key, 1, and a value, 2, under the same tag in both formats.
fn describe(source: &Source, dict: &mut StateDict) -> Result<()> {
    const METADATA: u32 = 14;
    for field in Fields::of(&source.bytes).map_while(std::result::Result::ok) {
        let (METADATA, Field::Bytes(entry)) = field else { continue };
        source.expand(|| "the metadata".into(), 256 + entry.len() as u64)?;
        // What is no text describes nothing.
        if let Ok((key, value)) = onnx_graph::entry(source, &entry) {
            dict.describe(key, value);
        }
    }
    Ok(())
}

fn unsound(source: &Source, format: Format, what: &str) -> Error {
    source.fault(format!("is no sound {format}: it has {what}"))
}

/// Reads the tensors; all else that the graph has goes to `operators`.
fn open(source: &Source, format: Format, schema: &Schema, mut operators: Option<&mut OnnxGraph>) -> Result<StateDict> {
    let unsound = |what: &str| unsound(source, format, what);
    let mut graph = None;
    for field in Fields::of(&source.bytes) {
        if let (tag, Field::Bytes(bytes)) = field.map_err(unsound)?
            && tag == schema.graph
            && graph.replace(bytes).is_some()
        {
            return Err(unsound("two graphs"));
        }
    }
    let graph = graph.ok_or_else(|| unsound("no graph; was the download cut short?"))?;
    let mut prefix = String::new();
    let mut dict = StateDict::of(format, source.path);
    for field in Fields::of(&graph) {
        match field.map_err(unsound)? {
            (tag, field) if tag == schema.graph_name && format == Format::MindIr => {
                prefix = field.text().map(|name| format!("{}:", short(name))).unwrap_or_default();
            }
            (tag, field) if tag == schema.tensors => {
                let message = field.bytes().ok_or_else(|| unsound("a number where a tensor should be"))?;
                // What a tensor costs beside its data: its name, its shape, and its place.
                source.expand(|| format!("the list of tensors, of which it has {} or more,", dict.len()), 256)?;
                let (name, tensor) = tensor(source, schema, message, dict.len())?;
                let name = name.strip_prefix(&prefix).filter(|rest| !rest.is_empty()).unwrap_or(&name);
                if dict.insert(name, tensor).is_some() {
                    return Err(source.fault(format!("has two tensors of the name `{}`", short(name))));
                }
            }
            (tag, field) => {
                if let Some(operators) = &mut operators {
                    operators.read(source, tag, &field)?;
                }
            }
        }
    }
    // A graph of operators may need no tensors.
    if dict.is_empty() && operators.is_none_or(|graph| graph.nodes.is_empty()) {
        return Err(source.fault(format!("is an {format} that holds neither tensors nor operators")));
    }
    Ok(dict)
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
fn tensor(source: &Source, schema: &Schema, message: &Bytes, index: usize) -> Result<(String, Tensor)> {
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
    // The name may come after the field that is wrong.
    let called = |found: &Description| match &found.name {
        Some(name) => format!("tensor `{}`", short(name)),
        None => index.map_or("a constant".into(), |index| format!("tensor number {index}")),
    };
    let reason = fields(source, schema, message, &mut found)?;
    let fault = |reason: &str| -> Error { source.fault(format!("{}: {reason}", called(&found))) };
    if let Some(reason) = reason {
        return Err(fault(reason));
    }
    if found.name.is_none() && index.is_some() {
        return Err(fault("it has no name"));
    }
    let external = found.external.file.as_deref();
    if let Some(reason) = found.refusal.filter(|reason| external.is_none() || *reason != EXTERNAL) {
        return Err(fault(reason));
    }
    let dtype = dtype(found.dtype).map_err(|what| fault(&what))?;
    let shape: Option<Vec<usize>> = found.shape.iter().map(|&d| usize::try_from(d.cast_signed()).ok()).collect();
    let Some(shape) = shape else { return Err(fault("its shape has a negative dimension; the file is damaged")) };
    let bytes = match (external, found.raw.clone()) {
        (Some(file), None) => {
            let expected = Tensor::byte_count(dtype, &shape).map_err(|error| fault(&error.to_string()))?;
            let data = source.neighbour(file)?;
            let (start, length) = (found.external.offset, found.external.length.unwrap_or(expected));
            let end = start.checked_add(length).filter(|&end| end <= data.len());
            data.slice(start..end.ok_or_else(|| fault(&format!("`{}` ends before its data", short(file))))?)
        }
        (Some(_), Some(_)) => return Err(fault("it has its data twice, here and in another file")),
        (None, Some(raw)) => {
            if !found.typed.is_empty() {
                return Err(fault("it has its data twice, raw and as numbers"));
            }
            raw
        }
        (None, None) => {
            let expected = Tensor::byte_count(dtype, &shape).map_err(|error| fault(&error.to_string()))?;
            numbers(schema, dtype, &found.typed, expected, |bytes| source.expand(|| called(&found), bytes as u64))?
                .map_err(|what| fault(&what))?
        }
    };
    let tensor = Tensor::new(dtype, &shape, bytes).map_err(|error| fault(&error.to_string()))?;
    Ok((found.name, tensor))
}

/// Gathers the fields of `message`; `Some` says what is wrong with one.
fn fields(source: &Source, schema: &Schema, message: &Bytes, found: &mut Description) -> Result<Option<&'static str>> {
    for field in Fields::of(message) {
        let (tag, field) = match field {
            Ok(field) => field,
            Err(_) => return Ok(Some("its description is damaged")),
        };
        match (tag, field) {
            (1, Field::Number(dimension)) => found.shape.push(dimension),
            (1, Field::Bytes(packed)) => {
                let mut rest = &packed[..];
                while !rest.is_empty() && found.shape.len() <= MAX_RANK {
                    let Ok((dimension, len)) = varint(rest) else { return Ok(Some("its shape is damaged")) };
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
                    return Err(source.over(what, name.len() as u64, MAX_NAME_BYTES as u64));
                }
                None => return Ok(Some("its name is no text")),
            },
            (tag, Field::Bytes(raw)) if tag == schema.raw => found.raw = Some(raw),
            (tag, Field::Bytes(entry)) if tag == schema.external && tag == ONNX.external => {
                let (key, value) = onnx_graph::entry(source, &entry)?;
                found.refusal = found.refusal.or(Some(EXTERNAL));
                if found.external.say(&key, &value).is_none() {
                    return Ok(Some("the place of its data in another file is no number"));
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
            return Ok(Some("it has more than 64 dimensions"));
        }
    }
    Ok(None)
}

/// The element type with this number in `TensorProto.DataType`, which the formats share; or what it is instead.
fn dtype(number: u64) -> std::result::Result<DType, String> {
    Ok(match number {
        1 => DType::F32,
        2 => DType::U8,
        3 => DType::I8,
        4 => DType::U16,
        5 => DType::I16,
        6 => DType::I32,
        7 => DType::I64,
        9 => DType::Bool,
        10 => DType::F16,
        11 => DType::F64,
        12 => DType::U32,
        13 => DType::U64,
        16 => DType::BF16,
        0 => return Err("it has no element type; the file is damaged".into()),
        8 => return Err("its elements are strings, which are not read".into()),
        14 | 15 => return Err("its elements are complex, which are not read".into()),
        other => return Err(format!("its element type has the number {other}, which is not read; save it as float")),
    })
}

/// The little-endian bytes of numbers that lie in `typed` fields, `expected` of them in all. `ask` is asked before
/// memory is taken.
fn numbers(
    schema: &Schema,
    dtype: DType,
    typed: &[(u32, Field)],
    expected: usize,
    ask: impl Fn(usize) -> Result<()>,
) -> Result<std::result::Result<Bytes, String>> {
    let belongs = match dtype {
        DType::F32 => schema.floats,
        DType::F64 => schema.doubles,
        DType::I64 => schema.longs,
        DType::U32 | DType::U64 => schema.unsigned,
        DType::F16 | DType::BF16 | DType::I32 | DType::I16 | DType::I8 | DType::U16 | DType::U8 | DType::Bool => {
            schema.ints
        }
    };
    if typed.iter().any(|(tag, _)| *tag != belongs) {
        return Ok(Err(format!("its numbers are not where those of {dtype} belong; the file is damaged")));
    }
    let fixed = matches!(dtype, DType::F32 | DType::F64);
    if let ([(_, Field::Bytes(packed))], true) = (typed, fixed) {
        return Ok(Ok(packed.clone()));
    }
    // Each number takes a byte or more in the file, so lies about the shape end here.
    let held: usize = typed.iter().map(|(_, field)| field.bytes().map_or(1, Bytes::len)).sum();
    if expected / dtype.size() > held {
        return Ok(Err(format!("its shape takes {} numbers and at most {held} are there", expected / dtype.size())));
    }
    ask(expected)?;
    let mut out = Vec::new();
    if out.try_reserve_exact(expected).is_err() {
        return Ok(Err(format!("its {expected} bytes do not fit into memory")));
    }
    let mut put = |bytes: &[u8]| {
        let fits = out.len().saturating_add(bytes.len()) <= expected;
        if fits {
            out.extend_from_slice(bytes);
        }
        fits
    };
    for (_, field) in typed {
        let fits = match field {
            Field::Fixed32(bytes) if dtype == DType::F32 => put(bytes),
            Field::Fixed64(bytes) if dtype == DType::F64 => put(bytes),
            Field::Bytes(packed) if fixed => put(packed),
            Field::Number(number) if !fixed => put(number.to_le_bytes().get(..dtype.size()).unwrap_or_default()),
            Field::Bytes(packed) => {
                let mut rest = &packed[..];
                let mut fits = true;
                while fits && !rest.is_empty() {
                    let Ok((number, len)) = varint(rest) else { return Ok(Err("its numbers are damaged".into())) };
                    // The low bytes are right for every type: negatives are extended, halves stand for themselves.
                    fits = put(number.to_le_bytes().get(..dtype.size()).unwrap_or_default());
                    rest = rest.get(len..).unwrap_or_default();
                }
                fits
            }
            _ => return Ok(Err("its numbers are not of the type that it names".into())),
        };
        if !fits {
            return Ok(Err(format!("it has more numbers than the {} of its shape", expected / dtype.size())));
        }
    }
    Ok(Ok(out.into()))
}
