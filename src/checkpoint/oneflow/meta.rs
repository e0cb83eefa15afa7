//! Reads `meta`: the text form of the protobuf `VariableMetaInfo`, a shape and an element type.

use crate::tensor::DType;

/// What a `meta` says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Meta {
    pub dtype: DType,
    /// Outermost dimension first; empty for a scalar.
    pub shape: Vec<usize>,
}

/// Most dimensions that a tensor may have.
const MAX_RANK: usize = 64;

/// OneFlow's `DataType` (`oneflow/core/common/data_type.proto`), by name and number.
const TYPES: &[(&str, &str, DType)] = &[
    ("kChar", "1", DType::I8),
    ("kFloat", "2", DType::F32),
    ("kDouble", "3", DType::F64),
    ("kInt8", "4", DType::I8),
    ("kInt32", "5", DType::I32),
    ("kInt64", "6", DType::I64),
    ("kUInt8", "7", DType::U8),
    ("kFloat16", "9", DType::F16),
    ("kBFloat16", "11", DType::BF16),
    ("kBool", "12", DType::Bool),
    ("kUInt16", "13", DType::U16),
    ("kUInt32", "14", DType::U32),
    ("kUInt64", "15", DType::U64),
    ("kInt16", "17", DType::I16),
];

/// Reads the text `bytes`; the error goes on after "its meta".
pub(super) fn parse(bytes: &[u8]) -> Result<Meta, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "is no text")?;
    let mut dtype = None;
    let mut shape: Option<Vec<usize>> = None;
    // Names of the messages that are open. A plain stack, so that no depth recurses.
    let mut open: Vec<&str> = Vec::new();
    let mut field = "";
    for token in tokens(text) {
        match token {
            "{" | "<" => {
                if open.is_empty() && field == "shape" {
                    shape.get_or_insert_default();
                }
                open.push(std::mem::take(&mut field));
            }
            "}" | ">" => {
                if !field.is_empty() {
                    return Err(format!("has a field `{}` without a value", cut(field)));
                }
                open.pop().ok_or("closes a message that was not opened")?;
            }
            ":" | "," | ";" => {}
            name if name.starts_with(|c: char| c.is_ascii_alphabetic()) && field.is_empty() => field = name,
            value => {
                match (open.as_slice(), field) {
                    (["shape"], "dim") => {
                        let dim = value.parse().map_err(|_| format!("has the dimension `{}`", cut(value)))?;
                        let shape = shape.get_or_insert_default();
                        if shape.len() == MAX_RANK {
                            return Err(format!("has more than {MAX_RANK} dimensions"));
                        }
                        shape.push(dim);
                    }
                    ([], "data_type") => {
                        let known = TYPES.iter().find(|(name, number, _)| value == *name || value == *number);
                        let (_, _, known) =
                            known.ok_or_else(|| format!("has the element type {}, which is not read", cut(value)))?;
                        dtype = Some(*known);
                    }
                    (_, "") => return Err(format!("has `{}` where a field's name should be", cut(value))),
                    // What later versions may add.
                    _ => {}
                }
                field = "";
            }
        }
    }
    if !open.is_empty() || !field.is_empty() {
        return Err("ends within a message; was the copy cut short?".into());
    }
    let dtype = dtype.ok_or("names no data_type; expected a line such as `data_type: kFloat`")?;
    let shape = shape.ok_or("has no shape; expected `shape { dim: ... }`")?;
    Ok(Meta { dtype, shape })
}

/// Words, numbers and signs, without white space and comments.
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    lines.flat_map(|line| {
        let mut rest = line.trim_start();
        std::iter::from_fn(move || {
            let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '+');
            let first = rest.chars().next()?;
            let end = if is_word(first) { rest.find(|c| !is_word(c)).unwrap_or(rest.len()) } else { first.len_utf8() };
            let (token, tail) = rest.split_at(end);
            rest = tail.trim_start();
            Some(token)
        })
    })
}

fn cut(text: &str) -> String {
    crate::checkpoint::source::short(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        parse(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn shapes_and_types() {
        let found = parse(b"shape {\n  dim: 128\n  dim: 784\n}\ndata_type: kFloat\n").unwrap();
        assert_eq!(found, Meta { dtype: DType::F32, shape: vec![128, 784] });
        // A scalar, numbers for names, another order, comments, and fields that a later version may add.
        let found =
            parse(b"data_type:6 extra { deep { dim: 9 } } # data_type: kFloat\nshape: <> other: kThing").unwrap();
        assert_eq!(found, Meta { dtype: DType::I64, shape: vec![] });
        for (name, _, dtype) in TYPES {
            assert_eq!(parse(format!("shape {{}} data_type: {name}").as_bytes()).unwrap().dtype, *dtype);
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(fault("shape { dim: 1 } data_type: kOFRecord").contains("element type kOFRecord, which is not read"));
        assert!(fault("shape { dim: -1 } data_type: kFloat").contains("the dimension `-1`"));
        assert!(fault("shape { dim: 99999999999999999999 } data_type: kFloat").contains("the dimension"));
        assert!(fault("shape { dim: [1] } data_type: kFloat").contains("the dimension `[`"));
        assert!(fault("shape { dim: 1").contains("ends within"));
        assert!(fault("shape { dim }").contains("without a value"));
        assert!(fault("} data_type: kFloat").contains("not opened"));
        assert!(fault("data_type: kFloat").contains("no shape"));
        assert!(fault("shape { dim: 1 }").contains("no data_type"));
        assert!(fault(&"a {".repeat(100_000)).contains("ends within"));
        assert!(fault(&format!("shape {{ {} }}", "dim: 1 ".repeat(65))).contains("more than 64"));
        assert!(parse(b"\xff").is_err() && parse(b"").is_err());
    }
}
