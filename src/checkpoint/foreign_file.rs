//! Names files that are not a checkpoint of a format that is read: what they are, and what to do instead.

use super::source::short;
use std::path::Path;

/// Whether a head has the sign.
type Sign = fn(&[u8]) -> bool;

/// What images begin with.
const IMAGES: &[(Sign, &str)] = &[
    (|b| b.starts_with(&[0xff, 0xd8, 0xff]), "JPEG"),
    (|b| b.starts_with(b"\x89PNG\r\n\x1a\n"), "PNG"),
    (|b| b.starts_with(b"GIF87a") || b.starts_with(b"GIF89a"), "GIF"),
    (|b| b.starts_with(b"RIFF") && b.get(8..12) == Some(b"WEBP"), "WebP"),
    (|b| [&b"II*\0"[..], b"MM\0*", b"II+\0", b"MM\0+"].iter().any(|sign| b.starts_with(sign)), "TIFF"),
    // The two letters are little; the reserved bytes after the file's size are 0.
    (|b| b.starts_with(b"BM") && b.get(6..10) == Some(&[0; 4]), "BMP"),
    (|b| brand(b).is_some_and(|brand| brand.starts_with(b"avi")), "AVIF"),
    (
        |b| {
            brand(b)
                .is_some_and(|brand| [&b"hei"[..], b"hev", b"mif1", b"msf1"].iter().any(|sign| brand.starts_with(sign)))
        },
        "HEIC",
    ),
    (|b| b.starts_with(b"\0\0\0\x0cjP  \r\n\x87\n") || b.starts_with(&[0xff, 0x4f, 0xff, 0x51]), "JPEG 2000"),
    (|b| b.starts_with(b"\0\0\0\x0cJXL \r\n\x87\n"), "JPEG XL"),
    (|b| b.starts_with(b"8BPS"), "Photoshop"),
];

/// What compressed files and archives begin with, and how they are unpacked.
const PACKED: &[(Sign, &str, &str)] = &[
    (|b| b.starts_with(&[0x1f, 0x8b]), "compressed with gzip", "gunzip, or tar xzf for a .tar.gz"),
    (
        |b| b.starts_with(b"BZh") && b.get(4..10) == Some(b"1AY&SY"),
        "compressed with bzip2",
        "bunzip2, or tar xjf for a .tar.bz2",
    ),
    (|b| b.starts_with(b"\xfd7zXZ\0"), "compressed with xz", "unxz, or tar xJf for a .tar.xz"),
    (|b| b.starts_with(b"\x28\xb5\x2f\xfd"), "compressed with zstd", "unzstd"),
    (|b| b.starts_with(b"\x04\x22\x4d\x18"), "compressed with lz4", "unlz4"),
    (|b| b.starts_with(b"7z\xbc\xaf\x27\x1c"), "a 7-Zip archive", "7z x"),
    (|b| b.starts_with(b"Rar!\x1a\x07"), "a RAR archive", "unrar x"),
];

/// What other frameworks' files begin with, and what to do.
const FRAMEWORKS: &[(Sign, &str)] = &[
    (|b| b.starts_with(b"GGUF"), "is a GGUF file, which is not read; give a safetensors or PyTorch checkpoint"),
    (
        |b| b.starts_with(b"\x89HDF\r\n\x1a\n"),
        "is an HDF5 file (Keras writes them), which is not read; export the model to ONNX with tf2onnx, and give that",
    ),
    (
        |b| b.get(4..8) == Some(b"TFL3"),
        "is a TensorFlow Lite model, which is not read; convert it to ONNX with tf2onnx --tflite, and give that",
    ),
    (
        |b| b.get(4..8) == Some(b"PTMF"),
        "is a PyTorch Mobile model in a FlatBuffer, which is not read; give the model's state_dict as torch.save writes it",
    ),
    (
        |b| b.get(4..6) == Some(b"ET") && b.get(6..8).is_some_and(|version| version.iter().all(u8::is_ascii_digit)),
        "is an ExecuTorch program, which is not read; give the state_dict of the model that it was exported from",
    ),
    (is_core_ml, CORE_ML),
    (
        |b| starts_as_xml(b) && has(b, b"<net"),
        "is the graph of an OpenVINO model, which is not read; give the model that it was converted from (ONNX, PyTorch)",
    ),
    (starts_as_xml, "is an XML file, not a checkpoint"),
    (|b| b.starts_with(b"7767517\n"), NCNN),
    (
        |b| b.starts_with(b"ftrt") || b.starts_with(b"ptrt"),
        "is a TensorRT engine, compiled for one GPU, which is not read; give the ONNX file that it was built from",
    ),
    (
        |b| b.starts_with(b"MATLAB 5.0 MAT-file"),
        "is a MATLAB file, which is not read; save the weights as safetensors or with torch.save",
    ),
    (
        |b| b.starts_with(b"\x93NUMPY"),
        "is a NumPy array, which is not read; save the weights by their names, as safetensors or with torch.save",
    ),
    (|b| b.starts_with(b"%PDF-"), "is a PDF document, not a checkpoint"),
];

const CORE_ML: &str =
    "is a Core ML model, which is not read; give the model that it was converted from (ONNX, PyTorch, Keras's as ONNX)";
const NCNN: &str = "is a model of ncnn, which is not read; give the ONNX or PyTorch file that it was converted from";

/// What the end of a name says of a file whose content tells nothing, and what to do.
const NAMES: &[(&str, &str)] = &[
    ("mlmodel", CORE_ML),
    ("param", NCNN),
    ("pb", "may be a graph of TensorFlow, which is not read; export it to ONNX with tf2onnx, and give that"),
    ("pdmodel", PADDLE),
    ("pdparams", PADDLE),
    ("pdiparams", PADDLE),
    ("msgpack", "may be a Flax checkpoint, which is not read; save its arrays as safetensors"),
    ("caffemodel", "may be a Caffe model, which is not read; convert it to ONNX, and give that"),
    ("t7", "may be a Torch7 file, which is not read; load it in PyTorch and save the state_dict with torch.save"),
    ("weights", "may be a Darknet file, which is not read; convert it to ONNX or PyTorch, and give that"),
    ("engine", "may be a TensorRT engine, which is not read; give the ONNX file that it was built from"),
    ("trt", "may be a TensorRT engine, which is not read; give the ONNX file that it was built from"),
];

const PADDLE: &str =
    "may be a PaddlePaddle model, which is not read; export it to ONNX with paddle2onnx, and give that";

/// What the file that begins with `head` is, and what to do; `None` where the head tells nothing.
pub(super) fn by_content(head: &[u8]) -> Option<String> {
    if let Some((_, kind)) = IMAGES.iter().find(|(fits, _)| fits(head)) {
        return Some(format!("is a {kind} image, not a checkpoint; was it given in the place of the weights?"));
    }
    if let Some((_, kind, how)) = PACKED.iter().find(|(fits, ..)| fits(head)) {
        return Some(format!("is {kind}; unpack it first ({how})"));
    }
    if head.get(257..262) == Some(b"ustar") {
        return Some(tar(head));
    }
    FRAMEWORKS.iter().find(|(fits, _)| fits(head)).map(|(_, reason)| (*reason).to_owned())
}

/// What the name of the file at `path`, or a file beside it, says that its content does not.
pub(super) fn by_name(path: &Path) -> Option<String> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    if extension == "bin" {
        let beside = |extension: &str| path.with_extension(extension).is_file();
        return match (beside("xml"), beside("param")) {
            (true, _) => {
                Some("it lies beside a .xml, and so may be the weights of an OpenVINO model, which is not read".into())
            }
            (_, true) => {
                Some("it lies beside a .param, and so may be the weights of an ncnn model, which is not read".into())
            }
            _ => None,
        };
    }
    let (_, reason) = NAMES.iter().find(|(name, _)| *name == extension)?;
    Some(format!("by its name, it {reason}"))
}

/// What a zip archive with these entries is that `torch.save` did not write, and what to do.
pub(super) fn by_entries<'n>(names: impl Iterator<Item = &'n str>) -> Option<String> {
    const CHECKPOINTS: [&str; 10] =
        [".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".onnx", ".mindir", ".th", ".tar", "snapshot_done"];
    let names: Vec<&str> = names.collect();
    let any = |fits: &dyn Fn(&str) -> bool| names.iter().any(|name| fits(name));
    let last = |name: &str, file: &str| name == file || name.strip_suffix(file).is_some_and(|rest| rest.ends_with('/'));
    if any(&|name| {
        last(name, "serialized_exported_program.json")
            || last(name, "archive_format")
            || last(name, "models/model.json")
    }) {
        return Some(
            "it is a program that torch.export saved (.pt2), which is not read; save the state_dict of its model: \
             torch.save(torch.export.load(path).state_dict, other_path), or export it to ONNX"
                .into(),
        );
    }
    if any(&|name| name.ends_with(".weights.h5")) {
        return Some(
            "it is a Keras model, which is not read; export it to ONNX: model.export(path, format=\"onnx\")".into(),
        );
    }
    if any(&|name| last(name, "saved_model.pb")) {
        return Some("it holds a SavedModel of TensorFlow, which is not read; export it to ONNX with tf2onnx".into());
    }
    if any(&|name| name.ends_with(".mlmodel")) {
        return Some("it holds a Core ML model, which is not read; give the model that it was converted from".into());
    }
    if let Some(name) = names.iter().find(|name| CHECKPOINTS.iter().any(|end| name.ends_with(end))) {
        return Some(format!("it holds {}: unpack it first, and give that file", short(name)));
    }
    any(&|name| name.ends_with(".npy"))
        .then(|| "it is a NumPy .npz, which is not read; save its arrays as safetensors or with torch.save".into())
}

/// What to do with a tar archive.
fn tar(head: &[u8]) -> String {
    let name = first_entry(head).unwrap_or_default();
    // What `torch.save` wrote before PyTorch 0.1.
    if ["sys_info", "pickle", "tensors", "storages"].contains(&&*name) {
        return "is a tar archive as the first PyTorch releases wrote checkpoints, which is not read; load it and save \
                its state_dict with a newer torch.save"
            .into();
    }
    let first = if name.is_empty() { String::new() } else { format!(", which begins with {}", short(&name)) };
    format!("is a tar archive{first}; unpack it first (tar xf), and give the checkpoint that it holds")
}

/// The name of the first file in a tar archive: 100 bytes at the start of a header of 512, after which the content comes
/// in blocks of 512.
fn first_entry(mut head: &[u8]) -> Option<String> {
    const BLOCK: usize = 512;
    loop {
        let header = head.get(..BLOCK)?;
        let text = |bytes: &[u8]| {
            let bytes: Vec<u8> = bytes.iter().copied().take_while(|byte| *byte != 0).collect();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        // Headers that describe the next one: its attributes, or a long name.
        if !matches!(header[156], b'x' | b'g' | b'L' | b'K') {
            return Some(text(&header[..100]));
        }
        let size = usize::from_str_radix(text(&header[124..136]).trim(), 8).ok()?;
        head = head.get(size.checked_next_multiple_of(BLOCK)?.checked_add(BLOCK)?..)?;
    }
}

/// The brand of an ISO media file.
fn brand(head: &[u8]) -> Option<&[u8]> {
    if head.get(4..8) == Some(b"ftyp") { head.get(8..12) } else { None }
}

fn starts_as_xml(head: &[u8]) -> bool {
    head.trim_ascii_start().starts_with(b"<?xml") || head.starts_with(b"<net")
}

/// A protobuf that opens with a small version (1) and a message (2), where ONNX has the text of a producer's name.
fn is_core_ml(head: &[u8]) -> bool {
    matches!(head, [0x08, 1..=15, 0x12, _, 0x00 | 0x0a, ..] | [0x08, 1..=15, 0x12, 0x80..=0xff, _, 0x0a, ..])
}

fn has(head: &[u8], sign: &[u8]) -> bool {
    head.windows(sign.len()).any(|window| window == sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_give_in_the_place_of_weights_is_named() {
        let mut avif = b"\0\0\0\x20ftypavif".to_vec();
        avif.resize(64, 0);
        for (head, parts) in [
            (&b"\xff\xd8\xff\xe0\0\x10JFIF"[..], &["JPEG image"][..]),
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", &["PNG image"]),
            (&avif, &["AVIF image"]),
            (b"BM\x36\x0c\0\0\0\0\0\0\x36\0\0\0", &["BMP image"]),
            (b"BZh91AY&SY\x94", &["bzip2", "unpack"]),
            (b"\xfd7zXZ\0\0\x04", &["xz", "unpack"]),
            (b"\x28\xb5\x2f\xfd\0\0", &["zstd", "unpack"]),
            (b"7z\xbc\xaf\x27\x1c\0\x04", &["7-Zip", "unpack"]),
            (b"Rar!\x1a\x07\x01\0", &["RAR", "unpack"]),
            (b"\x1c\0\0\0TFL3\0\0", &["TensorFlow Lite", "ONNX"]),
            (b"\x08\x01\x12\x40\0\0\0", &["Core ML"]),
            (b"\x08\x04\x12\xa2\x01\x0a\x10\x0a\x05image", &["Core ML"]),
            (b"<?xml version=\"1.0\"?>\n<net name=\"x\" version=\"11\">", &["OpenVINO"]),
            (b"7767517\n10 11\n", &["ncnn"]),
        ] {
            let found = by_content(head).unwrap_or_else(|| panic!("{parts:?} is not named"));
            assert!(parts.iter().all(|part| found.contains(part)), "{found}");
        }
        assert_eq!(by_content(b"hello"), None);
        assert_eq!(by_content(b"BMW is no image"), None);
    }

    #[test]
    fn archives_say_what_they_hold() {
        let tar_of = |name: &str| {
            let mut head = vec![0; 512];
            head[..name.len()].copy_from_slice(name.as_bytes());
            head[257..262].copy_from_slice(b"ustar");
            by_content(&head).unwrap()
        };
        assert!(tar_of("out/best.pth").contains("begins with out/best.pth; unpack it first"));
        assert!(tar_of("sys_info").contains("first PyTorch releases"));
        // Python puts attributes before the file.
        let mut head = vec![0; 2048];
        head[..9].copy_from_slice(b"PaxHeader");
        head[124..135].copy_from_slice(b"00000000034");
        head[156] = b'x';
        head[257..262].copy_from_slice(b"ustar");
        head[1024..1033].copy_from_slice(b"model.pth");
        assert!(by_content(&head).unwrap().contains("begins with model.pth;"));
        let zip = |names: &[&str]| by_entries(names.iter().copied()).unwrap_or_default();
        assert!(
            zip(&["version", "serialized_exported_program.json", "serialized_state_dict.pt"]).contains("torch.export")
        );
        assert!(zip(&["m/archive_format", "m/data/weights/a.pt", "m/models/model.json"]).contains("torch.export"));
        assert!(zip(&["metadata.json", "config.json", "model.weights.h5"]).contains("Keras"));
        assert!(zip(&["a/README", "a/model.safetensors"]).contains("holds a/model.safetensors: unpack it first"));
        assert!(zip(&["pytorch_model.bin"]).contains("holds pytorch_model.bin: unpack"));
        assert!(zip(&["arr_0.npy"]).contains(".npz"));
        assert_eq!(zip(&["word/document.xml"]), "");
    }

    #[test]
    fn a_name_speaks_where_the_content_does_not() {
        assert!(by_name(Path::new("x.mlmodel")).unwrap().contains("Core ML"));
        assert!(by_name(Path::new("x.PDPARAMS")).unwrap().contains("PaddlePaddle"));
        assert_eq!(by_name(Path::new("x.pth")), None);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("m.xml"), "<net>").unwrap();
        assert!(by_name(&folder.path().join("m.bin")).unwrap().contains("OpenVINO"));
        assert_eq!(by_name(&folder.path().join("n.bin")), None);
    }
}
