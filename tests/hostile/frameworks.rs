//! OneFlow's and MindSpore's checkpoints that are damaged or made to harm: each must be an error, without a panic.

use crate::build::{bytes as field, open_bytes, open_bytes_with, text, varint};
use crate::{assert_refused, bend, refused, small, survive};
use pretrained::{DType, Error, Limits, Result, StateDict};
use proptest::prelude::*;
use std::path::Path;

// MindSpore

/// One value of a MindSpore checkpoint.
fn value(tag: &str, dims: &[i64], kind: &str, content: &[u8]) -> Vec<u8> {
    let dims: Vec<u8> = dims.iter().flat_map(|&dim| [vec![8], varint(dim as u64)].concat()).collect();
    let tensor = [dims, field(2, kind.as_bytes()), field(3, content)].concat();
    field(1, &[field(1, tag.as_bytes()), field(2, &tensor)].concat())
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn ckpt() -> Vec<u8> {
    [value("w", &[2, 3], "Float32", &floats(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0])), value("n", &[], "Int64", &[7; 8])]
        .concat()
}

/// The CRC-32 of zlib, bit by bit.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
    })
}

fn with_checksum(bytes: &[u8]) -> Vec<u8> {
    [bytes, b"crc_num\0\0\0\0\0\0", &crc(bytes).to_be_bytes()].concat()
}

#[test]
fn mindspores_own_ways_to_write_a_value() {
    let pieces = |n: &[f32]| value("w", &[2, 3], "Float32", &floats(n));
    let sliced =
        [pieces(&[0.0, 1.0]), pieces(&[2.0, 3.0, 4.0]), pieces(&[5.0]), value("b", &[1], "Bool", &[1])].concat();
    let dict = open_bytes(&sliced).unwrap();
    assert_eq!(dict.get("w").unwrap().to_f32_vec(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    assert_eq!((dict.len(), dict.get("b").unwrap().dtype()), (2, DType::Bool));
    let none = Limits { expanded_bytes: 0, ..Limits::default() };
    assert!(open_bytes_with(&sliced, &none).is_err());
    // Packed dimensions, an old scalar, a text, and the optimizer's.
    let packed = [field(1, &[2, 3]), field(2, b"UInt8"), field(3, &[9; 6])].concat();
    let packed = field(1, &[field(1, b"p"), field(2, &packed)].concat());
    let all = [
        packed,
        value("loss", &[0], "Float32", &0.25f32.to_le_bytes()),
        value("learning_rate", &[1], "Float32", &0.5f32.to_le_bytes()),
        value("bn.scale", &[], "Float32", &0.25f32.to_le_bytes()),
        value("net", &[], "str", b"m\0\0\0s\0\0\0\0\0\0\0"),
        value("moments.p", &[6], "UInt8", &[1; 6]),
        value("beta1_power", &[], "Float32", &0.9f32.to_le_bytes()),
    ]
    .concat();
    let dict = open_bytes(&all).unwrap();
    assert_eq!(dict.names().collect::<Vec<_>>(), ["p", "bn.scale"]);
    assert_eq!(dict.get("p").unwrap().shape(), [2, 3]);
    let metadata: Vec<_> = dict.metadata().iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(metadata, [("loss", "0.25"), ("learning_rate", "0.5"), ("net", "ms")]);
    assert_eq!(dict.optimizer().keys().collect::<Vec<_>>(), ["moments.p", "beta1_power"]);
    for (kind, size) in [("Float64", 8), ("BFloat16", 2), ("Float16", 2), ("Int8", 1), ("UInt64", 8), ("UInt16", 2)] {
        assert_eq!(
            open_bytes(&value("x", &[3], kind, &vec![0; 3 * size])).unwrap().get("x").unwrap().dtype().size(),
            size
        );
    }
}

#[test]
fn mindspores_checksum_is_verified() {
    let good = with_checksum(&ckpt());
    assert_eq!(open_bytes(&good).unwrap().names().collect::<Vec<_>>(), ["w"]);
    // Every byte counts, but for those of the words `crc_num` themselves.
    let content = ckpt().len();
    for at in (20..content).chain(content + 7..good.len()) {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        assert!(refused(&bad).contains("checksum"), "byte {at}");
    }
}

#[test]
fn a_truncated_ckpt_is_an_error_except_between_values() {
    let (whole, first) = (ckpt(), value("w", &[2, 3], "Float32", &[0; 24]).len());
    for end in 0..whole.len() {
        let found = open_bytes(&whole[..end]);
        assert_eq!(found.is_ok(), end == first, "{end}: {found:?}");
    }
    let checked = with_checksum(&whole);
    for end in whole.len() + 1..checked.len() {
        assert!(open_bytes(&checked[..end]).is_err(), "{end}");
    }
}

#[test]
fn ckpts_that_lie() {
    let w = |dims: &[i64], kind: &str, len: usize| value("w", dims, kind, &vec![0; len]);
    assert_refused(&w(&[2, 3], "Float32", 20), "parameter `w`: f32 of shape [2, 3] takes 24 bytes, found 20");
    assert_refused(&w(&[1 << 62, 1 << 62], "Float32", 8), "parameter `w`: its shape [4611686018427387904");
    assert_refused(&w(&[-1], "Float32", 8), "its shape [-1] overflows");
    assert_refused(&w(&[1; 65], "Float32", 4), "more than 64 dimensions");
    let first = ckpt();
    let after = |value: Vec<u8>| [&first[..], &value].concat();
    assert_refused(&after(w(&[2], "Complex64", 16)), "holds the parameter `w` twice");
    assert_refused(&after(value("c", &[2], "Complex64", &[0; 16])), "parameter `c`: its elements are `Complex64`");
    assert_refused(&after(value("s", &[], "str", &[0xff; 8])), "no Unicode");
    let part = |dims: &[i64]| value("v", dims, "Float32", &[0; 8]);
    assert_refused(&after([part(&[4]), part(&[5])].concat()), "its slices disagree");
    assert_refused(&after([part(&[4]), part(&[4]), part(&[4])].concat()), "takes 16 bytes, found 24");
    assert_refused(&after(field(1, &[])), "holds no name");
    assert_refused(&after(field(1, &field(1, b"x"))), "parameter `x`: it has a name and no tensor");
    assert_refused(&after(field(1, &[field(1, b"\xff"), field(2, b"")].concat())), "no UTF-8");
    assert_refused(&after(field(1, &[field(1, b"x"), field(3, b"")].concat())), "map tensor");
    assert_refused(&after(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01".to_vec()), "goes beyond its end");
    // Messages in messages are never entered, and groups not at all.
    let deep = (0..10_000).fold(Vec::new(), |inner, _| field(1, &inner));
    assert_refused(&after(deep), "no UTF-8");
    assert_refused(&after(vec![0x0b; 100_000]), "of a kind that it does not use");
    let long = "x".repeat(5000);
    assert!(matches!(open_bytes(&after(value(&long, &[1], "Int8", &[0]))), Err(Error::Limit { .. })));
    // A crowd of tiny values is held to the limit on memory.
    let crowd: Vec<u8> = (0..50_000).flat_map(|n| value(&format!("{n}"), &[1], "Int8", &[0])).collect();
    let small = Limits { expanded_bytes: 1 << 20, ..Limits::default() };
    assert!(matches!(open_bytes_with(&crowd, &small), Err(Error::Limit { .. })));
}

// OneFlow's single file

const HEAD: &[u8] = b"\x80\x04}(\x8c\x10protocol_versionK\x01\x8c\x0b__oneflow__N\x8c\x04data}(";

/// A single file with one tensor `w`, whose array has these parts.
fn single(shape: &[u8], dtype: &str, order: &str, fortran: bool, data: &[u8]) -> Vec<u8> {
    let mut pickle = [HEAD, b"\x8c\x01w\x8c\x07oneflow\x8c\x06Tensor\x93)\x81}\x8c\x04data"].concat();
    pickle.extend_from_slice(b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R(K\x01(");
    shape.iter().for_each(|&dim| pickle.extend_from_slice(&[b'K', dim]));
    pickle.extend_from_slice(b"tcnumpy\ndtype\n");
    text(&mut pickle, dtype);
    pickle.extend_from_slice(b"\x89\x88\x87R(K\x03");
    text(&mut pickle, order);
    pickle.extend_from_slice(b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb");
    pickle.push(if fortran { 0x88 } else { 0x89 });
    pickle.push(b'C');
    pickle.push(data.len() as u8);
    pickle.extend_from_slice(data);
    pickle.extend_from_slice(b"tbsbuu.");
    pickle
}

#[test]
fn single_files_that_lie() {
    let six = floats(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    let good = single(&[2, 3], "f4", "<", false, &six);
    let dict = open_bytes(&good).unwrap();
    assert_eq!(dict.get("w").unwrap().to_f32_vec(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    assert_eq!(dict.get("w").unwrap().shape(), [2, 3]);
    for end in 0..good.len() {
        assert!(open_bytes(&good[..end]).is_err(), "{end} of {}", good.len());
    }
    for (code, size) in [("f8", 8), ("f2", 2), ("i8", 8), ("i4", 4), ("i2", 2), ("u8", 8), ("u4", 4), ("u2", 2)] {
        assert!(open_bytes(&single(&[3], code, "<", false, &vec![0; 3 * size])).is_ok(), "{code}");
    }
    for code in ["i1", "u1", "b1"] {
        assert!(open_bytes(&single(&[3], code, "|", false, &[0; 3])).is_ok(), "{code}");
    }
    assert_refused(&single(&[2, 3], "f4", ">", false, &six), "parameter `w`: its array is big-endian");
    assert_refused(&single(&[2, 3], "f4", "<", true, &six), "Fortran order");
    assert!(open_bytes(&single(&[6, 1], "f4", "<", true, &six)).is_ok());
    assert_refused(&single(&[2, 3], "f4", "<", false, &six[..20]), "takes 24 bytes, found 20");
    assert_refused(&single(&[255; 9], "f8", "<", false, &six), "overflows");
    assert_refused(&single(&[2, 3], "c8", "<", false, &six), "its elements are NumPy's c8");
    assert_refused(&single(&[2, 3], "O", "|", false, &six), "its elements are NumPy's O");
    assert_refused(&[HEAD, b"uu."].concat(), "holds no tensors");
    assert_refused(&[HEAD, b"\x8c\x01wcos\nsystem\n\x8c\x02ls\x85Ruu."].concat(), "refused os.system");
    let mut later = good.clone();
    let at = later.windows(8).position(|window| window == b"versionK").unwrap() + 8;
    later[at] = 2;
    assert_refused(&later, "protocol_version is 2; only 1 is known");
}

// OneFlow's folders

/// A checkpoint with one tensor in the folder `path`.
fn pickled_data(path: &str) -> Vec<u8> {
    let mut pickle =
        b"\x80\x04}(\x8c\x10protocol_versionK\x01\x8c\x04data}\x8c\x01w\x8c\x07oneflow\x8c\x06Tensor\x93)\x81}"
            .to_vec();
    text(&mut pickle, "path");
    text(&mut pickle, path);
    pickle.extend_from_slice(b"sbsu.");
    pickle
}

const META: &[u8] = b"shape {\n  dim: 2\n  dim: 3\n}\ndata_type: kFloat";

/// Writes a folder with one tensor of six floats, `files` of it replaced.
fn write(folder: &Path, files: &[(&str, &[u8])]) {
    let defaults =
        [("pickled_data", &pickled_data("tensor_1")[..]), ("tensor_1/meta", META), ("tensor_1/out", &[0; 24])];
    for (name, bytes) in defaults.iter().chain(files) {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

fn folder_with(files: &[(&str, &[u8])]) -> Result<StateDict> {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), files);
    StateDict::open(folder.path())
}

fn folder_fault(files: &[(&str, &[u8])]) -> String {
    folder_with(files).unwrap_err().to_string()
}

#[test]
fn truncated_parts_of_a_folder_are_errors() {
    assert_eq!(folder_with(&[]).unwrap().get("w").unwrap().shape(), [2, 3]);
    let pickle = pickled_data("tensor_1");
    for (name, whole) in [("pickled_data", &pickle[..]), ("tensor_1/meta", META), ("tensor_1/out", &[0; 24])] {
        for end in 0..whole.len() {
            assert!(folder_with(&[(name, &whole[..end])]).is_err(), "{name}: {end} of {}", whole.len());
        }
    }
}

#[test]
fn folders_that_lie() {
    let found = folder_fault(&[("tensor_1/out", &[0; 20])]);
    assert!(found.contains("parameter `w`: f32 of shape [2, 3] takes 24 bytes, and its file out has 20"), "{found}");
    let meta = |meta: &str| folder_fault(&[("tensor_1/meta", meta.as_bytes())]);
    assert!(meta("shape { dim: 4611686018427387904 dim: 4 } data_type: kFloat").contains("overflows"));
    assert!(meta("shape { dim: -2 } data_type: kFloat").contains("parameter `w`: its meta has the dimension `-2`"));
    assert!(meta("shape { dim: 6 } data_type: kOFRecord").contains("kOFRecord, which is not read"));
    assert!(meta(&"a {".repeat(20_000)).contains("ends within"));
    assert!(meta(&" ".repeat(1 << 17)).contains("is 131072, over the limit of 65536"));
    for path in ["../tensor_1", "/etc", "tensor_1/../../x", "tensor_1\\x", "C:x"] {
        let found = folder_fault(&[("pickled_data", &pickled_data(path))]);
        assert!(found.contains("must lie in the folder itself"), "{path}: {found}");
    }
    let found = folder_fault(&[("pickled_data", &pickled_data("tensor_2"))]);
    assert!(found.contains("parameter `w`: tensor_2/meta is missing"), "{found}");
    let long = "x".repeat(3000);
    assert!(folder_with(&[("pickled_data", &pickled_data(&long))]).is_err());
    // 1 TB that is claimed and not there.
    assert!(meta("shape { dim: 250000000000 } data_type: kFloat").contains("takes 1000000000000 bytes"));
}

#[test]
fn all_files_of_a_folder_are_under_one_limit() {
    let folder = tempfile::tempdir().unwrap();
    for layer in 0..10 {
        std::fs::create_dir(folder.path().join(format!("l{layer}-weight"))).unwrap();
        std::fs::write(folder.path().join(format!("l{layer}-weight/out")), [0; 1000]).unwrap();
    }
    let limit = |bytes| StateDict::open_with(folder.path(), &Limits { file_bytes: bytes, ..Limits::default() });
    assert_eq!(limit(10_000).unwrap().len(), 10);
    assert!(matches!(limit(9_999), Err(Error::Limit { .. })));
}

#[test]
fn raw_parameters_that_are_no_whole_number_of_floats() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("w-weight")).unwrap();
    for len in 0..12 {
        std::fs::write(folder.path().join("w-weight/out"), vec![0; len]).unwrap();
        let found = StateDict::open(folder.path());
        assert_eq!(found.is_ok(), len % 4 == 0, "{len}: {found:?}");
    }
    std::fs::remove_file(folder.path().join("w-weight/out")).unwrap();
    std::fs::create_dir(folder.path().join("snapshot_done")).unwrap();
    let found = StateDict::open(folder.path()).unwrap_err().to_string();
    assert!(found.contains("a OneFlow snapshot without parameters"), "{found}");
    // One of several parameters without its description.
    std::fs::create_dir(folder.path().join("a")).unwrap();
    std::fs::write(folder.path().join("a/out"), [0; 24]).unwrap();
    std::fs::write(folder.path().join("a/meta"), META).unwrap();
    std::fs::write(folder.path().join("w-weight/out"), [0; 24]).unwrap();
    let found = StateDict::open(folder.path()).unwrap_err().to_string();
    assert!(found.contains("parameter `w-weight`: its file meta is missing"), "{found}");
    std::fs::remove_file(folder.path().join("w-weight/out")).unwrap();
    std::fs::write(folder.path().join("w-weight/meta"), META).unwrap();
    let found = StateDict::open(folder.path()).unwrap_err().to_string();
    assert!(found.contains("parameter `w-weight`: its file out is missing"), "{found}");
}

#[cfg(unix)]
#[test]
fn links_do_not_lead_out_of_a_folder() {
    use std::os::unix::fs::symlink;
    let outside = tempfile::tempdir().unwrap();
    write(outside.path(), &[]);
    let inside = tempfile::tempdir().unwrap();
    let refused = || {
        let found = StateDict::open(inside.path()).unwrap_err().to_string();
        assert!(found.contains("is a link out of the folder"), "{found}");
    };
    write(inside.path(), &[]);
    std::fs::remove_file(inside.path().join("tensor_1/out")).unwrap();
    symlink(outside.path().join("tensor_1/out"), inside.path().join("tensor_1/out")).unwrap();
    refused();
    std::fs::remove_dir_all(inside.path().join("tensor_1")).unwrap();
    symlink(outside.path().join("tensor_1"), inside.path().join("tensor_1")).unwrap();
    refused();
    std::fs::remove_file(inside.path().join("pickled_data")).unwrap();
    // The same folder is now a snapshot with one parameter, which is a link.
    refused();
    symlink(outside.path().join("pickled_data"), inside.path().join("pickled_data")).unwrap();
    refused();
    // Within the folder a link is as good as a file.
    std::fs::remove_file(inside.path().join("pickled_data")).unwrap();
    std::fs::remove_file(inside.path().join("tensor_1")).unwrap();
    write(inside.path(), &[]);
    std::fs::rename(inside.path().join("tensor_1"), inside.path().join("there")).unwrap();
    symlink("there", inside.path().join("tensor_1")).unwrap();
    assert!(StateDict::open(inside.path()).is_ok());
}

// anything

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_files_never_panic(
        which in 0..3usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = match which {
            0 => ckpt(),
            1 => with_checksum(&ckpt()),
            _ => single(&[2, 3], "f4", "<", false, &[0; 24]),
        };
        bend(&mut bytes, &changes, cut);
        survive(small(&bytes));
    }

    #[test]
    fn mutated_folders_never_panic(
        which in 0..3usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut parts = [pickled_data("tensor_1"), META.to_vec(), vec![0; 24]];
        bend(&mut parts[which], &changes, cut);
        let [pickle, meta, out] = &parts;
        survive(folder_with(&[("pickled_data", pickle), ("tensor_1/meta", meta), ("tensor_1/out", out)]));
    }
}
