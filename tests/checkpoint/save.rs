//! Writes checkpoints and holds them to what the readers read back and what the real frameworks wrote.

use crate::common;
use half::{bf16, f16};
use pretrained::{DType, Error, Format, Limits, SaveFormat, SaveOptions, StateDict, Tensor, printable};
use proptest::prelude::*;
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

const FORMATS: [SaveFormat; 4] =
    [SaveFormat::Safetensors, SaveFormat::Torch, SaveFormat::OneFlow, SaveFormat::MindSpore];

/// Each with what it is read back as.
const READ: [(SaveFormat, Format); 4] = [
    (SaveFormat::Safetensors, Format::Safetensors),
    (SaveFormat::Torch, Format::TorchZip),
    (SaveFormat::OneFlow, Format::OneFlowSnapshot),
    (SaveFormat::MindSpore, Format::MindSpore),
];

const DTYPES: [DType; 13] = [
    DType::F64,
    DType::F32,
    DType::F16,
    DType::BF16,
    DType::I64,
    DType::I32,
    DType::I16,
    DType::I8,
    DType::U64,
    DType::U32,
    DType::U16,
    DType::U8,
    DType::Bool,
];

fn fixture(name: &str) -> Option<PathBuf> {
    Some(common::shared()?.join("fixtures").join(name))
}

fn open(path: impl AsRef<Path>) -> StateDict {
    StateDict::open(path).unwrap_or_else(|error| panic!("{error}"))
}

fn to(format: SaveFormat) -> SaveOptions {
    SaveOptions { format, ..SaveOptions::default() }
}

fn replacing(format: SaveFormat) -> SaveOptions {
    SaveOptions { overwrite: true, ..to(format) }
}

fn one(name: &str, value: f32) -> StateDict {
    [(name, Tensor::from_f32(&[1], &[value]).unwrap())].into_iter().collect()
}

/// The names in a folder, hidden ones too.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[track_caller]
fn assert_same(found: &StateDict, expected: &StateDict) {
    assert_eq!(found.len(), expected.len());
    for (name, tensor) in expected.iter() {
        let found = found.get(name).unwrap_or_else(|| panic!("{name} is missing"));
        assert!(found == tensor, "{name}: {found:?} and {tensor:?}");
    }
}

/// A tensor of every dtype, a scalar, empty ones, and ones of five dimensions.
fn assorted() -> StateDict {
    let mut dict = StateDict::new();
    for (i, dtype) in DTYPES.into_iter().enumerate() {
        for (kind, shape) in [("s", &[][..]), ("e", &[2, 0, 3]), ("v", &[3]), ("d", &[1, 2, 1, 3, 2])] {
            let count = Tensor::byte_count(dtype, shape).unwrap();
            let byte = |n: usize| if dtype == DType::Bool { n % 2 } else { n * 37 + i } as u8;
            dict.insert(
                format!("{kind}.{dtype}"),
                Tensor::new(dtype, shape, Vec::from_iter((0..count).map(byte))).unwrap(),
            );
        }
    }
    dict
}

/// As [`assorted`], with a batch normalisation, whose names MindSpore has its own for.
fn assorted_with_normalisation() -> StateDict {
    let mut dict = assorted();
    for (n, last) in ["weight", "bias", "running_mean", "running_var"].into_iter().enumerate() {
        dict.insert(format!("stem.bn.{last}"), Tensor::from_f32(&[2], &[n as f32, 0.5]).unwrap());
    }
    let batches = Tensor::new(DType::I64, &[], 7i64.to_le_bytes().to_vec()).unwrap();
    dict.insert("stem.bn.num_batches_tracked", batches);
    // No normalisation, so its names are the same everywhere.
    dict.insert("fc.weight", Tensor::from_f32(&[1, 2], &[-0.0, f32::NAN]).unwrap());
    dict
}

/// What `dict` is once it was a MindSpore checkpoint, which does not count batches.
fn mindspores(dict: &StateDict) -> StateDict {
    let named = dict.iter().filter(|(name, _)| !name.ends_with("num_batches_tracked"));
    named
        .map(|(name, tensor)| {
            let name = match name.strip_prefix("stem.bn.") {
                Some("weight") => "stem.bn.gamma",
                Some("bias") => "stem.bn.beta",
                Some("running_mean") => "stem.bn.moving_mean",
                Some("running_var") => "stem.bn.moving_variance",
                _ => name,
            };
            (name, tensor.clone())
        })
        .collect()
}

/// Whether `format` keeps the order of tensors.
fn keeps_order(format: SaveFormat) -> bool {
    matches!(format, SaveFormat::Torch | SaveFormat::MindSpore)
}

#[test]
fn every_pair_of_formats_is_bit_exact_there_and_on() {
    let folder = tempfile::tempdir().unwrap();
    let dict = assorted_with_normalisation();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    for (from, from_read) in READ {
        let _ = fs::remove_dir_all(&first);
        let _ = fs::remove_file(&first);
        dict.save(&first, &to(from)).unwrap();
        let there = open(&first);
        assert_eq!(there.format(), Some(from_read));
        assert_same(&there, &if from == SaveFormat::MindSpore { mindspores(&dict) } else { dict.clone() });
        for (on, on_read) in READ {
            let _ = fs::remove_dir_all(&second);
            let _ = fs::remove_file(&second);
            there.save(&second, &to(on)).unwrap();
            let found = open(&second);
            assert_eq!(found.format(), Some(on_read), "{from} to {on}");
            let expected = if on == SaveFormat::MindSpore { mindspores(&there) } else { there.clone() };
            assert_same(&found, &expected);
            if keeps_order(on) {
                assert_eq!(found.names().collect::<Vec<_>>(), expected.names().collect::<Vec<_>>(), "{from} to {on}");
            }
            assert!(found.optimizer().is_empty() && found.metadata().is_empty(), "{from} to {on}: {found:?}");
        }
    }
    assert_eq!(names(folder.path()), ["first", "second"]);
}

#[test]
fn a_scalar_outside_every_module_is_a_number_of_the_training_to_mindspore() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.ckpt");
    let mut dict = one("fc.weight", 1.0);
    dict.insert("epoch_num", Tensor::new(DType::I32, &[], 3i32.to_le_bytes().to_vec()).unwrap());
    dict.insert("scale", Tensor::from_f32(&[], &[0.5]).unwrap());
    dict.save(&path, &to(SaveFormat::MindSpore)).unwrap();
    let found = open(&path);
    assert_eq!(found.names().collect::<Vec<_>>(), ["fc.weight"]);
    assert_eq!((&found.metadata()["epoch_num"][..], &found.metadata()["scale"][..]), ("3", "0.5"));
}

#[test]
fn mindspores_files_are_told_whatever_the_length_of_the_first_value() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.ckpt");
    // Of 123 bytes, the file begins with a line feed and an opening brace.
    for len in 0..300 {
        let dict: StateDict = [("w", Tensor::new(DType::U8, &[len], vec![b'"'; len]).unwrap())].into_iter().collect();
        dict.save(&path, &replacing(SaveFormat::MindSpore)).unwrap();
        assert_same(&open(&path), &dict);
    }
}

#[test]
fn fixtures_survive_every_way_round() {
    let Some(path) = fixture("views_zip.pth") else { return };
    let folder = tempfile::tempdir().unwrap();
    for source in [path, fixture("mlp.ckpt").unwrap(), fixture("mlp_bf16.pth").unwrap()] {
        // MindSpore takes a scalar without a module for a number of the training.
        let scalar = |(name, tensor): &(&str, &Tensor)| tensor.shape().is_empty() && !name.contains('.');
        let opened = open(&source);
        let dict: StateDict = opened.iter().filter(|entry| !scalar(entry)).map(|(n, t)| (n, t.clone())).collect();
        for (format, _) in READ {
            let path = folder.path().join(format!("{format:?}"));
            dict.save(&path, &replacing(format)).unwrap();
            assert_same(&open(&path), &dict);
        }
    }
    let tiny = open(fixture("shufflenetv2_tiny_odd.pth").unwrap());
    let network = |dict: &StateDict| pretrained::Model::from_state_dict(dict, pretrained::Strictness::Strict).unwrap();
    for (format, _) in READ {
        let path = folder.path().join(format!("tiny {format:?}"));
        tiny.save(&path, &replacing(format)).unwrap();
        assert_eq!(network(&open(&path)).weights(), network(&tiny).weights(), "{format}");
    }
}

#[test]
fn safetensors_is_byte_for_byte_what_its_own_writer_makes() {
    let Some(path) = fixture("mlp.safetensors") else { return };
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.safetensors");
    // Metadata too: the file says `format: pt`.
    for source in [path, fixture("lenet_f16.safetensors").unwrap(), fixture("views_expected.safetensors").unwrap()] {
        open(&source).save(&copy, &replacing(SaveFormat::Safetensors)).unwrap();
        assert!(fs::read(&copy).unwrap() == fs::read(&source).unwrap(), "{}", source.display());
    }
    let dict = assorted();
    dict.save(&copy, &replacing(SaveFormat::Safetensors)).unwrap();
    let written = fs::read(&copy).unwrap();
    let parsed = safetensors::SafeTensors::deserialize(&written).unwrap();
    assert!(safetensors::serialize(parsed.tensors(), None).unwrap() == written);
}

#[test]
fn metadata_stays_in_order_and_is_escaped() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("1"), folder.path().join("2"));
    let header = r#"{"__metadata__":{"labels":"[\"cat\", \"d\\u00f6g\"]","preset":"mnist"},"a\"b":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}"#;
    let file = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), b"\x07"].concat();
    fs::write(&first, file).unwrap();
    let dict = open(&first);
    assert_eq!(dict.metadata()["labels"], "[\"cat\", \"d\\u00f6g\"]");
    dict.save(&second, &to(SaveFormat::Safetensors)).unwrap();
    let found = open(&second);
    assert_same(&found, &dict);
    assert_eq!(found.metadata(), dict.metadata());
    assert!(found.contains("a\"b"));
}

#[test]
fn a_oneflow_snapshot_is_what_oneflow_wrote() {
    let Some(path) = fixture("mlp_snapshot") else { return };
    let folder = tempfile::tempdir().unwrap();
    let written = folder.path().join("snapshot");
    open(fixture("mlp.safetensors").unwrap()).save(&written, &to(SaveFormat::OneFlow)).unwrap();
    assert_eq!(names(&written), names(&path));
    for parameter in names(&path).iter().filter(|name| *name != "snapshot_done") {
        assert_eq!(names(&written.join(parameter)), ["meta", "out"]);
        for file in ["meta", "out"] {
            let found = fs::read(written.join(parameter).join(file)).unwrap();
            assert!(found == fs::read(path.join(parameter).join(file)).unwrap(), "{parameter}/{file}");
        }
    }
    assert_eq!(fs::read(written.join("snapshot_done")).unwrap(), b"");
    assert_eq!(names(folder.path()), ["snapshot"]);
}

#[test]
fn a_mindspore_checkpoint_is_what_mindspore_wrote() {
    let Some(path) = fixture("mlp.ckpt") else { return };
    let folder = tempfile::tempdir().unwrap();
    let written = folder.path().join("mlp.ckpt");
    // In the order of the module, as MindSpore has it.
    open(fixture("mlp_zip.pth").unwrap()).save(&written, &to(SaveFormat::MindSpore)).unwrap();
    assert!(fs::read(&written).unwrap() == fs::read(&path).unwrap());
}

#[test]
fn batch_normalisation_goes_under_mindspores_names() {
    let Some(path) = fixture("shufflenetv2_x0_5.ckpt") else { return };
    let folder = tempfile::tempdir().unwrap();
    let written = folder.path().join("x.ckpt");
    let options = SaveOptions { dtype: Some(DType::F32), ..to(SaveFormat::MindSpore) };
    open(fixture("shufflenetv2_x0_5_f16.safetensors").unwrap()).save(&written, &options).unwrap();
    // MindSpore puts the statistics of a normalisation before its weights; the values are what must agree.
    let (found, expected) = (values(&fs::read(&written).unwrap()), values(&fs::read(&path).unwrap()));
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    assert!(found.keys().any(|name| name == "stage2.0.branch1.1.moving_variance"));
    for (name, tensor) in &expected {
        assert!(found[name] == *tensor, "{name}");
    }
}

/// The values of a protobuf `Checkpoint` by tag, as bytes; apart from the crate's reader, so as not to share its mistakes.
fn values(mut bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    fn varint(bytes: &mut &[u8]) -> usize {
        let mut n = 0;
        for shift in (0..).step_by(7) {
            let (byte, rest) = bytes.split_first().unwrap();
            *bytes = rest;
            n |= (*byte as usize & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        n
    }
    fn field<'a>(bytes: &mut &'a [u8], key: u8) -> &'a [u8] {
        assert_eq!(bytes[0], key);
        *bytes = &bytes[1..];
        let length = varint(bytes);
        let (content, rest) = bytes.split_at(length);
        *bytes = rest;
        content
    }
    let mut values = BTreeMap::new();
    while !bytes.is_empty() {
        let mut value = field(&mut bytes, 0x0a);
        let tag = String::from_utf8(field(&mut value, 0x0a).to_vec()).unwrap();
        values.insert(tag, field(&mut value, 0x12).to_vec());
        assert!(value.is_empty());
    }
    values
}

#[test]
fn floats_are_rounded_to_nearest_and_the_rest_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    // 1 + 2^-11 lies between two halves; 2^-30 more decides, and is lost on the way through f32.
    let near = 1.0 + 2f64.powi(-11) + 2f64.powi(-30);
    // Just above the middle between two bf16, by the last bit of an f32.
    let above = 1.0 + 2f64.powi(-8) + 2f64.powi(-23);
    let numbers = [near, above, -0.0, 1e-8, f64::NAN, f64::INFINITY, 0.1];
    let doubles: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
    let mut dict = StateDict::new();
    dict.insert("w", Tensor::new(DType::F64, &[7], doubles).unwrap());
    dict.insert("n", Tensor::new(DType::I64, &[1], 7i64.to_le_bytes().to_vec()).unwrap());
    dict.insert("same", Tensor::new(DType::F16, &[1], vec![0x01, 0x7e]).unwrap());
    let save = |dtype| {
        dict.save(&path, &SaveOptions { dtype: Some(dtype), ..replacing(SaveFormat::Safetensors) }).unwrap();
        open(&path)
    };
    let bits = |dict: &StateDict| -> Vec<u16> {
        dict.get("w").unwrap().bytes().as_chunks().0.iter().map(|b| u16::from_le_bytes(*b)).collect()
    };
    let half = save(DType::F16);
    assert_eq!(bits(&half)[0], f16::from_f32(1.0).to_bits() + 1);
    assert_eq!(bits(&half)[1..], numbers.map(|x| f16::from_f32(x as f32).to_bits())[1..]);
    assert_eq!((half.get("n"), half.get("same")), (dict.get("n"), dict.get("same")));
    assert_eq!(half.get("w").unwrap().shape(), [7]);
    assert_eq!(bits(&save(DType::BF16)), numbers.map(|x| bf16::from_f32(x as f32).to_bits()));
    assert_eq!(bits(&save(DType::BF16))[1], bf16::from_f32(1.0).to_bits() + 1);
    let single = save(DType::F32);
    assert_eq!(single.get("same").unwrap().dtype(), DType::F32);
    assert!(single.get("w").unwrap().to_f32_vec()[6] == 0.1);
    for dtype in [DType::F64, DType::I8, DType::Bool] {
        let options = SaveOptions { dtype: Some(dtype), ..replacing(SaveFormat::Torch) };
        assert!(matches!(dict.save(&path, &options), Err(Error::Usage(_))));
    }
}

#[test]
fn a_number_beyond_the_element_type_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.pth");
    let options = SaveOptions { dtype: Some(DType::F16), ..to(SaveFormat::Torch) };
    let error = one("fc.weight", 70_000.0).save(&path, &options).unwrap_err().to_string();
    assert!(["x.pth", "fc.weight", "70000", "bf16"].iter().all(|part| error.contains(part)), "{error}");
    assert!(names(folder.path()).is_empty());
}

#[test]
fn statistics_of_normalisation_stay_f32_unless_forced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let names = ["bn.weight", "bn.running_mean", "bn.running_var", "m.moving_mean", "m.moving_variance", "running_var"];
    let dict: StateDict = names.iter().map(|name| (*name, Tensor::from_f32(&[1], &[0.1]).unwrap())).collect();
    for (force_dtype, halves) in [(false, 1), (true, names.len())] {
        let options = SaveOptions { dtype: Some(DType::BF16), force_dtype, ..replacing(SaveFormat::Safetensors) };
        dict.save(&path, &options).unwrap();
        let found = open(&path);
        assert_eq!(found.iter().filter(|(_, tensor)| tensor.dtype() == DType::BF16).count(), halves);
        assert_eq!(found.get("bn.weight").unwrap().dtype(), DType::BF16);
        let forced = found.get("bn.running_var") == dict.get("bn.running_var");
        assert_eq!(forced, !force_dtype);
    }
}

#[test]
fn what_is_there_is_not_overwritten_unless_allowed() {
    let folder = tempfile::tempdir().unwrap();
    for format in FORMATS {
        let path = folder.path().join(format!("{format:?}"));
        one("old", 1.0).save(&path, &to(format)).unwrap();
        let read = |path: &Path| match path.is_dir() {
            true => (names(path).join(" "), Vec::new()),
            false => (String::new(), fs::read(path).unwrap()),
        };
        let before = read(&path);
        let error = one("new", 2.0).save(&path, &to(format)).unwrap_err();
        assert!(error.to_string().contains("exists already"), "{error}");
        assert!(read(&path) == before);
        one("new", 2.0).save(&path, &replacing(format)).unwrap();
        assert!(read(&path) != before, "{format}");
    }
    assert_eq!(names(folder.path()).len(), FORMATS.len());
}

#[test]
fn only_a_snapshot_is_replaced_by_a_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let precious = folder.path().join("precious");
    fs::create_dir(&precious).unwrap();
    one("a", 1.0).save(&precious, &replacing(SaveFormat::OneFlow)).unwrap();
    assert_eq!(names(&precious), ["a", "snapshot_done"]);
    fs::remove_file(precious.join("snapshot_done")).unwrap();
    let error = one("b", 1.0).save(&precious, &replacing(SaveFormat::OneFlow)).unwrap_err().to_string();
    assert!(error.contains("other things"), "{error}");
    for format in [SaveFormat::Torch, SaveFormat::Safetensors, SaveFormat::MindSpore] {
        assert!(one("b", 1.0).save(&precious, &replacing(format)).is_err());
    }
    assert_eq!(names(&precious), ["a"]);
    let file = folder.path().join("file");
    fs::write(&file, "text").unwrap();
    assert!(one("b", 1.0).save(&file, &replacing(SaveFormat::OneFlow)).is_err());
    assert_eq!(fs::read(&file).unwrap(), b"text");
    assert_eq!(names(folder.path()), ["file", "precious"]);
}

#[test]
fn names_that_lead_out_of_a_snapshot_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inside/snapshot");
    fs::create_dir(folder.path().join("inside")).unwrap();
    for name in ["", ".", "..", "a/b", "../x", "/etc/x", "a\0b", "a\\b", "C:x", "snapshot_done"] {
        let error = one(name, 1.0).save(&path, &to(SaveFormat::OneFlow)).unwrap_err();
        assert!(error.to_string().contains(&format!("`{}`", printable::line(name))), "{error}");
    }
    assert!(names(&folder.path().join("inside")).is_empty());
    assert_eq!(names(folder.path()), ["inside"]);
    let error = one("__metadata__", 1.0).save(&path, &to(SaveFormat::Safetensors)).unwrap_err();
    assert!(error.to_string().contains("rename it"), "{error}");
}

#[test]
fn what_a_snapshot_would_not_give_back_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    let number = Tensor::from_f32(&[1], &[1.0]).unwrap();
    let refused = |names: &[&str]| {
        let dict: StateDict = names.iter().map(|name| (*name, number.clone())).collect();
        let error = dict.save(&path, &to(SaveFormat::OneFlow)).unwrap_err();
        assert!(matches!(error, Error::Checkpoint { .. }) && !path.exists(), "{names:?}: {error:?}");
        error.to_string()
    };
    for name in ["System-Train-TrainStep", "System-Train-TrainStep-train"] {
        assert!(refused(&["w", name]).contains(&format!("tensor `{name}`: its name is that of OneFlow's counter")));
    }
    for slot in ["fc-m", "fc-v", "fc-momentum"] {
        let error = refused(&["fc", slot]);
        assert!(error.contains(slot) && error.contains("an optimizer keeps for `fc`"), "{error}");
        // Alone it is a parameter like any other.
        one(slot, 1.0).save(&path, &replacing(SaveFormat::OneFlow)).unwrap();
        assert_eq!(open(&path).names().collect::<Vec<_>>(), [slot]);
        fs::remove_dir_all(&path).unwrap();
    }
    assert!(refused(&[]).contains("without parameters"));
}

/// The number of a process that has ended, and of one that goes on until it is killed.
#[cfg(unix)]
fn processes() -> (u32, std::process::Child) {
    let mut gone = std::process::Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    (gone.id(), std::process::Command::new("sleep").arg("60").spawn().unwrap())
}

#[cfg(unix)]
#[test]
fn what_a_killed_writer_left_goes_with_the_next_one() {
    let (gone, mut going) = processes();
    for format in FORMATS {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let (stale, stale_folder) = (format!(".pretrained-{gone}-0.tmp"), format!(".pretrained-{gone}-1.tmp"));
        let (live, aside) = (format!(".pretrained-{}-0.tmp", going.id()), format!(".pretrained-{gone}-2.old"));
        let strange = [format!(".pretrained-{gone}-0.tmp.pth"), format!("pretrained-{gone}-0.tmp")];
        for name in [&stale, &live].into_iter().chain(&strange) {
            fs::write(path(name), "half").unwrap();
        }
        for name in [&stale_folder, &aside] {
            fs::create_dir_all(path(name).join("w")).unwrap();
            fs::write(path(name).join("w/out"), "half").unwrap();
        }
        one("w", 1.0).save(path("x"), &to(format)).unwrap();
        let mut expected = vec![live, aside, "x".to_owned()];
        expected.extend(strange);
        expected.sort();
        assert_eq!(names(folder.path()), expected, "{format}");
    }
    going.kill().unwrap();
    going.wait().unwrap();
}

#[test]
fn an_error_half_way_leaves_the_old_snapshot_and_no_temporary() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapshot");
    one("old", 1.0).save(&path, &to(SaveFormat::OneFlow)).unwrap();
    // Longer than file systems allow, so it fails after the first parameter is written.
    let long = "n".repeat(300);
    let mut dict = one("first", 2.0);
    dict.insert(long.clone(), Tensor::from_f32(&[1], &[3.0]).unwrap());
    let error = dict.save(&path, &replacing(SaveFormat::OneFlow)).unwrap_err();
    assert!(matches!(error, Error::Io { .. }) && error.to_string().contains("nnn"), "{error}");
    assert_eq!(names(folder.path()), ["snapshot"]);
    assert_eq!(names(&path), ["old", "snapshot_done"]);
}

#[test]
fn a_target_without_a_place_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    for target in ["no/such/x", "file/x", ".."] {
        for format in FORMATS {
            let target = folder.path().join(target);
            let error = one("a", 1.0).save(&target, &to(format)).unwrap_err().to_string();
            // Windows takes either separator.
            let slashed = |text: &str| if cfg!(windows) { text.replace('\\', "/") } else { text.to_owned() };
            assert!(slashed(&error).contains(&slashed(target.to_str().unwrap())), "{error}");
        }
    }
    assert_eq!(names(folder.path()), ["file"]);
}

/// Windows replaces no file that is mapped, as an open checkpoint is.
#[test]
fn a_checkpoint_that_is_open_is_replaced_or_the_error_says_why_not() {
    for format in FORMATS.into_iter().filter(|format| *format != SaveFormat::OneFlow) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        one("w", 1.0).save(&path, &to(format)).unwrap();
        let before = open(&path);
        let replaced = one("w", 2.0).save(&path, &replacing(format));
        let value = |state: &StateDict| state.get("w").unwrap().to_f32_vec();
        assert_eq!(value(&before), [1.0], "{format}");
        match replaced {
            Err(error) if cfg!(windows) => {
                assert!(error.to_string().contains("has it open"), "{format}: {error}");
                assert_eq!(value(&open(&path)), [1.0], "{format}");
                drop(before);
                one("w", 2.0).save(&path, &replacing(format)).unwrap();
            }
            replaced => replaced.unwrap(),
        }
        assert_eq!(value(&open(&path)), [2.0], "{format}");
        assert_eq!(names(folder.path()), ["x"], "{format}");
    }
}

#[cfg(unix)]
#[test]
fn a_folder_that_may_not_be_written_to_stays_as_it_was() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let locked = folder.path().join("locked");
    fs::create_dir(&locked).unwrap();
    one("a", 1.0).save(locked.join("x"), &to(SaveFormat::Torch)).unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o555)).unwrap();
    // Nothing is locked for root.
    if fs::write(locked.join("probe"), "").is_err() {
        let before = fs::read(locked.join("x")).unwrap();
        for format in FORMATS {
            assert!(one("b", 1.0).save(locked.join("x"), &replacing(format)).is_err());
        }
        assert_eq!(fs::read(locked.join("x")).unwrap(), before);
        assert_eq!(names(&locked), ["x"]);
    }
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o755)).unwrap();
}

#[cfg(unix)]
#[test]
fn a_link_stays_a_link_and_permissions_stay() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().unwrap();
    let (real, link) = (folder.path().join("real"), folder.path().join("link"));
    fs::write(&real, "old").unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    symlink(&real, &link).unwrap();
    one("a", 1.0).save(&link, &replacing(SaveFormat::Torch)).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(open(&real).names().collect::<Vec<_>>(), ["a"]);
    assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
    // Writing over a device would replace it by a file.
    let error = one("a", 1.0).save("/dev/null", &replacing(SaveFormat::Torch)).unwrap_err();
    assert!(error.to_string().contains("no regular file"), "{error}");
}

#[test]
fn writers_at_the_same_time_do_not_mix() {
    let folder = tempfile::tempdir().unwrap();
    for format in [SaveFormat::Torch, SaveFormat::Safetensors] {
        let path = folder.path().join(format!("{format:?}"));
        std::thread::scope(|scope| {
            for value in 0..8 {
                let path = &path;
                scope.spawn(move || {
                    let dict: StateDict =
                        [("w", Tensor::from_f32(&[5000], &vec![value as f32; 5000]).unwrap())].into_iter().collect();
                    dict.save(path, &replacing(format)).unwrap();
                });
            }
        });
        let found = open(&path).get("w").unwrap().to_f32_vec();
        assert!(found.iter().all(|x| *x == found[0]));
    }
    // Without leave to overwrite, one of them wins.
    for format in FORMATS {
        let path = folder.path().join(format!("{format:?} once"));
        let wins = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..8)
                .map(|i| {
                    scope.spawn({
                        let path = &path;
                        move || one("w", i as f32).save(path, &to(format)).is_ok()
                    })
                })
                .collect();
            writers.into_iter().map(|writer| writer.join().unwrap()).filter(|won| *won).count()
        });
        assert_eq!(wins, 1, "{format}");
    }
    assert_eq!(names(folder.path()).len(), 6);
}

#[test]
fn the_same_tensors_give_the_same_bytes_and_aligned_ones() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.pth"), folder.path().join("b.pt"));
    let dict = assorted();
    dict.save(&a, &to(SaveFormat::Torch)).unwrap();
    dict.save(&b, &to(SaveFormat::Torch)).unwrap();
    let bytes = fs::read(&a).unwrap();
    assert!(bytes == fs::read(&b).unwrap());
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(&bytes)).unwrap();
    for index in 0..archive.len() {
        let entry = archive.by_index(index).unwrap();
        assert_eq!(entry.data_start().unwrap() % 64, 0, "{:?}", entry.name());
        assert_eq!(entry.compression(), zip::CompressionMethod::Stored);
    }
}

#[test]
fn an_extension_names_a_format() {
    let of = |path: &str| SaveFormat::of_path(path);
    assert_eq!(of("a/b.safetensors"), Some(SaveFormat::Safetensors));
    assert_eq!((of("x.PTH"), of("x.pt")), (Some(SaveFormat::Torch), Some(SaveFormat::Torch)));
    assert_eq!(of("x.ckpt"), Some(SaveFormat::MindSpore));
    assert_eq!((of("folder"), of("v1.0/")), (Some(SaveFormat::OneFlow), Some(SaveFormat::OneFlow)));
    assert_eq!(of("x.onnx"), None);
}

fn dicts() -> impl Strategy<Value = StateDict> {
    let shape = prop_oneof![
        proptest::collection::vec(0usize..5, 0..5),
        proptest::collection::vec(Just(1usize), 5..9),
        (200usize..70_000).prop_map(|n| vec![n]),
    ];
    let tensor = (proptest::sample::select(&DTYPES[..]), shape, any::<u8>()).prop_map(|(dtype, shape, seed)| {
        let count = Tensor::byte_count(dtype, &shape).unwrap();
        let modulus = if dtype == DType::Bool { 2 } else { 251 };
        let bytes: Vec<u8> = (0..count).map(|i| ((i * 31 + seed as usize) % modulus) as u8).collect();
        Tensor::new(dtype, &shape, bytes).unwrap()
    });
    // Any text at all, but for the prefix that reading takes off and the name that safetensors keeps.
    let name = prop_oneof!["[a-z]{1,4}(\\.[a-z0-9]{1,5}){0,4}", "\\PC{0,12}", "(?s).{0,6}"]
        .prop_filter("reserved", |name| !name.starts_with("module.") && name != "__metadata__");
    proptest::collection::vec((name, tensor), 1..12).prop_map(StateDict::from_iter)
}

/// Whether no folder can have the name, by the rules that the error states, or that Windows has.
fn no_folder(name: &str) -> bool {
    let windows = || name.ends_with(['.', ' ']) || name.contains(|c: char| c < ' ' || "<>\"|?*".contains(c));
    matches!(name, "" | "." | "..") || name.contains(['/', '\\', ':', '\0']) || cfg!(windows) && windows()
}

/// Whether Windows takes two of the names for one.
fn alike(dict: &StateDict) -> bool {
    let names: HashSet<String> = dict.names().map(str::to_lowercase).collect();
    cfg!(windows) && names.len() < dict.len()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_state_dict_comes_back(dict in dicts()) {
        let folder = tempfile::tempdir().unwrap();
        for (format, read) in READ {
            let path = folder.path().join(format!("{format:?}"));
            let saved = dict.save(&path, &to(format));
            prop_assert_eq!(saved.is_ok(), path.exists(), "{:?}", saved);
            if format == SaveFormat::OneFlow && (dict.names().any(no_folder) || alike(&dict)) {
                prop_assert!(saved.is_err());
                continue;
            }
            saved.unwrap();
            let found = StateDict::open_with(&path, &Limits::default()).unwrap();
            prop_assert_eq!(found.format(), Some(read));
            let number = |(name, tensor): &(&str, &Tensor)| {
                format == SaveFormat::MindSpore && tensor.shape().is_empty() && !name.contains('.')
            };
            let expected = dict.iter().filter(|entry| !number(entry)).map(|(name, tensor)| (name, tensor.clone()));
            assert_same(&found, &expected.collect());
            prop_assert_eq!(found.metadata().len(), dict.len() - found.len());
        }
        prop_assert!(names(folder.path()).iter().all(|name| !name.starts_with('.')));
    }
}
