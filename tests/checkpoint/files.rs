//! Checkpoints of several files, opened from a folder, from memory, from zip and from tar archives: all give the same.

use crate::common;
use pretrained::{Error, Files, Limits, SaveFormat, SaveOptions, StateDict, Tensor};
use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// A file's name and content.
type Named = (String, Vec<u8>);

fn holding(names: &[&str]) -> StateDict {
    let numbers = |at: usize| (0..6).map(|i| (at * 10 + i) as f32).collect::<Vec<_>>();
    let tensor = |(at, name): (usize, &&str)| (name.to_string(), Tensor::from_f32(&[2, 3], &numbers(at)).unwrap());
    names.iter().enumerate().map(tensor).collect()
}

/// Writes `names` to `path`, in the format that its extension asks for.
fn write(path: &Path, names: &[&str]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let format = SaveFormat::of_path(path).unwrap();
    holding(names).save(path, &SaveOptions { format, ..SaveOptions::default() }).unwrap();
}

/// Every file below `folder`, by its name from there on.
fn everything(folder: &Path) -> Vec<Named> {
    let names = Files::open(folder).unwrap().names().unwrap();
    names.into_iter().map(|name| (name.clone(), fs::read(folder.join(name)).unwrap())).collect()
}

fn zipped(files: &[Named], method: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(name.as_str(), SimpleFileOptions::default().compression_method(method)).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// An entry of a tar archive, with a right sum.
fn tar_entry(name: &[u8], kind: u8, content: &[u8]) -> Vec<u8> {
    let mut header = [0u8; 512];
    header[..name.len().min(100)].copy_from_slice(&name[..name.len().min(100)]);
    header[100..108].copy_from_slice(b"0000644\0");
    header[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
    header[156] = kind;
    header[257..265].copy_from_slice(b"ustar\x0000");
    header[148..156].fill(b' ');
    let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut entry = [&header[..], content].concat();
    entry.resize(entry.len().next_multiple_of(512), 0);
    entry
}

fn tarred(files: &[Named]) -> Vec<u8> {
    let mut tar = tar_entry(b"./", b'5', b"");
    for (name, bytes) in files {
        if name.len() > 90 {
            tar.extend(tar_entry(b"././@LongLink", b'L', format!("./{name}\0").as_bytes()));
        }
        tar.extend(tar_entry(format!("./{name}").as_bytes(), b'0', bytes));
    }
    tar.extend([0; 1024]);
    tar
}

/// The same files from each place that there is.
fn places(folder: &Path) -> Vec<(&'static str, Files)> {
    let all = everything(folder);
    let archive = |bytes: Vec<u8>| Files::archive("an archive", bytes).unwrap();
    vec![
        ("folder", Files::open(folder).unwrap()),
        ("memory", Files::in_memory("memory", all.clone()).unwrap()),
        ("zip", archive(zipped(&all, CompressionMethod::Stored))),
        ("zip, compressed", archive(zipped(&all, CompressionMethod::Deflated))),
        ("tar", archive(tarred(&all))),
    ]
}

/// Opens `name` of `folder` from everywhere, and compares with what the folder on disk gives.
#[track_caller]
fn assert_same_everywhere(folder: &Path, name: &str) {
    let path = if name.is_empty() { folder.to_owned() } else { folder.join(name) };
    let expected = StateDict::open(&path).unwrap_or_else(|error| panic!("{error}"));
    for (place, files) in places(folder) {
        let found = StateDict::from_files(&files, name, &Limits::default());
        let found = found.unwrap_or_else(|error| panic!("{place}: {error}"));
        assert!(found.iter().eq(expected.iter()), "{place}: other tensors");
        assert!(found.optimizer().iter().eq(expected.optimizer()), "{place}: other moments");
        assert_eq!(found.metadata(), expected.metadata(), "{place}");
        assert_eq!(found.notes(), expected.notes(), "{place}");
        assert_eq!(found.left_out(), expected.left_out(), "{place}");
        assert_eq!(found.format(), expected.format(), "{place}");
        assert_eq!(found.shapes_known(), expected.shapes_known(), "{place}");
    }
}

/// A field of a protobuf: bytes, a text or a message.
fn field(tag: u8, content: &[u8]) -> Vec<u8> {
    assert!(content.len() < 128);
    [&[tag << 3 | 2, content.len() as u8], content].concat()
}

/// An ONNX model with one tensor `w` of six numbers from number 4 of the file `data` on.
fn external(data: &str) -> Vec<u8> {
    let entry = |key: &str, value: &str| field(13, &[field(1, key.as_bytes()), field(2, value.as_bytes())].concat());
    let places = [entry("location", data), entry("offset", "16"), entry("length", "24")].concat();
    let tensor = [&[8, 6, 16, 1][..], &field(8, b"w"), &places, &[14 << 3, 1]].concat();
    [vec![8, 8], field(7, &field(5, &tensor))].concat()
}

fn numbers(count: usize) -> Vec<u8> {
    (0..count).flat_map(|number| (number as f32).to_le_bytes()).collect()
}

#[test]
fn shards_are_found_by_their_index() {
    let folder = tempfile::tempdir().unwrap();
    for (stem, end) in [("model", "safetensors"), ("in/a/folder/pytorch_model", "bin")] {
        write(&folder.path().join(format!("{stem}-1.{end}")), &["a", "b"]);
        write(&folder.path().join(format!("{stem}-2.{end}")), &["c"]);
        let of = |n: usize| format!("{}-{n}.{end}", stem.rsplit('/').next().unwrap());
        let index =
            serde_json::json!({"metadata": {"total_size": 72}, "weight_map": {"a": of(1), "b": of(1), "c": of(2)}});
        let index_name = format!("{stem}.{end}.index.json");
        fs::write(folder.path().join(&index_name), index.to_string()).unwrap();
        assert_same_everywhere(folder.path(), &index_name);
    }
    assert_same_everywhere(folder.path(), "");
    assert_same_everywhere(folder.path(), "in/a/folder");
}

#[test]
fn data_of_an_onnx_model_is_found_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("m/parts")).unwrap();
    fs::write(folder.path().join("m/model.onnx"), external("parts/data")).unwrap();
    fs::write(folder.path().join("m/parts/data"), numbers(20)).unwrap();
    assert_same_everywhere(folder.path(), "m/model.onnx");
    let expected: Vec<f32> = (4..10).map(|number| number as f32).collect();
    let files = Files::archive("m.zip", zipped(&everything(folder.path()), CompressionMethod::Deflated)).unwrap();
    let found = StateDict::from_files(&files, "m/model.onnx", &Limits::default()).unwrap();
    assert_eq!(found.get("w").unwrap().to_f32_vec(), expected);
    assert_eq!(found.path().unwrap(), Path::new("m.zip/m/model.onnx"));
}

#[test]
fn the_newest_of_mindspores_folder_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["net-1_10.ckpt", "net-2_10.ckpt", "net_1-1_5.ckpt"] {
        write(&folder.path().join(name), &["fc.weight", name]);
    }
    assert_same_everywhere(folder.path(), "");
    assert_same_everywhere(folder.path(), "net-1_10.ckpt");
}

#[test]
fn oneflows_folders_open() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = folder.path().join("deep/snapshot");
    write(&snapshot, &["fc.weight", "fc.bias", "moment"]);
    fs::rename(snapshot.join("moment"), snapshot.join("fc.weight-m")).unwrap();
    assert_same_everywhere(folder.path(), "deep/snapshot");
    let Some(shared) = common::shared() else { return };
    for name in ["mlp_oneflow08", "mlp_oneflow08_training", "mlp_oneflow09", "mlp_snapshot", "mlp_legacy_snapshot"] {
        assert_same_everywhere(&shared.join("fixtures").join(name), "");
    }
}

#[test]
fn deepspeeds_states_are_found() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("step5/mp_rank_00_model_states.pt"), &["a"]);
    fs::write(folder.path().join("latest"), "step5\n").unwrap();
    assert_same_everywhere(folder.path(), "");
}

#[test]
fn files_are_listed_and_read_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let long = format!("a/{}last", "long/".repeat(30));
    for (name, bytes) in [("one", numbers(3)), ("a/two", vec![]), (&long, numbers(40_000))] {
        fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    for (place, files) in places(folder.path()) {
        assert_eq!(files.names().unwrap(), [long.as_str(), "a/two", "one"], "{place}");
        assert_eq!(files.read("one", 12).unwrap(), numbers(3), "{place}");
        assert_eq!(files.read(&format!("./{long}"), 1 << 20).unwrap(), numbers(40_000), "{place}");
        assert_eq!(files.read("a/two", 0).unwrap(), "", "{place}");
        assert!(matches!(files.read("one", 11), Err(Error::Limit { found: 12, limit: 11, .. })), "{place}");
        for name in ["three", "one/two", "a/two/x"] {
            assert!(matches!(files.read(name, 1), Err(Error::Io { .. })), "{place}: {name}");
        }
        for name in ["../one", "/one", "a/../one", "a\\two", "c:one"] {
            let error = files.read(name, 99).unwrap_err().to_string();
            assert!(error.contains("must lie in the same folder"), "{place}: {error}");
            let error = StateDict::from_files(&files, name, &Limits::default()).unwrap_err().to_string();
            assert!(error.contains("must lie in the same folder"), "{place}: {error}");
        }
        assert!(files.read("a", 99).is_err(), "{place}");
    }
}

#[test]
fn what_content_names_stays_among_the_files() {
    let files = |data: &str| {
        let named = [("m/model.onnx", external(data)), ("data", numbers(20)), ("m/in/data", numbers(20))];
        Files::in_memory("memory", named).unwrap()
    };
    let open = |data: &str| StateDict::from_files(&files(data), "m/model.onnx", &Limits::default());
    assert!(open("in/data").is_ok());
    for (data, part) in
        [("../data", "same folder"), ("/data", "same folder"), ("data", "is missing"), ("in", "regular")]
    {
        let error = open(data).unwrap_err().to_string();
        assert!(error.contains(part), "{data}: {error}");
    }
    // All files together stay under the limit.
    let bytes = (external("in/data").len() + numbers(20).len()) as u64;
    let within = |file_bytes| {
        let limits = Limits { file_bytes, ..Limits::default() };
        StateDict::from_files(&files("in/data"), "m/model.onnx", &limits)
    };
    assert!(within(bytes).is_ok());
    assert!(matches!(within(bytes - 1), Err(Error::Limit { .. })));
}

#[track_caller]
fn assert_refused(bytes: Vec<u8>, parts: &[&str]) {
    match Files::archive("bad", bytes) {
        Err(Error::Checkpoint { reason, .. }) => {
            assert!(parts.iter().all(|part| reason.contains(part)), "{parts:?} are not all in: {reason}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn archives_with_names_that_lead_out_are_refused_by_name() {
    for name in ["../out", "/etc/passwd", "a/../../out", "a\\..\\out", "c:out"] {
        let files = [("good".to_owned(), vec![1]), (name.to_owned(), vec![2])];
        assert_refused(zipped(&files, CompressionMethod::Stored), &["is refused", "same folder"]);
        assert_refused(
            [tar_entry(b"good", b'0', b"1"), tar_entry(name.as_bytes(), b'0', b"2")].concat(),
            &["same folder"],
        );
        assert!(Files::in_memory("memory", files).is_err());
    }
    assert_refused(
        [tar_entry(b"twice", b'0', b"1"), tar_entry(b"./twice", b'0', b"2")].concat(),
        &["`./twice`", "two"],
    );
    assert_refused([tar_entry(b"a", b'0', b"1"), tar_entry(b"a/b", b'0', b"2")].concat(), &["`a/b`", "same name"]);
    assert_refused([tar_entry(b"a/b", b'0', b"1"), tar_entry(b"a", b'0', b"2")].concat(), &["`a`", "two"]);
    let deep = tar_entry("d/".repeat(40).as_bytes(), b'0', b"");
    assert!(Files::archive("deep", deep).is_ok());
    assert!(Files::in_memory("deep", [("d/".repeat(80) + "x", vec![])]).is_err());
}

#[test]
fn links_devices_and_holes_in_tar_archives_are_refused_by_name() {
    for (kind, part) in [(b'1', "link"), (b'2', "link"), (b'3', "no regular"), (b'6', "no regular"), (b'S', "sparse")] {
        assert_refused(tar_entry(b"bad/entry", kind, b""), &["`bad/entry`", part]);
    }
    let record = "22 GNU.sparse.major=1\n";
    assert_refused(
        [tar_entry(b"x", b'x', record.as_bytes()), tar_entry(b"holes", b'0', b"")].concat(),
        &["`holes`", "sparse"],
    );
    assert_refused(tar_entry(b"x", b'g', b"10 size=5\n"), &["one size"]);
    for record in ["99 path=a\n", "9 path=ab\n", "x path=a\n", "7path=a\n", "8 size=-\n"] {
        assert_refused([tar_entry(b"x", b'x', record.as_bytes()), tar_entry(b"y", b'0', b"")].concat(), &["damaged"]);
    }
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.add_symlink("bad", "../out", SimpleFileOptions::default()).unwrap();
    assert_refused(zip.finish().unwrap().into_inner(), &["`bad`", "link"]);
}

#[test]
fn attributes_give_a_long_name_and_a_size() {
    let name = "long/".repeat(40) + "name";
    let length = name.len() + "000 path=\n".len();
    let tar = [
        tar_entry(b"g", b'g', b"17 comment=hello\n"),
        tar_entry(b"x", b'x', format!("{length} path={name}\n").as_bytes()),
        tar_entry(b"short", b'0', b"content"),
        tar_entry(b"after", b'0', b"!"),
    ];
    let files = Files::archive("tar", tar.concat()).unwrap();
    assert_eq!(files.names().unwrap(), ["after", &name]);
    assert_eq!(files.read(&name, 9).unwrap(), "content");
}

#[test]
fn compressed_files_stay_within_the_limit_together() {
    let folder = tempfile::tempdir().unwrap();
    let shards: Vec<String> = (0..4).map(|n| format!("s{n}.safetensors")).collect();
    let zeros = Tensor::from_f32(&[1 << 18], &vec![0.0; 1 << 18]).unwrap();
    let mut map = serde_json::Map::new();
    for shard in &shards {
        let dict: StateDict = [(shard.as_str(), zeros.clone())].into_iter().collect();
        dict.save(folder.path().join(shard), &SaveOptions::default()).unwrap();
        map.insert(shard.clone(), shard.as_str().into());
    }
    fs::write(folder.path().join("x.index.json"), serde_json::json!({"weight_map": map}).to_string()).unwrap();
    let zip = zipped(&everything(folder.path()), CompressionMethod::Deflated);
    assert!(zip.len() < 100_000);
    let files = Files::archive("bomb.zip", zip).unwrap();
    let within = |expanded_bytes| {
        StateDict::from_files(&files, "", &Limits { expanded_bytes, ..Limits::default() }).map(|dict| dict.len())
    };
    assert_eq!(within(5 << 20).unwrap(), 4);
    match within(3 << 20) {
        Err(Error::Limit { what, .. }) => assert!(what.contains("compressed files"), "{what}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn damaged_archives_are_errors() {
    let files = [("a/model.safetensors".to_owned(), numbers(100)), ("b".to_owned(), vec![7; 700])];
    assert_refused(b"no archive".to_vec(), &["neither a zip nor a tar"]);
    assert_refused(vec![0x1f, 0x8b, 8], &["gzip"]);
    assert_refused(vec![], &["neither"]);
    for archive in [zipped(&files, CompressionMethod::Deflated), tarred(&files)] {
        let read = |bytes: Vec<u8>| {
            if let Ok(files) = Files::archive("damaged", bytes) {
                for name in files.names().unwrap() {
                    let _ = files.read(&name, 1 << 20);
                }
                let _ = StateDict::from_files(&files, "", &Limits::default());
            }
        };
        for end in 0..archive.len() {
            read(archive[..end].to_vec());
        }
        for at in 0..archive.len().min(2048) {
            for bit in [0x01, 0x80] {
                let mut bytes = archive.clone();
                bytes[at] ^= bit;
                read(bytes);
            }
        }
    }
    // A size that is not true, and a sum that is not.
    let mut zip = zipped(&files, CompressionMethod::Deflated);
    let at = zip.windows(4).rposition(|window| window == b"PK\x01\x02").unwrap();
    zip[at + 16] ^= 1;
    let files = Files::archive("sum.zip", zip).unwrap();
    assert!(files.read("b", 9999).unwrap_err().to_string().contains("checksum"));
}

/// Written by Python's tarfile and zipfile, with the owner that they have by default; zeros at the ends are left out.
#[test]
fn archives_of_other_programs_open() {
    let long = format!("a/{}name", "long/".repeat(30));
    for name in ["gnu.tar", "pax.tar", "ustar.tar", "python.zip"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/archives").join(name);
        let files = Files::open(path).unwrap();
        assert_eq!(files.names().unwrap(), ["1.safetensors", &long, "model.safetensors.index.json"], "{name}");
        assert_eq!(files.read(&long, 1).unwrap(), "x", "{name}");
        let state = StateDict::from_files(&files, "", &Limits::default()).unwrap();
        assert_eq!(state.get("a").unwrap().to_f32_vec(), [1.0], "{name}");
    }
}
