//! Tells a checkpoint's format from its first bytes, and names what is not read.

use super::Format;
use crate::error::{Error, Result};
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
        Refused("is a Python pickle, but not one that torch.save wrote; save the state_dict with torch.save"),
    ),
    (
        |b| b.get(257..262) == Some(b"ustar"),
        Refused(
            "is a tar archive: the first PyTorch releases wrote such checkpoints, which are not read; load it and save \
             its state_dict with a newer torch.save",
        ),
    ),
    (
        |b| b.starts_with(&[0x0a]) && has(b, 64, b"MindSpore"),
        Refused("is a MindSpore MindIR graph, which is not read yet; give the .ckpt that holds its parameters"),
    ),
    (super::mindspore::is_one, Read(Format::MindSpore)),
    (
        // The magic numbers of AES-GCM, AES-CBC and SM4-CBC, before each encrypted block.
        |b| matches!(b, [0xd8..=0xda, 0x5e, 0x3a, 0x7f, ..]),
        Refused(
            "is an encrypted MindSpore checkpoint, which is not read; load it with \
             mindspore.load_checkpoint(path, dec_key=...) and save it without enc_key",
        ),
    ),
    (is_onnx, Refused("is an ONNX model, which is not read yet; give the checkpoint that it was exported from")),
    (
        |b| b.starts_with(b"GGUF"),
        Refused("is a GGUF file, which is not read; give a safetensors or PyTorch checkpoint"),
    ),
    (
        |b| b.starts_with(b"\x89HDF\r\n\x1a\n"),
        Refused("is an HDF5 file (Keras writes them), which is not read; give a safetensors or PyTorch checkpoint"),
    ),
    (|b| b.starts_with(b"\x93NUMPY"), Refused("is a NumPy array, which is not read")),
    (|b| b.starts_with(&[0x1f, 0x8b]), Refused("is compressed with gzip; unpack it first")),
    (|b| b.starts_with(b"PK"), Refused("is a zip archive without entries or in several parts")),
];

/// The format of the file that begins with `head`, or an error that says what it is instead.
pub(super) fn file(path: &Path, head: &[u8]) -> Result<Format> {
    match SIGNS.iter().find(|(fits, _)| fits(head)) {
        Some((_, Read(format))) => Ok(*format),
        Some((_, Refused(reason))) => Err(Error::checkpoint(path, *reason)),
        None => {
            Err(Error::checkpoint(path, format!("is in no known format: it begins with {}; {READ}", first_bytes(head))))
        }
    }
}

const READ: &str =
    "safetensors (also sharded), PyTorch (torch.save of a state_dict), OneFlow and MindSpore checkpoints are read";

/// The format of the checkpoint that the folder at `path` is.
pub(super) fn folder(path: &Path) -> Result<Format> {
    Ok(super::oneflow::layout(path)?.unwrap_or(Format::ShardedSafetensors))
}

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

/// A protobuf that opens with `ir_version` (field 1, a small number) and goes on with a producer (2, 3) or graph (7).
fn is_onnx(bytes: &[u8]) -> bool {
    matches!(bytes, [0x08, 1..=32, 0x12 | 0x1a | 0x3a, ..])
}

fn first_bytes(head: &[u8]) -> String {
    let first = &head[..head.len().min(16)];
    let hex: Vec<String> = first.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{} ({:?})", hex.join(" "), first.escape_ascii().to_string())
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
    }

    #[test]
    fn what_is_not_read_is_named() {
        assert!(told(b"").contains("is empty"));
        assert!(told(b"\n<!DOCTYPE HTML><html>").contains("web page"));
        assert!(told(b"version https://git-lfs.github.com/spec/v1\n").contains("git-lfs"));
        assert!(told(b"\x80\x04\x95\x11\0\0\0\0\0\0\0}.").contains("not one that torch.save wrote"));
        assert!(told(b"\x08\x08\x12\x07pytorch").contains("ONNX"));
        assert!(told(b"\xd8^:\x7f#\xb4\x0fW").contains("encrypted MindSpore"));
        assert!(told(b"\x80\x04\x95\x11\0\0\0\0\0\0\0}\x8c\x07oneflow").contains("give the folder"));
        let unknown = told(b"hello");
        assert!(unknown.contains("68 65 6c 6c 6f (\"hello\")") && unknown.contains("safetensors"), "{unknown}");
    }
}
