//! Tells a checkpoint's format from its first bytes or from what a folder holds, and names what is not read.

use super::Format;
use super::foreign_file;
use crate::error::{Error, Result};
use crate::file::protobuf::{Fields, varint};
use bytes::Bytes;
use std::path::Path;

/// What a sign in the content means.
#[derive(Clone, Copy)]
enum Meaning {
    Read(Format),
    /// What the file is, and what to do.
    Refused(&'static str),
}
use Meaning::{Read, Refused};

/// 0x1950a86a20f9469cfc6c, the number that opens PyTorch's legacy stream, as a pickle holds it.
const TORCH_MAGIC: &[u8] = &[0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// Whether a head has the sign, and what that means.
type Sign = (fn(&[u8]) -> bool, Meaning);

/// Signs in the head of a file; the first that fits decides, so the sharper ones stand first.
const SIGNS: &[Sign] = &[
    (<[u8]>::is_empty, Refused("is empty; was the download cut short?")),
    (|b| b.starts_with(b"PK\x03\x04"), Read(Format::TorchZip)),
    (|b| b.starts_with(&[0x80]) && has(b, 64, TORCH_MAGIC), Read(Format::TorchLegacy)),
    (|b| b.starts_with(b"L119547037146038801333356L\n"), Read(Format::TorchLegacy)),
    (|b| b.len() > 8 && b[7] == 0 && b[8] == b'{', Read(Format::Safetensors)),
    // Before JSON: its first byte is a line feed, and the second a brace where the first parameter takes 123 bytes.
    (super::mindspore::is_one, Read(Format::MindSpore)),
    (|b| trimmed(b).starts_with(b"{"), Read(Format::ShardedSafetensors)),
    (is_html, Refused("is a web page, not a checkpoint; the download went to a login or error page: fetch it again")),
    (
        |b| b.starts_with(b"version https://git-lfs"),
        Refused("is a git-lfs pointer, not the file itself; run `git lfs pull` where it came from"),
    ),
    (|b| b.starts_with(&[0x80]) && has(b, 256, b"__oneflow__"), Read(Format::OneFlowSingleFile)),
    (
        |b| b.starts_with(&[0x80]) && has(b, 4096, b"oneflow"),
        Refused("is the pickled_data of a OneFlow checkpoint; give the folder that it lies in"),
    ),
    (
        |b| b.starts_with(&[0x80]),
        Refused(
            "is a Python pickle, but not one that torch.save wrote (detectron2 and PaddlePaddle write such files); save the \
             state_dict with torch.save",
        ),
    ),
    (is_mindir, Read(Format::MindIr)),
    (
        // The magic numbers of AES-GCM, AES-CBC and SM4-CBC, before each encrypted block.
        |b| matches!(b, [0xd8..=0xda, 0x5e, 0x3a, 0x7f, ..]),
        Refused(
            "is an encrypted MindSpore checkpoint, which is not read; load it with \
             mindspore.load_checkpoint(path, dec_key=...) and save it without enc_key",
        ),
    ),
    (is_onnx, Read(Format::Onnx)),
    (|b| b.starts_with(b"PK"), Refused("is a zip archive without entries or in several parts")),
];

/// The format of the file that begins with `head`, or an error that says what it is instead.
pub(super) fn file(path: &Path, head: &[u8]) -> Result<Format> {
    match SIGNS.iter().find(|(fits, _)| fits(head)) {
        Some((_, Read(format))) => Ok(*format),
        Some((_, Refused(reason))) => Err(Error::foreign(path, *reason)),
        None => Err(Error::foreign(path, foreign_file::by_content(head).unwrap_or_else(|| unknown(path, head)))),
    }
}

/// What is said of a file whose content tells nothing.
fn unknown(path: &Path, head: &[u8]) -> String {
    let hint = foreign_file::by_name(path).unwrap_or_else(|| READ.into());
    format!("is in no known format: it begins with {}; {hint}", first_bytes(head))
}

const READ: &str =
    "safetensors (also sharded), PyTorch (torch.save, torch.jit.save), OneFlow, MindSpore, ONNX and MindIR are read";

fn has(bytes: &[u8], within: usize, sign: &[u8]) -> bool {
    bytes[..bytes.len().min(within)].windows(sign.len()).any(|window| window == sign)
}

fn trimmed(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start()
}

fn is_html(bytes: &[u8]) -> bool {
    let start: Vec<u8> = trimmed(bytes).iter().take(14).map(u8::to_ascii_lowercase).collect();
    start.starts_with(b"<!doctype") || start.starts_with(b"<html") || start.starts_with(b"<head")
}

/// A protobuf that opens with a version in digits (`ir_version`, 1) and the name of MindSpore (`producer_name`, 2).
fn is_mindir(bytes: &[u8]) -> bool {
    let head = Bytes::copy_from_slice(&bytes[..bytes.len().min(256)]);
    let mut fields = Fields::of(&head).map_while(Result::ok);
    let version = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    matches!(fields.next(), Some((1, field)) if field.text().is_some_and(version))
        && matches!(fields.next(), Some((2, field)) if field.text() == Some("MindSpore"))
}

/// A protobuf that has the fields of ONNX's `ModelProto` from `ir_version` (1, a small number) on, of which the first
/// ones are small and of the right kind, until the graph (7) or the list of operator sets (8) comes.
fn is_onnx(bytes: &[u8]) -> bool {
    if !matches!(bytes, [0x08, 1..=32, _, ..]) {
        return false;
    }
    let mut rest = &bytes[2..];
    loop {
        let (key, value) = match rest {
            // A graph or an operator set that is not empty, of which the head need hold only the beginning.
            [0x3a, 1..=255, ..] | [0x42, 2..=64, ..] => return true,
            [key, value @ ..] => (*key, value),
            [] => return false,
        };
        let Ok((number, len)) = varint(value) else { return false };
        let value = value.get(len..).unwrap_or_default();
        rest = match key {
            // The producer's name and version, the domain, a comment.
            0x12 | 0x1a | 0x22 | 0x32 => {
                let text = usize::try_from(number).ok().and_then(|len| value.split_at_checked(len));
                match text.map(|(text, rest)| (std::str::from_utf8(text), rest)) {
                    Some((Ok(text), rest)) if !text.contains('\0') => rest,
                    _ => return false,
                }
            }
            // The model's version.
            0x28 => value,
            _ => return false,
        };
    }
}

fn first_bytes(head: &[u8]) -> String {
    let first = &head[..head.len().min(16)];
    let hex: Vec<String> = first.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{} (\"{}\")", hex.join(" "), first.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(head: &[u8]) -> String {
        match file(Path::new("x"), head) {
            Ok(format) => format.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn formats_are_told_from_their_first_bytes() {
        assert_eq!(told(b"PK\x03\x04...."), "PyTorch zip");
        assert_eq!(told(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."), "PyTorch legacy stream");
        assert_eq!(told(b"\x02\0\0\0\0\0\0\0{}"), "safetensors");
        assert_eq!(told(b"\x0a\xa2\xc0\x18\x0a\x09l1.weight\x12\x93\xc0\x18\x08\x80\x01\x12\x07Float32"), "MindSpore");
        assert_eq!(told(b"\x80\x04\x95\xfd\0\0\0\0\0\0\0}(\x8c\x0b__oneflow__"), "OneFlow single file");
        assert_eq!(told(b" \n{\"weight_map\": {}}"), "sharded safetensors");
        assert_eq!(told(b"\x08\x08\x12\x07pytorch\x1a\x062.15.0\x3a\x81\xbc"), "ONNX model");
        assert_eq!(told(b"\x08\x03\x42\x04\x0a\x00\x10\x11"), "ONNX model");
        assert_eq!(told(b"\x0a\x031.1\x12\x09MindSpore\x2a\x052.3.0"), "MindIR graph");
    }

    #[test]
    fn what_is_not_read_is_named() {
        assert!(told(b"").contains("is empty"));
        assert!(told(b"\n<!DOCTYPE HTML><html>").contains("web page"));
        assert!(told(b"version https://git-lfs.github.com/spec/v1\n").contains("git-lfs"));
        assert!(told(b"\x80\x04\x95\x11\0\0\0\0\0\0\0}.").contains("not one that torch.save wrote"));
        for near in [
            &b"\x08\x08\x12\x07pytorch"[..],
            b"\x08\x08\x12\x07pytorc\xff\x3a\x01",
            b"\x08\x08\x12\x7fpytorch\x3a\x01",
            b"\x08\x08\x3a\x00",
            b"\x08\x21\x3a\x01",
            b"\x08\x08\x08\x08\x3a\x01",
            b"\x0a\x03abc\x12\x09MindSpore",
            b"\x0a\x031.1\x12\x09Mindspore",
        ] {
            assert!(told(near).contains("no known format"), "{near:?}: {}", told(near));
        }
        assert!(told(b"\xd8^:\x7f#\xb4\x0fW").contains("encrypted MindSpore"));
        assert!(told(b"\x80\x04\x95\x11\0\0\0\0\0\0\0}\x8c\x07oneflow").contains("give the folder"));
        let unknown = told(b"hello");
        assert!(unknown.contains("68 65 6c 6c 6f (\"hello\")") && unknown.contains("safetensors"), "{unknown}");
    }
}
