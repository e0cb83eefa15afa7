//! Writes small checkpoints byte by byte, so that tests can bend each part.
#![allow(dead_code)]

use pretrained::{Limits, Result, StateDict};
use std::io::Write;
use zip::write::SimpleFileOptions;

/// Name, offset, shape and strides of a tensor over the one storage of six floats.
pub type View<'a> = (&'a str, i64, &'a [i64], &'a [i64]);

/// What all valid files hold: `w` as it lies, `t` transposed, both over 0 to 5.
const TENSORS: [View; 2] = [("w", 0, &[2, 3], &[3, 1]), ("t", 0, &[3, 2], &[1, 3])];

pub fn open_bytes(bytes: &[u8]) -> Result<StateDict> {
    open_bytes_with(bytes, &Limits::default())
}

pub fn open_bytes_with(bytes: &[u8], limits: &Limits) -> Result<StateDict> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    StateDict::open_with(file.path(), limits)
}

/// The pickle of a state dict of `tensors`, as the zip archive has it or else as the legacy stream. Where `before` is
/// not empty, its opcodes must make a dict, which becomes the outer one and holds the other as `state_dict`.
pub fn pickle_of(tensors: &[View], before: &[u8], zip: bool) -> Vec<u8> {
    pickle_of_count(tensors, before, zip, 6)
}

/// As `pickle_of`, with a storage that claims `count` elements.
pub fn pickle_of_count(tensors: &[View], before: &[u8], zip: bool, count: i64) -> Vec<u8> {
    let mut pickle = b"\x80\x02".to_vec();
    let outer = !before.is_empty();
    if outer {
        pickle.extend_from_slice(before);
        text(&mut pickle, "state_dict");
    }
    pickle.extend_from_slice(b"ccollections\nOrderedDict\n)R(");
    for (name, offset, shape, strides) in tensors {
        text(&mut pickle, name);
        pickle.extend_from_slice(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut pickle, "storage");
        pickle.extend_from_slice(b"ctorch\nFloatStorage\n");
        text(&mut pickle, "0");
        text(&mut pickle, "cpu");
        int(&mut pickle, count);
        pickle.extend_from_slice(if zip { b"tQ" } else { b"NtQ" });
        int(&mut pickle, *offset);
        for numbers in [shape, strides] {
            pickle.push(b'(');
            numbers.iter().for_each(|number| int(&mut pickle, *number));
            pickle.push(b't');
        }
        pickle.extend_from_slice(b"\x89ccollections\nOrderedDict\n)RtR");
    }
    pickle.extend_from_slice(if outer { b"us." } else { b"u." });
    pickle
}

pub fn text(pickle: &mut Vec<u8>, text: &str) {
    pickle.push(b'X');
    pickle.extend_from_slice(&(text.len() as u32).to_le_bytes());
    pickle.extend_from_slice(text.as_bytes());
}

pub fn int(pickle: &mut Vec<u8>, number: i64) {
    pickle.extend_from_slice(b"\x8a\x08");
    pickle.extend_from_slice(&number.to_le_bytes());
}

/// A protobuf number of variable length.
pub fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// A protobuf field that is a number.
pub fn number(tag: u64, value: u64) -> Vec<u8> {
    [varint(tag << 3), varint(value)].concat()
}

/// A protobuf field of bytes.
pub fn bytes(tag: u64, value: &[u8]) -> Vec<u8> {
    [varint(tag << 3 | 2), varint(value.len() as u64), value.to_vec()].concat()
}

fn storage() -> Vec<u8> {
    (0..6u8).flat_map(|n| f32::from(n).to_le_bytes()).collect()
}

/// The entries of a valid zip archive.
pub fn zip_entries() -> [(&'static str, &'static [u8]); 4] {
    let leak = |bytes: Vec<u8>| -> &'static [u8] { Box::leak(bytes.into_boxed_slice()) };
    static ENTRIES: std::sync::OnceLock<[&'static [u8]; 2]> = std::sync::OnceLock::new();
    let [pickle, data] = *ENTRIES.get_or_init(|| [leak(pickle_of(&TENSORS, b"", true)), leak(storage())]);
    [("a/data.pkl", pickle), ("a/byteorder", b"little"), ("a/data/0", data), ("a/version", b"3\n")]
}

/// A valid zip archive.
pub fn zip_file() -> Vec<u8> {
    zip_with(&zip_entries(), false)
}

/// A zip archive of `entries`, stored or deflated.
pub fn zip_with(entries: &[(&str, &[u8])], deflated: bool) -> Vec<u8> {
    let method = if deflated { zip::CompressionMethod::Deflated } else { zip::CompressionMethod::Stored };
    let options = SimpleFileOptions::default().compression_method(method);
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in entries {
        writer.start_file(*name, options).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// `zip` with the uncompressed size of the entry `name` replaced in its directory.
pub fn claim_size(zip: &[u8], name: &str, size: u32) -> Vec<u8> {
    let mut zip = zip.to_vec();
    let mut headers = (0..zip.len() - 46)
        .filter(|&at| zip[at..].starts_with(b"PK\x01\x02") && zip[at + 46..].starts_with(name.as_bytes()));
    let at = headers.next().unwrap();
    zip[at + 24..at + 28].copy_from_slice(&size.to_le_bytes());
    zip
}

pub fn replace_all(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    for at in 0..bytes.len().saturating_sub(from.len()) {
        if bytes[at..].starts_with(from) {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
    }
}

/// A valid legacy stream.
pub fn legacy_file() -> Vec<u8> {
    let data = [&6i64.to_le_bytes()[..], &storage()].concat();
    legacy_with(&pickle_of(&TENSORS, b"", false), b"\x80\x02](U\x010e.", &data)
}

/// A legacy stream around the pickle of an object, that of its storage keys, and what follows.
pub fn legacy_with(pickle: &[u8], keys: &[u8], data: &[u8]) -> Vec<u8> {
    let head = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}U\x0dlittle_endian\x88s.";
    [head, pickle, keys, data].concat()
}

/// A valid safetensors file.
pub fn safetensors_file() -> Vec<u8> {
    let transposed: Vec<u8> = [0u8, 3, 1, 4, 2, 5].iter().flat_map(|&n| f32::from(n).to_le_bytes()).collect();
    let header = concat!(
        r#"{"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"#,
        r#""t":{"dtype":"F32","shape":[3,2],"data_offsets":[24,48]}}"#
    );
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &storage(), &transposed].concat()
}
