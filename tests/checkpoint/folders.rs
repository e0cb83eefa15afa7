//! Folders as other programs leave them: downloads, Hugging Face's cache, trainings, and what is no checkpoint yet.

#[cfg(unix)]
use crate::common;
use pretrained::{Error, Format, Limits, SaveFormat, SaveOptions, StateDict, Tensor};
use std::fs;
use std::path::Path;
#[cfg(unix)]
use std::path::PathBuf;
use tempfile::TempDir;

fn holding(names: &[&str], value: f32) -> StateDict {
    names.iter().map(|name| (*name, Tensor::from_f32(&[1], &[value]).unwrap())).collect()
}

/// Writes `names` into the file at `path`, in the format that its extension asks for.
fn write(path: &Path, names: &[&str], value: f32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let format = SaveFormat::of_path(path).unwrap();
    holding(names, value).save(path, &SaveOptions { format, ..SaveOptions::default() }).unwrap();
}

/// Two shards, `a` and `b`, and their index.
fn write_shards(folder: &Path, stem: &str, end: &str) {
    let shards = [1, 2].map(|n| format!("{stem}-0000{n}-of-00002.{end}"));
    write(&folder.join(&shards[0]), &["a"], 1.0);
    write(&folder.join(&shards[1]), &["b"], 2.0);
    let index = serde_json::json!({"metadata": {"total_size": 8}, "weight_map": {"a": shards[0], "b": shards[1]}});
    fs::write(folder.join(format!("{stem}.{end}.index.json")), index.to_string()).unwrap();
}

fn value(state: &StateDict, name: &str) -> f32 {
    state.get(name).unwrap().to_f32_vec()[0]
}

/// A folder with these empty files; a name that ends with a slash is a folder.
fn folder_of(names: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if name.ends_with('/') { fs::create_dir_all(path) } else { fs::write(path, "x") }.unwrap();
    }
    folder
}

#[track_caller]
fn assert_refused(path: &Path, parts: &[&str]) {
    match StateDict::open(path).unwrap_err() {
        Error::Checkpoint { reason, .. } => {
            assert!(parts.iter().all(|part| reason.contains(part)), "{parts:?} are not all in: {reason}");
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn assert_noted(state: &StateDict, part: &str) {
    assert!(state.notes().iter().any(|note| note.contains(part)), "{part} is not in {:?}", state.notes());
}

#[test]
fn shards_of_either_kind_open_by_index_and_by_folder() {
    for (stem, end, format) in
        [("model", "safetensors", Format::ShardedSafetensors), ("pytorch_model", "bin", Format::ShardedTorch)]
    {
        let folder = tempfile::tempdir().unwrap();
        write_shards(folder.path(), stem, end);
        let index = folder.path().join(format!("{stem}.{end}.index.json"));
        for path in [folder.path(), &index] {
            let state = StateDict::open(path).unwrap();
            assert_eq!((value(&state, "a"), value(&state, "b"), state.len()), (1.0, 2.0, 2));
            assert_eq!((state.format(), state.path()), (Some(format), Some(&*index)));
            assert_eq!(state.metadata()["total_size"], "8");
        }
        // All shards together stay under the limit.
        let shard = fs::metadata(folder.path().join(format!("{stem}-00001-of-00002.{end}"))).unwrap().len();
        let limits = Limits { file_bytes: 2 * shard - 1, ..Limits::default() };
        assert!(matches!(StateDict::open_with(&index, &limits), Err(Error::Limit { .. })));
        // What is no shard is named.
        fs::write(folder.path().join(format!("{stem}-00002-of-00002.{end}")), "\u{8}no shard").unwrap();
        assert!(StateDict::open(&index).unwrap_err().to_string().contains("00002-of-00002"));
    }
}

#[test]
fn what_belongs_together_may_lie_in_two_shards() {
    let folder = tempfile::tempdir().unwrap();
    let part = |values: &[f32], shape: &[usize]| Tensor::from_f32(shape, values).unwrap();
    let options = SaveOptions { format: SaveFormat::Torch, ..SaveOptions::default() };
    for (shard, name, tensor) in
        [("1.bin", "fc.weight_g", part(&[10.0], &[1, 1])), ("2.bin", "fc.weight_v", part(&[3.0, 4.0], &[1, 2]))]
    {
        let state: StateDict = [(name, tensor)].into_iter().collect();
        state.save(folder.path().join(shard), &options).unwrap();
    }
    let index = serde_json::json!({"weight_map": {"fc.weight_g": "1.bin", "fc.weight_v": "2.bin"}});
    fs::write(folder.path().join("pytorch_model.bin.index.json"), index.to_string()).unwrap();
    let state = StateDict::open(folder.path()).unwrap();
    assert_eq!(state.get("fc.weight").unwrap().to_f32_vec(), [6.0, 8.0]);
}

#[test]
fn the_model_is_taken_from_among_what_lies_beside_it() {
    let folder = folder_of(&["config.json", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json"]);
    let path = |name: &str| folder.path().join(name);
    assert_refused(folder.path(), &["holds no checkpoint", "config.json"]);
    write(&path("pytorch_model.bin"), &["w"], 1.0);
    let state = StateDict::open(folder.path()).unwrap();
    assert_eq!((value(&state, "w"), state.path()), (1.0, Some(&*path("pytorch_model.bin"))));
    assert_noted(&state, "took pytorch_model.bin");
    write(&path("model.safetensors"), &["w"], 2.0);
    let state = StateDict::open(folder.path()).unwrap();
    assert_eq!((value(&state, "w"), state.format()), (2.0, Some(Format::Safetensors)));
    assert_noted(&state, "took model.safetensors, which goes before pytorch_model.bin, also there");
    // A variant is asked for by its name; an index of another name may be meant.
    write_shards(folder.path(), "pytorch_model", "bin");
    fs::write(path("model.fp16.safetensors.index.json"), "{}").unwrap();
    assert_eq!(value(&StateDict::open(folder.path()).unwrap(), "w"), 2.0);
    fs::write(path("other.index.json"), "{}").unwrap();
    assert_refused(folder.path(), &["several indexes or models", "other.index.json"]);
}

#[test]
fn deepspeeds_states_are_found_where_they_are_whole() {
    let folder = folder_of(&["zero_to_fp32.py", "global_step5/zero_pp_rank_0_mp_rank_00_optim_states.pt"]);
    let states = |step: u64| folder.path().join(format!("global_step{step}/mp_rank_00_model_states.pt"));
    for step in [5, 10] {
        let saved = states(step).with_extension("pth");
        write(&saved, &["w"], step as f32);
        fs::rename(saved, states(step)).unwrap();
    }
    fs::write(folder.path().join("latest"), "global_step5\n").unwrap();
    let state = StateDict::open(folder.path()).unwrap();
    assert_eq!((value(&state, "w"), state.path()), (5.0, Some(&*states(5))));
    assert_noted(&state, "took global_step5/mp_rank_00_model_states.pt");
    assert_eq!(value(&StateDict::open(folder.path().join("global_step10")).unwrap(), "w"), 10.0);
    // The parameters of stage 3 lie in pieces.
    fs::write(folder.path().join("global_step5/zero_pp_rank_0_mp_rank_00_model_states.pt"), "x").unwrap();
    assert_refused(folder.path(), &["DeepSpeed", "split", "zero_to_fp32.py"]);
    // What is no folder's name leads nowhere.
    for tag in ["../elsewhere", "/etc", "", "absent"] {
        fs::write(folder.path().join("latest"), tag).unwrap();
        assert_refused(folder.path(), &["holds no checkpoint"]);
    }
}

#[test]
fn folders_that_are_no_checkpoint_are_named() {
    for (names, parts) in [
        (&[".metadata", "__0_0.distcp", "__1_0.distcp"][..], &["DCP", "dcp_to_torch"][..]),
        (
            &["pytorch_model_fsdp_0/.metadata", "pytorch_model_fsdp_0/__0_0.distcp"],
            &["`pytorch_model_fsdp_0`", "dcp_to_torch"],
        ),
        (&["data.pkl", "data/0", "version"], &["unpacked", "zip -0 -r"]),
        (&["archive/data.pkl", "archive/data/0", "archive/version"], &["unpacked", "in archive"]),
        (
            &["checkpoint-500/model.safetensors", "checkpoint-1000/model.safetensors"],
            &["checkpoints of a training", "checkpoint-1000"],
        ),
        (&["saved_model.pb", "variables/x"], &["SavedModel", "tf2onnx"]),
        (&["Manifest.json", "Data/com.apple.CoreML/model.mlmodel"], &["Core ML"]),
        (&["model.xml", "model.bin"], &["OpenVINO"]),
        (&["epoch_1.pth", "epoch_2.pth", "optimizer.pt"], &["give a file", "epoch_1.pth"]),
        (&["weights.bin"], &["give a file", "weights.bin"]),
        (&["a", "b", "c", "d", "e", "f"], &["holds no checkpoint", "only a, b, c, d and 2 more"]),
        (&[], &["holds no checkpoint", "nothing else"]),
    ] {
        assert_refused(folder_of(names).path(), parts);
    }
}

#[test]
fn files_of_others_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights");
    for (bytes, parts) in [
        (&b"\xff\xd8\xff\xe0\0\x10JFIF\0"[..], &["JPEG image", "not a checkpoint"][..]),
        (b"\x1c\0\0\0TFL3\0\0\0", &["TensorFlow Lite"]),
        (b"\xfd7zXZ\0\0\x04", &["xz", "unpack"]),
        (b"<?xml version=\"1.0\"?><net name=\"x\" version=\"11\">", &["OpenVINO"]),
    ] {
        fs::write(&path, bytes).unwrap();
        assert_refused(&path, parts);
    }
    let zipped = |name: &str| {
        let mut archive = zip::ZipWriter::new(fs::File::create(&path).unwrap());
        archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.finish().unwrap();
    };
    zipped("out/model.safetensors");
    assert_refused(&path, &["holds out/model.safetensors", "unpack it first"]);
    zipped("serialized_exported_program.json");
    assert_refused(&path, &["torch.export", "state_dict"]);
    // The name speaks where the content does not.
    let path = folder.path().join("model.pdparams.pdmodel");
    fs::write(&path, "\u{1}\u{2}\u{3}").unwrap();
    assert_refused(&path, &["no known format", "PaddlePaddle"]);
}

/// Moves every file of `folder` into the store of a cache of Hugging Face's, with links in its place, and gives the
/// folder of the links.
#[cfg(unix)]
fn cached(folder: &Path, cache: &Path) -> PathBuf {
    fn link(from: &Path, to: &Path, up: &Path, blobs: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.as_ref().unwrap().file_name()));
            if from.is_dir() {
                link(&from, &to, &Path::new("..").join(up), blobs);
            } else {
                let blob = fs::read_dir(blobs).unwrap().count().to_string();
                fs::rename(&from, blobs.join(&blob)).unwrap();
                std::os::unix::fs::symlink(up.join("blobs").join(blob), to).unwrap();
            }
        }
    }
    let blobs = cache.join("models--us--net/blobs");
    let snapshot = cache.join("models--us--net/snapshots/0123abcd");
    fs::create_dir_all(&blobs).unwrap();
    link(folder, &snapshot, Path::new("../.."), &blobs);
    snapshot
}

#[cfg(unix)]
#[test]
fn hugging_faces_cache_opens_like_the_folder_itself() {
    type Fill = fn(&Path);
    let fill: [(Fill, &str); 6] = [
        (|folder| write(&folder.join("model.safetensors"), &["a"], 1.0), "model.safetensors"),
        (|folder| write(&folder.join("pytorch_model.bin"), &["a"], 1.0), "pytorch_model.bin"),
        (|folder| write_shards(folder, "model", "safetensors"), "model.safetensors.index.json"),
        (|folder| write_shards(folder, "pytorch_model", "bin"), "pytorch_model.bin.index.json"),
        (|folder| write(&folder.join("net-1_10.ckpt"), &["a"], 1.0), "net-1_10.ckpt"),
        (|folder| write(&folder.join("snapshot"), &["a"], 1.0), "snapshot"),
    ];
    for (fill, name) in fill {
        let (folder, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fill(folder.path());
        let snapshot = cached(folder.path(), cache.path());
        let by_name = StateDict::open(snapshot.join(name)).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(value(&by_name, "a"), 1.0, "{name}");
        if name != "snapshot" {
            let by_folder = StateDict::open(&snapshot).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(by_folder.path().unwrap(), snapshot.join(name));
            assert!(by_folder.iter().eq(by_name.iter()), "{name}");
        }
        // A link to the snapshot is as good as the snapshot.
        let link = cache.path().join("link");
        std::os::unix::fs::symlink(&snapshot, &link).unwrap();
        assert!(StateDict::open(link.join(name)).unwrap().iter().eq(by_name.iter()), "{name}");
    }
}

#[cfg(unix)]
#[test]
fn external_data_is_found_in_the_cache_and_beside_what_a_link_leads_to() {
    let Some(shared) = common::shared() else { return };
    let original = shared.join("cases/onnx/ext_one");
    let expected = StateDict::open(original.join("m.onnx")).unwrap();
    let (folder, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for name in ["m.onnx", "ext_one.bin"] {
        fs::copy(original.join(name), folder.path().join(name)).unwrap();
    }
    let link = cache.path().join("newest.onnx");
    std::os::unix::fs::symlink(folder.path().join("m.onnx"), &link).unwrap();
    assert!(StateDict::open(&link).unwrap().iter().eq(expected.iter()));
    // Other data beside the link: which of them is meant cannot be told.
    fs::write(cache.path().join("ext_one.bin"), vec![0; 1 << 20]).unwrap();
    assert_refused(&link, &["`ext_one.bin`", "two different files of this name"]);
    let snapshot = cached(folder.path(), cache.path());
    assert!(StateDict::open(snapshot.join("m.onnx")).unwrap().iter().eq(expected.iter()));
}

#[cfg(unix)]
#[test]
fn what_lies_in_a_folder_does_not_lead_out_of_it() {
    use std::os::unix::fs::symlink;
    let outside = tempfile::tempdir().unwrap();
    write(&outside.path().join("good.safetensors"), &["a"], 1.0);
    write(&outside.path().join("good.bin"), &["a"], 1.0);
    write_shards(outside.path(), "model", "safetensors");
    for (name, target) in [
        ("model.safetensors", "good.safetensors"),
        ("pytorch_model.bin", "good.bin"),
        ("model.safetensors.index.json", "model.safetensors.index.json"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join(name);
        symlink(outside.path().join(target), &link).unwrap();
        assert_refused(folder.path(), &[name, "link out of the folder"]);
        // A link that is named is followed, and what it names lies beside what it leads to.
        assert_eq!(value(&StateDict::open(link).unwrap(), "a"), 1.0);
    }
    // Nor do blobs that are no part of the snapshot's cache.
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("m/snapshots/a")).unwrap();
    symlink(outside.path(), folder.path().join("m/blobs")).unwrap();
    symlink("../../blobs/good.safetensors", folder.path().join("m/snapshots/a/model.safetensors")).unwrap();
    assert_refused(&folder.path().join("m/snapshots/a"), &["link out of the folder"]);
    // Shards of an index: a link, a pipe, a device.
    let folder = tempfile::tempdir().unwrap();
    let index = folder.path().join("model.safetensors.index.json");
    symlink(outside.path().join("good.safetensors"), folder.path().join("link")).unwrap();
    symlink("/dev/zero", folder.path().join("zero")).unwrap();
    #[cfg(target_os = "linux")]
    rustix::fs::mknodat(rustix::fs::CWD, folder.path().join("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .unwrap();
    for (shard, part) in [
        ("link", "link out of the folder"),
        ("zero", "link out of the folder"),
        #[cfg(target_os = "linux")]
        ("pipe", "no regular file"),
        ("../x", "must lie in the same folder"),
        ("absent", "is missing"),
    ] {
        fs::write(&index, serde_json::json!({"weight_map": {"a": shard}}).to_string()).unwrap();
        assert_refused(&index, &[part]);
        assert_refused(folder.path(), &[part]);
    }
}
