//! JSON as both programs write it: spaced, and what could steer a terminal is escaped, which a reader undoes.

use pretrained::printable::is_hidden;
use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;
use std::io::{self, Write};

/// Writes `value` to `out`, piece by piece.
pub fn write(out: impl Write, value: &impl Serialize) -> io::Result<()> {
    Ok(value.serialize(&mut Serializer::with_formatter(out, Spaced))?)
}

/// `value` as text.
pub fn text(value: &impl Serialize) -> String {
    let mut json = Vec::new();
    match write(&mut json, value) {
        Ok(()) => String::from_utf8_lossy(&json).into_owned(),
        // Strings and numbers, written to memory, cannot fail.
        Err(error) => error.to_string(),
    }
}

/// A space after each comma and colon.
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_hidden(*c)) {
            out.write_all(&rest.as_bytes()[..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            rest = &rest[at + c.len_utf8()..];
        }
        out.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_escaped_reads_back_as_it_was() {
        let steering = "\x1b[31m\u{9b}2J\u{202e}gpj.exe\u{e0041}\x7f\n\"\\é";
        let json = text(&[steering]);
        assert!(!json.chars().any(is_hidden), "{json}");
        assert_eq!(serde_json::from_str::<[String; 1]>(&json).unwrap(), [steering]);
    }

    #[test]
    fn a_space_follows_each_comma_and_colon_outside_of_strings() {
        let value = serde_json::json!({"a": [1, "b,c:d"], "e": null});
        assert_eq!(text(&value), r#"{"a": [1, "b,c:d"], "e": null}"#);
    }
}
