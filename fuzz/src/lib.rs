//! What every fuzz target does: wrap the input so that it reaches its reader, open it, and look at all that comes out.

use peak_alloc::PeakAlloc;
use pretrained::{Files, Limits, StateDict, import, vision, zoo};
use std::io::{Cursor, Write};
use std::path::{Component, Path};
use zip::write::SimpleFileOptions;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// Small, so that an input that passes a limit is a small input.
fn limits() -> Limits {
    Limits {
        file_bytes: 1 << 20,
        header_bytes: 16 << 10,
        pickle_opcodes: 20_000,
        expanded_bytes: 1 << 20,
        ..Limits::default()
    }
}

/// What reading may take at most beside the file, by the words of [`Limits`]: what it expands, a hundred bytes for an
/// opcode, forty times the JSON, and the little that is not counted.
fn heap_bytes(limits: &Limits) -> usize {
    let bytes = limits.expanded_bytes + 100 * limits.pickle_opcodes + 40 * limits.header_bytes + (1 << 20);
    bytes.try_into().expect("a few megabytes")
}

/// Separates the files of a folder in an input; no text holds it.
const BETWEEN_FILES: &[u8] = b"\xf5\xf5";

/// Opens `file` as bytes in memory.
pub fn file(file: Vec<u8>) {
    let len = file.len();
    within(len, |limits| StateDict::from_bytes("input", file, limits).ok());
}

/// Opens what lies in the zip or tar archive that `archive` is, as a folder.
pub fn files(archive: Vec<u8>) {
    let len = archive.len();
    within(len, |limits| {
        let files = Files::archive("input", archive).ok()?;
        StateDict::from_files(&files, "", limits).ok()
    });
}

/// Opens the folder that `input` describes, files that begin with a line that is their path, or the file `open` in it.
/// `rename` gives a file's path for its place and the path that the input has.
pub fn folder(input: &[u8], open: &str, rename: impl Fn(usize, &str) -> String) {
    // In memory where that is possible: a run takes a hundred times as long on a disk.
    let place = Path::new("/dev/shm");
    let folder = if place.is_dir() { tempfile::tempdir_in(place) } else { tempfile::tempdir() }.expect("a folder");
    for (index, file) in parts(input).enumerate().take(64) {
        let end = file.iter().position(|&byte| byte == b'\n').unwrap_or(file.len());
        let name = rename(index, &String::from_utf8_lossy(&file[..end]));
        let name = Path::new(&name);
        if name.components().all(|part| matches!(part, Component::Normal(_))) {
            // What no file system takes is left out.
            let path = folder.path().join(name);
            let _ = path.parent().map(std::fs::create_dir_all);
            let _ = std::fs::write(path, file.get(end + 1..).unwrap_or_default());
        }
    }
    within(input.len(), |limits| StateDict::open_with(folder.path().join(open), limits).ok());
}

fn parts(mut input: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let end = input.windows(2).position(|two| two == BETWEEN_FILES).unwrap_or(input.len());
        let part = input.get(..end).filter(|part| !part.is_empty())?;
        input = input.get(end + 2..).unwrap_or_default();
        Some(part)
    })
}

/// A PyTorch archive around the pickle `input`, with storages of 64 bytes and the empty entry `beside`.
pub fn archive(input: &[u8], beside: &str) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let storage = [1; 64];
    for (name, content) in [("a/data.pkl", input), ("a/data/0", &storage), ("a/data/1", &storage), (beside, b"")] {
        let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        zip.start_file(name, options).and_then(|()| Ok(zip.write_all(content)?)).expect("a zip archive in memory");
    }
    zip.finish().expect("a zip archive in memory").into_inner()
}

/// The protobuf field `tag` of `bytes`.
pub fn field(tag: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![tag << 3 | 2];
    let mut len = bytes.len();
    while len >= 0x80 {
        field.push(len as u8 | 0x80);
        len >>= 7;
    }
    field.push(len as u8);
    [&field, bytes].concat()
}

/// Opens, holds the memory that this takes and what is kept to the limits, and looks at every tensor.
fn within(file_bytes: usize, open: impl FnOnce(&Limits) -> Option<StateDict>) {
    let limits = limits();
    HEAP.reset_peak_usage();
    let before = HEAP.current_usage();
    let dict = open(&limits);
    let taken = HEAP.peak_usage().saturating_sub(before);
    assert!(taken <= 2 * file_bytes + heap_bytes(&limits), "{taken} bytes were taken for a file of {file_bytes}");
    let Some(dict) = dict else { return };

    // Tensors may share bytes, which count once.
    let optimizer = dict.optimizer().iter().map(|(name, tensor)| (name.as_str(), tensor));
    let mut held: Vec<(usize, usize)> = dict
        .iter()
        .chain(optimizer)
        .map(|(_, tensor)| (tensor.bytes().as_ptr() as usize, tensor.bytes().len()))
        .collect();
    held.sort_unstable();
    let (mut total, mut end) = (0, 0);
    for (start, len) in held {
        total += (start + len).saturating_sub(end.max(start));
        end = end.max(start + len);
    }
    assert!(
        total as u64 <= file_bytes as u64 + limits.expanded_bytes,
        "{total} bytes are held of a file of {file_bytes}"
    );

    let mut left: usize = 1 << 18;
    for (name, tensor) in dict.iter() {
        assert!(dict.contains(name));
        assert_eq!(tensor.bytes().len(), tensor.element_count() * tensor.dtype().size());
        if tensor.element_count() <= left {
            left -= tensor.element_count();
            assert_eq!(tensor.to_f32_vec().len(), tensor.element_count());
        }
    }
    assert!(dict.format().is_some() && dict.path().is_some());
    let _ = format!("{:?} {:?} {:?}", dict.metadata(), dict.notes(), dict.shapes_known());
    let _ = zoo::detect(&dict);
    // As much again as the tensors, twice, and what exporters' arithmetic takes; and the steps of the network.
    HEAP.reset_peak_usage();
    let before = HEAP.current_usage();
    let imported = import::network(&dict);
    let taken = HEAP.peak_usage().saturating_sub(before);
    assert!(taken <= 8 * file_bytes + (64 << 20), "{taken} bytes were taken to import a graph of {file_bytes}");
    drop(imported);
}

/// Decodes a picture under tight limits and holds the memory that this takes to them.
pub fn image(file: &[u8]) {
    let limits = vision::Limits { pixels: 1 << 20, decoded_bytes: 8 << 20, ..vision::Limits::default() };
    HEAP.reset_peak_usage();
    let before = HEAP.current_usage();
    // The name lets a file without a signature be a TGA.
    let image = vision::decode("picture.tga", file, &limits);
    let taken = HEAP.peak_usage().saturating_sub(before);
    // Decoders take up to four times the pixels while they work; Zstandard and LZW keep windows and tables beside.
    assert!(taken <= 4 * file.len() + (48 << 20), "{taken} bytes were taken for a file of {}", file.len());
    if let Ok(image) = image {
        assert!(u64::from(image.width()) * u64::from(image.height()) <= limits.pixels);
    }
}
