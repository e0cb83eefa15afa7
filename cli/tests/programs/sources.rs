//! Images that `predict` finds in archives, lists and streams.

use crate::program;
use program::*;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;

/// What comes of each image: its name, and the class or none.
fn classes(left: &Left) -> Vec<(String, Option<i64>)> {
    let of = |record: serde_json::Value| {
        let name = record["image"].as_str().unwrap().replace('\\', "/");
        (name, record["predictions"][0]["class"].as_i64())
    };
    records(&left.out).into_iter().map(of).collect()
}

/// A zip archive of digits.
fn archive(path: &Path, digits: &[usize]) {
    let mut zip = zip::ZipWriter::new(File::create(path).unwrap());
    for n in digits {
        zip.start_file(format!("in/{n}.png"), zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(&fs::read(digit(*n)).unwrap()).unwrap();
    }
    zip.finish().unwrap();
}

/// `predict` with something on standard input.
fn fed(arguments: &[&str], input: &[u8]) -> Left {
    let mut predict = digits_command();
    predict.args(["--format", "jsonl"]).args(arguments);
    let mut child = predict.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    left(child.wait_with_output().unwrap())
}

#[test]
fn archives_are_read_by_their_content_and_by_names_in_braces() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_str().unwrap();
    archive(&folder.path().join("part-00"), &[3, 8]);
    archive(&folder.path().join("part-01"), &[5]);
    let left = digits(&["--format", "jsonl", &format!("{root}/part-{{00..01}}"), &digit(2)]);
    let start = root.replace('\\', "/");
    let expected = [("part-00/in/3.png", 3), ("part-00/in/8.png", 8), ("part-01/in/5.png", 5)];
    let mut expected: Vec<_> = expected.iter().map(|(name, n)| (format!("{start}/{name}"), Some(*n))).collect();
    expected.push((digit(2).replace('\\', "/"), Some(2)));
    assert_eq!((classes(&left), left.code), (expected, Some(0)), "{left:?}");
}

#[test]
fn lists_come_from_files_and_from_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list.txt");
    let missing = folder.path().join("missing.png");
    fs::write(&list, format!("{}\r\n\r\n{}\r\n{}\r\n", digit(4), missing.display(), digit(6))).unwrap();
    let left = digits(&["--format", "jsonl", "--files-from", list.to_str().unwrap()]);
    let found: Vec<_> = classes(&left).into_iter().map(|(_, class)| class).collect();
    assert_eq!((found, left.code), (vec![Some(4), None, Some(6)], Some(1)), "{left:?}");
    assert!(left.err.contains("missing.png") && left.err.contains("1 of 3 failed"), "{left:?}");

    let left = fed(&["-0", "--files-from", "-"], format!("{}\0{}\0", digit(1), digit(9)).as_bytes());
    let found: Vec<_> = classes(&left).into_iter().map(|(_, class)| class).collect();
    assert_eq!((found, left.code), (vec![Some(1), Some(9)], Some(0)), "{left:?}");
    // Standard input is one thing or the other.
    let left = fed(&["-", "--files-from", "-"], &fs::read(digit(7)).unwrap());
    assert_eq!((classes(&left)[0].1, left.code), (Some(7), Some(1)), "{left:?}");
    assert!(left.err.contains("standard input cannot be images and their list"), "{left:?}");
    // A list of nothing is no image.
    let left = fed(&["--files-from", "-"], b"\n\n");
    assert!(left.code == Some(2) && left.err.contains("the lists name none"), "{left:?}");
}

#[test]
fn results_do_not_replace_a_listed_image_or_the_list() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("a.png");
    let list = folder.path().join("list.txt");
    fs::copy(digit(3), &image).unwrap();
    fs::write(&list, image.to_str().unwrap()).unwrap();
    for (results, what) in [(&image, "one of the images"), (&list, "a list of images")] {
        let before = fs::read(results).unwrap();
        let left = digits(&["--files-from", list.to_str().unwrap(), "-o", results.to_str().unwrap()]);
        assert!(left.code == Some(2) && left.err.contains(what), "{left:?}");
        assert_eq!(fs::read(results).unwrap(), before);
    }
}

/// A camera sends a frame now and then: the first result does not wait for sixty others.
#[test]
fn a_stream_is_not_read_ahead_of_its_first_result() {
    let mut bytes = Vec::new();
    let image = image::open(digit(4)).unwrap().into_rgb8();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 98).encode_image(&image).unwrap();
    let mut predict = digits_command();
    predict.args(["--format", "jsonl", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = predict.spawn().unwrap();
    let mut camera = child.stdin.take().unwrap();
    camera.write_all(&[&bytes[..], &bytes].concat()).unwrap();
    camera.flush().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(records(&line)[0]["predictions"][0]["class"].as_i64(), Some(4), "{line}");
    drop(camera);
    child.wait().unwrap();
}

/// The frames of a video, as JPEGs one after the other.
#[test]
fn frames_of_a_stream_are_numbered() {
    let frame = |n: usize| {
        let mut bytes = Vec::new();
        let image = image::open(digit(n)).unwrap().into_rgb8();
        image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 98).encode_image(&image).unwrap();
        bytes
    };
    let stream: Vec<u8> = [1, 4, 7, 3].into_iter().flat_map(frame).collect();
    let left = fed(&["--every", "2", "-"], &stream);
    let expected = vec![("-#0".to_owned(), Some(1)), ("-#2".to_owned(), Some(7))];
    assert_eq!((classes(&left), left.code), (expected, Some(0)), "{left:?}");
}
