//! What a file is, by its content: which decoder reads it, or which words say why none does.

use std::path::Path;

use image::ImageFormat;

use super::icon;
use super::refusal::Refusal;

/// Who reads a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Jpeg,
    Png,
    Gif,
    Bmp,
    Tiff,
    WebP,
    /// An icon or a cursor.
    Icon,
    /// All that `image` reads without help.
    Other(ImageFormat),
}

/// The content tells; only TGA, which has no signature, may be told by its name.
pub(super) fn of(path: &Path, bytes: &[u8]) -> Result<Kind, Refusal> {
    const TIFF: [&[u8]; 4] = [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"];
    if TIFF.iter().any(|magic| bytes.starts_with(magic)) {
        return Ok(Kind::Tiff);
    }
    if icon::is_cursor(bytes) {
        return Ok(Kind::Icon);
    }
    match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => return Ok(Kind::Jpeg),
        Ok(ImageFormat::Png) => return Ok(Kind::Png),
        Ok(ImageFormat::Gif) => return Ok(Kind::Gif),
        Ok(ImageFormat::Bmp) => return Ok(Kind::Bmp),
        Ok(ImageFormat::WebP) => return Ok(Kind::WebP),
        Ok(ImageFormat::Ico) => return Ok(Kind::Icon),
        Ok(ImageFormat::Avif) | Err(_) => {}
        Ok(format) => return Ok(Kind::Other(format)),
    }
    let named_tga = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("tga"));
    if bytes.ends_with(b"TRUEVISION-XFILE.\0") || (named_tga && !bytes.is_empty() && !looks_like_text(bytes)) {
        return Ok(Kind::Other(ImageFormat::Tga));
    }
    Err(Refusal::Image(not_an_image(bytes)))
}

/// Says what a file seems to be that is no image, or none that is read.
fn not_an_image(bytes: &[u8]) -> String {
    const PICTURES: [(usize, &[u8], &str); 31] = [
        (4, b"ftypavif", "an AVIF image"),
        (4, b"ftypavis", "an AVIF image"),
        (4, b"ftyphe", "a HEIC image"),
        (4, b"ftypmif1", "a HEIC image"),
        (4, b"ftypmsf1", "a HEIC image"),
        (4, b"ftypcrx", "a raw photo of a Canon camera (CR3)"),
        (4, b"ftyp", "a video (MP4 or its like)"),
        (0, b"\xff\x0a", "a JPEG XL image"),
        (4, b"JXL ", "a JPEG XL image"),
        (4, b"jP  ", "a JPEG 2000 image"),
        (0, b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
        (0, b"8BPS", "a Photoshop image"),
        (0, b"%PDF", "a PDF"),
        (0, b"%!PS", "a PostScript drawing"),
        (0, b"II\xbc\x01", "a JPEG XR image"),
        (0, b"FUJIFILMCCD-RAW", "a raw photo of a Fujifilm camera"),
        (0, b"IIRO", "a raw photo of an Olympus camera"),
        (0, b"IIU\0", "a raw photo of a Panasonic camera"),
        (0, b"\x0a\x05\x01", "a PCX image"),
        (0, b"\x01\xda", "an SGI image"),
        (0, b"\x59\xa6\x6a\x95", "a Sun raster image"),
        (0, b"\x8aMNG", "an MNG animation"),
        (0, b"SIMPLE  =", "a FITS image"),
        (0, b"/* XPM */", "an XPM image"),
        (0, b"#define ", "an XBM image or source text"),
        (0, b"icns", "an icon of macOS (ICNS)"),
        (0, b"BPG\xfb", "a BPG image"),
        (0, b"FLIF", "a FLIF image"),
        (0, b"gimp xcf", "a GIMP image"),
        (128, b"DICM", "a DICOM image"),
        (0, b"\xd7\xcd\xc6\x9a", "a Windows metafile"),
    ];
    const OTHERS: [(usize, &[u8], &str); 13] = [
        (0, b"PK\x03\x04", "a zip archive"),
        (0, b"PK\x05\x06", "an empty zip archive"),
        (0, b"\x1f\x8b", "a gzip file"),
        (0, b"BZh", "a bzip2 file"),
        (0, b"\xfd7zXZ\0", "an xz file"),
        (0, b"\x28\xb5\x2f\xfd", "a Zstandard file"),
        (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
        (0, b"Rar!\x1a\x07", "a RAR archive"),
        (257, b"ustar", "a tar archive"),
        (0, b"\x7fELF", "a program"),
        (0, b"OggS", "an Ogg recording"),
        (0, b"ID3", "an MP3 recording"),
        (0, b"\x1a\x45\xdf\xa3", "a video (Matroska or WebM)"),
    ];
    if bytes.is_empty() {
        return "the file is empty (0 bytes)".to_owned();
    }
    let begins = |(at, magic, _): &&(usize, &[u8], &str)| bytes.get(*at..).is_some_and(|b| b.starts_with(magic));
    if let Some((_, _, what)) = PICTURES.iter().find(begins) {
        return format!("this is {what}, which is not read; convert it to PNG or JPEG");
    }
    if bytes.starts_with(b"version https://git-lfs") {
        return "this is a Git LFS pointer, not the picture itself; fetch the picture with `git lfs pull`".to_owned();
    }
    if let Some(what) = checkpoint(bytes) {
        return format!("this is {what}, not an image");
    }
    if let Some((_, _, what)) = OTHERS.iter().find(begins) {
        return format!("this is {what}, not an image");
    }
    if looks_like_text(bytes) {
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]);
        let text = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
        let lower = text.to_ascii_lowercase();
        let kind = if lower.starts_with("<!doctype html") || lower.starts_with("<html") {
            "an HTML page (perhaps what a failed download left)"
        } else if lower.starts_with("<svg") || (lower.starts_with("<?xml") && lower.contains("<svg")) {
            "an SVG drawing, which is not read"
        } else {
            "text"
        };
        let line: String = text.lines().next().unwrap_or_default().chars().take(40).collect();
        return format!("not an image but {kind}; it begins with {line:?}");
    }
    let start: Vec<String> = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("not an image of a known format; its first bytes are {}", start.join(" "))
}

/// A model's weights, which are easily given where a picture is meant.
fn checkpoint(bytes: &[u8]) -> Option<&'static str> {
    const PYTORCH: &str = "a PyTorch checkpoint";
    // PyTorch's zip begins with the pickle or one of the marks beside it; the folder is named after the file.
    if bytes.starts_with(b"PK\x03\x04") {
        let length = usize::from(u16::from_le_bytes([*bytes.get(26)?, *bytes.get(27)?]));
        let name = bytes.get(30..30 + length)?;
        let marks: [&[u8]; 5] =
            [b"/data.pkl", b"/version", b"/byteorder", b"/.format_version", b"/.data/serialization_id"];
        return marks.iter().any(|mark| name.ends_with(mark)).then_some(PYTORCH);
    }
    // The number that torch.save began with before it wrote zips, as a pickled long.
    if bytes.first() == Some(&0x80) && bytes.get(2..14) == Some(b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19") {
        return Some(PYTORCH);
    }
    if matches!(bytes, [0x80, 2..=5, .., b'.']) {
        return Some("a pickle of Python (perhaps a checkpoint)");
    }
    if let Some((length, header)) = bytes.split_first_chunk::<8>()
        && u64::from_le_bytes(*length) < 1 << 32
        && header.starts_with(b"{\"")
    {
        return Some("a safetensors checkpoint");
    }
    match bytes {
        [0x89, b'H', b'D', b'F', ..] => Some("an HDF5 file (perhaps weights of Keras)"),
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => Some("a NumPy array"),
        [b'G', b'G', b'U', b'F', ..] => Some("a GGUF checkpoint"),
        // The version of ONNX, then the producer's name as text of a few letters.
        [0x08, 1..=20, 0x12, length @ 2..=40, rest @ ..]
            if rest.get(..usize::from(*length)).is_some_and(|name| name.iter().all(u8::is_ascii_graphic)) =>
        {
            Some("an ONNX model")
        }
        _ => None,
    }
}

fn looks_like_text(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(64)];
    // The cut may fall inside a character, which is no fault of the text.
    let valid = match std::str::from_utf8(start) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    valid && start.iter().all(|byte| *byte >= 0x20 || matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c))
}
