//! What Windows alone has: drives, verbatim paths, patterns that no shell expands, and names of unpaired UTF-16.

use crate::program;
use program::*;
use serde_json::json;
use std::ffi::{OsStr, OsString};
use std::os::windows::ffi::OsStringExt;
use std::path::Path;

/// The images of JSON Lines, and the class of each.
fn images(text: &str) -> Vec<(String, i64)> {
    let of = |record: &serde_json::Value| {
        (record["image"].as_str().unwrap().to_owned(), record["predictions"][0]["class"].as_i64().unwrap_or(-1))
    };
    records(text).iter().map(of).collect()
}

/// A folder with two digits, by its path with a drive.
fn folder() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    for n in [3, 8] {
        std::fs::copy(digit(n), folder.path().join(format!("{n}.png"))).unwrap();
    }
    let path = folder.path().to_str().unwrap().to_owned();
    assert_eq!(&path[1..3], r":\", "{path}");
    (folder, path)
}

#[test]
fn a_path_may_have_a_drive_or_be_verbatim_and_keeps_its_own_separator() {
    let (_kept, path) = folder();
    let slashes = path.replace('\\', "/");
    let verbatim = format!(r"\\?\{path}");
    for (given, separator) in [(&path, '\\'), (&slashes, '/'), (&verbatim, '\\')] {
        let file = |n: i64| (format!("{given}{separator}{n}.png"), n);
        for argument in [given.clone(), file(3).0] {
            let left = digits(&["--format", "jsonl", &argument]);
            let expected = if argument == *given { vec![file(3), file(8)] } else { vec![file(3)] };
            assert_eq!((images(&left.out), left.code), (expected, Some(0)), "{argument}: {left:?}");
        }
        let missing = digits(&["--format", "jsonl", &file(5).0]);
        assert_eq!(missing.code, Some(1), "{missing:?}");
        assert!(missing.err.contains(&no_file()) || missing.out.contains(&no_file()), "{missing:?}");
    }
}

#[test]
fn patterns_are_expanded_with_either_separator() {
    let (_kept, path) = folder();
    for (folder, separator) in [(path.clone(), '\\'), (path.replace('\\', "/"), '/'), (format!(r"\\?\{path}"), '\\')] {
        let left = digits(&["--format", "jsonl", &format!("{folder}{separator}*.PNG")]);
        let plain = folder.trim_start_matches(r"\\?\");
        let expected = [3, 8].map(|n| (format!("{plain}{separator}{n}.png"), n));
        assert_eq!((images(&left.out), left.code), (expected.to_vec(), Some(0)), "{left:?}");
    }
}

#[test]
fn names_of_unpaired_utf_16_survive() {
    let (_kept, path) = folder();
    let name = OsString::from_wide(&[
        u16::from(b'd'),
        0xd800,
        u16::from(b'.'),
        u16::from(b'p'),
        u16::from(b'n'),
        u16::from(b'g'),
    ]);
    let file = Path::new(&path).join(&name);
    std::fs::copy(digit(4), &file).unwrap();
    let left = digits(&[OsStr::new("--format"), OsStr::new("jsonl"), file.as_os_str()]);
    let record = &records(&left.out)[0];
    assert_eq!(record["predictions"][0]["class"], json!(4), "{left:?}");
    assert_eq!(record["image_bytes"], json!(file.as_os_str().as_encoded_bytes()));
    // As one of a folder, too.
    let left = digits(&["--format", "jsonl", &path]);
    assert_eq!((records(&left.out).len(), left.code), (3, Some(0)), "{left:?}");
}
